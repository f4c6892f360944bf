/** The consumer's role: sends requests and takes their responses. */
import { IdTable } from '../../buffer/id-table.ts'
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
import { Alarm } from './alarm.ts'
import { ClientStream, type ClientStreamOwner } from './client-stream.ts'
import { Flag, FRAME_TIMEOUT_MS, HEADER_LENGTH, Serialization, Status } from './constants.ts'
import { FrameDecoder, type FrameSink } from './decoder.ts'
import { sendFrame } from './encode.ts'
import { answerEvent, isReadOnly, ownSerialization, sendHeartbeat } from './events.ts'
import { readU32 } from './frame.ts'
import { DubboResponse } from './response.ts'
import { errorBody } from './text-body.ts'

/** A provider that stays silent for so many heartbeats is gone. */
const MISSED_HEARTBEATS = 3
/** Ids are odd, as `IdTable` likes them, and have 31 bits; the next one behind the last begins anew. */
const LAST_ID = 0x7fff_fffd

/** See the file's head. */
export class DubboClient implements ClientCodec, FrameSink, ClientStreamOwner {
  readonly wire: Wire
  readonly handler: UpstreamHandler
  readonly maxFrameBytes: number
  readonly app: string
  isOver = false
  isReusable = true
  activeStreams = 0
  readonly #options: ClientCodecOptions
  readonly #owner: ClientOwner
  readonly #decoder: FrameDecoder
  readonly #alarm: Alarm
  readonly #streams = new IdTable<ClientStream>()
  #nextId = 1
  #opened = 0
  #receivedMs: number
  #sentMs: number
  /** When the last heartbeat of ours went out. */
  #beatMs = 0
  /** Serialization of the last request. */
  #serialization: number = Serialization.Hessian2
  /** Streams that have something to tell once the running call is over. */
  #reports: ClientStream[] = []
  readonly #runReports = (): void => this.#report()

  constructor(wire: Wire, options: ClientCodecOptions, handler: UpstreamHandler, owner: ClientOwner) {
    this.wire = wire
    this.handler = handler
    this.maxFrameBytes = options.maxFrameBytes
    this.app = options.app
    this.#options = options
    this.#owner = owner
    this.#decoder = new FrameDecoder(this, options.maxFrameBytes)
    this.#alarm = new Alarm(wire)
    this.#receivedMs = wire.now()
    this.#sentMs = this.#receivedMs
    this.#watch()
  }

  // — streams ————————————————————————————————————————————————————————————————————————————————————

  get capacity(): number {
    return this.isReusable ? Math.max(0, this.#options.maxStreams - this.activeStreams) : 0
  }

  open(exchange: Exchange): UpstreamStream {
    const stream = new ClientStream(this, exchange, this.#opened > 0)
    this.activeStreams++
    if (++this.#opened === this.#options.maxRequests) this.isReusable = false
    return stream
  }

  begin(stream: ClientStream, serialization: number): boolean {
    if (this.isOver) return false
    stream.id = this.#takeId()
    this.#streams.add(stream)
    this.#serialization = serialization
    this.#sentMs = this.wire.now()
    return true
  }

  closeStream(stream: ClientStream): void {
    if (stream.isClosed) return
    stream.isClosed = true
    if (stream.id !== 0) this.#streams.delete(stream.id)
    this.activeStreams--
    if (this.isOver) return
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  reportLater(stream: ClientStream): void {
    if (this.#reports.length === 0) queueMicrotask(this.#runReports)
    this.#reports.push(stream)
  }

  #report(): void {
    const reports = this.#reports
    this.#reports = []
    for (const stream of reports) stream.report()
  }

  #takeId(): number {
    let id = this.#nextId
    while (this.#streams.get(id) !== undefined) id = following(id)
    this.#nextId = following(id)
    return id
  }

  // — frames —————————————————————————————————————————————————————————————————————————————————————

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.isOver) return
    this.#receivedMs = this.wire.now()
    this.#decoder.decode(bytes, offset, end, this.#receivedMs)
    if (this.isOver) return
    const { startedMs } = this.#decoder
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
  }

  onFrame(bytes: Buffer, at: number, end: number): void {
    const flag = bytes[at + 2] as number
    if ((flag & Flag.Request) !== 0) {
      if ((flag & Flag.Event) !== 0) this.#onEvent(flag, bytes, at, end)
      else if ((flag & Flag.TwoWay) !== 0) this.#refuse(flag, bytes, at)
      return
    }
    // The answer to a heartbeat has done its work by arriving. An id that nobody waits for is that of a late answer.
    if ((flag & Flag.Event) !== 0 || readU32(bytes, at + 4) !== 0) return
    const stream = this.#streams.get(readU32(bytes, at + 8))
    if (stream !== undefined) this.#onResponse(stream, flag, bytes, at, end)
  }

  #onResponse(stream: ClientStream, flag: number, bytes: Buffer, at: number, end: number): void {
    const { exchange, call } = stream
    stream.exchange = null
    this.closeStream(stream)
    if (exchange === null) return
    const bodyAt = at + HEADER_LENGTH
    const status = bytes[at + 3] as number
    if (call !== null) {
      call.answer(this.handler, exchange, flag & Flag.Serialization, status, bytes, bodyAt, end)
      return
    }
    const response = new DubboResponse(flag, status, bytes, bodyAt, end)
    this.handler.onResponse(exchange, response, bodyAt === end)
    if (bodyAt !== end && exchange.state !== ExchangeState.Finished) {
      this.handler.onResponseBody(exchange, bytes, bodyAt, end, true)
    }
    if (exchange.state !== ExchangeState.Finished) response.retain()
  }

  #onEvent(flag: number, bytes: Buffer, at: number, end: number): void {
    if ((flag & Flag.TwoWay) !== 0) {
      answerEvent(this.wire, bytes, at, end)
      this.#sentMs = this.#receivedMs
    } else if (isReadOnly(bytes, at, end) && this.isReusable) this.drain()
  }

