/** The provider's role: takes requests, makes exchanges of them, and answers. */
import { IdTable } from '../../buffer/id-table.ts'
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import { Exchange, ExchangeState } from '../../core/exchange.ts'
import { Alarm } from './alarm.ts'
import { Flag, FRAME_TIMEOUT_MS, HEADER_LENGTH, Serialization } from './constants.ts'
import { FrameDecoder, type FrameSink } from './decoder.ts'
import { sendFrame } from './encode.ts'
import { answerEvent, ownSerialization, sendReadOnly } from './events.ts'
import { readU32 } from './frame.ts'
import { DubboRequest } from './request.ts'
import { ServerStream, type ServerStreamOwner } from './server-stream.ts'
import { errorText, status } from './status.ts'
import { errorBody } from './text-body.ts'

/** A peer that was told READONLY may have sent requests before it read that: the connection waits this long for them. */
const DRAIN_NOTICE_MS = 1_000
/** Ids are odd, as `IdTable` likes them; the next one behind the last begins anew. */
const LAST_ID = 0x7fff_fffd

/** See the file's head. */
export class DubboServer implements ServerCodec, FrameSink, ServerStreamOwner {
  readonly wire: Wire
  readonly handler: DownstreamHandler
  isOver = false
  readonly #options: ServerCodecOptions
  readonly #context: ServerContext
  readonly #decoder: FrameDecoder
  readonly #alarm: Alarm
  readonly #streams = new IdTable<ServerStream>()
  #nextId = 1
  #receivedMs: number
  /** Serialization of the last request. */
  #serialization: number = Serialization.Hessian2
  #isReadPaused = false
  #hasPeerEnded = false
  /** Monotonic milliseconds at which the connection may close and must close; 0 while it does not drain. */
  #drainQuietMs = 0
  #drainEndMs = 0

  constructor(wire: Wire, options: ServerCodecOptions, handler: DownstreamHandler, context: ServerContext) {
    this.wire = wire
    this.handler = handler
    this.#options = options
    this.#context = context
    this.#decoder = new FrameDecoder(this, options.maxFrameBytes)
    this.#alarm = new Alarm(wire)
    this.#receivedMs = wire.now()
    if (options.idleTimeoutMs > 0) this.#alarm.wakeAt(this.#receivedMs + options.idleTimeoutMs)
  }

  get activeExchanges(): number {
    return this.#streams.size
  }

