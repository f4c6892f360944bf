/** The scenarios whose results are kept, by the name that is typed. */
import type { Scenario } from '../harness/run-context.ts'
import { heap } from './heap.ts'
import { http1 } from './http1.ts'
import { idle } from './idle.ts'
import { mmtp } from './mmtp.ts'
import { pooling } from './pooling.ts'
import { routes } from './routes.ts'
import { bolt, dubbo } from './rpc.ts'
import { startup } from './startup.ts'
import { swap } from './swap.ts'
import { translate } from './translate.ts'

/** In the order in which `smoke` runs them. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  http1,
  mmtp,
  bolt,
  dubbo,
  translate,
  routes,
  idle,
  startup,
  swap,
  pooling,
  heap,
}
