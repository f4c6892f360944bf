/** What every load generator prints: one line of JSON on stdout. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** One second of an open-loop run, by the moment its requests were due. */
export interface LoadSecond {
  /** Milliseconds since 1970 at its start. */
  readonly startedAt: number
  readonly requests: number
  readonly p99Ms: number
}

/** The result of one run. */
export interface LoadResult {
  /** All that were answered well, the warm-up included: what CPU time is divided by. */
  readonly requests: number
  /** Answered requests a second, without the warm-up. */
  readonly qps: number
  readonly failed: number
  /** Why the first one failed. */
  readonly firstFailure: string | null
  readonly p50Ms: number
  readonly p99Ms: number
  readonly seconds: readonly LoadSecond[]
}

/** Start of a run that is not counted in rates and latencies: the generator's own code is still cold. */
export const WARM_UP_MS = 300

/** Collects latencies and failures of one run. */
export class Recorder {
  requests = 0
  failed = 0
  firstFailure: string | null = null
  #measured = 0
  readonly #startedAt: number
  readonly #warmUpMs: number
  readonly #wallStartedAt: number
  readonly #histogram = createHistogram({ figures: 3 })
  readonly #seconds: RecordableHistogram[] = []
  readonly #keepsSeconds: boolean

  /** `startedAt` is a reading of `performance.now()`. */
  constructor(startedAt: number, warmUpMs = WARM_UP_MS, keepsSeconds = false) {
    this.#startedAt = startedAt
    this.#warmUpMs = warmUpMs
    this.#wallStartedAt = performance.timeOrigin + startedAt
    this.#keepsSeconds = keepsSeconds
  }

  /** Counts one good answer to a request that was sent, or due, at `dueAt`. */
  ok(dueAt: number, now: number): void {
    this.requests++
    if (now - this.#startedAt < this.#warmUpMs) return
    this.#measured++
    const microseconds = Math.max(1, Math.round((now - dueAt) * 1000))
    this.#histogram.record(microseconds)
    if (this.#keepsSeconds) this.#second(dueAt).record(microseconds)
  }

  fail(reason: string, count = 1): void {
    this.failed += count
    this.firstFailure ??= reason
  }

  /** Prints the result. */
  print(now: number): void {
    const measuredSeconds = Math.max(0.001, (now - this.#startedAt - this.#warmUpMs) / 1000)
    const result: LoadResult = {
      requests: this.requests,
      qps: this.#measured / measuredSeconds,
      failed: this.failed,
      firstFailure: this.firstFailure,
      p50Ms: this.#histogram.percentile(50) / 1000,
      p99Ms: this.#histogram.percentile(99) / 1000,
      seconds: this.#seconds.map((histogram, i) => ({
        startedAt: Math.round(this.#wallStartedAt + i * 1000),
        requests: histogram.count,
        p99Ms: histogram.percentile(99) / 1000,
      })),
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }

  #second(dueAt: number): RecordableHistogram {
    const index = Math.max(0, Math.floor((dueAt - this.#startedAt) / 1000))
    while (this.#seconds.length <= index) this.#seconds.push(createHistogram({ figures: 3 }))
    return this.#seconds[index]!
  }
}
