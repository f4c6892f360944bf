/** What happens with a failure once its caller has been told: it is counted, kept for the admin port, and logged. */
import type { PeerInfo } from './core/codec.ts'
import type { ErrorCode, GatewayError } from './core/errors.ts'
import type { Exchange } from './core/exchange.ts'
import type { Counter, Logger, Metrics } from './core/services.ts'
import { gatewayCounter } from './telemetry/gateway-counters.ts'
import type { RecentErrors } from './telemetry/recent-errors.ts'

/** What {@link FailureLog} writes to. */
export interface FailureServices {
  readonly log: Logger
  readonly metrics: Metrics
  readonly recentErrors: RecentErrors
  wallNow(): number
}

/** Failures of business processes that are logged in full each second; the others are counted. */
const MAX_SERVICE_LINES = 100
const SECOND_MS = 1000

/** One per gateway. */
export class FailureLog {
  readonly #services: FailureServices
  /** Looked up by name and labels once a code. */
  readonly #counters = new Map<ErrorCode, Counter>()
  #secondStartMs = 0
  #serviceLines = 0

  constructor(services: FailureServices) {
    this.#services = services
  }

  /** An exchange ended with an error. */
  onExchange(exchange: Exchange, error: GatewayError): void {
    this.#counterOf(error.code).value++
    const { traceId } = exchange
    this.#services.recentErrors.add({
      timeMs: this.#services.wallNow(),
      code: error.code,
      message: error.message,
      listener: exchange.listener.name,
      route: exchange.route?.name ?? '',
      cluster: exchange.destination?.name ?? '',
      peer: exchange.peer.remoteAddress,
      traceId,
    })
    const { log } = this.#services
    const isOurs = error.code === 'INTERNAL' || error.code === 'FILTER_FAILED'
    if (isOurs) log.error({ err: error, traceId }, 'exchange failed')
    else if (log.isLevelEnabled('debug')) log.debug({ err: error, traceId }, 'exchange failed')
  }

  /** A business process failed, and its caller heard only a part of it: the log has `detail`, an exception with its stack. */
  onService(exchange: Exchange, detail: string): void {
    const nowMs = this.#services.wallNow()
    if (Math.abs(nowMs - this.#secondStartMs) >= SECOND_MS) this.#beginSecond(nowMs)
    if (++this.#serviceLines > MAX_SERVICE_LINES) return
    const { traceId, route, endpoint, response } = exchange
    const facts = { route: route?.name ?? '', endpoint, status: response?.status ?? 0, traceId, detail }
    this.#services.log.warn(facts, 'the business process failed')
  }

  #beginSecond(nowMs: number): void {
    const left = this.#serviceLines - MAX_SERVICE_LINES
    if (left > 0)
      this.#services.log.warn({ count: left }, 'further failures of business processes were not logged')
    this.#secondStartMs = nowMs
    this.#serviceLines = 0
  }

  /** A connection was refused or closed for a reason that concerns no exchange. */
  onConnection(error: GatewayError, peer: PeerInfo, status: number): void {
    this.#counterOf(error.code).value++
    this.#services.recentErrors.add({
      timeMs: this.#services.wallNow(),
      code: error.code,
      message: error.message,
      listener: '',
      route: '',
      cluster: '',
      peer: peer.remoteAddress,
      traceId: '',
    })
    const { log } = this.#services
    if (log.isLevelEnabled('debug'))
      log.debug({ err: error, peer: peer.remoteAddress, status }, 'connection refused')
  }

  #counterOf(code: ErrorCode): Counter {
    let counter = this.#counters.get(code)
    if (counter === undefined) {
      counter = gatewayCounter(this.#services.metrics, 'errors', { code })
      this.#counters.set(code, counter)
    }
    return counter
  }
}
