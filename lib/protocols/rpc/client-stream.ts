/** The business process's half of one exchange, of a protocol whose request is one frame. */
import type { UpstreamHandler, UpstreamStream, Wire } from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../core/message.ts'
import { Pieces } from './pieces.ts'

const NO_BYTES = Buffer.alloc(0)

/** What a stream needs from the connection it belongs to. */
export interface RpcClientStreamOwner {
  readonly wire: Wire
  readonly handler: UpstreamHandler
  /** Nothing may be sent any more. */
  readonly isOver: boolean
  /** Own application, told as the caller of translated operations. */
  readonly app: string
  /** Longest frame that may be sent. */
  readonly maxFrameBytes: number
  /** Takes the stream out. */
  closeStream(stream: RpcClientStream): void
  /** Has `stream.report()` called when the running call is over. */
  reportLater(stream: RpcClientStream): void
}

/** See {@link UpstreamStream}. A frame needs its length first, so nothing is written before the content is whole. */
export abstract class RpcClientStream<Owner extends RpcClientStreamOwner = RpcClientStreamOwner>
  implements UpstreamStream
{
  readonly isReused: boolean
  /** 0 before the request was written. */
  id = 0
  isClosed = false
  /** Null once nobody waits for events any more. */
  exchange: Exchange | null
  protected readonly owner: Owner
  /** Given, and waiting for its content. */
  #request: RequestHead | null = null
  #pieces: Pieces | null = null
  /** What {@link RpcClientStream.report} tells. */
  #failure: GatewayError | null = null

  protected constructor(owner: Owner, exchange: Exchange, isReused: boolean) {
    this.owner = owner
    this.exchange = exchange
    this.isReused = isReused
  }

  /** Looks at a request whose content follows. Returns why it cannot be sent, null when it can. */
  protected abstract prepare(exchange: Exchange, request: RequestHead): GatewayError | null
  /** Writes the frame, or calls {@link RpcClientStream.endLater}. */
  protected abstract send(
    exchange: Exchange,
    request: RequestHead,
    bytes: Buffer,
    offset: number,
    end: number,
  ): void
  /** What a request is answered with that the business process does not answer. */
  protected abstract oneWayAnswer(): ResponseHead

  /** Always: a request is sent as a whole. The connection opens no streams while its peer takes no output. */
  get isWritable(): boolean {
    return true
  }

  sendRequest(request: RequestHead, last: boolean): void {
    const { exchange } = this
    if (exchange === null || this.isClosed) return
    const failure = this.prepare(exchange, request)
    if (failure !== null) {
      this.endLater(failure)
      return
    }
    this.#request = request
    if (last) this.sendBody(NO_BYTES, 0, 0, true)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (this.#request === null || this.isClosed) return
    if (last && this.#pieces === null) {
      this.#sendWhole(bytes, offset, end)
      return
    }
    this.#pieces ??= new Pieces()
    if (this.#pieces.length + end - offset > this.owner.maxFrameBytes) {
      this.endLater(this.tooLong(this.#pieces.length + end - offset))
      return
    }
    this.#pieces.push(bytes, offset, end)
    if (!last) return
    const whole = this.#pieces.take()
    this.#sendWhole(whole, 0, whole.length)
  }

  #sendWhole(bytes: Buffer, offset: number, end: number): void {
    const { exchange } = this
    const request = this.#request
    this.#request = null
    this.#pieces = null
    if (exchange !== null && request !== null) this.send(exchange, request, bytes, offset, end)
  }

  /** These protocols have no trailers: the request just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BYTES, 0, 0, true)
  }

  /** Nothing on the wire tells the peer: it goes on, and its answer is dropped. */
  cancel(): void {
    this.exchange = null
    this.#close()
  }

  /** An answer is here as a whole: there is nothing to hold back. */
  pause(): void {}
  resume(): void {}

  /** The connection is gone, or the answer cannot be read. */
  fail(error: GatewayError): void {
    const { exchange } = this
    this.exchange = null
    this.#close()
    if (exchange !== null) this.owner.handler.onUpstreamFailed(exchange, error)
  }

  /** Tells what happened while the dispatcher was calling us: a failure, or that a request without an answer is on its way. */
  report(): void {
    const { exchange } = this
    this.exchange = null
    if (exchange === null) return
    const { handler } = this.owner
    if (this.#failure !== null) handler.onUpstreamFailed(exchange, this.#failure)
    else handler.onResponse(exchange, this.oneWayAnswer(), true)
  }

  /** Ends the stream with a failure, or, when it is null, because nobody answers what was sent. */
  protected endLater(failure: GatewayError | null): void {
    this.#failure = failure
    this.#close()
    this.owner.reportLater(this)
  }

  /** The failure of a request that takes `length` bytes. */
  protected tooLong(length: number): GatewayError {
    const detail = `the request to the business process is ${length} bytes, above ${this.owner.maxFrameBytes}`
    return new GatewayError('BODY_TOO_LARGE', detail)
  }

  #close(): void {
    this.#request = null
    this.#pieces = null
    if (!this.isClosed) this.owner.closeStream(this)
  }
}
