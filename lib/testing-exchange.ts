/** What surrounds one exchange in the test kit: its route, and the answers it gets. */
import type { ErrorCode } from './core/errors.ts'
import type { Exchange } from './core/exchange.ts'
import type { ProtocolName, Reply, StatusKind } from './core/message.ts'
import type { Route } from './core/route.ts'
import type { ScopeStats } from './core/services.ts'
import { status as boltStatuses } from './protocols/bolt/status.ts'
import { status as dubboStatuses } from './protocols/dubbo/status.ts'
import { status as statuses } from './protocols/http1/status.ts'
import { status as resultCodes } from './protocols/mmtp/status.ts'
import { type TestAnswer, type TestRequest, TestResponseHead, toBytes } from './testing-messages.ts'

/** A request as it is forwarded. */
export interface ForwardedRequest {
  /** Interface of an RPC, `''` for everything else. */
  readonly service: string
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
    service: request.service,
    method: request.method,
    path: request.path,
    query: request.query,
    authority: request.authority,
    headers,
    body,
  }
}

/** How one protocol numbers what became of a request. */
interface Numbering {
  readonly kind: StatusKind
  readonly success: number
  /** What a failure's code gives. */
  readonly codes: Readonly<Record<ErrorCode, number>>
  /** What a filter's reply gives. */
  readonly replied: (reply: Reply) => number
}

const NUMBERINGS: Readonly<Record<ProtocolName, Numbering>> = {
  http1: { kind: 'http', success: 200, codes: statuses, replied: ({ status }) => status },
  mmtp: { kind: 'result', success: 1000, codes: resultCodes, replied: ({ resultCode }) => resultCode },
  bolt: { kind: 'bolt', success: 0, codes: boltStatuses, replied: ({ status }) => (status < 400 ? 0 : 2) },
  dubbo: {
    kind: 'dubbo',
    success: 20,
    codes: dubboStatuses,
    replied: ({ status }) => (status < 400 ? 20 : 70),
  },
}

/** The business process's answer. */
export function answerOf(
  exchange: Exchange,
  forwarded: ForwardedRequest,
  respond: Responder,
): TestResponseHead {
  const answer = typeof respond === 'function' ? respond(forwarded) : respond
  const { kind, success } = NUMBERINGS[exchange.request.protocol]
  return new TestResponseHead(answer.status ?? success, kind, answer.headers ?? {}, toBytes(answer.body))
}

/** What the caller gets for a failure, a refusal or a reply: its status in the caller's numbering. */
export function localResponse({ request, error, refusal, localReply }: Exchange): TestResponseHead {
  const { kind, codes, replied } = NUMBERINGS[request.protocol]
  const code: ErrorCode | null = error?.code ?? refusal?.code ?? null
  if (code === null && localReply !== null)
    return new TestResponseHead(
      replied(localReply),
      kind,
      Object.fromEntries(localReply.headers),
      localReply.body,
    )
  return new TestResponseHead(codes[code ?? 'INTERNAL'], kind, {}, Buffer.from(refusal?.message ?? ''))
}
