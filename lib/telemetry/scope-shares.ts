/** Which scopes are exported under their own name when there are more of them than anybody's Prometheus should hold. */
import type { ScopeStats } from '../core/services.ts'
import type { NamedScope } from './families.ts'
import { BUCKET_BOUNDS_MS, BucketHistogram, type HistogramSnapshot } from './histogram.ts'

/** Everything that has no series of its own, added up. */
export interface SharedScope {
  readonly stats: ScopeStats
  readonly duration: { snapshot(): HistogramSnapshot }
}

/**
 * Shares out a limited number of names. The first scopes that are hit get them and keep them, so that no series jumps between
 * its own name and the shared one. A scope that had no request takes no name and no part.
 */
export class ScopeShares {
  readonly #limit: number
  readonly #names = new Set<string>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Splits the scopes that were hit; `rest` is null while every one has its own name. */
  share(scopes: Iterable<NamedScope>): { own: NamedScope[]; rest: SharedScope | null } {
    const own: NamedScope[] = []
    let rest: Sum | null = null
    const seen = new Set<string>()
    for (const scope of scopes) {
      // A name that comes twice would be one series written twice, which Prometheus refuses as a whole.
      if (scope.stats.requests === 0 || !(scope.stats.duration instanceof BucketHistogram)) continue
      if (!seen.has(scope.name) && this.#admits(scope.name)) own.push(scope)
      else (rest ??= new Sum()).add(scope.stats, scope.stats.duration)
      seen.add(scope.name)
    }
    return { own, rest }
  }

  #admits(name: string): boolean {
    if (this.#names.has(name)) return true
    if (this.#names.size >= this.#limit) return false
    this.#names.add(name)
    return true
  }
}

class Sum implements SharedScope {
  readonly stats: ScopeStats = {
    requests: 0,
    active: 0,
    responses: [0, 0, 0, 0, 0, 0],
    errors: 0,
    bytesIn: 0,
    bytesOut: 0,
    duration: { record: () => {} },
  }
  readonly duration = {
    snapshot: (): HistogramSnapshot => ({ counts: this.#counts, count: this.#count, sum: this.#sum }),
  }
  readonly #counts = new Array<number>(BUCKET_BOUNDS_MS.length + 1).fill(0)
  #count = 0
  #sum = 0

  add(stats: ScopeStats, duration: BucketHistogram): void {
    const { stats: total } = this
    total.requests += stats.requests
    total.active += stats.active
    total.errors += stats.errors
    total.bytesIn += stats.bytesIn
    total.bytesOut += stats.bytesOut
    for (let i = 0; i < total.responses.length; i++) total.responses[i] += stats.responses[i] ?? 0
    duration.addTo(this.#counts)
    this.#count += duration.count
    this.#sum += duration.sum
  }
}
