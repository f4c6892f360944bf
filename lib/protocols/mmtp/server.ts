/** The acceptor's role: takes REQUESTs, makes exchanges of them, and answers. */
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import { Exchange, ExchangeState } from '../../core/exchange.ts'
import { MmtpConnection } from './connection.ts'
import {
  ALL_STREAMS,
  Code,
  codeName,
  Flag,
  FrameType,
  HEADER_LENGTH,
  MAX_WINDOW,
  RequestMark,
} from './constants.ts'
import { writeResponse } from './encode-response.ts'
import { CRC_LENGTH, checkFlags, readU16, readU32 } from './frame.ts'
import { readHeaderBlock } from './header-block.ts'
import { writeHeader } from './outbound.ts'
import { MmtpRequest } from './request.ts'
import { refusal } from './response.ts'
import { ServerStream, type ServerStreamOwner } from './server-stream.ts'
import { messageLimit, Role, Settings } from './settings.ts'
import { status } from './status.ts'
import type { MmtpStream } from './stream.ts'

const MIB = 1024 * 1024
const MESH_CONNECTION_WINDOW = 16 * MIB
/** In the mesh a head may have grown on its way from the edge. */
const MESH_MAX_META = 9 * 1024
const NO_IDLE_LIMIT = 0xffff_ffff
/** How long a drain waits for the round trip that shows the peer has seen GOAWAY. */
const DRAIN_NOTICE_MS = 1_000

/** The settings that a listener's options make. */
export function serverSettings(options: ServerCodecOptions): Settings {
  const settings = new Settings()
  settings.maxStreams = options.maxStreams
  settings.maxMessage = messageLimit(options.maxBodyBytes)
  settings.keepAliveMs = options.idleTimeoutMs || NO_IDLE_LIMIT
  settings.role = options.trusted ? Role.Sidecar : Role.Access
  settings.cell = options.cell
  if (options.trusted) {
    settings.maxMeta = MESH_MAX_META
    settings.connectionWindow = MESH_CONNECTION_WINDOW
  }
  return settings
}

/** Where a drain stands: none; GOAWAY announced; or refusing what is above the last stream. */
const Drain = { None: 0, Announced: 1, Refusing: 2 } as const
type Drain = (typeof Drain)[keyof typeof Drain]

/** See the file's head. */
export class MmtpServer extends MmtpConnection implements ServerCodec, ServerStreamOwner {
  readonly handler: DownstreamHandler
  /** Streams whose place is taken: open ones, and cancelled ones whose exchange still runs. */
  places = 0
  /** Exchanges that are not over. */
  activeExchanges = 0
  /** Told when the peer acknowledged a PUSH of ours. */
  onPushAck: ((id: number, status: number) => void) | null = null
  protected readonly messageLimit: number
  protected lastProcessed = 0
  readonly #options: ServerCodecOptions
  readonly #context: ServerContext
  readonly #pushes = new Set<number>()
  #lastPush = 0
  #drain: Drain = Drain.None
  #drainStepMs = 0
  #drainEndMs = 0
  #hasPeerEnded = false

  /** `own` is what the codec announces; tests give other values than the options make. */
  constructor(
    wire: Wire,
    options: ServerCodecOptions,
    handler: DownstreamHandler,
    context: ServerContext,
    own: Settings = serverSettings(options),
  ) {
    super(wire, own, false)
    this.handler = handler
    this.messageLimit = Math.min(options.maxBodyBytes || MAX_WINDOW, own.maxMessage)
    this.#options = options
    this.#context = context
  }

  protected get wantsPings(): boolean {
    return this.activeExchanges > 0
  }

  protected onGreeted(): void {}
  protected onSettings(): void {}
  protected onGoAway(): void {}

  protected wasOpened(id: number): boolean {
    return (id & 1) === 1 ? id <= this.lastProcessed : id <= this.#lastPush
  }

