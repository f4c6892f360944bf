/** The caller's half of one exchange. */
import type { DownstreamHandler, DownstreamStream } from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import { type Exchange, ExchangeState } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import { Code } from './constants.ts'
import { writeResponse } from './encode-response.ts'
import type { Outbound } from './outbound.ts'
import type { MmtpRequest } from './request.ts'
import { MmtpResponse, OutgoingResponse, refusal } from './response.ts'
import { cancelCode, status } from './status.ts'
import { MmtpStream, type StreamFailure } from './stream.ts'

const NO_BODY = Buffer.alloc(0)

/** What a stream needs from the connection it belongs to. */
export interface ServerStreamOwner {
  readonly out: Outbound
  readonly handler: DownstreamHandler
  /** END went out, or something waits: looks whether the stream is over. */
  onSent(stream: MmtpStream): void
  watchStall(stream: MmtpStream): void
  closeStream(stream: MmtpStream): void
  release(stream: MmtpStream): void
  /** The exchange is over. */
  onExchangeOver(stream: ServerStream): void
}

/** See {@link DownstreamStream}. Its place among the connection's streams is kept until the exchange is over, even when the caller cancelled. */
export class ServerStream extends MmtpStream implements DownstreamStream {
  declare readonly isOneWay: boolean
  /** Null once the exchange is over. */
  exchange: Exchange | null = null
  readonly #owner: ServerStreamOwner
  readonly #request: MmtpRequest
  /** The response that is being sent, when it came over Mmtp: it knows which frames had a checksum. */
  #source: MmtpResponse | null = null

  constructor(
    id: number,
    owner: ServerStreamOwner,
    request: MmtpRequest,
    sendWindow: number,
    receiveWindow: number,
  ) {
    super(sendWindow, receiveWindow)
    this.id = id
    this.isOneWay = request.isOneWay
    this.hasReceivedHead = true
    this.#owner = owner
    this.#request = request
  }

  get usesCrc(): boolean {
    return this.#source?.hasCrc === true
  }

  get isWritable(): boolean {
    return this.waiting === null && this.#owner.out.isWritable
  }

  sendInformational(): void {}

  sendResponse(response: ResponseHead, last: boolean): void {
    if (this.isClosed || this.isOneWay || this.hasSentHead || this.exchange === null) return
    const cancel = response instanceof OutgoingResponse ? response.cancel : Code.None
    if (cancel !== Code.None) {
      this.#cancel(cancel)
      return
    }
    this.hasSentHead = true
    this.#source = response instanceof MmtpResponse ? response : null
    const { out } = this.#owner
    const isTooLong = response.bodyLength > out.peer.maxMessage
    if (isTooLong || !writeResponse(out, this, this.exchange, response, last)) {
      // What the caller cannot take is replaced by the refusal that says so; the body that follows is dropped.
      if (response.statusKind === 'result') response.status = status.BODY_TOO_LARGE
      this.#source = null
      writeResponse(out, this, this.exchange, refusal('BODY_TOO_LARGE', false, 0), true)
    }
    if (this.hasSentEnd) this.#owner.onSent(this)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    // The end may be given already: a short answer goes out whole, with its head.
    if (this.isClosed || !this.hasSentHead || this.isEndGiven) return
    const { out } = this.#owner
    if (this.messageBytes + end - offset > out.peer.maxMessage) {
      this.#cancel(Code.TooLarge)
      return
    }
    out.sendBody(this, bytes, offset, end, last)
    if (this.hasSentEnd) this.#owner.onSent(this)
    else if (this.waiting !== null) this.#owner.watchStall(this)
  }

  /** Mmtp has no trailers: the response just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BODY, 0, 0, true)
  }

  errorReply(error: GatewayError): OutgoingResponse {
    return refusal(error.code, error.retry === 'unsent', error.retryAfterMs, error.callerMessage)
  }

  localReply(_status: number, resultCode: number, body: Buffer): OutgoingResponse {
    return new OutgoingResponse(resultCode, body)
  }

  reset(error: GatewayError): void {
    if (!this.isClosed) this.#cancel(cancelCode(error.code))
  }

  pause(): void {
    if (!this.isClosed) this.isPaused = true
  }

  resume(): void {
    if (this.isPaused) this.#owner.release(this)
  }

  finish(): void {
    if (this.exchange === null) return
    if (!this.isClosed) {
      if (this.isOneWay) this.#owner.closeStream(this)
      else if (!this.isEndGiven) this.#cancel(Code.Internal)
      else if (this.isPaused) this.#owner.release(this)
    }
    // Only now: whoever closes the stream sees that its place is still in use, and the place is given up once.
    this.exchange = null
    this.#source = null
    this.#owner.onExchangeOver(this)
  }

  deliver(bytes: Buffer, offset: number, end: number, last: boolean, hasCrc: boolean): void {
    const { exchange } = this
    if (exchange === null) return
    this.#request.hasCrc = hasCrc
    this.#owner.handler.onRequestBody(exchange, bytes, offset, end, last)
    if (last && this.isOneWay) this.#owner.closeStream(this)
  }

  fail(reason: StreamFailure, detail: string): void {
    const { exchange } = this
    if (exchange === null) return
    const code = reason.kind === 'broken' ? 'BAD_REQUEST' : 'DOWNSTREAM_GONE'
    this.#owner.handler.onDownstreamFailed(exchange, new GatewayError(code, detail), false)
  }

  drained(): void {
    const { exchange } = this
    if (exchange !== null && exchange.state !== ExchangeState.Finished)
      this.#owner.handler.onDownstreamDrain(exchange)
  }

  #cancel(code: Code): void {
    if (!this.isOneWay) this.#owner.out.sendCancel(this.id, code)
    this.#owner.closeStream(this)
  }
}
