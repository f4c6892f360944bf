/** Which failed attempts are made again without asking anybody. */
import type { GatewayError } from '../core/errors.ts'
import { type Exchange, ExchangeState } from '../core/exchange.ts'
import type { Drive } from './drive.ts'

const MAX_ATTEMPTS = 2

/**
 * One further attempt, and only where it cannot do harm: nothing of the request was processed and all of it is still
 * here (a connect failure, a refused stream), or a reused connection died before the first byte of the response (it
 * was stale) and the request is safe to repeat (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
 */
export function mayRepeat(
  exchange: Exchange,
  drive: Drive,
  error: GatewayError,
  wasReused: boolean,
): boolean {
  if (exchange.attempts >= MAX_ATTEMPTS || exchange.state > ExchangeState.Awaiting) return false
  if (!hasWholeRequest(exchange, drive)) return false
  switch (error.code) {
    case 'UPSTREAM_RESET':
      return wasReused && exchange.request.isIdempotent
    case 'UPSTREAM_CONNECT_FAILED':
    case 'UPSTREAM_CONNECT_TIMEOUT':
    case 'UPSTREAM_REFUSED':
      return true
    default:
      return false
  }
}

/** Whether a second attempt could send everything: nothing went out yet, or the body was gathered, or there is none. */
function hasWholeRequest(exchange: Exchange, drive: Drive): boolean {
  return !drive.requestSent || exchange.requestBody !== null || exchange.requestBytes === 0
}
