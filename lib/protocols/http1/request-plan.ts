/** How one request goes out to an HTTP/1 business process. */
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import { Framing } from './constants.ts'
import { Http1Request } from './request.ts'

/** What {@link planRequest} decided. One object serves all connections: read it before the next call. */
export interface RequestPlan {
  framing: Framing
  length: number
  /** Forward `Expect: 100-continue`. */
  expects: boolean
  /** The connection takes no further request. */
  closes: boolean
  /** The answer will have no body. */
  isHead: boolean
}

const plan: RequestPlan = { framing: Framing.None, length: 0, expects: false, closes: false, isHead: false }

/** Decides how a request is framed. `last` when no body follows. */
export function planRequest(
  exchange: Exchange,
  request: RequestHead,
  last: boolean,
  closes: boolean,
): RequestPlan {
  const isOwn = request instanceof Http1Request
  // A gathered body is sent as it is now, not as it was announced.
  const gathered = exchange.requestBody
  const length = last ? 0 : gathered === null ? request.bodyLength : gathered.length
  plan.length = length
  plan.framing = length < 0 ? Framing.Chunked : Framing.Length
  // Nothing is said about a body that neither came nor goes, unless the caller did.
  if (isOwn && last && request.bodyLength === 0 && !request.isLengthKept(0)) plan.framing = Framing.None
  // Once the body is here there is nothing left to ask for.
  plan.expects = !last && !exchange.requestEnded && gathered === null
  plan.closes = closes
  plan.isHead = (isOwn ? request.method : exchange.translation?.method) === 'HEAD'
  return plan
}
