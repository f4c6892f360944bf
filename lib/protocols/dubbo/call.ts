/** Calls of Dubbo methods that operations become: arguments from JSON, the answer back to JSON. */
import type { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { Call, CallTarget, JsonRules, TypeDescriptions } from '../../core/route.ts'
import { type ArgumentsPlan, compileArguments, compileResult } from '../hessian/call.ts'
import { final } from '../hessian/dialect.ts'
import type { ResultWriter } from '../hessian/hessian-json.ts'
import { HessianWriter } from '../hessian/writer.ts'
import type { CallResponse } from '../rpc/call-response.ts'
import { timeLeftMs } from '../rpc/time-left.ts'
import { type CallContext, type CalledService, calledService, readAnswer } from './answer.ts'
import { NO_VERSION, PROTOCOL_VERSION, Serialization } from './constants.ts'

const GENERIC_METHOD = '$invoke'
const GENERIC_DESCRIPTOR = 'Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;'
/** Headers of the caller that become attachments of the same name. */
const PASSED_ON = ['traceparent', 'tracestate'] as const
/** Attachment that bears SOFATracer's ids. */
const SOFA_CONTEXT = 'dubbo.rpc.sofa.tracer'

/** Encoding is synchronous and never nested, so that one writer serves every call of the process. */
const writer = new HessianWriter(final)

/** See {@link Call}. Always hessian2, which every provider can read. */
export class DubboCall implements Call, CallContext {
  readonly method: string
  readonly serialization: number = Serialization.Hessian2
  readonly service: CalledService
  readonly isGeneric: boolean
  readonly results: ResultWriter
  readonly exceptions: JsonRules['exceptions']
  readonly #plan: ArgumentsPlan
  readonly #target: CallTarget
  /** The five strings in front. */
  readonly #front: Buffer
  /** Attachments that never change, for the application in `#app`. */
  #attachments: Buffer = Buffer.alloc(0)
  #app: string | null = null

  /** Throws an `Error` for parameters or types that make no sense. */
  constructor(target: CallTarget, types: TypeDescriptions) {
    this.#target = target
    this.#plan = compileArguments(target, types, 'dubbo')
    this.method = target.method
    this.service = calledService(target.group, target.service, target.version)
    this.isGeneric = this.#plan.isGeneric
    this.results = compileResult(target, types, this.isGeneric)
    this.exceptions = target.json.exceptions
    writer.reset()
    writer.writeString(PROTOCOL_VERSION)
    writer.writeString(target.service)
    writer.writeString(target.version === '' ? NO_VERSION : target.version)
    writer.writeString(this.isGeneric ? GENERIC_METHOD : target.method)
    writer.writeString(this.isGeneric ? GENERIC_DESCRIPTOR : this.#plan.descriptor)
    this.#front = Buffer.from(writer.bytes())
  }

  /**
   * The request's body for the JSON in `offset…end`: a view that is valid until the next call is encoded. `app` is our own
   * application. Throws `GatewayError` for JSON that does not fit.
   */
  encode(exchange: Exchange, bytes: Buffer, offset: number, end: number, app: string, nowMs: number): Buffer {
    writer.reset()
    writer.writeRaw(this.#front, 0, this.#front.length)
    if (this.isGeneric) this.#writeGeneric(bytes, offset, end)
    else this.#plan.encoder.encode(bytes, offset, end, writer)
    this.#writeAttachments(exchange, app, nowMs)
    return writer.bytes()
  }

  /** `$invoke(method, types, arguments)`. */
  #writeGeneric(bytes: Buffer, offset: number, end: number): void {
    const { signatures, encoder } = this.#plan
    writer.writeString(this.method)
    writer.beginList('[string', signatures.length)
    for (const signature of signatures) writer.writeString(signature)
    writer.endList()
    writer.beginList('[object', signatures.length)
    encoder.encode(bytes, offset, end, writer)
    writer.endList()
  }

  #writeAttachments(exchange: Exchange, app: string, nowMs: number): void {
    writer.beginMap(null)
    const constant = this.#app === app ? this.#attachments : this.#prepare(app)
    writer.writeRaw(constant, 0, constant.length)
    const timeoutMs = timeLeftMs(exchange, nowMs)
    if (timeoutMs > 0) writePair('timeout', `${timeoutMs}`)
    const { headers, protocol } = exchange.request
    for (const name of PASSED_ON) writePair(name, headers.get(name))
    const isMmtp = protocol === 'mmtp'
    const traceId = headers.get(isMmtp ? 'trace-id' : 'sofa-traceid')
    const rpcId = headers.get(isMmtp ? 'rpc-id' : 'sofa-rpcid') ?? '0'
    if (traceId !== null) writePair(SOFA_CONTEXT, `tcid=${traceId}&spid=${rpcId}&pspid=&sample=true&`)
    writer.endMap()
  }

  /** One cluster has one application, so this happens once. */
  #prepare(app: string): Buffer {
    const { service, version, group } = this.#target
    const pairs = new HessianWriter(final)
    const write = (name: string, value: string): void => {
      pairs.writeString(name)
      pairs.writeString(value)
    }
    write('path', service)
    write('interface', service)
    write('version', version === '' ? NO_VERSION : version)
    if (group !== '') write('group', group)
    if (app !== '') write('remote.application', app)
    if (this.isGeneric) write('generic', 'true')
    this.#attachments = Buffer.from(pairs.bytes())
    this.#app = app
    return this.#attachments
  }

  /** What the response with the body `offset…end` means: an answer for the caller, or a failure. */
  answer(
    serialization: number,
    status: number,
    bytes: Buffer,
    offset: number,
    end: number,
  ): CallResponse | GatewayError {
    return readAnswer(this, serialization, status, bytes, offset, end)
  }
}

/** See `Protocol.compileCall`. */
export function compileDubboCall(target: CallTarget, types: TypeDescriptions): DubboCall {
  return new DubboCall(target, types)
}

function writePair(name: string, value: string | null): void {
  if (value === null) return
  writer.writeString(name)
  writer.writeString(value)
}
