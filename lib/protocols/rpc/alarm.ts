/** The one coarse timer of a wire, for several things that wait. */
import type { Wire } from '../../core/codec.ts'

const MIN_TIMER_MS = 20

/** Keeps the earliest of the times it is given. */
export class Alarm {
  readonly #wire: Wire
  /** Monotonic milliseconds at which the wire's timer goes off; 0 while it is off. */
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

  /** The timer went off: what still waits has to be named again. */
  woken(): void {
    this.#atMs = 0
  }

  stop(): void {
    this.#atMs = 0
    this.#wire.setTimer(0)
  }
}
