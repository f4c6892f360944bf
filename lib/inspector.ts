/** The running gateway as the admin port sees it. */

import { poolUsage } from './buffer/pools.ts'
import type { Config } from './config/config.ts'
import { redactConfig } from './config/redact.ts'
import type { ClientCodec, ServerCodec } from './core/codec.ts'
import type {
  ClusterReport,
  ConfigReport,
  ConnectionReport,
  FilterReport,
  GatewayInspector,
  GatewayPhase,
  ListenerReport,
  RecentError,
  RouteReport,
  StatsReport,
} from './core/inspect.ts'
import type { ScopeStats } from './core/services.ts'
import { formatHostPort } from './net/address.ts'
import type { Connection } from './net/connection.ts'
import type { Loop } from './net/loop.ts'
import { describeMatch } from './route-names.ts'
import type { RunningCluster } from './running-clusters.ts'
import type { RunningListener } from './running-listeners.ts'
import type { ScopeRegistry } from './scopes.ts'
import type { Runtime } from './server/runtime.ts'
import type { GatewayLogger } from './telemetry/log.ts'
import type { MetricsRegistry } from './telemetry/metrics.ts'
import { ProcessStats } from './telemetry/process-stats.ts'
import type { RecentErrors } from './telemetry/recent-errors.ts'
import { createScopeStats, reportScope } from './telemetry/stats.ts'
import type { UserFilters } from './user-filters.ts'
import { VERSION } from './version.ts'

const UNUSED = createScopeStats()

/** What the inspector reads of a gateway. */
export interface InspectedGateway {
  readonly phase: GatewayPhase
  readonly file: string
  /** Throws before the first configuration was accepted. */
  readonly serving: InspectedServing
  readonly refused: readonly string[] | null
  readonly clusters: ReadonlyMap<string, RunningCluster>
  readonly listeners: ReadonlyMap<string, RunningListener>
  readonly dispatcher: { readonly live: number; readonly total: number }
  readonly loop: Loop
  readonly log: GatewayLogger
  readonly metrics: MetricsRegistry
  readonly scopes: ScopeRegistry
  readonly recentErrors: RecentErrors
  readonly userFilters: UserFilters
  drain(): Promise<void>
}

/** The accepted configuration. */
interface InspectedServing {
  readonly config: Config
  readonly checksum: string
  readonly loadedAt: string
  readonly version: number
  readonly runtime: Runtime
  /** By position of the route. */
  readonly routeNames: readonly string[]
}

/** See {@link GatewayInspector}. */
export class Inspector implements GatewayInspector {
  readonly #gateway: InspectedGateway
  #process: ProcessStats | null = null

  constructor(gateway: InspectedGateway) {
    this.#gateway = gateway
  }

  get phase(): GatewayPhase {
    return this.#gateway.phase
  }

  /** Has the metrics export every listener, route and cluster, and the process itself. Called when the admin port starts. */
  exportScopes(): void {
    const { metrics, scopes } = this.#gateway
    for (const kind of ['listener', 'route', 'cluster'] as const)
      metrics.exportScopes(kind, () => scopes.all(kind))
    this.#processStats().register(metrics)
  }

  /** Stops watching the process. */
  close(): void {
    this.#process?.close()
    this.#process = null
  }

