/** What the admin port may see and do: the running gateway behind one interface, as plain data. */

/** A point in the life of the process. */
export type GatewayPhase = 'starting' | 'ready' | 'draining' | 'stopped'

/** One line of the list of recent errors: the newest of its kind. */
export interface RecentError {
  /** ISO 8601. */
  readonly time: string
  readonly code: string
  /** How many there were with this code at this place. */
  readonly count: number
  readonly message: string
  readonly listener: string
  readonly route: string
  readonly cluster: string
  readonly peer: string
  readonly traceId: string
}

/** Rates of one listener, route or cluster, for reading. */
export interface ScopeReport {
  readonly requests: number
  readonly active: number
  /** `2xx` … `5xx` and `0` for exchanges whose caller went away. */
  readonly responses: Readonly<Record<string, number>>
  readonly errors: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Milliseconds, estimated from the histogram; null before the first request. */
  readonly p50: number | null
  readonly p99: number | null
}

export interface ListenerReport extends ScopeReport {
  readonly name: string
  readonly protocol: string
  readonly address: string
  readonly connections: number
}

export interface EndpointReport {
  readonly address: string
  /** The addresses that the name resolved to. */
  readonly resolved: readonly string[]
  readonly weight: number
  readonly active: number
  readonly connections: number
  readonly connectFailures: number
  readonly isUsable: boolean
}

export interface ClusterReport extends ScopeReport {
  readonly name: string
  readonly protocol: string
  readonly balancer: string
  readonly queued: number
  readonly endpoints: readonly EndpointReport[]
}

export interface RouteReport extends ScopeReport {
  readonly name: string
  readonly match: string
  readonly to: string
}

export interface FilterReport {
  readonly name: string
  readonly use: string
  readonly hooks: readonly string[]
  readonly replies: number
  readonly failures: number
  readonly suspensions: number
  /** Path of a user's module, null for a built-in filter. */
  readonly module: string | null
  /** Why the newest version of a user's module was refused, null when it serves. */
  readonly refused: string | null
}

export interface ConnectionReport {
  readonly id: number
  readonly side: 'downstream' | 'upstream'
  readonly owner: string
  readonly protocol: string
  readonly peer: string
  readonly ageMs: number
  readonly active: number
  readonly queuedBytes: number
}

export interface ConfigReport {
  readonly file: string
  /** Counts accepted configurations, from 1. */
  readonly version: number
  /** SHA-256 of the accepted text, hex. */
  readonly checksum: string
  /** ISO 8601. */
  readonly loadedAt: string
  /** The accepted configuration, secrets redacted. */
  readonly config: unknown
  /** Why the newest change was refused, one line a problem; null when it serves. */
  readonly refused: readonly string[] | null
}

export interface StatsReport {
  readonly phase: GatewayPhase
  readonly version: string
  readonly node: { readonly app: string; readonly cell: string }
  readonly uptimeMs: number
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number }
  readonly eventLoop: { readonly utilization: number; readonly delayP99Ms: number }
  readonly exchanges: { readonly live: number; readonly total: number }
  readonly connections: { readonly downstream: number; readonly upstream: number }
  readonly slabs: { readonly leased: number; readonly pooled: number }
  readonly timers: number
}

/** The running gateway. Reads are cheap enough for a page that refreshes every second. */
export interface GatewayInspector {
  readonly phase: GatewayPhase
  stats(): StatsReport
  config(): ConfigReport
  listeners(): ListenerReport[]
  clusters(): ClusterReport[]
  /** At most `limit` routes, busiest first. */
  routes(limit: number): { readonly total: number; readonly routes: RouteReport[] }
  filters(): FilterReport[]
  /** At most `limit` connections, newest first. */
  connections(limit: number): { readonly total: number; readonly connections: ConnectionReport[] }
  /** Newest first; bounded. */
  recentErrors(): RecentError[]
  /** Prometheus text. */
  metricsText(): Promise<string>
  logLevel(): string
  /** Throws `RangeError` for a level that does not exist. */
  setLogLevel(level: string): void
  /** Starts the drain; resolves when it is over. */
  drain(): Promise<void>
}
