/** The caller's half of one exchange. */
import type { DownstreamHandler, DownstreamStream, Wire } from '../../core/codec.ts'
import type { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import { Flag, Status } from './constants.ts'
import { sendFrame } from './encode.ts'
import { Pieces } from './pieces.ts'
import type { DubboRequest } from './request.ts'
import { DubboReply, DubboResponse } from './response.ts'
import { errorText, status } from './status.ts'
import { errorBody, valueBody } from './text-body.ts'

const NO_BODY = Buffer.alloc(0)
const FIRST_REFUSAL = 400

/** What a stream needs from the connection it belongs to. */
export interface ServerStreamOwner {
  readonly wire: Wire
  readonly handler: DownstreamHandler
  /** True once nothing may be sent any more. */
  readonly isOver: boolean
  /** The exchange is over. */
  onExchangeOver(stream: ServerStream): void
}

/** See {@link DownstreamStream}. Its frame goes out with the last piece of its body. */
export class ServerStream implements DownstreamStream {
  /** Counts the requests of the connection; the caller's own ids may repeat. */
  readonly id: number
  /** Null once the exchange is over. */
  exchange: Exchange | null = null
  readonly #owner: ServerStreamOwner
  readonly #request: DubboRequest
  readonly #idHigh: number
  readonly #idLow: number
  /** Given, and waiting for its body. */
  #response: ResponseHead | null = null
  #pieces: Pieces | null = null
  #isAnswered: boolean

  constructor(id: number, owner: ServerStreamOwner, request: DubboRequest, idHigh: number, idLow: number) {
    this.id = id
    this.#owner = owner
    this.#request = request
    this.#idHigh = idHigh
    this.#idLow = idLow
    // Nobody waits for the answer of a one-way request.
    this.#isAnswered = request.isOneWay
  }

  get isWritable(): boolean {
    return this.#owner.wire.isWritable
  }

  sendInformational(): void {}

  sendResponse(response: ResponseHead, last: boolean): void {
    if (this.#isAnswered || this.#owner.isOver) return
    this.#response = response
    if (last) this.onBody(NO_BODY, 0, 0)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (this.#response === null) return
    if (last && this.#pieces === null) this.onBody(bytes, offset, end)
    else {
      this.#pieces ??= new Pieces()
      this.#pieces.add(bytes, offset, end, last, this)
    }
  }

  /** Dubbo has no trailers: the response just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BODY, 0, 0, true)
  }

  errorReply(error: GatewayError): DubboReply {
    // Rules on attachments that could not be read matched nothing: that is the caller's fault, not the route's.
    const isBroken = error.code === 'NO_ROUTE' && this.#request.isBroken
    const code = isBroken ? Status.BadRequest : status[error.code]
    const { serialization } = this.#request
    return new DubboReply(code, serialization, errorBody(serialization, errorText(error)))
  }

  localReply(httpStatus: number, _resultCode: number, body: Buffer): DubboReply {
    const { serialization } = this.#request
    const text = body.toString()
    if (httpStatus < FIRST_REFUSAL)
      return new DubboReply(Status.Ok, serialization, valueBody(serialization, text))
    const reason = text === '' ? `meshgate: refused with ${httpStatus}` : text
    return new DubboReply(Status.ServiceError, serialization, errorBody(serialization, reason))
  }

  /** Nothing of the answer is out before all of it is here: the failure is told in its place. */
  reset(error: GatewayError): void {
    if (this.#isAnswered || this.#owner.isOver) return
    const reply = this.errorReply(error)
    this.#response = reply
    this.onBody(reply.body, 0, reply.body.length)
  }

  pause(): void {}
  resume(): void {}

  finish(): void {
    if (this.exchange === null) return
    this.exchange = null
    this.#response = null
    this.#pieces = null
    this.#owner.onExchangeOver(this)
  }

  /** The body is whole: writes the frame. */
  onBody(bytes: Buffer, offset: number, end: number): void {
    const response = this.#response as ResponseHead
    this.#response = null
    this.#isAnswered = true
    if (response instanceof DubboResponse) this.#forward(response, bytes, offset, end)
    else if (response instanceof DubboReply) {
      this.#send(response.serialization, response.status, bytes, offset, end)
    } else {
      const body = errorBody(this.#request.serialization, 'meshgate: the answer is no Dubbo response')
      this.#send(this.#request.serialization, Status.BadResponse, body, 0, body.length)
    }
  }

  #forward(response: DubboResponse, bytes: Buffer, offset: number, end: number): void {
    const flag = response.flag & Flag.Serialization
    let headers = response.changedHeaders
    if (headers !== null && this.exchange !== null && this.exchange.responseBody !== null) {
      // A filter gave the body: it need not be the one whose attachments were found.
      const whole = new DubboResponse(flag, response.status, bytes, offset, end)
      headers.repeatOn(whole.headers)
      headers = whole.changedHeaders
    }
    const { wire } = this.#owner
    sendFrame(wire, flag, response.status, this.#idHigh, this.#idLow, bytes, offset, end, headers, null)
  }

  #send(flag: number, code: number, bytes: Buffer, offset: number, end: number): void {
    sendFrame(this.#owner.wire, flag, code, this.#idHigh, this.#idLow, bytes, offset, end, null, null)
  }
}