  protected countsAsAbuse(): boolean {
    return true
  }

  onEnd(): void {
    this.#hasPeerEnded = true
    for (const stream of this.streams.values()) {
      if (stream.hasReceivedEnd) continue
      this.closeStream(stream)
      stream.fail({ kind: 'gone', code: Code.None }, 'FIN before the end of the request')
    }
    this.#closeIfDone()
  }

  // — requests ———————————————————————————————————————————————————————————————————————————————————

  protected onHead(type: number, bytes: Buffer, at: number, metaEnd: number, end: number): void {
    if (type === FrameType.Request) this.#onRequest(bytes, at, metaEnd, end)
    else this.#onPushAck(bytes, at, end)
  }

  #onRequest(bytes: Buffer, at: number, metaEnd: number, end: number): void {
    const id = readU32(bytes, at + 4)
    const flags = readU16(bytes, at + 2)
    const bodyLength = readU32(bytes, at + 12)
    if (id <= this.lastProcessed) {
      this.connectionError(Code.Protocol, `REQUEST ${id} after ${this.lastProcessed}`)
      return
    }
    if (this.#drain === Drain.Refusing) {
      this.skipBody(bodyLength, end)
      return
    }
    this.lastProcessed = id
    const verdict = checkFlags(FrameType.Request, flags, id, bodyLength)
    if (verdict > 0) {
      this.connectionError(verdict as Code, `flags ${flags} of REQUEST ${id}`)
      return
    }
    const fault = verdict < 0 ? -verdict : this.#prefixFault(bytes, at, flags)
    if (fault !== Code.None) {
      this.#refuseUnopened(id, fault as Code, flags)
      this.skipBody(bodyLength, end)
      return
    }
    if (!this.#open(id, flags, bytes, at, metaEnd, end, bodyLength)) this.skipBody(bodyLength, end)
  }

