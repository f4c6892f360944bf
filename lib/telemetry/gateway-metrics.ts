/** Gauges of the gateway as a whole, read from the same place as the admin port reads them. */
import type { GatewayInspector } from '../core/inspect.ts'
import type { Metrics } from '../core/services.ts'

const BOTH_SIDES = ['downstream', 'upstream'] as const

/** Registers them; they are asked for with each scrape. */
export function registerGatewayMetrics(metrics: Metrics, gateway: GatewayInspector): void {
  const gauges: [string, string, () => number][] = [
    ['meshgate_ready', '1 while the gateway takes requests.', () => (gateway.phase === 'ready' ? 1 : 0)],
    ['meshgate_config_version', 'Accepted configurations since the start.', () => gateway.config().version],
    [
      'meshgate_config_refused',
      '1 while the newest configuration is refused and an older one serves.',
      () => (gateway.config().refused === null ? 0 : 1),
    ],
    [
      'meshgate_config_loaded_time_seconds',
      'When the serving configuration was loaded, since 1970.',
      () => Date.parse(gateway.config().loadedAt) / 1000,
    ],
    ['meshgate_live_exchanges', 'Exchanges that are running.', () => gateway.stats().exchanges.live],
    ['meshgate_timers', 'Entries in the timer wheel.', () => gateway.stats().timers],
    ['meshgate_unusable_endpoints', 'Endpoints that get no requests.', () => countUnusable(gateway)],
  ]
  for (const [name, help, read] of gauges) metrics.gauge(name, help, {}, read)
  for (const side of BOTH_SIDES) {
    metrics.gauge(
      'meshgate_connections',
      'Open connections.',
      { side },
      () => gateway.stats().connections[side],
    )
  }
  for (const state of ['leased', 'pooled'] as const) {
    metrics.gauge('meshgate_slabs', 'Read buffers.', { state }, () => gateway.stats().slabs[state])
  }
}

function countUnusable(gateway: GatewayInspector): number {
  let count = 0
  for (const { endpoints } of gateway.clusters()) {
    for (const endpoint of endpoints) if (!endpoint.isUsable) count++
  }
  return count
}