  // — wire ———————————————————————————————————————————————————————————————————————————————————————

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.isOver) return
    this.#receivedMs = this.wire.now()
    this.#decoder.decode(bytes, offset, end, this.#receivedMs)
    if (this.isOver) return
    const { startedMs } = this.#decoder
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
    if (!this.#isReadPaused && !this.#mayRead) {
      this.#isReadPaused = true
      this.wire.pauseRead()
    }
  }

  /**
   * A peer that sends requests and does not read the answers must not fill our memory. Consumers know no limit of calls:
   * above it they are not refused but read later, once some are over. What one read brought is still served.
   */
  get #mayRead(): boolean {
    return this.#streams.size < this.#options.maxStreams && this.wire.isWritable
  }

  #resumeRead(): void {
    if (!this.#isReadPaused || this.isOver || !this.#mayRead) return
    this.#isReadPaused = false
    this.wire.resumeRead()
  }

  onDrain(): void {
    this.#resumeRead()
    for (const { exchange } of this.#streams.values()) {
      if (!this.wire.isWritable) return
      if (exchange !== null && exchange.state !== ExchangeState.Finished)
        this.handler.onDownstreamDrain(exchange)
    }
  }

  onEnd(): void {
    this.#hasPeerEnded = true
    this.#decoder.close()
    this.#closeIfDone()
  }

  onClose(error: Error | null): void {
    this.isOver = true
    this.#decoder.close()
    this.#alarm.stop()
    this.#failAll(error === null ? 'connection closed' : error.message)
  }

  // — frames —————————————————————————————————————————————————————————————————————————————————————

  onFrame(bytes: Buffer, at: number, end: number): void {
    const flag = bytes[at + 2] as number
    // Answers to nothing: this side asks no questions.
    if ((flag & Flag.Request) === 0) return
    if ((flag & Flag.Event) === 0) this.#onRequest(flag, bytes, at, end)
    else if ((flag & Flag.TwoWay) !== 0) answerEvent(this.wire, bytes, at, end)
  }

  #onRequest(flag: number, bytes: Buffer, at: number, end: number): void {
    const request = new DubboRequest(flag, bytes, at + HEADER_LENGTH, end)
    this.#serialization = request.serialization
    if (request.isMalformed) this.#refuse(request, bytes, at)
    else this.#begin(request, bytes, at, end)
  }

  /** Answers without an exchange. */
  #refuse(request: DubboRequest, bytes: Buffer, at: number): void {
    const detail = 'the body does not begin with protocol version, path, version, method and descriptor'
    const error = new GatewayError('BAD_REQUEST', detail)
    const { serialization, isOneWay } = request
    request.release()
    this.handler.onProtocolError(error, this.wire.peer, isOneWay ? 0 : status.BAD_REQUEST)
    if (isOneWay || this.isOver) return
    const body = errorBody(serialization, errorText(error))
    const idHigh = readU32(bytes, at + 4)
    const idLow = readU32(bytes, at + 8)
    sendFrame(this.wire, serialization, status.BAD_REQUEST, idHigh, idLow, body, 0, body.length, null, null)
  }

  #begin(request: DubboRequest, bytes: Buffer, at: number, end: number): void {
    const { listener, timeouts } = this.#context
    const stream = new ServerStream(
      this.#takeId(),
      this,
      request,
      readU32(bytes, at + 4),
      readU32(bytes, at + 8),
    )
    const exchange = new Exchange(request, stream, this.wire.peer, listener, this.wire.now(), timeouts)
    stream.exchange = exchange
    this.#streams.add(stream)
    const bodyAt = at + HEADER_LENGTH
    const isWhole = bodyAt === end
    this.handler.onRequest(exchange, isWhole)
    if (!isWhole && exchange.state !== ExchangeState.Finished) {
      this.handler.onRequestBody(exchange, bytes, bodyAt, end, true)
    }
    if (exchange.state !== ExchangeState.Finished) request.retain()
  }

  #takeId(): number {
    let id = this.#nextId
    while (this.#streams.get(id) !== undefined) id = following(id)
    this.#nextId = following(id)
    return id
  }

  onFault(detail: string): void {
    this.handler.onProtocolError(new GatewayError('BAD_REQUEST', detail), this.wire.peer, 0)
    this.#close(detail)
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onExchangeOver(stream: ServerStream): void {
    this.#streams.delete(stream.id)
    this.#resumeRead()
    this.#closeIfDone()
  }

  #failAll(detail: string): void {
    for (const { exchange } of this.#streams.values()) {
      if (exchange === null) continue
      this.handler.onDownstreamFailed(exchange, new GatewayError('DOWNSTREAM_GONE', detail), false)
    }
  }

  #close(detail: string): void {
    if (this.isOver) return
    this.isOver = true
    this.#decoder.close()
    this.#alarm.stop()
    this.#failAll(detail)
    this.wire.close()
  }

  #closeIfDone(): void {
    if (this.isOver || this.#streams.size > 0) return
    const isQuiet = this.#drainQuietMs > 0 && this.wire.now() >= this.#drainQuietMs
    if (this.#hasPeerEnded || isQuiet) this.#close('done')
  }

  drain(graceMs: number): void {
    if (this.isOver || this.#drainEndMs > 0) return
    const now = this.wire.now()
    this.#drainQuietMs = now + Math.min(DRAIN_NOTICE_MS, graceMs)
    this.#drainEndMs = now + graceMs
    sendReadOnly(this.wire, ownSerialization(this.#serialization))
    this.#alarm.wakeAt(this.#drainQuietMs)
  }

  onTimer(): void {
    this.#alarm.woken()
    if (this.isOver) return
    const now = this.wire.now()
    const { startedMs } = this.#decoder
    if (startedMs !== 0 && now - startedMs >= FRAME_TIMEOUT_MS) {
      this.onFault(`a frame was not complete within ${FRAME_TIMEOUT_MS} ms`)
      return
    }
    if (this.#drainEndMs > 0 && now >= this.#drainEndMs) {
      this.#close('the time for draining is over')
      return
    }
    this.#closeIfDone()
    if (!this.isOver) this.#watch(now, startedMs)
  }

  #watch(now: number, startedMs: number): void {
    const { idleTimeoutMs } = this.#options
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
    if (this.#drainEndMs > 0) {
      this.#alarm.wakeAt(now < this.#drainQuietMs ? this.#drainQuietMs : this.#drainEndMs)
      return
    }
    if (idleTimeoutMs === 0) return
    const isIdle = this.#streams.size === 0 && startedMs === 0
    if (isIdle && now - this.#receivedMs >= idleTimeoutMs)
      this.#close(`nothing received for ${idleTimeoutMs} ms`)
    else this.#alarm.wakeAt(Math.max(this.#receivedMs, isIdle ? 0 : now) + idleTimeoutMs)
  }
}

function following(id: number): number {
  return id >= LAST_ID ? 1 : id + 2
}
