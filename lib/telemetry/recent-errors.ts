/** The newest failures, for the admin port. */
import type { RecentError } from '../core/inspect.ts'

const MAX_TEXT = 512

/** A ring of the newest errors: bounded in number and in the length of every text, so a flood of failures costs no memory. */
export class RecentErrors {
  readonly #capacity: number
  readonly #ring: RecentError[] = []
  #next = 0

  /** `capacity` is how many errors are kept. */
  constructor(capacity = 100) {
    this.#capacity = capacity
  }

  /** Keeps one error in place of the oldest. Texts longer than 512 characters are cut. */
  add(error: RecentError): void {
    this.#ring[this.#next] = {
      time: error.time,
      code: error.code,
      message: shorten(error.message),
      listener: shorten(error.listener),
      route: shorten(error.route),
      cluster: shorten(error.cluster),
      peer: shorten(error.peer),
      traceId: shorten(error.traceId),
    }
    this.#next = (this.#next + 1) % this.#capacity
  }

  /** The errors that are kept, newest first, in an array of the caller's own. */
  list(): RecentError[] {
    const newest = this.#next
    return [...this.#ring.slice(newest), ...this.#ring.slice(0, newest)].reverse()
  }
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`
}
