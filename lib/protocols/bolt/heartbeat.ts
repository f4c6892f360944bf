/** When to ask a silent peer for a sign of life, and when to give it up. */
import { HEARTBEAT_ACK_MS, MAX_MISSED_HEARTBEATS } from './constants.ts'

/** What is due. */
export const Beat = { None: 0, Send: 1, Dead: 2 } as const
export type Beat = (typeof Beat)[keyof typeof Beat]

/** Anything that arrives is a sign of life, not only the answer. Times are monotonic milliseconds. */
export class Heartbeat {
  readonly #intervalMs: number
  /** When the heartbeat that waits for an answer was sent; 0 while none does. */
  #sentMs = 0
  #missed = 0

  /** `intervalMs` of silence make a heartbeat due; 0 is never. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** `receivedMs` is when the last bytes came. On `Send` the caller sends a heartbeat. */
  check(nowMs: number, receivedMs: number): Beat {
    if (this.#intervalMs === 0) return Beat.None
    if (this.#sentMs !== 0) {
      if (receivedMs >= this.#sentMs) {
        this.#sentMs = 0
        this.#missed = 0
      } else if (nowMs - this.#sentMs < HEARTBEAT_ACK_MS) return Beat.None
      else if (++this.#missed >= MAX_MISSED_HEARTBEATS) return Beat.Dead
    }
    if (this.#sentMs === 0 && nowMs - receivedMs < this.#intervalMs) return Beat.None
    this.#sentMs = nowMs
    return Beat.Send
  }

  /** When to check again; `Infinity` for never. */
  nextMs(receivedMs: number): number {
    if (this.#intervalMs === 0) return Infinity
    return this.#sentMs === 0 ? receivedMs + this.#intervalMs : this.#sentMs + HEARTBEAT_ACK_MS
  }
}
