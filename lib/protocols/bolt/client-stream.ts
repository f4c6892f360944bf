/** The business process's half of one exchange. */
import type { UpstreamHandler, UpstreamStream, Wire } from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import type { Translation } from '../../core/route.ts'
import { BoltCall } from './call.ts'
import { CrcVersion, FrameType, Key, Proto, Status } from './constants.ts'
import { writeForwarded } from './encoder.ts'
import type { Hop } from './frame.ts'
import { Pieces } from './pieces.ts'
import { BoltRequest } from './request.ts'
import { BoltReply, type BoltResponse } from './response.ts'
import { uniqueName } from './service-names.ts'

const NO_BYTES = Buffer.alloc(0)
const MAX_TIMEOUT_MS = 0x7fffffff

/** What a stream needs from the connection it belongs to. */
export interface ClientStreamOwner {
  readonly wire: Wire
  readonly handler: UpstreamHandler
  /** Nothing may be sent any more. */
  readonly isOver: boolean
  /** Own application, told as the caller of translated operations. */
  readonly app: string
  /** Longest frame that may be sent. */
  readonly maxFrameBytes: number
  /** Gives the stream `proto` and `id`; `proto` is the version its request came in. */
  begin(stream: BoltClientStream, proto: number): void
  close(stream: BoltClientStream): void
  /** Has `stream.report()` called when the running call is over. */
  reportLater(stream: BoltClientStream): void
}

/** See {@link UpstreamStream}. As a {@link Hop} it says how its request is written. A frame needs its length first, so nothing is written before the content is whole. */
export class BoltClientStream implements UpstreamStream, Hop {
  readonly isReused: boolean
  /** 0 before the request was written. */
  id = 0
  proto: number = Proto.V1
  crcVersion: number = CrcVersion.Never
  switchByte = 0
  isOneWay = false
  isClosed = false
  /** Null once nobody waits for events any more. */
  exchange: Exchange | null
  /** What the operation is translated to; null for a request that came over Bolt. */
  call: BoltCall | null = null
  readonly #owner: ClientStreamOwner
  #source: BoltRequest | null = null
  #pieces: Pieces | null = null
  /** What {@link BoltClientStream.report} tells. */
  #failure: GatewayError | null = null

  constructor(owner: ClientStreamOwner, exchange: Exchange, isReused: boolean) {
    this.#owner = owner
    this.exchange = exchange
    this.isReused = isReused
  }

  /** Always: a request is sent as a whole. The connection opens no streams while its peer takes no output. */
  get isWritable(): boolean {
    return true
  }

  sendRequest(request: RequestHead, last: boolean): void {
    const { exchange } = this
    if (exchange === null || this.isClosed) return
    if (request instanceof BoltRequest) {
      this.#source = request
      if (last) this.#forward(exchange, request, NO_BYTES, 0, 0)
      return
    }
    const call = exchange.route?.translation?.call ?? null
    if (call instanceof BoltCall) {
      this.call = call
      if (last) this.#sendCall(exchange, call, NO_BYTES, 0, 0)
    } else if (request.protocol === 'dubbo') {
      this.#failLater(new GatewayError('FEATURE_UNSUPPORTED', 'a Dubbo request cannot become a Bolt request'))
    } else {
      const detail = `the route of this ${request.protocol} request leads to a bolt cluster and names no method to call`
      this.#failLater(new GatewayError('NO_ROUTE', detail))
    }
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    const { exchange } = this
    if (exchange === null || this.isClosed) return
    if (last && this.#pieces === null) {
      this.#sendWhole(exchange, bytes, offset, end)
      return
    }
    this.#pieces ??= new Pieces()
    if (this.#pieces.length + end - offset > this.#owner.maxFrameBytes) {
      this.#failTooLong(this.#pieces.length + end - offset)
      return
    }
    this.#pieces.push(bytes, offset, end)
    if (!last) return
    const whole = this.#pieces.take()
    this.#sendWhole(exchange, whole, 0, whole.length)
  }

  /** Bolt has no trailers: the request just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BYTES, 0, 0, true)
  }

  /** Nothing on the wire tells the peer: it goes on, and its answer is dropped. */
  cancel(): void {
    this.exchange = null
    this.#source = null
    this.#pieces = null
    this.#owner.close(this)
  }

  /** An answer is here as a whole: there is nothing to hold back. */
  pause(): void {}
  resume(): void {}

