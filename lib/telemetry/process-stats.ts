/** What the process itself costs: event loop, memory, uptime. */
import { type ELDHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { StatsReport } from '../core/inspect.ts'
import type { Metrics } from '../core/services.ts'

const RESOLUTION_MS = 20
/** A reading covers at least this long, however often it is asked for and by how many. */
const WINDOW_MS = 5000
const NS_PER_MS = 1e6

/** Watches the event loop from its creation to {@link ProcessStats.close}. */
export class ProcessStats {
  readonly #delays: ELDHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #now: () => number
  #windowAtMs: number
  #since = performance.eventLoopUtilization()
  /** The reading of the last whole window. */
  #last: StatsReport['eventLoop'] | null = null

  /** `now` is monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#windowAtMs = now()
    this.#delays.enable()
  }

  /** Load and delay of the event loop over the last whole window of five seconds, or what there is of the first. */
  eventLoop(): StatsReport['eventLoop'] {
    const current = {
      utilization: performance.eventLoopUtilization(this.#since).utilization,
      delayP99Ms: this.#delayP99Ms(),
    }
    if (this.#now() - this.#windowAtMs >= WINDOW_MS) {
      this.#windowAtMs = this.#now()
      this.#since = performance.eventLoopUtilization()
      this.#delays.reset()
      this.#last = current
    }
    return this.#last ?? current
  }

  /** Bytes. */
  memory(): StatsReport['memory'] {
    const { rss, heapUsed, external } = process.memoryUsage()
    return { rss, heapUsed, external }
  }

  /** Since the process started. */
  uptimeMs(): number {
    return Math.round(process.uptime() * 1000)
  }

  /** Registers the gauges of the process. */
  register(metrics: Metrics): void {
    const gauges: [string, string, () => number][] = [
      ['process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()],
      ['process_start_time_seconds', 'Start of the process since 1970.', () => START_SECONDS],
      ['meshgate_uptime_seconds', 'Time since the process started.', () => process.uptime()],
      ['meshgate_heap_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed],
      [
        'meshgate_external_bytes',
        'Memory of buffers and native objects.',
        () => process.memoryUsage().external,
      ],
      [
        'meshgate_event_loop_utilization',
        'Part of the time the event loop was busy, 0 to 1.',
        () => this.eventLoop().utilization,
      ],
      [
        'meshgate_event_loop_delay_p99_seconds',
        '99th percentile of how late the event loop was.',
        () => this.eventLoop().delayP99Ms / 1000,
      ],
    ]
    for (const [name, help, read] of gauges) metrics.gauge(name, help, {}, read)
  }

  /** Stops watching. */
  close(): void {
    this.#delays.disable()
  }

  /** The monitor reports the time between two ticks, which holds the interval itself. */
  #delayP99Ms(): number {
    if (this.#delays.count === 0) return 0
    return Math.max(0, this.#delays.percentile(99) / NS_PER_MS - RESOLUTION_MS)
  }
}

const START_SECONDS = performance.timeOrigin / 1000
