/** The caller's half of one exchange. */
import type { DownstreamStream, Wire } from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import { FrameType, Serializer, Status, sendableStatus } from './constants.ts'
import { writeBare, writeForwarded, writeOwn } from './encoder.ts'
import { Pieces } from './pieces.ts'
import type { BoltRequest } from './request.ts'
import { BoltReply, BoltResponse } from './response.ts'
import { answerTo, localAnswer } from './status.ts'

const NO_BYTES = Buffer.alloc(0)

/** What a stream needs from the connection it belongs to. */
export interface ServerStreamOwner {
  readonly wire: Wire
  /** Nothing may be sent any more. */
  readonly isOver: boolean
  /** The exchange is over. */
  onExchangeOver(stream: BoltServerStream): void
}

/**
 * See {@link DownstreamStream}. A frame needs its length first, so nothing is written before the content is whole: a
 * response that cannot be completed is still replaced by a refusal.
 */
export class BoltServerStream implements DownstreamStream {
  /** Place among the connection's streams. Written by the connection. */
  index = 0
  /** Null once the exchange is over. */
  exchange: Exchange | null = null
  readonly #owner: ServerStreamOwner
  readonly #request: BoltRequest
  #response: ResponseHead | null = null
  #pieces: Pieces | null = null
  #isAnswered: boolean

  constructor(owner: ServerStreamOwner, request: BoltRequest) {
    this.#owner = owner
    this.#request = request
    this.#isAnswered = request.isOneWay
  }

  /** Always: answers are whole, so no source can be slowed down. A caller that does not read is not read either. */
  get isWritable(): boolean {
    return true
  }

  sendInformational(): void {}

  sendResponse(response: ResponseHead, last: boolean): void {
    if (this.#isAnswered || this.#owner.isOver) return
    if (last) this.#write(response, NO_BYTES, 0, 0)
    else this.#response = response
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    const response = this.#response
    if (response === null || this.#isAnswered || this.#owner.isOver) return
    if (last && this.#pieces === null) {
      this.#write(response, bytes, offset, end)
      return
    }
    this.#pieces ??= new Pieces()
    this.#pieces.push(bytes, offset, end)
    if (!last) return
    const whole = this.#pieces.take()
    this.#write(response, whole, 0, whole.length)
  }

  /** Bolt has no trailers: the response just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BYTES, 0, 0, true)
  }

  errorReply(error: GatewayError): BoltReply {
    return answerTo(error)
  }

  localReply(httpStatus: number, _resultCode: number, body: Buffer): BoltReply {
    return localAnswer(httpStatus, body)
  }

  reset(error: GatewayError): void {
    if (!this.#isAnswered && !this.#owner.isOver) this.#writeReply(answerTo(error))
  }

  /** A request is here as a whole: there is nothing to hold back. */
  pause(): void {}
  resume(): void {}

  finish(): void {
    if (this.exchange === null) return
    if (!this.#isAnswered && !this.#owner.isOver)
      this.#writeReply(new BoltReply(Status.Unknown, '', NO_BYTES))
    this.exchange = null
    this.#response = null
    this.#pieces = null
    this.#owner.onExchangeOver(this)
  }

  #write(response: ResponseHead, bytes: Buffer, offset: number, end: number): void {
    if (response instanceof BoltResponse) {
      this.#isAnswered = true
      const status = sendableStatus(response.status)
      writeForwarded(
        this.#owner.wire,
        response,
        FrameType.Response,
        this.#request,
        status,
        bytes,
        offset,
        end,
      )
    } else if (response instanceof BoltReply) this.#writeReply(response, bytes, offset, end)
    else {
      const detail = `an answer with a status of kind ${response.statusKind} cannot become a Bolt response`
      this.#writeReply(answerTo(new GatewayError('FEATURE_UNSUPPORTED', detail)))
    }
  }

  #writeReply(reply: BoltReply, bytes: Buffer = reply.body, offset = 0, end = bytes.length): void {
    this.#isAnswered = true
    const { wire } = this.#owner
    const request = this.#request
    const { className, headers } = reply
    const code = sendableStatus(reply.status)
    if (className === '' && end === offset && headers.added === null) {
      writeBare(wire, request, request.serializer, code)
      return
    }
    const { Response } = FrameType
    writeOwn(wire, Response, request, Serializer.Hessian, code, className, headers, bytes, offset, end)
  }
}
