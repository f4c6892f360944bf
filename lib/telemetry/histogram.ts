/** A histogram of durations over fixed buckets: plain numbers, nothing allocated before the first record. */
import type { Histogram } from '../core/services.ts'

/**
 * Upper bounds of the buckets in milliseconds, inclusive; one more bucket takes what is above the last.
 * Those up to 25 ms are multiples of 0.25 ms, which is what lets {@link BucketHistogram.record} look them up.
 */
export const BUCKET_BOUNDS_MS: readonly number[] = [
  0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
]

const BUCKET_COUNT = BUCKET_BOUNDS_MS.length + 1
const LOOKUP_LIMIT_MS = 25
const LOOKUP_STEPS_PER_MS = 4
const FIRST_AFTER_LOOKUP = BUCKET_BOUNDS_MS.indexOf(LOOKUP_LIMIT_MS) + 1

/** Bucket of `ceil(value × 4)`: exact, because every bound in reach is a whole number of quarters. */
const LOOKUP = Uint8Array.from({ length: LOOKUP_LIMIT_MS * LOOKUP_STEPS_PER_MS + 1 }, (_, quarters) =>
  BUCKET_BOUNDS_MS.findIndex((bound) => quarters <= bound * LOOKUP_STEPS_PER_MS),
)

/** How long one of the two windows of {@link BucketHistogram.recentQuantile} lasts. */
const WINDOW_MS = 60_000

/** The state of a histogram at one moment, for those who export it. */
export interface HistogramSnapshot {
  /** How many values fell into each bucket, not cumulative; one longer than the bounds. */
  readonly counts: readonly number[]
  readonly count: number
  /** Milliseconds. */
  readonly sum: number
}

/** Durations in buckets. A histogram that never recorded anything holds no buckets, so thousands of idle routes cost nothing. */
export class BucketHistogram implements Histogram {
  #counts: Float64Array | null = null
  #count = 0
  #sum = 0
  #max = 0
  #older: Float64Array | null = null
  #newer: Float64Array | null = null
  #newerAtMs = 0

  /** Values recorded so far. */
  get count(): number {
    return this.#count
  }

  /** Milliseconds recorded so far. */
  get sum(): number {
    return this.#sum
  }

  /** Records one value in milliseconds. Negative values and NaN count as 0. Called once per exchange and scope. */
  record(value: number): void {
    if (!(value > 0)) value = 0
    const counts = (this.#counts ??= new Float64Array(BUCKET_COUNT))
    counts[value <= LOOKUP_LIMIT_MS ? LOOKUP[Math.ceil(value * LOOKUP_STEPS_PER_MS)] : slowBucket(value)]++
    this.#count++
    this.#sum += value
    if (value > this.#max) this.#max = value
  }

  /** A copy of the counts; zeros before the first record. */
  snapshot(): HistogramSnapshot {
    const counts = new Array<number>(BUCKET_COUNT).fill(0)
    this.addTo(counts)
    return { counts, count: this.#count, sum: this.#sum }
  }

  /** Adds the count of each bucket to `counts`, which is as long as those of {@link BucketHistogram.snapshot}. */
  addTo(counts: number[]): void {
    const own = this.#counts
    if (own === null) return
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) counts[bucket] += own[bucket]
  }

  /** Estimates a quantile (0…1) in milliseconds over everything recorded; null before the first record. */
  quantile(q: number): number | null {
    return this.#counts === null ? null : quantileOf(this.#counts, null, this.#count, this.#max, q)
  }

  /**
   * Like {@link BucketHistogram.quantile}, but over the newest one to two minutes, so that an incident is not hidden by the
   * ten quiet days before it. The windows move on when somebody asks: the first question after a pause covers the pause.
   * With nothing recorded in the window it answers for the whole life. `nowMs` is monotonic.
   */
  recentQuantile(q: number, nowMs: number): number | null {
    if (this.#counts === null) return null
    if (this.#newer === null || nowMs - this.#newerAtMs >= WINDOW_MS) {
      this.#older = this.#newer
      this.#newer = this.#counts.slice()
      this.#newerAtMs = nowMs
    }
    const before = this.#older === null ? 0 : total(this.#older)
    if (before === this.#count) return this.quantile(q)
    return quantileOf(this.#counts, this.#older, this.#count - before, this.#max, q)
  }
}

/** Slow exchanges are few: a walk over the bounds is cheap enough for them. */
function slowBucket(value: number): number {
  let bucket = FIRST_AFTER_LOOKUP
  while (bucket < BUCKET_BOUNDS_MS.length && value > BUCKET_BOUNDS_MS[bucket]) bucket++
  return bucket
}

function total(counts: Float64Array): number {
  let sum = 0
  for (const count of counts) sum += count
  return sum
}

/** Straight line within the bucket that holds the quantile, never above the largest value seen. */
function quantileOf(
  counts: Float64Array,
  since: Float64Array | null,
  count: number,
  max: number,
  q: number,
): number {
  const rank = Math.min(Math.max(q, 0), 1) * count
  let below = 0
  for (let bucket = 0; bucket < BUCKET_BOUNDS_MS.length; bucket++) {
    const inside = counts[bucket] - (since === null ? 0 : since[bucket])
    if (inside > 0 && below + inside >= rank) {
      const lower = bucket === 0 ? 0 : BUCKET_BOUNDS_MS[bucket - 1]
      const estimate = lower + ((BUCKET_BOUNDS_MS[bucket] - lower) * (rank - below)) / inside
      return Math.min(estimate, max)
    }
    below += inside
  }
  return max
}
