/** The table of built-in filters: name in the configuration → definition. */
import type { FilterDefinition } from '../core/filter.ts'
import { accessLog } from './access-log.ts'
import { directReply } from './direct-reply.ts'
import { fault } from './fault.ts'
import { headers } from './headers.ts'
import { jwtSchema } from './jwt/schema.ts'
import { LateFilter } from './late-filter.ts'
import { ldcSchema } from './ldc/schema.ts'
import { rateLimit } from './rate-limit.ts'
import { sessionSchema } from './session/options.ts'
import { signSchema } from './sign/options.ts'
import { traceContext } from './trace-context.ts'

/** Every built-in filter. `docs/filters.md` has a section for each. Those of {@link loadFilters} must be loaded first. */
export const FILTERS: ReadonlyMap<string, FilterDefinition> = new Map<string, FilterDefinition>([
  ['access-log', accessLog],
  ['trace-context', traceContext],
  ['headers', headers],
  ['rate-limit', rateLimit],
  ['sign', new LateFilter(signSchema, async () => (await import('./sign/index.ts')).sign)],
  ['session', new LateFilter(sessionSchema, async () => (await import('./session/index.ts')).session)],
  ['jwt', new LateFilter(jwtSchema, async () => (await import('./jwt/index.ts')).jwt)],
  ['ldc', new LateFilter(ldcSchema, async () => (await import('./ldc/index.ts')).ldc)],
  ['fault', fault],
  ['direct-reply', directReply],
])

/** Loads the modules of the named filters, as far as they are not there yet; names of no filter are ignored. */
export async function loadFilters(names: Iterable<string>): Promise<void> {
  for (const name of names) {
    const definition = FILTERS.get(name)
    if (definition instanceof LateFilter) await definition.load()
  }
}
