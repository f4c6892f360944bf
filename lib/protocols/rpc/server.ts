/** The accepting side of a connection: its running exchanges, when it reads, and how it ends. */
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { Exchange, ExchangeState } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import { RpcConnection, type RpcTraits } from './connection.ts'
import type { RpcServerStream, RpcServerStreamOwner } from './server-stream.ts'

/** Frames of the largest size that may wait for a caller that does not read. */
const MAX_QUEUED_FRAMES = 4

/** See the file's head. */
export abstract class RpcServer extends RpcConnection implements ServerCodec, RpcServerStreamOwner {
  protected readonly handler: DownstreamHandler
  protected readonly options: ServerCodecOptions
  readonly #context: ServerContext
  /** Running exchanges, in no order; each knows its place. */
  readonly #streams: RpcServerStream[] = []
  #isReadPaused = false
  #hasPeerEnded = false
  /** Monotonic milliseconds from which a drain may end, and at which it ends; the latter is 0 when there is none. */
  #drainQuietMs = 0
  #drainEndMs = 0

  protected constructor(
    wire: Wire,
    traits: RpcTraits,
    options: ServerCodecOptions,
    handler: DownstreamHandler,
    context: ServerContext,
  ) {
    super(wire, traits, options.maxFrameBytes)
    this.options = options
    this.handler = handler
    this.#context = context
  }

  /** Tells the peer to go elsewhere. Returns how long requests are awaited that it sent before it read that, in milliseconds. */
  protected abstract announceDrain(): number

  get activeExchanges(): number {
    return this.#streams.length
  }

  // — requests ———————————————————————————————————————————————————————————————————————————————————

  override onBytes(bytes: Buffer, offset: number, end: number): void {
    super.onBytes(bytes, offset, end)
    if (this.isOver || this.#isReadPaused || this.#mayRead()) return
    this.#isReadPaused = true
    this.wire.pauseRead()
  }

  /**
   * A caller that does not read its answers, or has very many calls under way, must not fill our memory. Callers know no
   * limit of calls: above it they are not refused but read later, once some are over. What one read brought is still served.
   */
  #mayRead(): boolean {
    return this.#streams.length < this.options.maxStreams && this.wire.isWritable
  }

  #resumeRead(): void {
    if (!this.#isReadPaused || this.isOver || !this.#mayRead()) return
    this.#isReadPaused = false
    this.wire.resumeRead()
  }

  onDrain(): void {
    this.#resumeRead()
  }

  /** Makes an exchange of a request whose content is `start…end`. */
  protected begin(
    request: RequestHead,
    stream: RpcServerStream,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const { listener, timeouts } = this.#context
    const exchange = new Exchange(request, stream, this.wire.peer, listener, this.receivedMs, timeouts)
    stream.exchange = exchange
    stream.index = this.#streams.push(stream) - 1
    const { handler } = this
    handler.onRequest(exchange, start === end)
    if (start !== end && exchange.state !== ExchangeState.Finished)
      handler.onRequestBody(exchange, bytes, start, end, true)
    if (exchange.state !== ExchangeState.Finished) request.retain()
  }

  mayQueue(length: number): boolean {
    const { wire } = this
    return wire.isWritable || wire.queuedBytes + length <= MAX_QUEUED_FRAMES * this.options.maxFrameBytes
  }

  // A frame cannot be sent in parts, and its source is shared with other callers: nothing can be slowed down for this one.
  onQueueFull(): void {
    if (this.isOver) return
    const detail = `the caller does not read its answers: ${this.wire.queuedBytes} bytes wait`
    this.handler.onProtocolError(new GatewayError('OVERLOADED', detail), this.wire.peer, 0)
    this.stop()
    this.wire.destroy()
    this.#failAll(detail)
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onExchangeOver(stream: RpcServerStream): void {
    const streams = this.#streams
    const last = streams.pop() as RpcServerStream
    if (last !== stream) {
      streams[stream.index] = last
      last.index = stream.index
    }
    if (this.#isReadPaused) this.#resumeRead()
    if (streams.length === 0) this.#closeIfDone()
  }

  onFault(detail: string): void {
    this.fail('BAD_REQUEST', detail, 0)
  }

  protected onOverdue(detail: string): void {
    this.fail('REQUEST_TIMEOUT', detail, 0)
  }

  /** Closes because the peer broke a rule; `status` is what it was told, 0 for nothing. */
  protected fail(code: ErrorCode, detail: string, status: number): void {
    if (this.isOver) return
    this.handler.onProtocolError(new GatewayError(code, detail), this.wire.peer, status)
    this.#close(`closed because of ${detail}`)
  }

  #failAll(detail: string): void {
    for (const { exchange } of this.#streams.slice()) {
      if (exchange !== null)
        this.handler.onDownstreamFailed(exchange, new GatewayError('DOWNSTREAM_GONE', detail), false)
    }
  }

  onEnd(): void {
    this.#hasPeerEnded = true
    this.deafen()
    this.#closeIfDone()
  }

  onClose(error: Error | null): void {
    this.stop()
    this.#failAll(error === null ? 'connection closed' : error.message)
  }

  #close(detail: string): void {
    this.stop()
    this.wire.close()
    this.#failAll(detail)
  }

  #closeIfDone(): void {
    if (this.isOver || this.#streams.length > 0) return
    const isDrained = this.#drainEndMs !== 0 && this.wire.now() >= this.#drainQuietMs
    if (this.#hasPeerEnded || isDrained) this.#close('done')
  }

  /** Requests that still come are served: a caller need not understand, or may not have read, that it should go elsewhere. */
  drain(graceMs: number): void {
    if (this.isOver || this.#drainEndMs !== 0) return
    const now = this.wire.now()
    this.#drainQuietMs = now + Math.min(this.announceDrain(), graceMs)
    this.#drainEndMs = now + graceMs
    this.watchTimes(now)
    this.#closeIfDone()
  }

  // — time ———————————————————————————————————————————————————————————————————————————————————————

  protected onTime(nowMs: number): void {
    if (this.#drainEndMs !== 0 && nowMs >= this.#drainEndMs) this.#close('the time to drain is over')
    else if (this.#streams.length === 0 && nowMs >= this.#idleAtMs) this.#close('idle')
    else this.#closeIfDone()
  }

  get #idleAtMs(): number {
    const { idleTimeoutMs } = this.options
    return idleTimeoutMs === 0 ? Infinity : this.receivedMs + idleTimeoutMs
  }

  protected watchTimes(nowMs: number): void {
    if (this.#drainEndMs !== 0)
      this.alarm.wakeAt(nowMs < this.#drainQuietMs ? this.#drainQuietMs : this.#drainEndMs)
    const { idleTimeoutMs } = this.options
    // While calls run the connection is in use, whatever the last byte was: look again later.
    if (idleTimeoutMs !== 0)
      this.alarm.wakeAt(this.#streams.length > 0 ? nowMs + idleTimeoutMs : this.#idleAtMs)
  }
}
