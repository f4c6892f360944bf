/** What surrounds one exchange in the test kit: its route, and the answers it gets. */
import type { ErrorCode } from './core/errors.ts'
import type { Exchange } from './core/exchange.ts'
import type { Route } from './core/route.ts'
import type { ScopeStats } from './core/services.ts'
import { resultCode as resultCodes, status as statuses } from './protocols/http1/status.ts'
import { type TestAnswer, type TestRequest, TestResponseHead, toBytes } from './testing-messages.ts'

/** A request as it is forwarded. */
export interface ForwardedRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly authority: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Plays the business process. */
export type Responder = TestAnswer | ((request: ForwardedRequest) => TestAnswer)

/** The route of every exchange in the kit. */
export const TEST_ROUTE: Route = {
  name: 'test',
  index: 0,
  pick: null,
  redirect: null,
  timeoutMs: 0,
  perTryTimeoutMs: 0,
  rewritePath: null,
  rewriteAuthority: null,
  translation: null,
  hashKey: null,
  stats: makeStats(),
  chain: null,
}

/** Statistics that nobody reads. */
export function makeStats(): ScopeStats {
  const duration = { record: () => {} }
  return {
    requests: 0,
    active: 0,
    responses: [0, 0, 0, 0, 0, 0],
    errors: 0,
    bytesIn: 0,
    bytesOut: 0,
    duration,
  }
}

/** The request as it would be sent now. */
export function forwardedOf({ request, requestBody }: Exchange, given: TestRequest): ForwardedRequest {
  const headers: Record<string, string> = {}
  request.headers.forEach((name) => {
    headers[name] = request.headers.get(name) as string
  })
  const body = (requestBody ?? toBytes(given.body)).toString()
  return {
    method: request.method,
    path: request.path,
    query: request.query,
    authority: request.authority,
    headers,
    body,
  }
}

/** The business process's answer. */
export function answerOf(
  exchange: Exchange,
  forwarded: ForwardedRequest,
  respond: Responder,
): TestResponseHead {
  const answer = typeof respond === 'function' ? respond(forwarded) : respond
  const isMmtp = exchange.request.protocol === 'mmtp'
  const status = answer.status ?? (isMmtp ? 1000 : 200)
  return new TestResponseHead(status, isMmtp ? 'result' : 'http', answer.headers ?? {}, toBytes(answer.body))
}

/** What the caller gets for a failure, a refusal or a reply: its status in the caller's numbering. */
export function localResponse({ request, error, refusal, localReply }: Exchange): TestResponseHead {
  const isMmtp = request.protocol === 'mmtp'
  const kind = isMmtp ? 'result' : 'http'
  const code: ErrorCode | null = error?.code ?? refusal?.code ?? null
  if (code === null && localReply !== null) {
    const status = isMmtp ? localReply.resultCode : localReply.status
    return new TestResponseHead(status, kind, Object.fromEntries(localReply.headers), localReply.body)
  }
  const status = (isMmtp ? resultCodes : statuses)[code ?? 'INTERNAL']
  return new TestResponseHead(status, kind, {}, Buffer.from(refusal?.message ?? ''))
}
