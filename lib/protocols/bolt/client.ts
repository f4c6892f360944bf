/** The dialling side of a connection: sends requests and finds the exchanges of their answers. */
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
import { BoltClientStream, type ClientStreamOwner } from './client-stream.ts'
import { Command, CrcVersion, FRAME_TIMEOUT_MS, FrameType, Proto, Serializer, Status } from './constants.ts'
import { FrameDecoder, type FrameSink } from './decoder.ts'
import { writeBare, writeControl } from './encoder.ts'
import { checksumFault, commandOf, type Hop, hopOf, idOf, typeOf } from './frame.ts'
import { Beat, Heartbeat } from './heartbeat.ts'
import { BoltResponse } from './response.ts'

/** Ids of calls are odd and those of heartbeats even; both stay positive, as a Java `int` sees them. */
const ID_STEP = 2
const MAX_ID = 0x7fffffff

/** See the file's head. */
export class BoltClient implements ClientCodec, FrameSink, ClientStreamOwner {
  readonly wire: Wire
  readonly handler: UpstreamHandler
  readonly app: string
  readonly maxFrameBytes: number
  activeStreams = 0
  isReusable = true
  isOver = false
  /** Answers that nobody waits for: they came after their time, twice, or to an id that was never used. Dropped. */
  lateResponses = 0
  readonly #options: ClientCodecOptions
  readonly #owner: ClientOwner
  readonly #decoder: FrameDecoder
  readonly #alarm: Alarm
  readonly #heartbeat: Heartbeat
  /** Streams whose request was sent, by id. */
  readonly #streams = new IdTable<BoltClientStream>()
  /** Version of every frame that is sent, because a Java peer answers in that of the first; 0 before it is known. */
  #proto = 0
  #lastId = -1
  #lastBeatId = 0
  #opened = 0
  #receivedMs: number
  /** When a stream was last opened or answered. */
  #usedMs: number
  /** Streams that have something to tell once the running call is over. */
  #reports: BoltClientStream[] = []
  readonly #runReports = (): void => this.#report()

  constructor(wire: Wire, options: ClientCodecOptions, handler: UpstreamHandler, owner: ClientOwner) {
    this.wire = wire
    this.handler = handler
    this.app = options.app
    this.maxFrameBytes = options.maxFrameBytes
    this.#options = options
    this.#owner = owner
    this.#decoder = new FrameDecoder(this, options.maxFrameBytes)
    this.#alarm = new Alarm(wire)
    this.#heartbeat = new Heartbeat(options.heartbeatMs)
    this.#receivedMs = wire.now()
    this.#usedMs = this.#receivedMs
    this.#watch()
  }

  // — streams ————————————————————————————————————————————————————————————————————————————————————

