/** The accepting side of a connection: takes requests, makes exchanges of them, and answers. */
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { Exchange, ExchangeState } from '../../core/exchange.ts'
import { Alarm } from './alarm.ts'
import { Command, CrcVersion, FRAME_TIMEOUT_MS, FrameType, Proto, Serializer, Status } from './constants.ts'
import { FrameDecoder, type FrameSink } from './decoder.ts'
import { writeBare, writeControl } from './encoder.ts'
import { checksumFault, commandOf, type Hop, hopOf, typeOf } from './frame.ts'
import { BoltRequest } from './request.ts'
import { BoltServerStream, type ServerStreamOwner } from './server-stream.ts'

/** See the file's head. */
export class BoltServer implements ServerCodec, FrameSink, ServerStreamOwner {
  readonly wire: Wire
  isOver = false
  /** Responses that a caller sent: there is nothing they could answer, so they are dropped, as Java does. */
  strayFrames = 0
  readonly #options: ServerCodecOptions
  readonly #handler: DownstreamHandler
  readonly #context: ServerContext
  readonly #decoder: FrameDecoder
  readonly #alarm: Alarm
  /** Running exchanges, in no order; each knows its place. */
  readonly #streams: BoltServerStream[] = []
  /** Version of the last frame, for frames that answer none. */
  #proto: number = Proto.V1
  #receivedMs: number
  #isReadPaused = false
  #hasPeerEnded = false
  /** Monotonic milliseconds at which a drain ends; 0 when there is none. */
  #drainEndMs = 0

  constructor(wire: Wire, options: ServerCodecOptions, handler: DownstreamHandler, context: ServerContext) {
    this.wire = wire
    this.#options = options
    this.#handler = handler
    this.#context = context
    this.#decoder = new FrameDecoder(this, options.maxFrameBytes)
    this.#alarm = new Alarm(wire)
    this.#receivedMs = wire.now()
    this.#watch()
  }

