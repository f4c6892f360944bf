/** The table of endpoints. */
import { clusters } from './clusters.ts'
import { config } from './config.ts'
import { connections } from './connections.ts'
import { cpuProfile } from './cpu-profile.ts'
import { drain } from './drain.ts'
import type { Endpoint } from './endpoint.ts'
import { errors } from './errors.ts'
import { filters } from './filters.ts'
import { heapSnapshot } from './heap-snapshot.ts'
import { listeners } from './listeners.ts'
import { livez } from './livez.ts'
import { logLevel, setLogLevel } from './log-level.ts'
import { metrics } from './metrics.ts'
import { overview } from './overview.ts'
import { page } from './page.ts'
import { ready } from './ready.ts'
import { routes } from './routes.ts'
import { stats } from './stats.ts'

/** Every endpoint, in the order of the documentation. */
export const ENDPOINTS: readonly Endpoint[] = [
  page,
  ready,
  livez,
  stats,
  metrics,
  config,
  listeners,
  clusters,
  routes,
  filters,
  connections,
  errors,
  overview,
  logLevel,
  setLogLevel,
  drain,
  heapSnapshot,
  cpuProfile,
]
