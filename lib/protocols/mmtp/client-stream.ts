/** The business process's half of one exchange. */
import type { UpstreamHandler, UpstreamStream } from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { type Exchange, ExchangeState } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import { Code } from './constants.ts'
import type { Outbound } from './outbound.ts'
import { MmtpRequest, OutgoingRequest } from './request.ts'
import { type MmtpResponse, OutgoingResponse } from './response.ts'
import { upstreamError } from './status.ts'
import { MmtpStream, type StreamFailure } from './stream.ts'

const NO_BODY = Buffer.alloc(0)
const SUCCESS = 1000

/** What a stream needs from the connection it belongs to. */
export interface ClientStreamOwner {
  readonly out: Outbound
  readonly handler: UpstreamHandler
  /** Gives the stream its id and writes the head. Returns the failure when that is not possible. */
  begin(stream: ClientStream, exchange: Exchange, request: RequestHead, last: boolean): ErrorCode | null
  onSent(stream: MmtpStream): void
  watchStall(stream: MmtpStream): void
  closeStream(stream: MmtpStream): void
  release(stream: MmtpStream): void
  /** Has `stream.report()` called when the running call is over. */
  reportLater(stream: ClientStream): void
}

/** See {@link UpstreamStream}. */
export class ClientStream extends MmtpStream implements UpstreamStream {
  declare readonly isReused: boolean
  /** Null once nobody waits for events any more. */
  declare exchange: Exchange | null
  /** The response whose body arrives. */
  response: MmtpResponse | null = null
  readonly #owner: ClientStreamOwner
  /** The request that is being sent, when it came over Mmtp: it knows which frames had a checksum. */
  #source: MmtpRequest | null = null
  #mayBeOneWay = false
  /** What {@link ClientStream.report} tells. */
  #failure: GatewayError | null = null

  constructor(owner: ClientStreamOwner, exchange: Exchange, isReused: boolean, receiveWindow: number) {
    super(0, receiveWindow)
    this.#owner = owner
    this.exchange = exchange
    this.isReused = isReused
  }

  get usesCrc(): boolean {
    return this.#source?.hasCrc === true
  }

  /** True while the request may still become one that wants no answer: its end has to lie in its first frame. */
  get isOneWay(): boolean {
    return this.#mayBeOneWay
  }

  get isWritable(): boolean {
    return this.waiting === null && this.#owner.out.isWritable
  }

  sendRequest(request: RequestHead, last: boolean): void {
    const { exchange } = this
    if (exchange === null || this.hasSentHead || this.isClosed) return
    this.#source = request instanceof MmtpRequest ? request : null
    this.#mayBeOneWay =
      (request instanceof MmtpRequest || request instanceof OutgoingRequest) && request.isOneWay
    const isTooLong = request.bodyLength > this.#owner.out.peer.maxMessage
    const failure = isTooLong ? 'BODY_TOO_LARGE' : this.#owner.begin(this, exchange, request, last)
    if (failure !== null) {
      this.#failLater(new GatewayError(failure, 'the business process cannot take the request'))
      return
    }
    if (last) this.#ended(this.#mayBeOneWay)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (this.isClosed || !this.hasSentHead) return
    const { out } = this.#owner
    if (this.messageBytes + end - offset > out.peer.maxMessage) {
      this.#cancel(Code.Cancelled)
      this.#failLater(
        new GatewayError(
          'BODY_TOO_LARGE',
          `above MAX_MESSAGE ${out.peer.maxMessage} of the business process`,
        ),
      )
      return
    }
    const framesBefore = this.messageBytes === 0 ? out.dataFrames : -1
    out.sendBody(this, bytes, offset, end, last)
    // A DATA frame shows that the head went out as that of an ordinary request.
    if (out.dataFrames !== framesBefore) this.#mayBeOneWay = false
    if (this.hasSentEnd) this.#ended(this.#mayBeOneWay)
    else if (this.waiting !== null) this.#owner.watchStall(this)
  }

  /** Mmtp has no trailers: the request just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BODY, 0, 0, true)
  }

  cancel(): void {
    this.exchange = null
    this.#source = null
    if (this.isClosed) return
    if (this.hasSentHead) this.#cancel(Code.Cancelled)
    else this.#owner.closeStream(this)
  }

  pause(): void {
    if (!this.isClosed) this.isPaused = true
  }

  resume(): void {
    if (this.isPaused) this.#owner.release(this)
  }

  deliver(bytes: Buffer, offset: number, end: number, last: boolean, hasCrc: boolean): void {
    const { exchange, response } = this
    if (last) {
      this.exchange = null
      this.#owner.closeStream(this)
    }
    if (exchange === null || response === null) return
    response.hasCrc = hasCrc
    this.#owner.handler.onResponseBody(exchange, bytes, offset, end, last)
  }

  fail(reason: StreamFailure, detail: string): void {
    const { exchange } = this
    this.exchange = null
    if (exchange !== null) this.#owner.handler.onUpstreamFailed(exchange, failureOf(reason, detail))
  }

  drained(): void {
    const { exchange } = this
    if (exchange !== null && exchange.state !== ExchangeState.Finished)
      this.#owner.handler.onUpstreamDrain(exchange)
  }

  /** Tells what happened while the dispatcher was calling us. */
  report(): void {
    const { exchange } = this
    this.exchange = null
    if (exchange === null) return
    if (this.#failure !== null) this.#owner.handler.onUpstreamFailed(exchange, this.#failure)
    else this.#owner.handler.onResponse(exchange, new OutgoingResponse(SUCCESS, NO_BODY), true)
  }

  /** The request is complete on the wire. One without an answer gets an empty success from us, so that its exchange ends. */
  #ended(isOneWay: boolean): void {
    this.#source = null
    if (!isOneWay) return
    this.#owner.closeStream(this)
    this.#owner.reportLater(this)
  }

  #failLater(failure: GatewayError): void {
    this.#failure = failure
    this.#owner.closeStream(this)
    this.#owner.reportLater(this)
  }

  #cancel(code: Code): void {
    this.#owner.out.sendCancel(this.id, code)
    this.#owner.closeStream(this)
  }
}

function failureOf(reason: StreamFailure, detail: string): GatewayError {
  switch (reason.kind) {
    case 'cancelled':
      return upstreamError(reason.code, detail)
    case 'broken':
      return new GatewayError('UPSTREAM_PROTOCOL', detail)
    case 'refused':
      return new GatewayError('UPSTREAM_REFUSED', detail)
    case 'stalled':
      return new GatewayError('UPSTREAM_TIMEOUT', detail)
    case 'too-large':
      return new GatewayError('UPSTREAM_PROTOCOL', detail)
    default:
      return new GatewayError(reason.code === Code.None ? 'UPSTREAM_RESET' : 'UPSTREAM_PROTOCOL', detail)
  }
}
