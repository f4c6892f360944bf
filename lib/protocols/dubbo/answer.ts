/** What a provider answered to a call of ours, as the response of an operation. */
import { GatewayError } from '../../core/errors.ts'
import type { JsonRules } from '../../core/route.ts'
import { final } from '../hessian/dialect.ts'
import { exceptionReply, readException } from '../hessian/exceptions.ts'
import { ConversionError, type ResultWriter } from '../hessian/hessian-json.ts'
import { HessianError } from '../hessian/limits.ts'
import { HessianReader } from '../hessian/reader.ts'
import {
  CallResponse,
  callResult,
  notConverted,
  ResultCode,
  unknownMethod,
  unknownService,
} from '../rpc/call-response.ts'
import { ResponseKind, Serialization, Status } from './constants.ts'

const NULL_BODY = Buffer.from('null')
const MAX_DETAIL = 2048

/** A service as providers have shown it. */
export interface CalledService {
  /** It has answered a call: what it does not understand from now on is a method, or the parameters of one. */
  isServed: boolean
}

/** By group, name and version, as far as configurations have named them. */
const services = new Map<string, CalledService>()

/** The one object for a service, which all calls of it share. */
export function calledService(group: string, name: string, version: string): CalledService {
  const key = `${group}/${name}:${version}`
  const known = services.get(key)
  if (known !== undefined) return known
  const made = { isServed: false }
  services.set(key, made)
  return made
}

/** What a call says about its answers. */
export interface CallContext {
  /** What is known of the service that it belongs to. */
  readonly service: CalledService
  /** Whether it goes through `$invoke`. */
  readonly isGeneric: boolean
  readonly results: ResultWriter
  readonly exceptions: JsonRules['exceptions']
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
    if (status === Status.Ok) call.service.isServed = true
    return status === Status.Ok ? readResult(call) : readRefusal(call, status)
  } catch (error) {
    if (error instanceof HessianError) {
      return new GatewayError('UPSTREAM_PROTOCOL', `the answer cannot be read: ${error.message}`, error)
    }
    if (!(error instanceof ConversionError)) throw error
    return notConverted(error.message)
  }
}

function readResult(call: CallContext): CallResponse | GatewayError {
  const kind = reader.readInt()
  switch (kind) {
    case ResponseKind.Value:
    case ResponseKind.ValueWithAttachments:
      return callResult(call.results.write(reader))
    case ResponseKind.Null:
    case ResponseKind.NullWithAttachments:
      return callResult(NULL_BODY)
    case ResponseKind.Exception:
    case ResponseKind.ExceptionWithAttachments: {
      const exception = readException(reader)
      const { memo, body } = exceptionReply(exception, call.exceptions)
      return new CallResponse(ResultCode.BusinessException, body, memo, exception.logText)
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
      return unknownService(detail)
    case Status.BadRequest:
      if (!text.includes('Fail to decode request')) return new GatewayError('UPSTREAM_PROTOCOL', detail)
      // Neither service nor method nor parameters are told apart; through $invoke it can only be the service.
      return !call.isGeneric && call.service.isServed ? unknownMethod(detail) : unknownService(detail)
    case Status.ServiceError:
      if (text.includes('No such method')) return unknownMethod(detail)
      if (text.includes('Not found exported service')) return unknownService(detail)
      return new GatewayError('UPSTREAM_PROTOCOL', detail)
    case Status.ThreadPoolExhausted:
      return new GatewayError('UPSTREAM_REFUSED', detail)
    case Status.ClientTimeout:
    case Status.ServerTimeout:
      return new GatewayError('UPSTREAM_TIMEOUT', detail)
    default:
      return new GatewayError('UPSTREAM_PROTOCOL', detail)
  }
}
