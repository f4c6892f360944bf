/** A gateway that runs nothing: what the admin port shows is whatever a test writes into it. */
import type {
  ClusterReport,
  ConfigReport,
  ConnectionReport,
  EndpointReport,
  FilterReport,
  GatewayInspector,
  GatewayPhase,
  ListenerReport,
  RecentError,
  RouteReport,
  ScopeReport,
  StatsReport,
} from '../../lib/core/inspect.ts'
import type { Logger } from '../../lib/core/services.ts'

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** Rates of a scope in which nothing went wrong. */
export function scope(requests: number, more: Partial<ScopeReport> = {}): ScopeReport {
  return {
    requests,
    active: 0,
    responses: { '2xx': requests, '3xx': 0, '4xx': 0, '5xx': 0 },
    errors: 0,
    bytesIn: requests * 200,
    bytesOut: requests * 650,
    p50: 1.8,
    p99: 12.5,
    ...more,
  }
}

/** A usable endpoint. */
export function endpoint(address: string, more: Partial<EndpointReport> = {}): EndpointReport {
  const resolved = [address.replace(/:\d+$/, '')]
  return {
    address,
    resolved,
    weight: 1,
    active: 0,
    connections: 4,
    connectFailures: 0,
    isUsable: true,
    ...more,
  }
}

/** A failure of now. */
export function recentError(code: string, message: string, more: Partial<RecentError> = {}): RecentError {
  const time = new Date().toISOString()
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  return {
    time,
    code,
    count: 1,
    message,
    listener: 'http',
    route: '',
    cluster: '',
    peer: '10.1.2.3:40112',
    traceId,
    ...more,
  }
}

/** Its fields are what it reports. */
export class FakeGateway implements GatewayInspector {
  phase: GatewayPhase = 'ready'
  level = 'info'
  drains = 0
  drained: Promise<void> = Promise.resolve()
  uptimeMs = 3_725_000
  metrics = '# HELP up x\n# TYPE up gauge\nup 1\n'
  listenerReports: Writable<ListenerReport>[] = [
    {
      name: 'http',
      protocol: 'http1',
      address: '0.0.0.0:15001',
      connections: 48,
      ...scope(1_204_332, { active: 7 }),
    },
  ]
  clusterReports: Writable<ClusterReport>[] = [
    {
      name: 'web',
      protocol: 'http1',
      balancer: 'round-robin',
      queued: 0,
      endpoints: [endpoint('127.0.0.1:8080')],
      ...scope(900_000),
    },
  ]
  routeReports: Writable<RouteReport>[] = [
    { name: 'static', match: 'path /static/', to: 'web', ...scope(900_000) },
  ]
  filterReports: Writable<FilterReport>[] = [
    {
      name: 'access-log',
      use: 'access-log',
      hooks: ['onEnd'],
      replies: 0,
      failures: 0,
      suspensions: 0,
      module: null,
      refused: null,
    },
  ]
  connectionReports: ConnectionReport[] = [
    {
      id: 7,
      side: 'downstream',
      owner: 'http',
      protocol: 'http1',
      peer: '10.0.0.9:51000',
      ageMs: 1200,
      active: 1,
      queuedBytes: 0,
    },
  ]
  errorReports: RecentError[] = []
  configReport: Writable<ConfigReport> = {
    file: '/etc/meshgate/meshgate.yaml',
    version: 3,
    checksum: '2f1a9c44d0a1b7e85f7c2b3e9d1f6a0c2f1a9c44d0a1b7e85f7c2b3e9d1f6a0c',
    loadedAt: '2026-05-04T02:11:09.000Z',
    config: { node: { app: 'trade', cell: 'RZ01A' } },
    refused: null,
  }

  stats(): StatsReport {
    let total = 0
    for (const { requests } of this.listenerReports) total += requests
    return {
      phase: this.phase,
      version: '0.1.0',
      node: { app: 'trade', cell: 'RZ01A' },
      uptimeMs: this.uptimeMs,
      memory: { rss: 96_468_992, heapUsed: 31_457_280, external: 9_437_184 },
      eventLoop: { utilization: 0.37, delayP99Ms: 1.4 },
      exchanges: { live: 9, total },
      connections: { downstream: 60, upstream: 21 },
      slabs: { leased: 3, pooled: 61 },
      timers: 82,
    }
  }

  config(): ConfigReport {
    return this.configReport
  }

  listeners(): ListenerReport[] {
    return this.listenerReports
  }

  clusters(): ClusterReport[] {
    return this.clusterReports
  }

  routes(limit: number): { total: number; routes: RouteReport[] } {
    return { total: this.routeReports.length, routes: this.routeReports.slice(0, limit) }
  }

  filters(): FilterReport[] {
    return this.filterReports
  }

  connections(limit: number): { total: number; connections: ConnectionReport[] } {
    return { total: this.connectionReports.length, connections: this.connectionReports.slice(0, limit) }
  }

  recentErrors(): RecentError[] {
    return this.errorReports
  }

  async metricsText(): Promise<string> {
    return this.metrics
  }

  logLevel(): string {
    return this.level
  }

  setLogLevel(level: string): void {
    if (!['trace', 'debug', 'info', 'warn', 'error', 'silent'].includes(level)) {
      throw new RangeError(`unknown log level "${level}"`)
    }
    this.level = level
  }

  drain(): Promise<void> {
    this.drains++
    this.phase = 'draining'
    return this.drained
  }
}

/** Keeps what is logged. */
export class MemoryLog implements Logger {
  readonly lines: { level: string; fields: object; message: string }[] = []

  trace(fields: object, message: string): void {
    this.lines.push({ level: 'trace', fields, message })
  }

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message })
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message })
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message })
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message })
  }

  isLevelEnabled(): boolean {
    return true
  }
}
