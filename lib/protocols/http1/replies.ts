/** Responses that meshgate makes itself. */
import { LocalResponse } from '../../buffer/local-response.ts'
import { ERRORS, type ErrorCode, type GatewayError } from '../../core/errors.ts'
import { resultCode, status } from './status.ts'

/** Longest memo that an operation is sent, before its encoding. */
const MAX_MEMO = 512
const NO_BODY = Buffer.alloc(0)
const bodies = new Map<ErrorCode, Buffer>()
let dateText = ''
let dateSecond = -1

/** The current time as Date wants it (RFC 9110 section 5.6.7); formatted once a second. */
export function httpDate(): string {
  const now = Date.now()
  const second = Math.floor(now / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(now).toUTCString()
  }
  return dateText
}

/** What a plain caller is told about a failure: the code and its text, never the details. */
export function errorBody({ code, callerMessage }: GatewayError): Buffer {
  return callerMessage === null ? preparedBody(code) : Buffer.from(`${code}: ${callerMessage}\n`)
}

function preparedBody(code: ErrorCode): Buffer {
  let body = bodies.get(code)
  if (body === undefined) {
    body = Buffer.from(`${code}: ${ERRORS[code].message}\n`)
    bodies.set(code, body)
  }
  return body
}

/** The response for a failure: text with the error's status, or for an operation 200 with result headers and no body. */
export function errorReply(error: GatewayError, isOperation: boolean): LocalResponse {
  const reply = isOperation
    ? new LocalResponse('http', 200, NO_BODY)
    : new LocalResponse('http', status[error.code], errorBody(error))
  // Assigned, not set: constants need no checks.
  const added = ['date', httpDate(), 'x-meshgate-error', error.code]
  if (isOperation) {
    const memo = memoOf(error)
    added.push('result-status', String(resultCode[error.code]), 'result-memo', memo, 'result-tips', memo)
  } else added.push('content-type', 'text/plain; charset=utf-8')
  if (error.retryAfterMs > 0) added.push('retry-after', String(Math.ceil(error.retryAfterMs / 1000)))
  reply.headers.added = added
  return reply
}

function memoOf({ code, callerMessage }: GatewayError): string {
  const text = callerMessage ?? ERRORS[code].message
  // Cutting may leave half a surrogate pair, which cannot be encoded.
  return encodeURIComponent(text.slice(0, MAX_MEMO).toWellFormed())
}

/** The response for what a filter or route answers. */
export function localReply(
  httpStatus: number,
  result: number,
  body: Buffer,
  isOperation: boolean,
): LocalResponse {
  const reply = new LocalResponse('http', isOperation ? 200 : httpStatus, body)
  reply.headers.added = isOperation
    ? ['date', httpDate(), 'result-status', String(result)]
    : ['date', httpDate()]
  return reply
}
