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

/** One per gateway. */
export class FailureLog {
  readonly #services: FailureServices
  /** Looked up by name and labels once a code. */
  readonly #counters = new Map<ErrorCode, Counter>()

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
