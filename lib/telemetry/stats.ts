/** Rates of one listener, route or cluster: made for the dispatcher to write, turned into a report for reading. */
import type { ScopeReport } from '../core/inspect.ts'
import type { ScopeStats } from '../core/services.ts'
import { BucketHistogram } from './histogram.ts'

/** Makes empty stats. Its histogram allocates nothing before the first exchange ends. */
export function createScopeStats(): ScopeStats {
  return {
    requests: 0,
    active: 0,
    responses: [0, 0, 0, 0, 0, 0],
    errors: 0,
    bytesIn: 0,
    bytesOut: 0,
    duration: new BucketHistogram(),
  }
}

/** Names a class of answers: `1xx` … `5xx`, and `0` for exchanges whose caller went away. */
export function responseClass(hundreds: number): string {
  return hundreds === 0 ? '0' : `${hundreds}xx`
}

/**
 * A report of one scope. Its quantiles cover about the newest two minutes when it is asked for regularly, and are null
 * for stats that were not made by {@link createScopeStats}. `nowMs` is monotonic.
 */
export function reportScope(stats: ScopeStats, nowMs: number = performance.now()): ScopeReport {
  const duration = stats.duration instanceof BucketHistogram ? stats.duration : null
  const responses: Record<string, number> = {}
  for (let hundreds = 0; hundreds <= 5; hundreds++) {
    // The classes everybody looks for are always there; the others once they happened.
    const count = stats.responses[hundreds] ?? 0
    if (count > 0 || hundreds >= 2) responses[responseClass(hundreds)] = count
  }
  return {
    requests: stats.requests,
    active: stats.active,
    responses,
    errors: stats.errors,
    bytesIn: stats.bytesIn,
    bytesOut: stats.bytesOut,
    p50: duration === null ? null : duration.recentQuantile(0.5, nowMs),
    p99: duration === null ? null : duration.recentQuantile(0.99, nowMs),
  }
}
