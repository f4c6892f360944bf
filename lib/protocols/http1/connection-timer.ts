/** The one coarse timer of a connection. */
import type { Wire } from '../../core/codec.ts'

/**
 * Moves the wire's timer only when something is due earlier than it is set: requests come and go without touching it,
 * and what went off too early is looked at and set again.
 */
export class ConnectionTimer {
  readonly #wire: Wire
  #dueMs = Infinity
  #stalledQueue = 0
  #stalledWritten = -1

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Sees to it that the timer goes off at `deadlineMs` or before. */
  arm(deadlineMs: number): void {
    if (deadlineMs >= this.#dueMs) return
    this.#dueMs = deadlineMs
    this.#wire.setTimer(Math.max(1, deadlineMs - this.#wire.now()))
  }

  /** The wire's timer went off. */
  fired(): void {
    this.#dueMs = Infinity
  }

  /** True when the peer took nothing of the queued output since the last call; `written` counts what was queued so far. */
  isStalled(written: number): boolean {
    const queued = this.#wire.queuedBytes
    const isSame = queued > 0 && queued === this.#stalledQueue && written === this.#stalledWritten
    this.#stalledQueue = queued
    this.#stalledWritten = written
    return isSame
  }
}

/** `timeoutMs` after `fromMs`; never when the timeout is 0. */
export function later(fromMs: number, timeoutMs: number): number {
  return timeoutMs > 0 ? fromMs + timeoutMs : Infinity
}