  #prefixFault(bytes: Buffer, at: number, flags: number): Code {
    const marks = bytes[at + HEADER_LENGTH + 6] as number
    if ((flags & Flag.Early) !== 0 && (marks & RequestMark.Idempotent) === 0) return Code.Early
    if (bytes[at + HEADER_LENGTH + 7] !== 0) return Code.Unsupported
    return this.places >= this.own.maxStreams ? Code.Refused : Code.None
  }

  #refuseUnopened(id: number, code: Code, flags: number): void {
    const detail = `REQUEST ${id} refused with CANCEL(${codeName(code)})`
    this.handler.onProtocolError(
      new GatewayError(code === Code.Refused ? 'OVERLOADED' : 'BAD_REQUEST', detail),
      this.wire.peer,
      0,
    )
    this.cancelUnopened(id, code, (flags & Flag.OneWay) !== 0)
  }

  /** Makes the exchange. False when the request was answered without one. */
  #open(
    id: number,
    flags: number,
    bytes: Buffer,
    at: number,
    metaEnd: number,
    end: number,
    bodyLength: number,
  ): boolean {
    const { trusted } = this.#options
    const isLast = (flags & Flag.End) !== 0
    const hasCrc = (flags & Flag.Crc) !== 0
    const isOneWay = (flags & Flag.OneWay) !== 0
    const dataLength = hasCrc ? bodyLength - CRC_LENGTH : bodyLength
    const request = new MmtpRequest(bytes, at, isLast ? dataLength : -1, trusted, isOneWay, hasCrc)
    const blockStart = at + HEADER_LENGTH + (bytes[at + 10] as number)
    let code = readHeaderBlock(request.headers, bytes, blockStart, metaEnd, at, trusted)
    if (code === Code.None && end >= 0 && !this.isIntact(bytes, metaEnd, end, flags)) code = Code.Checksum
    if (code === Code.None) {
      const stream = new ServerStream(id, this, request, this.out.peer.streamWindow, this.own.streamWindow)
      this.#begin(stream, request, bytes, metaEnd, end, flags, bodyLength, isLast && dataLength === 0)
      return true
    }
    if (code === Code.TooLarge) this.#refuseHead(id, request, isLast)
    else this.#refuseUnopened(id, code, flags)
    request.release()
    return false
  }

  #exchange(request: MmtpRequest, stream: ServerStream): Exchange {
    const { listener, timeouts } = this.#context
    return new Exchange(request, stream, this.wire.peer, listener, this.wire.now(), timeouts)
  }

  #begin(
    stream: ServerStream,
    request: MmtpRequest,
    bytes: Buffer,
    metaEnd: number,
    end: number,
    flags: number,
    bodyLength: number,
    isWhole: boolean,
  ): void {
    const exchange = this.#exchange(request, stream)
    stream.exchange = exchange
    this.places++
    this.activeExchanges++
    this.streams.add(stream)
    stream.receiveWindow -= bodyLength
    stream.receivedBytes = bodyLength
    if (end >= 0 && (flags & Flag.End) !== 0) stream.hasReceivedEnd = true
    this.handler.onRequest(exchange, isWhole)
    if (bodyLength > this.messageLimit && !stream.isClosed) {
      this.onTooLarge(stream)
      this.skipBody(bodyLength, end)
    } else if (end < 0) this.streamBody(stream)
    else if (isWhole) this.skipBody(bodyLength, end)
    else {
      const dataEnd = (flags & Flag.Crc) === 0 ? end : end - CRC_LENGTH
      this.finishFrame(stream, bytes, metaEnd, dataEnd, flags, bodyLength)
    }
    if (stream.isOneWay && !stream.isClosed && end >= 0) this.closeStream(stream)
    if (exchange.state !== ExchangeState.Finished) request.retain()
  }

  /** A block beyond the limits, or with repeated names at the edge: refused with the status of a malformed request. */
  #refuseHead(id: number, request: MmtpRequest, isLast: boolean): void {
    const error = new GatewayError('HEAD_TOO_LARGE', `header block of REQUEST ${id}`)
    this.handler.onProtocolError(error, this.wire.peer, status.HEAD_TOO_LARGE)
    if (request.isOneWay) return
    const stream = new ServerStream(id, this, request, 0, 0)
    writeResponse(
      this.out,
      stream,
      this.#exchange(request, stream),
      refusal('HEAD_TOO_LARGE', false, 0),
      true,
    )
    if (!isLast) this.out.sendCancel(id, Code.None)
  }

  protected onTooLarge(stream: MmtpStream): void {
    const { exchange } = stream as ServerStream
    const canReply = !stream.hasSentHead && !stream.isOneWay
    if (!canReply) {
      if (!stream.isOneWay) this.out.sendCancel(stream.id, Code.TooLarge)
      this.closeStream(stream)
    }
    if (exchange === null) return
    const detail = `the message on stream ${stream.id} is above ${this.messageLimit} bytes`
    this.handler.onDownstreamFailed(exchange, new GatewayError('BODY_TOO_LARGE', detail), canReply)
  }

  // — pushes —————————————————————————————————————————————————————————————————————————————————————

  /** Sends a PUSH of one frame on the next even id, which it returns. The body must fit the peer's windows. */
  push(topic: string, body: Buffer): number {
    const id = this.#lastPush + 2
    const buffer = this.out.reserve(HEADER_LENGTH + 8 + topic.length + body.length, 0)
    const at = this.wire.position
    const routeLength = 8 + topic.length
    writeHeader(buffer, at, FrameType.Push, Flag.End, id, routeLength, routeLength, 5, body.length)
    buffer.fill(0, at + HEADER_LENGTH, at + HEADER_LENGTH + 8)
    buffer.fill(0xff, at + HEADER_LENGTH + 4, at + HEADER_LENGTH + 6)
    buffer.latin1Write(topic, at + HEADER_LENGTH + 8)
    body.copy(buffer, at + HEADER_LENGTH + routeLength)
    this.out.commit(at + HEADER_LENGTH + routeLength + body.length)
    this.out.window -= body.length
    this.#lastPush = id
    this.#pushes.add(id)
    return id
  }

  #onPushAck(bytes: Buffer, at: number, end: number): void {
    const id = readU32(bytes, at + 4)
    const bodyLength = readU32(bytes, at + 12)
    this.skipBody(bodyLength, end)
    if (!this.#pushes.has(id)) {
      if (!this.wasOpened(id))
        this.connectionError(Code.Protocol, `PUSH_ACK on stream ${id}, which was never opened`)
      return
    }
    const verdict = checkFlags(FrameType.PushAck, readU16(bytes, at + 2), id, bodyLength)
    if (verdict > 0) {
      this.connectionError(verdict as Code, `flags of PUSH_ACK ${id}`)
      return
    }
    this.#pushes.delete(id)
    if (verdict < 0) this.cancelUnopened(id, -verdict as Code, false)
    else this.onPushAck?.(id, readU16(bytes, at + HEADER_LENGTH))
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  onSent(stream: MmtpStream): void {
    if (stream.isClosed || !stream.hasSentEnd) return
    // The answer ended before the request did: the rest of it is of no use (section 8).
    if (!stream.hasReceivedEnd) this.out.sendCancel(stream.id, Code.None)
    this.closeStream(stream)
  }

  protected onStreamClosed(stream: MmtpStream): void {
    if ((stream as ServerStream).exchange === null) this.#freePlace()
  }

  onExchangeOver(stream: ServerStream): void {
    this.activeExchanges--
    if (stream.isClosed) this.#freePlace()
    this.#closeIfDone()
  }

  #freePlace(): void {
    this.places--
    this.#closeIfDone()
  }

  protected onConnectionFailed(code: Code, detail: string): void {
    if (code === Code.Idle) return
    const error = new GatewayError(
      code === Code.Version ? 'VERSION_UNSUPPORTED' : 'BAD_REQUEST',
      `${codeName(code)}: ${detail}`,
    )
    this.handler.onProtocolError(error, this.wire.peer, 0)
  }

  // — drain ——————————————————————————————————————————————————————————————————————————————————————

  drain(graceMs: number): void {
    if (this.isOver || this.#drain !== Drain.None) return
    const now = this.wire.now()
    this.#drain = Drain.Announced
    this.#drainStepMs = now + Math.min(DRAIN_NOTICE_MS, graceMs)
    this.#drainEndMs = now + graceMs
    if (!this.isGreeted) {
      this.close(Code.Drain)
      return
    }
    this.out.sendGoAway(ALL_STREAMS, Code.Drain, graceMs)
    this.ping()
    this.wakeAt(this.#drainStepMs)
  }

  /** The peer has seen GOAWAY: what it sends from now on is above the last stream. */
  protected onPong(): void {
    if (this.#drain === Drain.Announced) this.#refuseMore()
  }

  #refuseMore(): void {
    this.#drain = Drain.Refusing
    this.out.sendGoAway(this.lastProcessed, Code.Drain, 0)
    this.wakeAt(this.#drainEndMs)
    this.#closeIfDone()
  }

  protected onDrainTimer(nowMs: number): number {
    if (this.#drain === Drain.None) return 0
    if (this.#drain === Drain.Announced && nowMs >= this.#drainStepMs) this.#refuseMore()
    if (this.isOver) return 0
    if (nowMs >= this.#drainEndMs) {
      this.close(Code.Drain)
      return 0
    }
    return this.#drain === Drain.Announced ? this.#drainStepMs : this.#drainEndMs
  }

  #closeIfDone(): void {
    if (this.isOver || this.places > 0) return
    if (this.#hasPeerEnded || this.#drain === Drain.Refusing) {
      this.isOver = true
      this.wire.setTimer(0)
      this.wire.close()
    }
  }
}
