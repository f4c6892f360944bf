/** What happens once per turn of the event loop: the clock is read, and every connection with output is flushed. */
import type { Clock, TimerEntry, Timers } from '../core/services.ts'
import { TimerWheel } from './timer-wheel.ts'

/** Something with output that is to be written when the turn ends. */
export interface Flushable {
  flush(): void
}

/**
 * Shared by all connections of a gateway. `setImmediate` runs right after the poll phase, so everything that one
 * batch of readable sockets produced leaves in one write per connection.
 */
export class Loop implements Clock, Timers {
  readonly wheel: TimerWheel
  readonly #wallBase: number
  #now = performance.now()
  #isFresh = false
  #isArmed = false
  #dirty: Flushable[] = []
  #flushing: Flushable[] = []
  readonly #onTurnEnd = (): void => this.#endTurn()

  constructor() {
    this.#wallBase = Date.now() - performance.now()
    this.wheel = new TimerWheel(() => this.now())
  }

  now(): number {
    if (!this.#isFresh) {
      this.#now = performance.now()
      this.#isFresh = true
      this.#arm()
    }
    return this.#now
  }

  wallNow(): number {
    return this.#wallBase + this.now()
  }

  /** Has `connection.flush()` called when the turn ends. The caller sees to it that it asks once a turn. */
  flushLater(connection: Flushable): void {
    this.#dirty.push(connection)
    this.#arm()
  }

  schedule(entry: TimerEntry, delayMs: number): void {
    this.wheel.schedule(entry, delayMs)
  }

  cancel(entry: TimerEntry): void {
    this.wheel.cancel(entry)
  }

  #arm(): void {
    if (this.#isArmed) return
    this.#isArmed = true
    setImmediate(this.#onTurnEnd)
  }

  #endTurn(): void {
    this.#isArmed = false
    this.#isFresh = false
    const batch = this.#dirty
    this.#dirty = this.#flushing
    this.#flushing = batch
    for (let i = 0; i < batch.length; i++) (batch[i] as Flushable).flush()
    batch.length = 0
  }
}