  stats(): StatsReport {
    const gateway = this.#gateway
    const { app, cell } = gateway.serving.config.node
    const stats = this.#processStats()
    const { leased, pooled } = poolUsage()
    return {
      phase: gateway.phase,
      version: VERSION,
      node: { app, cell },
      uptimeMs: stats.uptimeMs(),
      memory: stats.memory(),
      eventLoop: stats.eventLoop(),
      exchanges: { live: gateway.dispatcher.live, total: gateway.dispatcher.total },
      connections: { downstream: this.#downstream().length, upstream: this.#upstream().length },
      slabs: { leased, pooled },
      timers: gateway.loop.wheel.count,
    }
  }

  config(): ConfigReport {
    const { serving, refused, file, userFilters } = this.#gateway
    const { version, checksum, loadedAt, config } = serving
    const problems = [...(refused ?? []), ...userFilters.refusals()]
    return {
      file,
      version,
      checksum,
      loadedAt,
      config: redactConfig(config),
      refused: problems.length === 0 ? null : problems,
    }
  }

  listeners(): ListenerReport[] {
    return [...this.#gateway.listeners.values()].map(({ part }) => ({
      name: part.name,
      protocol: part.protocol,
      address: part.address,
      connections: part.connections.size,
      ...reportScope(part.stats),
    }))
  }

  clusters(): ClusterReport[] {
    return [...this.#gateway.clusters.values()].map(({ config, part }) => ({
      name: part.name,
      protocol: config.protocol,
      balancer: config.balancer,
      queued: part.queued,
      endpoints: part.report(),
      ...reportScope(part.stats),
    }))
  }

  routes(limit: number): { total: number; routes: RouteReport[] } {
    const { config, routeNames } = this.#gateway.serving
    const routes = busiest(routeNames, this.#gateway.scopes, limit).map(({ index, stats }) => {
      const route = config.routes[index]
      return {
        name: routeNames[index],
        match: describeMatch(route.match),
        to: describeTarget(route.to),
        ...reportScope(stats),
      }
    })
    return { total: routeNames.length, routes }
  }

  filters(): FilterReport[] {
    const { serving, userFilters } = this.#gateway
    return serving.runtime.chain.set.reports().map((report) => ({
      ...report,
      refused: report.module === null ? null : userFilters.refusal(report.module),
    }))
  }

  connections(limit: number): { total: number; connections: ConnectionReport[] } {
    const all = [...this.#downstream(), ...this.#upstream()].sort((a, b) => b.connection.id - a.connection.id)
    const now = this.#gateway.loop.now()
    return {
      total: all.length,
      connections: all.slice(0, limit).map((entry) => reportConnection(entry, now)),
    }
  }

  recentErrors(): RecentError[] {
    return this.#gateway.recentErrors.list()
  }

  metricsText(): Promise<string> {
    return this.#gateway.metrics.text()
  }

  logLevel(): string {
    return this.#gateway.log.level
  }

  setLogLevel(level: string): void {
    this.#gateway.log.setLevel(level)
  }

  drain(): Promise<void> {
    return this.#gateway.drain()
  }

  #processStats(): ProcessStats {
    this.#process ??= new ProcessStats()
    return this.#process
  }

  #downstream(): OwnedConnection[] {
    return [...this.#gateway.listeners.values()].flatMap(({ part }) =>
      [...part.connections].map((connection) => ({
        connection,
        side: 'downstream' as const,
        owner: part.name,
        protocol: part.protocol,
        active: (connection.codec as Partial<ServerCodec> | null)?.activeExchanges ?? 0,
      })),
    )
  }

  #upstream(): OwnedConnection[] {
    return [...this.#gateway.clusters.values()].flatMap(({ config, part }) =>
      part.hosts().flatMap((host) =>
        [...host.connections].map(([connection, codec]: [Connection, ClientCodec]) => ({
          connection,
          side: 'upstream' as const,
          owner: part.name,
          protocol: config.protocol,
          active: codec.activeStreams,
        })),
      ),
    )
  }
}

/** Positions of the busiest routes; those that are equally busy stay in the order of the file. Cheap for many routes of which few had a request. */
function busiest(
  names: readonly string[],
  scopes: ScopeRegistry,
  limit: number,
): { readonly index: number; readonly stats: ScopeStats }[] {
  const used: { index: number; stats: ScopeStats }[] = []
  const unused: { index: number; stats: ScopeStats }[] = []
  for (let index = 0; index < names.length; index++) {
    const stats = scopes.routeIfUsed(names[index])
    if (stats !== null) used.push({ index, stats })
    else if (unused.length < limit) unused.push({ index, stats: UNUSED })
  }
  used.sort((a, b) => b.stats.requests - a.stats.requests)
  return used.concat(unused).slice(0, limit)
}

interface OwnedConnection extends Pick<ConnectionReport, 'side' | 'owner' | 'protocol' | 'active'> {
  readonly connection: Connection
}

function reportConnection({ connection, ...rest }: OwnedConnection, nowMs: number): ConnectionReport {
  const { remoteAddress, remotePort } = connection.peer
  return {
    id: connection.id,
    ...rest,
    peer: remoteAddress === '' ? 'unix' : formatHostPort(remoteAddress, remotePort),
    ageMs: Math.round(nowMs - connection.createdMs),
    queuedBytes: connection.queuedBytes,
  }
}

function describeTarget(to: {
  readonly clusters: readonly { readonly cluster: string; readonly weight: number }[]
  readonly redirect: { readonly status: number } | null
}): string {
  if (to.redirect !== null) return `redirect ${to.redirect.status}`
  if (to.clusters.length === 1) return to.clusters.map(({ cluster }) => cluster).join()
  return to.clusters.map(({ cluster, weight }) => `${cluster} ${weight}`).join(', ')
}
