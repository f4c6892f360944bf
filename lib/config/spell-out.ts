/** Turns a sound draft into the loaded configuration: short forms spelled out, dependent defaults filled in. */
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

const LISTENER_IDLE_MS = { http1: 60_000, mmtp: 240_000, auto: 240_000 }
// Below the 5 s after which many business processes (Node's own server among them) close an idle connection.
const CLUSTER_IDLE_MS = { http1: 4000, mmtp: 200_000 }

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
  return Object.freeze({ ...listener, timeouts: Object.freeze({ ...listener.timeouts, idle }) })
}

function spellOutCluster(cluster: DraftCluster): ClusterConfig {
  const idle = cluster.timeouts.idle ?? CLUSTER_IDLE_MS[cluster.protocol]
  const endpoints = cluster.endpoints.map((endpoint) => {
    return typeof endpoint === 'string' ? Object.freeze({ address: endpoint, weight: 1 }) : endpoint
  })
  return Object.freeze({
    ...cluster,
    timeouts: Object.freeze({ ...cluster.timeouts, idle }),
    endpoints: Object.freeze(endpoints),
  })
}

function spellOutRoute(route: DraftRoute): RouteConfig {
  return Object.freeze({
    ...route,
    match: spellOutMatch(route.match),
    to: spellOutTarget(route.to),
    filters: (route.filters ?? null) as RouteFilters | null,
  })
}

function spellOutMatch(match: DraftRoute['match']): RouteConfig['match'] {
  if (match.headers === undefined) return match as RouteConfig['match']
  const headers: Record<string, unknown> = {}
  for (const name in match.headers) headers[name.toLowerCase()] = match.headers[name]
  return Object.freeze({ ...match, headers: Object.freeze(headers) }) as RouteConfig['match']
}

function spellOutTarget(to: DraftRoute['to']): TargetConfig {
  const { cluster, clusters = [], redirect = null, operation, method, path } = to
  const isTranslated = (operation ?? method ?? path) !== undefined
  return Object.freeze({
    clusters: cluster === undefined ? clusters : Object.freeze([Object.freeze({ cluster, weight: 1 })]),
    redirect,
    translation: isTranslated
      ? Object.freeze({ operation: operation ?? '', method: method ?? '', path: path ?? '' })
      : null,
  })
}
