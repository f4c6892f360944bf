/** How failures look in Bolt: what a Java SOFARPC client throws for them decides. */
import { ERRORS, type ErrorCode, type GatewayError } from '../../core/errors.ts'
import { draft } from '../hessian/dialect.ts'
import { ClassDef } from '../hessian/values.ts'
import { HessianWriter } from '../hessian/writer.ts'
import { EXCEPTION_CLASS, RESPONSE_CLASS, Status } from './constants.ts'
import { BoltReply } from './response.ts'

/** The status for each row of the error table. `ServerException` comes with a text, all others are bare. */
export const status = {
  BAD_REQUEST: Status.CodecException,
  HEAD_TOO_LARGE: Status.CodecException,
  URI_TOO_LONG: Status.CodecException,
  BODY_TOO_LARGE: Status.CodecException,
  VERSION_UNSUPPORTED: Status.CodecException,
  EXPECTATION_FAILED: Status.CodecException,
  FEATURE_UNSUPPORTED: Status.ServerException,
  ARGUMENTS_MISSING: Status.CodecException,
  ARGUMENTS_INVALID: Status.CodecException,
  REQUEST_TIMEOUT: Status.Timeout,
  DOWNSTREAM_GONE: Status.ConnectionClosed,
  LOOP: Status.ServerException,
  NO_ROUTE: Status.NoProcessor,
  ACCESS_DENIED: Status.ServerException,
  AUTHORISATION_FAILED: Status.ServerException,
  SESSION_EXPIRED: Status.ServerException,
  DECRYPTION_FAILED: Status.ServerException,
  SIGN_KEY_MISSING: Status.ServerException,
  SIGN_PARAMETER_MISSING: Status.ServerException,
  SIGN_WRONG: Status.ServerException,
  SIGN_EXPIRED: Status.ServerException,
  SIGN_NO_TIMESTAMP: Status.ServerException,
  SIGN_MISSING: Status.ServerException,
  CORS_REFUSED: Status.ServerException,
  RATE_LIMITED: Status.Busy,
  FAULT_INJECTED: Status.ServerException,
  FILTER_FAILED: Status.ServerException,
  OVERLOADED: Status.Busy,
  DRAINING: Status.Busy,
  INTERNAL: Status.ServerException,
  NO_ENDPOINT: Status.NoProcessor,
  UPSTREAM_OVERFLOW: Status.Busy,
  UPSTREAM_REFUSED: Status.Busy,
  UPSTREAM_CONNECT_FAILED: Status.NoProcessor,
  UPSTREAM_CONNECT_TIMEOUT: Status.NoProcessor,
  UPSTREAM_RESET: Status.ConnectionClosed,
  UPSTREAM_PROTOCOL: Status.ServerException,
  UPSTREAM_TIMEOUT: Status.Timeout,
  DEADLINE_EXCEEDED: Status.Timeout,
} as const satisfies Record<ErrorCode, Status>

const NO_BYTES = Buffer.alloc(0)
const FIRST_REFUSAL = 400
/** The fields in the order in which Java's writer puts them. */
const EXCEPTION = new ClassDef(EXCEPTION_CLASS, [
  'detailMessage',
  'cause',
  'stackTrace',
  'suppressedExceptions',
])
const RESPONSE = new ClassDef(RESPONSE_CLASS, ['isError', 'errorMsg', 'appResponse', 'responseProps'])
const writer = new HessianWriter(draft)
/** Contents for rows of the error table, made when one is needed for the first time. */
const contents = new Map<ErrorCode, Buffer>()

/** The answer to a failure: a bare status, or an exception with the row's text or the error's own. */
export function answerTo(error: GatewayError): BoltReply {
  const { code, callerMessage } = error
  if (status[code] !== Status.ServerException) return new BoltReply(status[code], '', NO_BYTES)
  if (callerMessage !== null) return exceptionReply(callerMessage)
  let content = contents.get(code)
  if (content === undefined) {
    content = exceptionContent(ERRORS[code].message)
    contents.set(code, content)
  }
  return new BoltReply(Status.ServerException, EXCEPTION_CLASS, content)
}

/** The answer of a filter or route: `httpStatus` below 400 makes it the call's result, a string, otherwise an exception with that text. */
export function localAnswer(httpStatus: number, body: Buffer): BoltReply {
  const text = body.toString()
  if (httpStatus >= FIRST_REFUSAL) return exceptionReply(text === '' ? `refused (${httpStatus})` : text)
  writer.reset()
  writer.beginObjectOf(RESPONSE)
  writer.writeBoolean(false)
  writer.writeNull()
  writer.writeString(text)
  writer.writeNull()
  return new BoltReply(Status.Success, RESPONSE_CLASS, Buffer.from(writer.bytes()))
}

function exceptionReply(text: string): BoltReply {
  return new BoltReply(Status.ServerException, EXCEPTION_CLASS, exceptionContent(text))
}

/** As a Java server writes it: a cause that refers to the exception itself is none, and without a list of frames Java could not print it. */
function exceptionContent(text: string): Buffer {
  writer.reset()
  const self = writer.slots
  writer.beginObjectOf(EXCEPTION)
  writer.writeString(text)
  writer.writeRef(self)
  writer.beginList('[java.lang.StackTraceElement', 0)
  writer.endList()
  writer.beginList('java.util.Collections$EmptyList', 0)
  writer.endList()
  return Buffer.from(writer.bytes())
}
