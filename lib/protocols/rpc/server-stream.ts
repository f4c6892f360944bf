/** The caller's half of one exchange, of a protocol whose response is one frame. */
import type { DownstreamStream, LocalReply, Wire } from '../../core/codec.ts'
import type { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import { Pieces } from './pieces.ts'

const NO_BYTES = Buffer.alloc(0)

/** What a stream needs from the connection it belongs to. */
export interface RpcServerStreamOwner {
  readonly wire: Wire
  /** Nothing may be sent any more. */
  readonly isOver: boolean
  /** True when an answer of that many bytes more may wait for the caller. */
  mayQueue(length: number): boolean
  /** The caller takes too little of its answers: the connection is cut off. */
  onQueueFull(): void
  /** The exchange is over. */
  onExchangeOver(stream: RpcServerStream): void
}

/**
 * See {@link DownstreamStream}. A frame needs its length first, so nothing is written before the content is whole: a
 * response that cannot be completed is still replaced by a refusal.
 */
export abstract class RpcServerStream implements DownstreamStream {
  /** Place among the connection's streams. Written by the connection. */
  index = 0
  /** Null once the exchange is over. */
  exchange: Exchange | null = null
  protected readonly owner: RpcServerStreamOwner
  /** Nothing is sent any more: the answer is out, or nobody waits for one. */
  protected isAnswered: boolean
  /** Given, and waiting for its content. */
  #response: ResponseHead | null = null
  #pieces: Pieces | null = null

  protected constructor(owner: RpcServerStreamOwner, isOneWay: boolean) {
    this.owner = owner
    this.isAnswered = isOneWay
  }

  /** Writes the frame of an answer whose content is `offset…end`. */
  protected abstract write(response: ResponseHead, bytes: Buffer, offset: number, end: number): void
  abstract errorReply(error: GatewayError): LocalReply
  abstract localReply(status: number, resultCode: number, body: Buffer): LocalReply

  /** Always: answers are whole, so no source can be slowed down. A caller that does not read is not read either. */
  get isWritable(): boolean {
    return true
  }

  sendInformational(): void {}

  sendResponse(response: ResponseHead, last: boolean): void {
    if (last) this.answer(response, NO_BYTES, 0, 0)
    else this.#response = response
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    const response = this.#response
    if (response === null || !this.mayAnswer) return
    if (last && this.#pieces === null) {
      this.answer(response, bytes, offset, end)
      return
    }
    this.#pieces ??= new Pieces()
    this.#pieces.push(bytes, offset, end)
    if (!last) return
    const whole = this.#pieces.take()
    this.answer(response, whole, 0, whole.length)
  }

  /** These protocols have no trailers: the response just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BYTES, 0, 0, true)
  }

  /** Nothing of the answer is out before all of it is here: the failure is told in its place. */
  reset(error: GatewayError): void {
    if (!this.mayAnswer) return
    const reply = this.errorReply(error)
    this.answer(reply, reply.body, 0, reply.body.length)
  }

  /** A request is here as a whole: there is nothing to hold back. */
  pause(): void {}
  resume(): void {}

  finish(): void {
    if (this.exchange === null) return
    this.exchange = null
    this.#response = null
    this.#pieces = null
    this.owner.onExchangeOver(this)
  }

  /** True until the answer is out, if somebody waits for one. */
  protected get mayAnswer(): boolean {
    return !this.isAnswered && !this.owner.isOver
  }

  /** Writes the answer, unless there is one or nobody waits for it. */
  protected answer(response: ResponseHead, bytes: Buffer, offset: number, end: number): void {
    if (!this.mayAnswer) return
    this.isAnswered = true
    if (!this.owner.mayQueue(end - offset)) this.owner.onQueueFull()
    else this.write(response, bytes, offset, end)
  }
}
