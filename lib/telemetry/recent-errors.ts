/** The newest failures, for the admin port. */
import type { RecentError } from '../core/inspect.ts'

const MAX_TEXT = 512

/** A failure as it is reported: when, and what the newest of its kind was. */
export interface Failure extends Omit<RecentError, 'time' | 'count'> {
  /** Milliseconds since 1970. */
  readonly timeMs: number
}

/** The newest failure of one kind, and how many there were. */
interface Kept {
  failure: Failure
  count: number
}

/**
 * Keeps the newest failure of each kind (code and place), so that a flood of one kind hides no other. Bounded in kinds and in the
 * length of every text; adding one more of a known kind costs a look-up.
 */
export class RecentErrors {
  readonly #capacity: number
  readonly #kinds = new Map<string, Kept>()

  /** `capacity` is how many kinds are kept. */
  constructor(capacity = 100) {
    this.#capacity = capacity
  }

  /** Keeps one failure; the kind that was not seen for longest gives way. */
  add(failure: Failure): void {
    const key = `${failure.code}\n${failure.listener}\n${failure.route}\n${failure.cluster}`
    const known = this.#kinds.get(key)
    if (known === undefined) {
      if (this.#kinds.size >= this.#capacity) this.#forgetOldest()
      this.#kinds.set(key, { failure: bounded(failure), count: 1 })
      return
    }
    known.failure = bounded(failure)
    known.count++
  }

  /** The failures that are kept, newest first, in an array of the caller's own. Texts longer than 512 characters are cut. */
  list(): RecentError[] {
    // Of two at the same time the one that came later is newer.
    const kept = [...this.#kinds.values()].reverse()
    return kept.sort((a, b) => b.failure.timeMs - a.failure.timeMs).map(report)
  }

  #forgetOldest(): void {
    let oldest: string | null = null
    let oldestMs = Infinity
    for (const [key, { failure }] of this.#kinds) {
      if (failure.timeMs >= oldestMs) continue
      oldest = key
      oldestMs = failure.timeMs
    }
    if (oldest !== null) this.#kinds.delete(oldest)
  }
}

function report({ failure, count }: Kept): RecentError {
  const { timeMs, code, ...texts } = failure
  return { time: new Date(timeMs).toISOString(), code, count, ...texts }
}

function bounded(failure: Failure): Failure {
  return {
    timeMs: failure.timeMs,
    code: failure.code,
    message: shorten(failure.message),
    listener: shorten(failure.listener),
    route: shorten(failure.route),
    cluster: shorten(failure.cluster),
    peer: shorten(failure.peer),
    traceId: shorten(failure.traceId),
  }
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`
}