  get activeExchanges(): number {
    return this.#streams.length
  }

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.isOver) return
    this.#receivedMs = this.wire.now()
    this.#decoder.decode(bytes, offset, end, this.#receivedMs)
    if (this.isOver) return
    const { startedMs } = this.#decoder
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
    if (!this.#isReadPaused && !this.#mayRead()) {
      this.#isReadPaused = true
      this.wire.pauseRead()
    }
  }

  /** A caller that does not read its answers, or has very many calls under way, must not fill our memory. */
  #mayRead(): boolean {
    return this.#streams.length < this.#options.maxStreams && this.wire.isWritable
  }

  #resumeRead(): void {
    if (!this.#isReadPaused || this.isOver || !this.#mayRead()) return
    this.#isReadPaused = false
    this.wire.resumeRead()
  }

  // — frames —————————————————————————————————————————————————————————————————————————————————————

  onFrame(bytes: Buffer, at: number, end: number): void {
    const fault = checksumFault(bytes, at, end)
    if (fault !== null) {
      this.onFault(fault)
      return
    }
    const type = typeOf(bytes, at)
    this.#proto = bytes[at] as number
    if (type === FrameType.Response) {
      this.strayFrames++
      return
    }
    switch (commandOf(bytes, at)) {
      case Command.Request:
        this.#onRequest(bytes, at)
        break
      case Command.Heartbeat:
        if (type === FrameType.Request) this.#acknowledge(bytes, at)
        break
      default:
      // GoAway of a caller that is a mesh: it will open no more calls, and closes the connection itself.
    }
  }

  #acknowledge(bytes: Buffer, at: number): void {
    writeControl(this.wire, FrameType.Response, Command.Heartbeat, hopOf(bytes, at), Serializer.Hessian)
  }

  #onRequest(bytes: Buffer, at: number): void {
    const request = new BoltRequest(bytes, at)
    if (!request.readHeaders(bytes, at)) {
      this.#refuse(
        request,
        'BAD_REQUEST',
        Status.CodecException,
        'a length in the header block is impossible',
      )
      return
    }
    if (request.serializer === Serializer.Java) {
      const detail = 'serializer 2: what Java serialization may run at its reader is not passed on'
      this.#refuse(request, 'FEATURE_UNSUPPORTED', Status.DeserializationFailed, detail)
      return
    }
    const stream = new BoltServerStream(this, request)
    const { listener, timeouts } = this.#context
    const exchange = new Exchange(request, stream, this.wire.peer, listener, this.#receivedMs, timeouts)
    stream.exchange = exchange
    stream.index = this.#streams.push(stream) - 1
    const { bodyLength } = request
    const start = at + request.contentOffset
    this.#handler.onRequest(exchange, bodyLength === 0)
    if (bodyLength > 0 && stream.exchange !== null) {
      this.#handler.onRequestBody(exchange, bytes, start, start + bodyLength, true)
    }
    if (exchange.state !== ExchangeState.Finished) request.retain()
  }

  /** Answers a request without an exchange. */
  #refuse(request: BoltRequest, code: ErrorCode, status: Status, detail: string): void {
    request.release()
    const { isOneWay, serializer } = request
    if (!isOneWay) writeBare(this.wire, request, serializer, status)
    const error = new GatewayError(code, `request ${request.id}: ${detail}`)
    this.#handler.onProtocolError(error, this.wire.peer, isOneWay ? 0 : status)
  }

  onOversized(bytes: Buffer, at: number, length: number): boolean {
    const detail = `a frame of ${length} bytes is above ${this.#options.maxFrameBytes}`
    const isCall = typeOf(bytes, at) === FrameType.Request && commandOf(bytes, at) === Command.Request
    if (isCall) writeBare(this.wire, hopOf(bytes, at), Serializer.Hessian, Status.CodecException)
    this.#fail('BODY_TOO_LARGE', detail, isCall ? Status.CodecException : 0)
    return false
  }

  /** As a Java server: no answer, the connection is closed. */
  onFault(detail: string): void {
    this.#fail('BAD_REQUEST', detail, 0)
  }

  #fail(code: ErrorCode, detail: string, status: number): void {
    if (this.isOver) return
    this.#handler.onProtocolError(new GatewayError(code, detail), this.wire.peer, status)
    this.#close()
    this.#failAll(`closed because of ${detail}`)
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onExchangeOver(stream: BoltServerStream): void {
    const streams = this.#streams
    const last = streams.pop() as BoltServerStream
    if (last !== stream) {
      streams[stream.index] = last
      last.index = stream.index
    }
    if (this.#isReadPaused) this.#resumeRead()
    if (streams.length === 0) this.#closeIfDone()
  }

  #failAll(detail: string): void {
    for (const { exchange } of this.#streams.slice()) {
      if (exchange !== null)
        this.#handler.onDownstreamFailed(exchange, new GatewayError('DOWNSTREAM_GONE', detail), false)
    }
  }

  onEnd(): void {
    this.#hasPeerEnded = true
    this.#decoder.close()
    this.#closeIfDone()
  }

  onDrain(): void {
    this.#resumeRead()
  }

  onClose(error: Error | null): void {
    this.isOver = true
    this.#decoder.close()
    this.#alarm.stop()
    this.#failAll(error === null ? 'connection closed' : error.message)
  }

  #close(): void {
    this.isOver = true
    this.#decoder.close()
    this.#alarm.stop()
    this.wire.close()
  }

  #closeIfDone(): void {
    if (this.isOver || this.#streams.length > 0) return
    if (this.#hasPeerEnded || this.#drainEndMs !== 0) this.#close()
  }

  /** Requests that still come are served: a caller cannot be told to go elsewhere, unless it is a mesh. */
  drain(graceMs: number): void {
    if (this.isOver || this.#drainEndMs !== 0) return
    this.#drainEndMs = this.wire.now() + graceMs
    if (this.#options.boltGoAway) {
      const hop: Hop = { proto: this.#proto, crcVersion: CrcVersion.Never, switchByte: 0, id: 0 }
      writeControl(this.wire, FrameType.Request, Command.GoAway, hop, Serializer.Hessian)
    }
    this.#alarm.wakeAt(this.#drainEndMs)
    this.#closeIfDone()
  }

  // — time ———————————————————————————————————————————————————————————————————————————————————————

  onTimer(): void {
    this.#alarm.woken()
    if (this.isOver) return
    const now = this.wire.now()
    const { startedMs } = this.#decoder
    if (startedMs !== 0 && now - startedMs >= FRAME_TIMEOUT_MS) {
      this.#fail('REQUEST_TIMEOUT', `a frame was not complete within ${FRAME_TIMEOUT_MS} ms`, 0)
      return
    }
    const isDrained = this.#drainEndMs !== 0 && now >= this.#drainEndMs
    if (isDrained || (this.#streams.length === 0 && now >= this.#idleAtMs)) {
      this.#close()
      this.#failAll('the time to drain is over')
      return
    }
    this.#watch()
  }

  get #idleAtMs(): number {
    const { idleTimeoutMs } = this.#options
    return idleTimeoutMs === 0 ? Infinity : this.#receivedMs + idleTimeoutMs
  }

  #watch(): void {
    const { startedMs } = this.#decoder
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
    if (this.#drainEndMs !== 0) this.#alarm.wakeAt(this.#drainEndMs)
    const { idleTimeoutMs } = this.#options
    // While calls run the connection is in use, whatever the last byte was: look again later.
    if (idleTimeoutMs !== 0)
      this.#alarm.wakeAt(this.#streams.length > 0 ? this.wire.now() + idleTimeoutMs : this.#idleAtMs)
  }
}
