/** Services that are handed to those who need them, so that a test can hand over others. */

/** Milliseconds since 1970 and on a monotonic clock. */
export interface Clock {
  /** Monotonic; read once per loop turn. */
  now(): number
  /** Wall clock, as `Date.now()`; derived from the same reading. */
  wallNow(): number
}

/** A structured logger. Test `isLevelEnabled` before building costly fields. */
export interface Logger {
  trace(fields: object, message: string): void
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  isLevelEnabled(level: string): boolean
}

/** A count that only grows. Plain number: read by the exporters, written by its owner. */
export interface Counter {
  value: number
}

/** A distribution over fixed buckets. */
export interface Histogram {
  /** Records one value in milliseconds. */
  record(value: number): void
}

/** Creates and finds metrics by name and labels; asking twice gives the same object. Names follow Prometheus (`meshgate_…_total`). */
export interface Metrics {
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter
  histogram(name: string, help: string, labels?: Readonly<Record<string, string>>): Histogram
  /** A value that is asked for when metrics are read. Returns a function that withdraws it. */
  gauge(name: string, help: string, labels: Readonly<Record<string, string>>, read: () => number): () => void
}

/** Rates of one listener, route or cluster, as the dispatcher writes them. */
export interface ScopeStats {
  requests: number
  active: number
  /** Indexed by the hundreds of the HTTP status (0 when the caller went away first); result codes: 1000 counts as 2, others as 4 or 5. */
  readonly responses: number[]
  /** Failures that meshgate reported. */
  errors: number
  bytesIn: number
  bytesOut: number
  /** Milliseconds from the request's head to the end of the response. */
  readonly duration: Histogram
}

/** A timer that sits in the wheel without an allocation: the object itself is the entry. The wheel alone writes the fields. */
export interface TimerEntry {
  timerPrevious: TimerEntry | null
  timerNext: TimerEntry | null
  /** Monotonic milliseconds; 0 while not scheduled. */
  timerAt: number
  onTimer(): void
}

/** One coarse timer for everything that waits. */
export interface Timers {
  /** Schedules `entry` in `delayMs`, or moves it there. Fires up to one tick (about 16 ms) late, never early. */
  schedule(entry: TimerEntry, delayMs: number): void
  cancel(entry: TimerEntry): void
}

/** Takes lines for a file or stdout without ever blocking the event loop: what does not fit its bounded queue is dropped and counted. */
export interface LogSink {
  /** `line` comes without its line feed. */
  write(line: string): void
  /** Writes what is queued and closes the file. */
  close(): void
}