  /** None while the peer takes no output: the requests would only pile up here. */
  get capacity(): number {
    if (!this.isReusable || !this.wire.isWritable) return 0
    return Math.max(0, this.#options.maxStreams - this.activeStreams)
  }

  open(exchange: Exchange): UpstreamStream {
    const stream = new BoltClientStream(this, exchange, this.#opened > 0)
    this.activeStreams++
    this.#opened++
    this.#usedMs = this.wire.now()
    if (this.#opened === this.#options.maxRequests) this.isReusable = false
    return stream
  }

  /** Gives a stream its id and the hop its request goes over; `proto` is the version its request came in. */
  begin(stream: BoltClientStream, proto: number): void {
    if (this.#proto === 0) this.#proto = proto
    stream.proto = this.#proto
    do {
      this.#lastId = this.#lastId >= MAX_ID ? 1 : this.#lastId + ID_STEP
      stream.id = this.#lastId
    } while (this.#streams.get(stream.id) !== undefined)
    if (!stream.isOneWay) this.#streams.add(stream)
  }

  close(stream: BoltClientStream): void {
    if (stream.isClosed) return
    stream.isClosed = true
    if (stream.id !== 0) this.#streams.delete(stream.id)
    this.activeStreams--
    if (this.isOver) return
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  reportLater(stream: BoltClientStream): void {
    if (this.#reports.length === 0) queueMicrotask(this.#runReports)
    this.#reports.push(stream)
  }

  #report(): void {
    const reports = this.#reports
    this.#reports = []
    for (const stream of reports) stream.report()
  }

  // — frames —————————————————————————————————————————————————————————————————————————————————————

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.isOver) return
    this.#receivedMs = this.wire.now()
    this.#decoder.decode(bytes, offset, end, this.#receivedMs)
    const { startedMs } = this.#decoder
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
  }

  onFrame(bytes: Buffer, at: number, end: number): void {
    const fault = checksumFault(bytes, at, end)
    if (fault !== null) {
      this.onFault(fault)
      return
    }
    const type = typeOf(bytes, at)
    const command = commandOf(bytes, at)
    // An answer to a heartbeat has done its work by arriving.
    if (type === FrameType.Response) {
      if (command === Command.Response) this.#onResponse(bytes, at)
    } else if (command === Command.GoAway) this.#onGoAway()
    else if (type === FrameType.Request) this.#onRequest(bytes, at, command)
  }

  #onResponse(bytes: Buffer, at: number): void {
    const stream = this.#streams.get(idOf(bytes, at))
    if (stream === undefined) {
      this.lateResponses++
      return
    }
    const { exchange } = stream
    const response = new BoltResponse(bytes, at)
    const isSound = response.readHeaders(bytes, at)
    stream.exchange = null
    this.#usedMs = this.#receivedMs
    if (exchange === null || !isSound) {
      response.release()
      this.close(stream)
      const detail = `response ${stream.id}: a length in the header block is impossible`
      if (exchange !== null) this.#failExchange(exchange, 'UPSTREAM_PROTOCOL', detail)
      return
    }
    const start = at + response.contentOffset
    if (stream.call === null) this.#forward(exchange, response, bytes, start)
    else {
      stream.answerCall(stream.call, exchange, response, bytes, start, start + response.bodyLength)
      response.release()
    }
    this.close(stream)
  }

  #forward(exchange: Exchange, response: BoltResponse, bytes: Buffer, start: number): void {
    const { bodyLength } = response
    this.handler.onResponse(exchange, response, bodyLength === 0)
    if (bodyLength > 0) this.handler.onResponseBody(exchange, bytes, start, start + bodyLength, true)
    if (exchange.state !== ExchangeState.Finished) response.retain()
  }

  /** The business process does not call through us: a heartbeat is answered, a call refused. */
  #onRequest(bytes: Buffer, at: number, command: number): void {
    const hop = hopOf(bytes, at)
    if (command === Command.Heartbeat) {
      writeControl(this.wire, FrameType.Response, Command.Heartbeat, hop, Serializer.Hessian)
    } else writeBare(this.wire, hop, Serializer.Hessian, Status.NoProcessor)
  }

  /** What runs is still answered. */
  #onGoAway(): void {
    this.isReusable = false
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  /** One answer is too long: it is skipped, and the others go on. */
  onOversized(bytes: Buffer, at: number, length: number): boolean {
    const isAnswer = typeOf(bytes, at) === FrameType.Response
    const stream = isAnswer ? this.#streams.get(idOf(bytes, at)) : undefined
    if (stream === undefined) {
      this.lateResponses++
      return true
    }
    const { exchange } = stream
    stream.exchange = null
    this.close(stream)
    const detail = `the response of ${length} bytes is above ${this.#options.maxFrameBytes}`
    if (exchange !== null) this.#failExchange(exchange, 'UPSTREAM_PROTOCOL', detail)
    return true
  }

  onFault(detail: string): void {
    this.#fail('UPSTREAM_PROTOCOL', detail)
    this.wire.close()
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onEnd(): void {
    if (this.isOver) return
    this.#fail('UPSTREAM_RESET', 'the business process closed the connection')
    this.wire.close()
  }

  onDrain(): void {
    if (!this.isOver) this.#owner.onCapacity(this)
  }

  onClose(error: Error | null): void {
    this.#fail('UPSTREAM_RESET', error === null ? 'connection closed' : error.message)
  }

  drain(): void {
    this.isReusable = false
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.isReusable || this.activeStreams > 0 || this.isOver) return
    this.#stop()
    this.wire.close()
  }

  /** Nothing is read or sent any more, and every exchange that waits fails. */
  #fail(code: ErrorCode, detail: string): void {
    if (this.isOver) return
    this.#stop()
    for (const stream of this.#streams.values()) {
      const { exchange } = stream
      stream.exchange = null
      this.close(stream)
      if (exchange !== null) this.#failExchange(exchange, code, detail)
    }
    this.#owner.onCapacity(this)
  }

  #stop(): void {
    this.isOver = true
    this.isReusable = false
    this.#decoder.close()
    this.#alarm.stop()
  }

  #failExchange(exchange: Exchange, code: ErrorCode, detail: string): void {
    this.handler.onUpstreamFailed(exchange, new GatewayError(code, detail))
  }

  // — time ———————————————————————————————————————————————————————————————————————————————————————

  onTimer(): void {
    this.#alarm.woken()
    if (this.isOver) return
    const now = this.wire.now()
    const { startedMs } = this.#decoder
    if (startedMs !== 0 && now - startedMs >= FRAME_TIMEOUT_MS) {
      this.onFault(`a frame was not complete within ${FRAME_TIMEOUT_MS} ms`)
      return
    }
    if (this.activeStreams === 0 && now >= this.#idleAtMs) {
      this.drain()
      return
    }
    const beat = this.#heartbeat.check(now, this.#receivedMs)
    if (beat === Beat.Dead) {
      this.#fail('UPSTREAM_RESET', 'the business process answers no heartbeats')
      this.wire.destroy()
      return
    }
    if (beat === Beat.Send) this.#sendHeartbeat()
    this.#watch()
  }

  #sendHeartbeat(): void {
    if (this.#proto === 0) this.#proto = Proto.V1
    this.#lastBeatId = this.#lastBeatId >= MAX_ID - 1 ? ID_STEP : this.#lastBeatId + ID_STEP
    const hop: Hop = {
      proto: this.#proto,
      crcVersion: CrcVersion.Never,
      switchByte: 0,
      id: this.#lastBeatId,
    }
    writeControl(this.wire, FrameType.Request, Command.Heartbeat, hop, Serializer.Hessian)
  }

  get #idleAtMs(): number {
    const { idleTimeoutMs } = this.#options
    return idleTimeoutMs === 0 ? Infinity : this.#usedMs + idleTimeoutMs
  }

  #watch(): void {
    const { startedMs } = this.#decoder
    if (startedMs !== 0) this.#alarm.wakeAt(startedMs + FRAME_TIMEOUT_MS)
    const beatMs = this.#heartbeat.nextMs(this.#receivedMs)
    if (beatMs !== Infinity) this.#alarm.wakeAt(beatMs)
    const { idleTimeoutMs } = this.#options
    if (idleTimeoutMs !== 0)
      this.#alarm.wakeAt(this.activeStreams > 0 ? this.wire.now() + idleTimeoutMs : this.#idleAtMs)
  }
}
