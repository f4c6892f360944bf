/** One coarse timer for everything in the process that waits. */
import type { TimerEntry, Timers } from '../core/services.ts'

const SLOTS = 512
/** Milliseconds of one slot. */
export const TICK_MS = 16

/** The head of a slot's ring of entries; an empty ring points at itself. */
class SlotHead implements TimerEntry {
  timerPrevious: TimerEntry | null = this
  timerNext: TimerEntry | null = this
  timerAt = 0
  onTimer(): void {}
}

/**
 * A hashed timing wheel. An entry lies in the ring of the slot that its time falls into, whatever the turn of the
 * wheel, and stays there when the wheel comes by too early:
 *
 * ```
 *   slot 0   slot 1   slot 2 …        slot 511
 *     │        │
 *    head ⇄ entry ⇄ entry ⇄ (head)
 * ```
 *
 * Scheduling and cancelling relink two pointers; nothing is allocated. The underlying `setTimeout` runs only while
 * entries exist, so an idle process sleeps.
 */
export class TimerWheel implements Timers {
  readonly #slots: SlotHead[] = []
  readonly #now: () => number
  #count = 0
  #tick = 0
  #timeout: NodeJS.Timeout | null = null

  /** `now` gives monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
    for (let i = 0; i < SLOTS; i++) this.#slots.push(new SlotHead())
  }

  /** Scheduled entries, for the leak tests and the admin port. */
  get count(): number {
    return this.#count
  }

  schedule(entry: TimerEntry, delayMs: number): void {
    if (entry.timerAt !== 0) this.cancel(entry)
    const now = this.#now()
    if (this.#count === 0) this.#tick = Math.floor(now / TICK_MS)
    // Zero means "not scheduled", so a time is never zero.
    const at = Math.max(now + delayMs, 1)
    // The tick that ends at or after the time, so that it is due when that tick comes; a tick that has run already
    // would come round only a whole turn later.
    const tick = Math.max(Math.ceil(at / TICK_MS), this.#tick + 1)
    this.#link(entry, at, this.#slots[tick & (SLOTS - 1)] as SlotHead)
    this.#timeout ??= setTimeout(onTimeout, TICK_MS, this)
  }

  cancel(entry: TimerEntry): void {
    if (entry.timerAt === 0) return
    entry.timerAt = 0
    const previous = entry.timerPrevious as TimerEntry
    const next = entry.timerNext as TimerEntry
    previous.timerNext = next
    next.timerPrevious = previous
    entry.timerPrevious = null
    entry.timerNext = null
    this.#count--
  }

  /** Runs what is due. Called by the wheel's own timeout; public for tests with a clock of their own. */
  advance(): void {
    const now = this.#now()
    const target = Math.floor(now / TICK_MS)
    // After a long block of the loop one turn over all slots finds everything.
    const from = Math.max(this.#tick + 1, target - SLOTS + 1)
    this.#tick = target
    for (let tick = from; tick <= target; tick++) {
      this.#runSlot(this.#slots[tick & (SLOTS - 1)] as SlotHead, now)
    }
  }

  /** Stops the underlying timeout when nothing is scheduled, keeps it going otherwise. */
  rearm(): void {
    if (this.#count > 0) this.#timeout?.refresh()
    else this.#timeout = null
  }

  #runSlot(head: SlotHead, now: number): void {
    // Entries move to a ring of their own first: a callback may schedule into the very slot that is being walked.
    if (head.timerNext === head) return
    const due = new SlotHead()
    due.timerNext = head.timerNext
    due.timerPrevious = head.timerPrevious
    ;(due.timerNext as TimerEntry).timerPrevious = due
    ;(due.timerPrevious as TimerEntry).timerNext = due
    head.timerNext = head
    head.timerPrevious = head
    while (due.timerNext !== due) {
      const entry = due.timerNext as TimerEntry
      const at = entry.timerAt
      this.cancel(entry)
      if (at <= now) entry.onTimer()
      // Due in a later turn of the wheel.
      else this.#link(entry, at, head)
    }
  }

  /** Puts an entry at the end of a slot's ring. */
  #link(entry: TimerEntry, at: number, head: SlotHead): void {
    const last = head.timerPrevious as TimerEntry
    entry.timerAt = at
    entry.timerPrevious = last
    entry.timerNext = head
    last.timerNext = entry
    head.timerPrevious = entry
    this.#count++
  }
}

function onTimeout(wheel: TimerWheel): void {
  wheel.advance()
  wheel.rearm()
}
