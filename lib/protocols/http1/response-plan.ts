/** How one response goes out to an HTTP/1 caller: status, framing and length. */
import type { Exchange } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import { Framing } from './constants.ts'
import { resultOfStatus, statusOfResult } from './status.ts'

/** What {@link planResponse} decided. One object serves all connections: read it before the next call. */
export interface ResponsePlan {
  status: number
  framing: Framing
  length: number
  /** The result code that an operation is told, 0 for none. */
  resultStatus: number
}

const plan: ResponsePlan = { status: 0, framing: Framing.None, length: 0, resultStatus: 0 }

/** Decides how `response` answers the exchange's request. `minor` is the caller's version. */
export function planResponse(
  exchange: Exchange,
  response: ResponseHead,
  last: boolean,
  minor: number,
): ResponsePlan {
  plan.resultStatus = 0
  plan.status = response.status
  if (exchange.request.operation !== '') planOperation(response)
  else if (response.statusKind === 'result') plan.status = plainStatus(response)
  plan.length = -1
  if (exchange.request.method === 'HEAD' || plan.status === 304) plan.framing = Framing.Described
  else if (plan.status === 204 || plan.status < 200) plan.framing = Framing.None
  else {
    plan.length = last ? 0 : bodyLength(exchange, response)
    plan.framing = plan.length >= 0 ? Framing.Length : minor === 1 ? Framing.Chunked : Framing.Close
  }
  return plan
}

/** An operation's outcome is its result code, and its HTTP status 200. */
function planOperation(response: ResponseHead): void {
  const status = response.status
  if (status === 101 && response.statusKind === 'http') return
  if (!response.headers.has('result-status')) {
    plan.resultStatus = response.statusKind === 'result' ? status : resultOfStatus(status)
  }
  if (status !== 304) plan.status = 200
}

/** The business process may name the HTTP status itself. */
function plainStatus(response: ResponseHead): number {
  const named = Number(response.headers.get('http-status') ?? '')
  return Number.isInteger(named) && named >= 200 && named <= 599 ? named : statusOfResult(response.status)
}

/** A gathered body is sent as it is now, not as it was announced. */
function bodyLength(exchange: Exchange, response: ResponseHead): number {
  const gathered = exchange.response === response ? exchange.responseBody : null
  return gathered === null ? response.bodyLength : gathered.length
}
