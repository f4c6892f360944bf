/** The running gateway as the admin port sees it. */

import { poolUsage } from './buffer/pools.ts'
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
import type { Gateway } from './gateway.ts'
import { formatHostPort } from './net/address.ts'
import type { Connection } from './net/connection.ts'
import { describeMatch, RouteNames } from './route-names.ts'
import { ProcessStats } from './telemetry/process-stats.ts'
import { createScopeStats, reportScope } from './telemetry/stats.ts'
import { VERSION } from './version.ts'

const UNUSED = createScopeStats()

/** See {@link GatewayInspector}. */
export class Inspector implements GatewayInspector {
  readonly #gateway: Gateway
  #process: ProcessStats | null = null

  constructor(gateway: Gateway) {
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
    const { serving, refused, file } = this.#gateway
    const { version, checksum, loadedAt, config } = serving
    return { file, version, checksum, loadedAt, config: redactConfig(config), refused }
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
    const { serving, scopes } = this.#gateway
    const names = new RouteNames()
    const rows = serving.config.routes.map((route) => {
      const name = names.nameOf(route)
      return { route, name, stats: scopes.routeIfUsed(name) ?? UNUSED }
    })
    // Stable: routes that are equally busy stay in the order of the file.
    rows.sort((a, b) => b.stats.requests - a.stats.requests)
    const routes = rows.slice(0, limit).map(({ route, name, stats }) => ({
      name,
      match: describeMatch(route.match),
      to: describeTarget(route.to),
      ...reportScope(stats),
    }))
    return { total: rows.length, routes }
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