  /** Tells what happened while the dispatcher was calling us: a failure, or that a request without an answer is on its way. */
  report(): void {
    const { exchange } = this
    this.exchange = null
    if (exchange === null) return
    const { handler } = this.#owner
    if (this.#failure !== null) handler.onUpstreamFailed(exchange, this.#failure)
    else handler.onResponse(exchange, new BoltReply(Status.Success, '', NO_BYTES), true)
  }

  /** Reports what the answer `start…end` of a call means for the operation behind it. */
  answerCall(
    call: BoltCall,
    exchange: Exchange,
    response: BoltResponse,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const { handler } = this.#owner
    const answer = call.answer(response, bytes, start, end)
    if (answer instanceof GatewayError) {
      handler.onUpstreamFailed(exchange, answer)
      return
    }
    const { body } = answer
    handler.onResponse(exchange, answer, body.length === 0)
    if (body.length > 0) handler.onResponseBody(exchange, body, 0, body.length, true)
  }

  #sendWhole(exchange: Exchange, bytes: Buffer, offset: number, end: number): void {
    if (this.#source !== null) this.#forward(exchange, this.#source, bytes, offset, end)
    else if (this.call !== null) this.#sendCall(exchange, this.call, bytes, offset, end)
  }

  #forward(exchange: Exchange, request: BoltRequest, bytes: Buffer, offset: number, end: number): void {
    this.#source = null
    this.#pieces = null
    const failure = this.#refusal(exchange, request)
    if (failure !== null) {
      this.#failLater(new GatewayError(failure))
      return
    }
    const translation = exchange.route?.translation ?? null
    if (translation !== null) rename(request, translation)
    this.isOneWay = request.isOneWay
    this.#owner.begin(this, request.proto)
    if (this.proto === request.proto) {
      this.crcVersion = request.crcVersion
      this.switchByte = request.switchByte
    }
    const { wire } = this.#owner
    const timeoutMs =
      request.isOneWay && request.timeoutMs <= 0 ? request.timeoutMs : this.#timeoutMs(exchange, request)
    const type = request.isOneWay ? FrameType.OneWay : FrameType.Request
    writeForwarded(wire, request, type, this, timeoutMs, bytes, offset, end)
    if (!request.isOneWay) return
    this.#owner.close(this)
    this.#owner.reportLater(this)
  }

  #sendCall(exchange: Exchange, call: BoltCall, bytes: Buffer, offset: number, end: number): void {
    this.#pieces = null
    const { request } = exchange
    const refusal = this.#refusal(exchange, request)
    const { app, wire, maxFrameBytes } = this.#owner
    const failure =
      refusal === null ? call.encode(exchange, app, bytes, offset, end) : new GatewayError(refusal)
    if (failure !== null) {
      this.#failLater(failure)
      return
    }
    if (call.frameLimit > maxFrameBytes) {
      this.#failTooLong(call.frameLimit)
      return
    }
    this.#owner.begin(this, Proto.V1)
    call.write(wire, this, this.#timeoutMs(exchange, request))
  }

  /** Why the request cannot be sent; null when it can. */
  #refusal(exchange: Exchange, request: RequestHead): ErrorCode | null {
    if (this.#owner.isOver) return 'UPSTREAM_REFUSED'
    const { budgetMs } = request
    return budgetMs > 0 && budgetMs <= this.#owner.wire.now() - exchange.startMs ? 'DEADLINE_EXCEEDED' : null
  }

  /** What is left of the caller's budget and of our own deadline, whichever is nearer; what the caller said when there is neither. */
  #timeoutMs(exchange: Exchange, request: RequestHead): number {
    const now = this.#owner.wire.now()
    const { budgetMs } = request
    let left = budgetMs > 0 ? budgetMs - (now - exchange.startMs) : Infinity
    if (exchange.deadlineMs > 0) left = Math.min(left, exchange.deadlineMs - now)
    if (left === Infinity) return request instanceof BoltRequest ? request.timeoutMs : -1
    return Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.floor(left)))
  }

  #failTooLong(length: number): void {
    const detail = `the request to the business process is ${length} bytes, above ${this.#owner.maxFrameBytes}`
    this.#failLater(new GatewayError('BODY_TOO_LARGE', detail))
  }

  #failLater(failure: GatewayError): void {
    this.#source = null
    this.#pieces = null
    this.#failure = failure
    this.#owner.close(this)
    this.#owner.reportLater(this)
  }
}

/** Sends the request to another service. The header block decides: what the content says is not looked at by SOFARPC. */
function rename(request: BoltRequest, translation: Translation): void {
  const { service, version, group } = translation
  if (service === '' && version === '' && group === '') return
  const name = uniqueName(service || request.service, version || request.version, group || request.group)
  const { headers } = request
  headers.set(Key.Service, name)
  if (headers.has(Key.TargetService)) headers.set(Key.TargetService, name)
}