  /** Providers may call back their consumers, but behind a gateway it is not known which one. */
  #refuse(flag: number, bytes: Buffer, at: number): void {
    const serialization = flag & Flag.Serialization
    const body = errorBody(serialization, 'meshgate: calls from a provider to its consumer are not passed on')
    const idHigh = readU32(bytes, at + 4)
    const idLow = readU32(bytes, at + 8)
    sendFrame(
      this.wire,
      serialization,
      Status.ServiceNotFound,
      idHigh,
      idLow,
      body,
      0,
      body.length,
      null,
      null,
    )
  }

  onFault(detail: string): void {
    this.#abandon('UPSTREAM_PROTOCOL', detail)
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onEnd(): void {
    this.#abandon('UPSTREAM_RESET', 'the business process closed the connection')
  }

  onClose(error: Error | null): void {
    this.isOver = true
    this.isReusable = false
    this.#decoder.close()
    this.#alarm.stop()
    this.#failAll('UPSTREAM_RESET', error === null ? 'connection closed' : error.message)
  }

  onDrain(): void {
    for (const { exchange } of this.#streams.values()) {
      if (exchange !== null && exchange.state !== ExchangeState.Finished)
        this.handler.onUpstreamDrain(exchange)
    }
  }

  drain(): void {
    if (this.isOver) return
    this.isReusable = false
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (!this.isReusable && this.activeStreams === 0) this.#close()
  }

  /** Closes because the peer cannot be used any more. */
  #abandon(code: ErrorCode, detail: string): void {
    if (this.isOver) return
    this.#close()
    this.#failAll(code, detail)
    this.#owner.onCapacity(this)
  }

  #close(): void {
    if (this.isOver) return
    this.isOver = true
    this.isReusable = false
    this.#decoder.close()
    this.#alarm.stop()
    this.wire.close()
  }

  #failAll(code: ErrorCode, detail: string): void {
    for (const stream of this.#streams.values()) stream.fail(new GatewayError(code, detail))
  }

  // — time ———————————————————————————————————————————————————————————————————————————————————————

  onTimer(): void {
    this.#alarm.woken()
    if (this.isOver) return
    const now = this.wire.now()
    const { heartbeatMs, idleTimeoutMs } = this.#options
    const { startedMs } = this.#decoder
    if (startedMs !== 0 && now - startedMs >= FRAME_TIMEOUT_MS) {
      this.onFault(`a frame was not complete within ${FRAME_TIMEOUT_MS} ms`)
    } else if (heartbeatMs > 0) {
      if (now - this.#receivedMs >= MISSED_HEARTBEATS * heartbeatMs) {
        this.#abandon('UPSTREAM_RESET', `nothing received for ${MISSED_HEARTBEATS * heartbeatMs} ms`)
      } else if (now >= this.#beatDueMs) this.#beat(now)
    } else if (idleTimeoutMs > 0 && this.activeStreams === 0 && now - this.#lastUseMs >= idleTimeoutMs) {
      this.drain()
    }
    if (!this.isOver) this.#watch()
  }

  get #lastUseMs(): number {
    return Math.max(this.#receivedMs, this.#sentMs)
  }

  /** Java counts the silence of either direction. A beat that went out waits for its answer. */
  get #beatDueMs(): number {
    const silentSinceMs = Math.max(this.#beatMs, Math.min(this.#receivedMs, this.#sentMs))
    return silentSinceMs + this.#options.heartbeatMs
  }

  #beat(now: number): void {
    this.#sentMs = now
    this.#beatMs = now
    sendHeartbeat(this.wire, ownSerialization(this.#serialization), this.#takeId())
  }

  #watch(): void {
    const { heartbeatMs, idleTimeoutMs } = this.#options
    const { startedMs } = this.#decoder
    const now = this.wire.now()
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
    if (heartbeatMs > 0) {
      this.#alarm.wakeAt(Math.min(this.#beatDueMs, this.#receivedMs + MISSED_HEARTBEATS * heartbeatMs))
    } else if (idleTimeoutMs > 0) {
      this.#alarm.wakeAt((this.activeStreams > 0 ? now : this.#lastUseMs) + idleTimeoutMs)
    }
  }
}

function following(id: number): number {
  return id >= LAST_ID ? 1 : id + 2
}
