/** The table of built-in filters: name in the configuration → definition. */
import type { FilterDefinition } from '../core/filter.ts'
import { accessLog } from './access-log.ts'
import { directReply } from './direct-reply.ts'
import { fault } from './fault.ts'
import { headers } from './headers.ts'
import { jwt } from './jwt/index.ts'
import { rateLimit } from './rate-limit.ts'
import { session } from './session/index.ts'
import { sign } from './sign/index.ts'
import { traceContext } from './trace-context.ts'

/** Every built-in filter. `docs/filters.md` has a section for each. */
export const FILTERS: ReadonlyMap<string, FilterDefinition> = new Map<string, FilterDefinition>([
  ['access-log', accessLog],
  ['trace-context', traceContext],
  ['headers', headers],
  ['rate-limit', rateLimit],
  ['sign', sign],
  ['session', session],
  ['jwt', jwt],
  ['fault', fault],
  ['direct-reply', directReply],
])
