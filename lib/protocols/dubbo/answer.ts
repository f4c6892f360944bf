/** What a provider answered to a call of ours, as the response of an operation. */
import { LocalResponse } from '../../buffer/local-response.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import type { JsonRules } from '../../core/route.ts'
import { final } from '../hessian/dialect.ts'
import { exceptionReply, readException } from '../hessian/exceptions.ts'
import { ConversionError, type ResultWriter } from '../hessian/hessian-json.ts'
import { HessianError } from '../hessian/limits.ts'
import { HessianReader } from '../hessian/reader.ts'
import { ResponseKind, Serialization, Status } from './constants.ts'

/** Result codes of an operation (docs/translation.md). */
export const ResultCode = {
  Success: 1000,
  NoService: 6000,
  NoMethod: 6001,
  Conversion: 6004,
  Exception: 6666,
} as const

const NO_BODY = Buffer.alloc(0)
const NULL_BODY = Buffer.from('null')
const MAX_MEMO = 512
const MAX_DETAIL = 2048

/** What a call says about its answers. */
export interface CallContext {
  readonly method: string
  /** Whether it goes through `$invoke`. */
  readonly isGeneric: boolean
  readonly results: ResultWriter
  readonly exceptions: JsonRules['exceptions']
}

/** The answer of an operation. */
export class CallResponse extends LocalResponse {
  /** Facts for the log, never sent: an exception with its stack, the text of a refusal. */
  readonly detail: string

  constructor(resultCode: number, body: Buffer, memo: string, detail: string) {
    super('result', resultCode, body)
    this.detail = detail
    if (body.length > 0) this.headers.add('content-type', 'application/json')
    if (memo !== '')
      this.headers.add('result-memo', encodeURIComponent(memo.slice(0, MAX_MEMO).toWellFormed()))
  }
}

/** Reading is synchronous and never nested. */
const reader = new HessianReader(final)

/** The response, or the failure, that a frame's status and body mean. */
export function readAnswer(
  call: CallContext,
  serialization: number,
  status: number,
  bytes: Buffer,
  offset: number,
  end: number,
): CallResponse | GatewayError {
  if (serialization !== Serialization.Hessian2) {
    const detail = `a hessian2 request was answered in serialization ${serialization}`
    return new GatewayError('UPSTREAM_PROTOCOL', detail)
  }
  try {
    reader.reset(bytes, offset, end)
    return status === Status.Ok ? readResult(call) : readRefusal(call, status)
  } catch (error) {
    if (error instanceof HessianError) {
      return new GatewayError('UPSTREAM_PROTOCOL', `the answer cannot be read: ${error.message}`, error)
    }
    if (!(error instanceof ConversionError)) throw error
    return new CallResponse(ResultCode.Conversion, NO_BODY, 'the result has no JSON form', error.message)
  }
}

function readResult(call: CallContext): CallResponse | GatewayError {
  const kind = reader.readInt()
  switch (kind) {
    case ResponseKind.Value:
    case ResponseKind.ValueWithAttachments:
      return new CallResponse(ResultCode.Success, call.results.write(reader), '', '')
    case ResponseKind.Null:
    case ResponseKind.NullWithAttachments:
      return new CallResponse(ResultCode.Success, NULL_BODY, '', '')
    case ResponseKind.Exception:
    case ResponseKind.ExceptionWithAttachments: {
      const exception = readException(reader)
      const { memo, body } = exceptionReply(exception, call.exceptions)
      return new CallResponse(ResultCode.Exception, body, memo, exception.logText)
    }
    default:
      return new GatewayError('UPSTREAM_PROTOCOL', `the answer begins with ${kind}, expected 0 to 5`)
  }
}

/** A status other than 20, by what providers of Dubbo 3 say with it. */
function readRefusal(call: CallContext, status: number): CallResponse | GatewayError {
  const text = reader.isAtEnd ? '' : (reader.readString() ?? '')
  const detail = `status ${status}: ${text}`.slice(0, MAX_DETAIL)
  switch (status) {
    case Status.ServiceNotFound:
      return noService(detail)
    case Status.BadRequest:
      if (!text.includes('Fail to decode request')) return failure('UPSTREAM_PROTOCOL', detail)
      // Neither service nor method nor parameters are told apart; through $invoke it can only be the service.
      return !call.isGeneric && text.includes(`methodName=${call.method},`)
        ? noMethod(detail)
        : noService(detail)
    case Status.ServiceError:
      if (text.includes('No such method')) return noMethod(detail)
      if (text.includes('Not found exported service')) return noService(detail)
      return failure('UPSTREAM_PROTOCOL', detail)
    case Status.ThreadPoolExhausted:
      return failure('UPSTREAM_REFUSED', detail)
    case Status.ClientTimeout:
    case Status.ServerTimeout:
      return failure('UPSTREAM_TIMEOUT', detail)
    default:
      return failure('UPSTREAM_PROTOCOL', detail)
  }
}

function noService(detail: string): CallResponse {
  return new CallResponse(ResultCode.NoService, NO_BODY, 'the service was not found', detail)
}

function noMethod(detail: string): CallResponse {
  return new CallResponse(ResultCode.NoMethod, NO_BODY, 'the method was not found', detail)
}

function failure(code: ErrorCode, detail: string): GatewayError {
  return new GatewayError(code, detail)
}
