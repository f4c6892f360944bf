/** What an exchange leaves in the counters of its listener, route and cluster. */
import type { Exchange } from '../core/exchange.ts'
import type { ScopeStats } from '../core/services.ts'

const RESULT_SUCCESS = 1000

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

/** The hundreds of the HTTP status; for other protocols 2 for success, 5 for a failure behind the gateway, otherwise 4; 0 when the caller left first. */
function outcomeOf(exchange: Exchange): number {
  const { response } = exchange
  if (response === null || exchange.error?.code === 'DOWNSTREAM_GONE') return 0
  if (response.statusKind === 'http') return Math.min(Math.floor(response.status / 100), 5)
  if (response.isFailure) return 5
  return response.statusKind !== 'result' || response.status === RESULT_SUCCESS ? 2 : 4
}
