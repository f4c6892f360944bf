/** Calls of SOFARPC methods that operations become: arguments from JSON, the answer back to JSON. */
import type { Wire } from '../../core/codec.ts'
import { type ErrorCode, GatewayError, toGatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { Call, CallTarget, JsonRules, TypeDescriptions } from '../../core/route.ts'
import { type ArgumentsPlan, compileArguments, compileResult } from '../hessian/call.ts'
import { draft, Kind } from '../hessian/dialect.ts'
import { exceptionReply, readException, type ServiceException } from '../hessian/exceptions.ts'
import { ConversionError, type ResultWriter } from '../hessian/hessian-json.ts'
import { HessianError } from '../hessian/limits.ts'
import { HessianReader } from '../hessian/reader.ts'
import { skipValue } from '../hessian/reader-skip.ts'
import { ClassDef } from '../hessian/values.ts'
import { HessianWriter } from '../hessian/writer.ts'
import {
  CallResponse,
  callFailure,
  callResult,
  notConverted,
  ResultCode,
  unknownMethod,
  unknownService,
} from '../rpc/call-response.ts'
import { CallFront, CallHeaders, constantPairs } from './call-headers.ts'
import { EXCEPTION_CLASS, FrameType, REQUEST_CLASS, RESPONSE_CLASS, Serializer, Status } from './constants.ts'
import { writeOwn } from './encoder.ts'
import type { Hop } from './frame.ts'
import type { BoltResponse } from './response.ts'
import { uniqueName } from './service-names.ts'

/** The fields in the order in which Java's writer puts them. */
const REQUEST = new ClassDef(REQUEST_CLASS, [
  'targetAppName',
  'methodName',
  'targetServiceUniqueName',
  'requestProps',
  'methodArgSigs',
])
const SIGNATURE_LIST = '[string'
/** What SOFARPC's own failures begin with. */
const RPC_CODE = /^RPC-\d+/
const UNKNOWN_SERVICE = 'RPC-020100010'
const UNKNOWN_METHOD = 'RPC-020100011'

/** Calls are encoded and decoded synchronously, one after the other. */
const writer = new HessianWriter(draft)
const reader = new HessianReader(draft)
const headers = new CallHeaders()

/** See {@link Call}. */
export class BoltCall implements Call {
  readonly method: string
  /** The first three fields of the request, and the signatures: encoded strings, which take no place in a stream's tables. */
  readonly #names: Buffer
  readonly #signatures: Buffer
  readonly #pairs: Buffer
  /** For the application that called last: one cluster has one. */
  #front: CallFront
  readonly #plan: ArgumentsPlan
  readonly #results: ResultWriter
  readonly #rules: JsonRules

  /** Throws like {@link compileBoltCall}. */
  constructor(target: CallTarget, types: TypeDescriptions) {
    this.method = target.method
    const name = uniqueName(target.service, target.version, target.group)
    this.#names = encodeStrings([null, target.method, name])
    this.#pairs = constantPairs(name, target.method)
    this.#front = new CallFront(this.#pairs, '')
    this.#plan = compileArguments(target, types, 'sofa')
    this.#signatures = encodeStrings(this.#plan.signatures)
    this.#results = compileResult(target, types, false)
    this.#rules = target.json
  }

  /**
   * Makes the request of the JSON in `offset…end`; `app` is the calling application. Null, and {@link BoltCall.write} has
   * to follow before another call is encoded; or why the JSON does not fit.
   */
  encode(exchange: Exchange, app: string, json: Buffer, offset: number, end: number): GatewayError | null {
    const { signatures, encoder } = this.#plan
    writer.reset()
    writer.beginObjectOf(REQUEST)
    writer.writeRaw(this.#names, 0, this.#names.length)
    writer.beginMap(null)
    writer.endMap()
    writer.beginList(SIGNATURE_LIST, signatures.length)
    writer.writeRaw(this.#signatures, 0, this.#signatures.length)
    writer.endList()
    try {
      encoder.encode(json, offset, end, writer)
    } catch (error) {
      return toGatewayError(error)
    }
    if (this.#front.app !== app) this.#front = new CallFront(this.#pairs, app)
    headers.fill(this.#front, exchange)
    return null
  }

  /** Bytes of the frame that was encoded, at most. */
  get frameLimit(): number {
    return REQUEST_CLASS.length + headers.limit + writer.length
  }

  /** Writes what was encoded. */
  write(wire: Wire, hop: Hop, timeoutMs: number): void {
    const content = writer.bytes()
    const { Request } = FrameType
    writeOwn(
      wire,
      Request,
      hop,
      Serializer.Hessian,
      timeoutMs,
      REQUEST_CLASS,
      headers,
      content,
      0,
      content.length,
    )
  }

  /** What the response with the content `start…end` means: an answer for the caller, or a failure. */
  answer(response: BoltResponse, bytes: Buffer, start: number, end: number): CallResponse | GatewayError {
    const { status, serializer, isError } = response
    if (status !== Status.Success) {
      const message = textOf(serializer, bytes, start, end)
      // A server for Node reports what a method threw like this; a Java server's own failures bear another class.
      if (status === Status.ServerException && message !== '' && response.isOfClass(RESPONSE_CLASS))
        return this.#thrown({ className: '', message, logText: message })
      return failureOf(status, message)
    }
    if (serializer !== Serializer.Hessian) {
      const detail = `the answer is in serializer ${serializer}, ${Serializer.Hessian} was asked for`
      return new GatewayError('UPSTREAM_PROTOCOL', detail)
    }
    try {
      reader.reset(bytes, start, end)
      return this.#read(isError)
    } catch (error) {
      if (error instanceof ConversionError) return notConverted(error.message)
      if (error instanceof HessianError)
        return new GatewayError('UPSTREAM_PROTOCOL', `the answer is malformed: ${error.message}`, error)
      throw error
    }
  }

  /** Reads a SofaResponse; `hasThrown` when its header says that something went wrong. */
  #read(hasThrown: boolean): CallResponse | GatewayError {
    let isRefused = false
    let message = ''
    let exception: ServiceException | null = null
    let result: Buffer | null = null
    const { fields } = reader.enterObject()
    for (let i = 0; reader.hasNext(); i++) {
      const field = fields[i]
      const kind = reader.peekKind()
      if (field === 'isError') isRefused = reader.readBoolean()
      else if (field === 'errorMsg') message = reader.readNullableString() ?? ''
      else if (field !== 'appResponse') skipValue(reader)
      else if (!hasThrown) result = this.#results.write(reader)
      else if (kind === Kind.Null) reader.readNull()
      else exception = readException(reader)
    }
    if (isRefused) return this.#refused(message)
    if (exception !== null) return this.#thrown(exception)
    if (result !== null) return callResult(result)
    return new GatewayError('UPSTREAM_PROTOCOL', 'the answer holds neither a result nor an exception')
  }

  #thrown(exception: ServiceException): CallResponse {
    const { memo, body } = exceptionReply(exception, this.#rules.exceptions)
    return new CallResponse(ResultCode.BusinessException, body, memo, exception.logText)
  }

  /** SOFARPC itself failed. A message without its codes is what a server for Node makes of an exception. */
  #refused(message: string): CallResponse {
    if (message.startsWith(UNKNOWN_SERVICE)) return unknownService(message)
    if (message.startsWith(UNKNOWN_METHOD)) return unknownMethod(message)
    if (RPC_CODE.test(message)) return callFailure(ResultCode.Failed, 'the service failed', message)
    return this.#thrown({ className: '', message, logText: message })
  }
}

function encodeStrings(texts: readonly (string | null)[]): Buffer {
  writer.reset()
  for (const text of texts) {
    if (text === null) writer.writeNull()
    else writer.writeString(text)
  }
  return Buffer.from(writer.bytes())
}

/** See `Protocol.compileCall`. */
export function compileBoltCall(target: CallTarget, types: TypeDescriptions): BoltCall {
  return new BoltCall(target, types)
}

/** What a status other than success means for the exchange. */
function failureOf(status: number, text: string): CallResponse | GatewayError {
  const detail = text === '' ? `status ${status}` : `status ${status}: ${text}`
  if (status === Status.DeserializationFailed) {
    return callFailure(ResultCode.NotConverted, 'the service could not read its arguments', detail)
  }
  return new GatewayError(errorOf(status), detail)
}

function errorOf(status: number): ErrorCode {
  switch (status) {
    case Status.Busy:
      return 'UPSTREAM_REFUSED'
    case Status.Timeout:
      return 'UPSTREAM_TIMEOUT'
    case Status.ErrorComm:
    case Status.ClientSendError:
    case Status.ConnectionClosed:
      return 'UPSTREAM_RESET'
    default:
      return 'UPSTREAM_PROTOCOL'
  }
}

/** The message of the exception that comes with some statuses; `''` when there is none. */
function textOf(serializer: number, bytes: Buffer, start: number, end: number): string {
  if (start === end || serializer !== Serializer.Hessian) return ''
  try {
    reader.reset(bytes, start, end)
    const { className, message } = readException(reader)
    return className === EXCEPTION_CLASS || className === '' ? message : `${className}: ${message}`
  } catch (error) {
    if (error instanceof HessianError) return ''
    throw error
  }
}
