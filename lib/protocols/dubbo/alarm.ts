/** The times of one connection on the one coarse timer of its wire. */
import type { Wire } from '../../core/codec.ts'

const MIN_TIMER_MS = 20

/** Has the wire's timer go off at the nearest of the times it was asked for. */
export class Alarm {
  readonly #wire: Wire
  /** Monotonic milliseconds at which the timer goes off; 0 while it is off. */
  #atMs = 0

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Has the timer go off at `atMs`, or earlier. */
  wakeAt(atMs: number): void {
    if (this.#atMs !== 0 && this.#atMs <= atMs) return
    this.#atMs = atMs
    this.#wire.setTimer(Math.max(MIN_TIMER_MS, atMs - this.#wire.now()))
  }

  /** The timer went off: `wakeAt` has to be called again for what is still awaited. */
  woken(): void {
    this.#atMs = 0
  }

  /** Switches the timer off. */
  stop(): void {
    this.#atMs = 0
    this.#wire.setTimer(0)
  }
}
