/** Turns a sound draft into the loaded configuration: short forms spelled out, dependent defaults filled in. */
import type { CallTarget, JsonRules } from '../core/route.ts'
import type {
  ClusterConfig,
  Config,
  ListenerConfig,
  RouteConfig,
  RouteFilters,
  TargetConfig,
} from './config.ts'
import type { DraftCluster, DraftFilter, DraftListener, DraftRoute } from './draft.ts'
import { spellOutFilter } from './rules-filters.ts'
import { type ServiceName, splitServiceName } from './service-name.ts'

// Bolt: what its own server allows between heartbeats. Dubbo: three of its own client's heartbeats, as its server does.
const LISTENER_IDLE_MS = { http1: 60_000, mmtp: 240_000, bolt: 90_000, dubbo: 180_000, auto: 240_000 }
// RPC clients know of no limit: they have one connection for all their threads.
const LISTENER_STREAMS = { http1: 128, mmtp: 128, bolt: 4096, dubbo: 4096, auto: 128 }
// Below the 5 s after which many business processes (Node's own server among them) close an idle connection.
// An RPC server does not mind a connection without requests as long as there are heartbeats.
const CLUSTER_IDLE_MS = { http1: 4000, mmtp: 200_000, bolt: 600_000, dubbo: 600_000 }
const HEARTBEAT_MS = { http1: 0, mmtp: 0, bolt: 15_000, dubbo: 60_000 }

const NOTHING: readonly string[] = Object.freeze([])
const JSON_RULES: JsonRules = Object.freeze({
  longs: 'string',
  dates: 'iso',
  exceptions: 'hidden',
  classes: false,
})

/** The loaded form of a draft without findings. */
export function spellOut(draft: Readonly<Record<string, unknown>>): Config {
  const { $schema: _, ...rest } = draft
  return Object.freeze({
    ...(rest as unknown as Config),
    listeners: Object.freeze((draft.listeners as DraftListener[]).map(spellOutListener)),
    clusters: Object.freeze((draft.clusters as DraftCluster[]).map(spellOutCluster)),
    filters: Object.freeze((draft.filters as DraftFilter[]).map(spellOutFilter)),
    routes: Object.freeze((draft.routes as DraftRoute[]).map(spellOutRoute)),
  })
}

function spellOutListener(listener: DraftListener): ListenerConfig {
  const idle = listener.timeouts.idle ?? LISTENER_IDLE_MS[listener.protocol]
  const maxStreams = listener.maxStreams ?? LISTENER_STREAMS[listener.protocol]
  return Object.freeze({
    ...listener,
    maxStreams,
    timeouts: Object.freeze({ ...listener.timeouts, idle }),
  })
}

function spellOutCluster(cluster: DraftCluster): ClusterConfig {
  const idle = cluster.timeouts.idle ?? CLUSTER_IDLE_MS[cluster.protocol]
  const endpoints = cluster.endpoints.map((endpoint) => {
    return typeof endpoint === 'string' ? Object.freeze({ address: endpoint, weight: 1 }) : endpoint
  })
  return Object.freeze({
    ...cluster,
    heartbeat: cluster.heartbeat ?? HEARTBEAT_MS[cluster.protocol],
    timeouts: Object.freeze({ ...cluster.timeouts, idle }),
    endpoints: Object.freeze(endpoints),
  })
}

/** The loaded form of one route without findings. */
export function spellOutRoute(route: DraftRoute): RouteConfig {
  return Object.freeze({
    ...route,
    match: spellOutMatch(route.match),
    to: spellOutTarget(route.to),
    filters: (route.filters ?? null) as RouteFilters | null,
  })
}

/** Service names get their short form spelled out, names of headers are in lower case. */
function spellOutMatch(match: DraftRoute['match']): RouteConfig['match'] {
  const { service, headers } = match
  if (service === undefined && headers === undefined) return match as RouteConfig['match']
  const result: Record<string, unknown> = { ...match }
  if (service !== undefined) {
    const name = splitServiceName(service)
    result.service = name.service
    if (name.version !== '') result.version = name.version
    if (name.group !== '') result.group = name.group
  }
  if (headers !== undefined) {
    const lower: Record<string, unknown> = {}
    for (const name in headers) lower[name.toLowerCase()] = headers[name]
    result.headers = Object.freeze(lower)
  }
  return Object.freeze(result) as RouteConfig['match']
}

function spellOutTarget(to: DraftRoute['to']): TargetConfig {
  const { cluster, clusters = [], redirect = null } = to
  const translation = spellOutTranslation(to)
  return Object.freeze({
    clusters: cluster === undefined ? clusters : Object.freeze([Object.freeze({ cluster, weight: 1 })]),
    redirect,
    translation,
    call: to.service === undefined || to.method === undefined ? null : spellOutCall(to, to.method),
  })
}

function spellOutTranslation(to: DraftRoute['to']): TargetConfig['translation'] {
  const { operation = '', method = '', path = '' } = to
  const service = serviceOf(to)
  const parts = { operation, method, path, ...service }
  return Object.values(parts).some((part) => part !== '') ? Object.freeze(parts) : null
}

function spellOutCall(to: DraftRoute['to'], method: string): CallTarget {
  return Object.freeze({
    ...serviceOf(to),
    method,
    parameters: to.parameters ?? NOTHING,
    parameterNames: to.parameterNames ?? NOTHING,
    json: to.json ?? JSON_RULES,
  })
}

function serviceOf({ service = '', version, group }: DraftRoute['to']): ServiceName {
  const name = splitServiceName(service)
  return { service: name.service, version: version ?? name.version, group: group ?? name.group }
}
