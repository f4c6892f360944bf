/** Time and logging for the test kit. */
import type { Clock, Logger, TimerEntry, Timers } from './core/services.ts'

/** A clock that stands still until the test moves it, with the timers that hang on it. */
export class ManualClock implements Clock, Timers {
  #now = 1_000_000
  readonly #wallStart = Date.UTC(2026, 0, 1) - 1_000_000
  readonly #entries = new Set<TimerEntry>()

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#wallStart + this.#now
  }

  schedule(entry: TimerEntry, delayMs: number): void {
    entry.timerAt = this.#now + delayMs
    this.#entries.add(entry)
  }

  cancel(entry: TimerEntry): void {
    entry.timerAt = 0
    this.#entries.delete(entry)
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#entries.size
  }

  /** Moves time on and fires, in order, the timers that are due on the way. */
  advance(ms: number): void {
    const end = this.#now + ms
    while (true) {
      const due = [...this.#entries]
        .filter((entry) => entry.timerAt <= end)
        .sort((a, b) => a.timerAt - b.timerAt)
      if (due.length === 0) break
      this.#now = Math.max(this.#now, due[0].timerAt)
      this.cancel(due[0])
      due[0].onTimer()
    }
    this.#now = end
  }
}

/** One line that the filter gave its logger. */
export interface LogRecord {
  readonly level: string
  readonly fields: object
  readonly message: string
}

/** A logger that keeps everything. */
export function makeLogger(records: LogRecord[]): Logger {
  const at = (level: string) => (fields: object, message: string) =>
    void records.push({ level, fields, message })
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isLevelEnabled: () => true,
  }
}
