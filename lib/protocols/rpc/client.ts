/** The dialling side of a connection: opens streams and finds those that answers belong to. */
import { IdTable } from '../../buffer/id-table.ts'
import { Reports } from '../../buffer/reports.ts'
import type {
  ClientCodec,
  ClientCodecOptions,
  ClientOwner,
  UpstreamHandler,
  UpstreamStream,
  Wire,
} from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { type Exchange, ExchangeState } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import type { CallResponse } from './call-response.ts'
import type { RpcClientStream, RpcClientStreamOwner } from './client-stream.ts'
import { RpcConnection, type RpcTraits } from './connection.ts'

/** Ids of calls are odd, as `IdTable` likes them, and positive, as a Java `int` sees them. */
const ID_STEP = 2
const MAX_ID = 0x7fffffff

/** See the file's head. */
export abstract class RpcClient<Stream extends RpcClientStream>
  extends RpcConnection
  implements ClientCodec, RpcClientStreamOwner
{
  readonly handler: UpstreamHandler
  readonly app: string
  readonly maxFrameBytes: number
  activeStreams = 0
  isReusable = true
  /** Answers that nobody waits for: they came after their time, twice, or to an id that was never used. Dropped. */
  lateResponses = 0
  /** When the connection was last of use. */
  protected usedMs: number
  readonly #options: ClientCodecOptions
  readonly #owner: ClientOwner
  /** Milliseconds after which a connection of no use is closed; 0 is never. */
  readonly #idleTimeoutMs: number
  /** Streams whose request was sent, by id. */
  readonly #streams = new IdTable<Stream>()
  #lastId = -1
  #opened = 0
  /** Streams that have something to tell once the running call is over. */
  readonly #reports = new Reports()

  protected constructor(
    wire: Wire,
    traits: RpcTraits,
    options: ClientCodecOptions,
    idleTimeoutMs: number,
    handler: UpstreamHandler,
    owner: ClientOwner,
  ) {
    super(wire, traits, options.maxFrameBytes)
    this.handler = handler
    this.app = options.app
    this.maxFrameBytes = options.maxFrameBytes
    this.usedMs = this.receivedMs
    this.#options = options
    this.#owner = owner
    this.#idleTimeoutMs = idleTimeoutMs
  }

  protected abstract createStream(exchange: Exchange, isReused: boolean): Stream
  /** Sends a heartbeat if one is due, or gives a dead peer up. */
  protected abstract checkPeer(nowMs: number): void
  /** When to check again; `Infinity` for never. */
  protected abstract readonly nextCheckMs: number

  // — streams ————————————————————————————————————————————————————————————————————————————————————

  /** None while the peer takes no output: the requests would only pile up here. */
  get capacity(): number {
    if (!this.isReusable || !this.wire.isWritable) return 0
    return Math.max(0, this.#options.maxStreams - this.activeStreams)
  }

  open(exchange: Exchange): UpstreamStream {
    const stream = this.createStream(exchange, this.#opened > 0)
    this.activeStreams++
    this.#opened++
    this.usedMs = this.wire.now()
    if (this.#opened === this.#options.maxRequests) this.isReusable = false
    return stream
  }

  /** An id that no stream has. */
  protected takeId(): number {
    do this.#lastId = this.#lastId >= MAX_ID ? 1 : this.#lastId + ID_STEP
    while (this.#streams.get(this.#lastId) !== undefined)
    return this.#lastId
  }

  /** Lets the answer with the stream's id find it. */
  protected expectAnswer(stream: Stream): void {
    this.#streams.add(stream)
  }

  closeStream(stream: RpcClientStream): void {
    if (stream.isClosed) return
    stream.isClosed = true
    if (stream.id !== 0) this.#streams.delete(stream.id)
    const wasFull = this.capacity === 0
    this.activeStreams--
    // Room beside room is no news; a connection that drains is always full.
    if (!wasFull || this.isOver) return
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  reportLater(stream: RpcClientStream): void {
    this.#reports.later(stream)
  }

  // — answers ————————————————————————————————————————————————————————————————————————————————————

  /** The stream that waits for an answer with this id; null when none does. */
  protected awaited(id: number): Stream | null {
    const stream = this.#streams.get(id)
    if (stream !== undefined) {
      this.usedMs = this.receivedMs
      return stream
    }
    this.lateResponses++
    return null
  }

  /** Passes an answer on whose content is `start…end`. */
  protected pass(
    exchange: Exchange,
    response: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const { handler } = this
    handler.onResponse(exchange, response, start === end)
    if (start !== end && exchange.state !== ExchangeState.Finished)
      handler.onResponseBody(exchange, bytes, start, end, true)
    if (exchange.state !== ExchangeState.Finished) response.retain()
  }

  /** Tells what the answer of a call means for the operation behind it. */
  protected tell(exchange: Exchange, answer: CallResponse | GatewayError): void {
    if (answer instanceof GatewayError) this.handler.onUpstreamFailed(exchange, answer)
    else this.pass(exchange, answer, answer.body, 0, answer.body.length)
  }

  onFault(detail: string): void {
    this.fail('UPSTREAM_PROTOCOL', detail)
    this.wire.close()
  }

  protected onOverdue(detail: string): void {
    this.onFault(detail)
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onEnd(): void {
    if (this.isOver) return
    this.fail('UPSTREAM_RESET', 'the business process closed the connection')
    this.wire.close()
  }

  onDrain(): void {
    if (!this.isOver) this.#owner.onCapacity(this)
  }

  onClose(error: Error | null): void {
    this.fail('UPSTREAM_RESET', error === null ? 'connection closed' : error.message)
  }

  /** What runs is still answered. */
  drain(): void {
    if (this.isOver) return
    this.isReusable = false
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.isReusable || this.activeStreams > 0 || this.isOver) return
    this.stop()
    this.wire.close()
  }

  /** Nothing is read or sent any more, and every exchange that waits fails. */
  protected fail(code: ErrorCode, detail: string): void {
    if (this.isOver) return
    this.stop()
    for (const stream of this.#streams.values()) stream.fail(new GatewayError(code, detail))
    this.#owner.onCapacity(this)
  }

  protected override stop(): void {
    super.stop()
    this.isReusable = false
  }

  // — time ———————————————————————————————————————————————————————————————————————————————————————

  protected onTime(nowMs: number): void {
    if (this.activeStreams === 0 && nowMs >= this.#idleAtMs) this.drain()
    else this.checkPeer(nowMs)
  }

  get #idleAtMs(): number {
    return this.#idleTimeoutMs === 0 ? Infinity : this.usedMs + this.#idleTimeoutMs
  }

  protected watchTimes(nowMs: number): void {
    const { nextCheckMs } = this
    if (nextCheckMs !== Infinity) this.alarm.wakeAt(nextCheckMs)
    if (this.#idleTimeoutMs !== 0)
      this.alarm.wakeAt(this.activeStreams > 0 ? nowMs + this.#idleTimeoutMs : this.#idleAtMs)
  }
}
