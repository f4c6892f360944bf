/** What an exchange leaves in the counters of its listener, route and cluster. */
import type { Exchange } from '../core/exchange.ts'
import type { ScopeStats } from '../core/services.ts'

/** Called when the head is complete. */
export function recordStart(exchange: Exchange): void {
  const { stats } = exchange.listener
  stats.requests++
  stats.active++
}

/** Called by `finish`. */
export function recordEnd(exchange: Exchange): void {
  const outcome = outcomeOf(exchange)
  const durationMs = exchange.endMs - exchange.startMs
  const { route, destination } = exchange
  add(exchange.listener.stats, exchange, outcome, durationMs)
  exchange.listener.stats.active--
  if (route !== null) {
    route.stats.requests++
    add(route.stats, exchange, outcome, durationMs)
  }
  if (destination !== null) {
    add(destination.stats, exchange, outcome, durationMs)
    destination.stats.active--
  }
}

function add(stats: ScopeStats, exchange: Exchange, outcome: number, durationMs: number): void {
  stats.responses[outcome] = (stats.responses[outcome] as number) + 1
  stats.bytesIn += exchange.requestBytes
  stats.bytesOut += exchange.responseBytes
  if (exchange.error !== null) stats.errors++
  stats.duration.record(durationMs)
}

/** The hundreds of the HTTP status, 2 for result code 1000, 5 for a failure behind the gateway, otherwise 4; 0 when the caller left first. */
function outcomeOf(exchange: Exchange): number {
  const { response } = exchange
  if (response === null || exchange.error?.code === 'DOWNSTREAM_GONE') return 0
  const { status } = response
  if (response.statusKind === 'http') return Math.min(Math.floor(status / 100), 5)
  if (status === 1000) return 2
  return status >= 4000 && status < 7000 ? 5 : 4
}
