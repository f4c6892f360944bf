/** Turns what filters and routes decided into the response of the caller's protocol. */
import type { LocalReply } from '../core/codec.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { RedirectAction } from '../core/route.ts'

const NO_BODY = Buffer.alloc(0)
const REDIRECT_RESULT_CODE = 1001

/** The response for `exchange.reply(…)` or `exchange.refuse(…)`, whichever was called. */
export function localAnswer(exchange: Exchange): LocalReply {
  const { localReply, refusal } = exchange
  if (localReply !== null) {
    const answer = exchange.downstream.localReply(localReply.status, localReply.resultCode, localReply.body)
    for (const [name, value] of localReply.headers) answer.headers.set(name, value)
    return answer
  }
  if (refusal === null) throw new Error('a reply was announced but none was given')
  const error = withoutStack(() => new GatewayError(refusal.code))
  error.retryAfterMs = refusal.retryAfterMs
  error.callerMessage = refusal.message
  exchange.error = error
  return exchange.downstream.errorReply(error)
}

/** The response of a route that redirects. */
export function redirectAnswer(exchange: Exchange, redirect: RedirectAction): LocalReply {
  const answer = exchange.downstream.localReply(redirect.status, REDIRECT_RESULT_CODE, NO_BODY)
  answer.headers.set('location', redirect.location(exchange))
  return answer
}

/** A refusal is expected: it needs no stack, which is most of what an `Error` costs. */
function withoutStack(make: () => GatewayError): GatewayError {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = make()
  Error.stackTraceLimit = limit
  return error
}
