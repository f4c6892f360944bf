/** GET /overview */
import type {
  ClusterReport,
  ConfigReport,
  FilterReport,
  GatewayInspector,
  ListenerReport,
  RecentError,
  RouteReport,
  StatsReport,
} from '../core/inspect.ts'
import { type Endpoint, json } from './endpoint.ts'

const ROUTES = 50
const ERRORS = 50

/** Everything the page shows, read at one moment, so that its rates are right. */
export interface Overview {
  readonly time: string
  readonly logLevel: string
  readonly stats: StatsReport
  /** Without the configuration itself, which may be large. */
  readonly config: Omit<ConfigReport, 'config'>
  readonly listeners: readonly ListenerReport[]
  readonly clusters: readonly ClusterReport[]
  readonly routes: { readonly total: number; readonly routes: readonly RouteReport[] }
  readonly filters: readonly FilterReport[]
  readonly errors: readonly RecentError[]
}

/** What the page asks for every second. */
export const overview: Endpoint = {
  method: 'GET',
  path: '/overview',
  summary: 'all that the page shows, in one reading',
  handle: ({ gateway }) => json(readOverview(gateway)),
}

function readOverview(gateway: GatewayInspector): Overview {
  const { config: _, ...config } = gateway.config()
  return {
    time: new Date().toISOString(),
    logLevel: gateway.logLevel(),
    stats: gateway.stats(),
    config,
    listeners: gateway.listeners(),
    clusters: gateway.clusters(),
    routes: gateway.routes(ROUTES),
    filters: gateway.filters(),
    errors: gateway.recentErrors().slice(0, ERRORS),
  }
}
