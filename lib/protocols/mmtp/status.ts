/** How failures look in Mmtp: result codes of a RESPONSE, codes of a CANCEL. */
import { ERRORS, type ErrorCode, GatewayError } from '../../core/errors.ts'
import { Code } from './constants.ts'

/** The result code of a refusal for each row of the error table. */
export const status = {
  BAD_REQUEST: 3002,
  HEAD_TOO_LARGE: 3002,
  URI_TOO_LONG: 3002,
  BODY_TOO_LARGE: 3002,
  VERSION_UNSUPPORTED: 3002,
  EXPECTATION_FAILED: 3002,
  FEATURE_UNSUPPORTED: 3000,
  ARGUMENTS_MISSING: 3001,
  ARGUMENTS_INVALID: 3002,
  REQUEST_TIMEOUT: 3002,
  DOWNSTREAM_GONE: 5000,
  LOOP: 4002,
  NO_ROUTE: 3000,
  ACCESS_DENIED: 1001,
  AUTHORISATION_FAILED: 1005,
  SESSION_EXPIRED: 2000,
  DECRYPTION_FAILED: 3003,
  SIGN_KEY_MISSING: 7000,
  SIGN_PARAMETER_MISSING: 7001,
  SIGN_WRONG: 7002,
  SIGN_EXPIRED: 7003,
  SIGN_NO_TIMESTAMP: 7007,
  SIGN_MISSING: 7014,
  CORS_REFUSED: 8002,
  RATE_LIMITED: 1002,
  FAULT_INJECTED: 4002,
  FILTER_FAILED: 5000,
  OVERLOADED: 1002,
  DRAINING: 1002,
  INTERNAL: 5000,
  NO_ENDPOINT: 4002,
  UPSTREAM_OVERFLOW: 1002,
  UPSTREAM_REFUSED: 1002,
  UPSTREAM_CONNECT_FAILED: 4002,
  UPSTREAM_CONNECT_TIMEOUT: 4002,
  UPSTREAM_RESET: 4002,
  UPSTREAM_PROTOCOL: 4002,
  UPSTREAM_TIMEOUT: 4001,
  DEADLINE_EXCEEDED: 4001,
} as const satisfies Record<ErrorCode, number>

/** Failures that mean "too much at the moment". */
export const OVERLOADS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'RATE_LIMITED',
  'OVERLOADED',
  'DRAINING',
  'UPSTREAM_OVERFLOW',
  'UPSTREAM_REFUSED',
])

/** The code of the CANCEL that answers a failure in place of a refusal, `Code.None` when a refusal is right. */
export function refusalCancel(code: ErrorCode): Code {
  if (code === 'LOOP') return Code.Loop
  return code === 'FEATURE_UNSUPPORTED' ? Code.Unsupported : Code.None
}

/** The code of the CANCEL that cuts off a response because of a failure. */
export function cancelCode(code: ErrorCode): Code {
  switch (code) {
    case 'UPSTREAM_TIMEOUT':
    case 'DEADLINE_EXCEEDED':
      return Code.Deadline
    case 'BODY_TOO_LARGE':
    case 'HEAD_TOO_LARGE':
      return Code.TooLarge
    case 'LOOP':
      return Code.Loop
    case 'FEATURE_UNSUPPORTED':
      return Code.Unsupported
    case 'DRAINING':
      return Code.Refused
    default:
      return Code.Internal
  }
}

/** What a CANCEL from the business process means for the exchange. `detail` is for the log. */
export function upstreamError(code: number, detail: string): GatewayError {
  switch (code) {
    case Code.Refused:
      return new GatewayError('UPSTREAM_REFUSED', detail)
    case Code.Deadline:
      return new GatewayError('UPSTREAM_TIMEOUT', detail)
    case Code.Loop:
      return new GatewayError('LOOP', detail)
    case Code.Unsupported:
      return new GatewayError('FEATURE_UNSUPPORTED', detail)
    case Code.TooLarge:
      return new GatewayError('BODY_TOO_LARGE', detail)
    default:
      return new GatewayError('UPSTREAM_RESET', detail)
  }
}

/** The result code that an HTTP status of the business process becomes. */
export function resultCodeOf(httpStatus: number): number {
  if ((httpStatus >= 200 && httpStatus < 300) || httpStatus === 304) return 1000
  if (httpStatus === 429) return 1002
  return httpStatus === 504 || httpStatus === 408 ? 4001 : 4002
}

/** The text for `result-memo`: percent-encoded, from the error table, never the detail. */
export const MEMOS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(ERRORS).map(([code, row]) => [code, encodeURIComponent(row.message)]),
)

/** Longest memo, before its encoding. */
const MAX_MEMO = 512

/** A text as `result-memo` carries it. Cutting may leave half a surrogate pair, which could not be encoded. */
export function encodeMemo(text: string): string {
  return encodeURIComponent(text.slice(0, MAX_MEMO).toWellFormed())
}
