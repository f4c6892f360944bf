/** The dialler's role: sends requests and takes their responses. */
import { Reports } from '../../buffer/reports.ts'
import type {
  ClientCodec,
  ClientCodecOptions,
  ClientOwner,
  UpstreamHandler,
  UpstreamStream,
  Wire,
} from '../../core/codec.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { type Exchange, ExchangeState } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import { ClientStream, type ClientStreamOwner } from './client-stream.ts'
import { MmtpConnection } from './connection.ts'
import { Code, codeName, Flag, FrameType, HEADER_LENGTH, LAST_STREAM_ID, MAX_WINDOW } from './constants.ts'
import { writeRequest } from './encode-request.ts'
import { CRC_LENGTH, checkFlags, readU16, readU32 } from './frame.ts'
import { readHeaderBlock } from './header-block.ts'
import { MmtpResponse } from './response.ts'
import { messageLimit, Role, Settings } from './settings.ts'
import type { MmtpStream } from './stream.ts'

const MESH_CONNECTION_WINDOW = 16 * 1024 * 1024
const MESH_MAX_META = 9 * 1024
const NO_IDLE_LIMIT = 0xffff_ffff

/** The settings that a cluster's options make. */
export function clientSettings(options: ClientCodecOptions): Settings {
  const settings = new Settings()
  settings.connectionWindow = MESH_CONNECTION_WINDOW
  settings.maxMeta = MESH_MAX_META
  settings.maxMessage = messageLimit(options.maxBodyBytes)
  settings.keepAliveMs = options.idleTimeoutMs || NO_IDLE_LIMIT
  settings.role = Role.Sidecar
  settings.cell = options.cell
  return settings
}

/** See the file's head. */
export class MmtpClient extends MmtpConnection implements ClientCodec, ClientStreamOwner {
  readonly handler: UpstreamHandler
  activeStreams = 0
  isReusable = true
  /** Last PUSH of the acceptor's. */
  protected lastProcessed = 0
  protected readonly messageLimit: number
  protected readonly wantsPings = true
  readonly #options: ClientCodecOptions
  readonly #owner: ClientOwner
  #lastId = -1
  #opened = 0
  /** The peer sent GOAWAY: nothing may be begun any more. */
  #isGone = false
  /** Streams that have something to tell once the running call is over. */
  readonly #reports = new Reports()

  /** Sends HELLO at once. `own` is what it announces. */
  constructor(
    wire: Wire,
    options: ClientCodecOptions,
    handler: UpstreamHandler,
    owner: ClientOwner,
    own: Settings = clientSettings(options),
  ) {
    super(wire, own, true)
    this.handler = handler
    this.messageLimit = Math.min(options.maxBodyBytes || MAX_WINDOW, own.maxMessage)
    this.#options = options
    this.#owner = owner
    this.sendHello(FrameType.Hello)
  }

  // — streams ————————————————————————————————————————————————————————————————————————————————————

  /** None before the greeting: a peer that goes away while the connection is being made has not seen any request. */
  get capacity(): number {
    if (!this.isReusable || !this.isGreeted) return 0
    return Math.max(0, Math.min(this.out.peer.maxStreams, this.#options.maxStreams) - this.activeStreams)
  }

  open(exchange: Exchange): UpstreamStream {
    const stream = new ClientStream(this, exchange, this.#opened > 0, this.own.streamWindow)
    this.activeStreams++
    this.#opened++
    if (this.#opened === this.#options.maxRequests) this.isReusable = false
    return stream
  }

  /** Ids rise in the order of sending, so a stream gets its id with its head. */
  begin(stream: ClientStream, exchange: Exchange, request: RequestHead, last: boolean): ErrorCode | null {
    if (this.isOver || this.#isGone) return 'UPSTREAM_REFUSED'
    stream.id = this.#lastId + 2
    stream.sendWindow = this.out.peer.streamWindow
    const failure = writeRequest(this.out, stream, exchange, request, last, this.wire.now())
    if (failure !== null) {
      stream.id = 0
      return failure
    }
    stream.hasSentHead = true
    this.#lastId = stream.id
    this.streams.add(stream)
    if (stream.id >= LAST_STREAM_ID) this.isReusable = false
    return null
  }

  /** Nothing is known of the stream's end before the response: a request that has been sent is still open. */
  onSent(): void {}

  protected onStreamClosed(): void {
    const wasFull = this.capacity === 0
    this.activeStreams--
    // Room beside room is no news; a connection that drains is always full.
    if (!wasFull || this.isOver) return
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  reportLater(stream: ClientStream): void {
    this.#reports.later(stream)
  }

  // — frames —————————————————————————————————————————————————————————————————————————————————————

  protected wasOpened(id: number): boolean {
    return (id & 1) === 1 ? id <= this.#lastId : id <= this.lastProcessed
  }

  /** NONE and REFUSED answer what we did ourselves, and cost nobody anything. */
  protected countsAsAbuse(code: number): boolean {
    return code !== Code.None && code !== Code.Refused
  }

  protected onHead(type: number, bytes: Buffer, at: number, metaEnd: number, end: number): void {
    if (type === FrameType.Response) this.#onResponse(bytes, at, metaEnd, end)
    else this.#onPush(bytes, at, end)
  }

  #onResponse(bytes: Buffer, at: number, metaEnd: number, end: number): void {
    const id = readU32(bytes, at + 4)
    const flags = readU16(bytes, at + 2)
    const bodyLength = readU32(bytes, at + 12)
    const stream = this.find(id) as ClientStream | undefined
    if (stream === undefined) {
      this.skipBody(bodyLength, end)
      return
    }
    if (stream.hasReceivedHead) {
      this.connectionError(Code.Protocol, `second RESPONSE on stream ${id}`)
      return
    }
    if (!this.admitOnStream(stream, bodyLength)) return
    stream.hasReceivedHead = true
    const verdict = checkFlags(FrameType.Response, flags, id, bodyLength)
    if (verdict > 0) {
      this.connectionError(verdict as Code, `flags ${flags} of RESPONSE ${id}`)
      return
    }
    if (verdict < 0) this.streamError(stream, -verdict as Code, `flags ${flags}`)
    else if (this.#begun(stream, flags, bytes, at, metaEnd, end, bodyLength)) return
    this.skipBody(bodyLength, end)
  }

  /** Reports the head and the first piece. False when the response was refused. */
  #begun(
    stream: ClientStream,
    flags: number,
    bytes: Buffer,
    at: number,
    metaEnd: number,
    end: number,
    bodyLength: number,
  ): boolean {
    const isLast = (flags & Flag.End) !== 0
    const hasCrc = (flags & Flag.Crc) !== 0
    const dataLength = hasCrc ? bodyLength - CRC_LENGTH : bodyLength
    const response = new MmtpResponse(bytes, at, isLast ? dataLength : -1, hasCrc)
    const blockStart = at + HEADER_LENGTH + (bytes[at + 10] as number)
    let code = readHeaderBlock(response.headers, bytes, blockStart, metaEnd, at, true)
    if (code === Code.None && end >= 0 && !this.isIntact(bytes, metaEnd, end, flags)) code = Code.Checksum
    if (code === Code.None && bodyLength > this.messageLimit) code = Code.TooLarge
    const { exchange } = stream
    if (code !== Code.None || exchange === null) {
      response.release()
      this.streamError(stream, code, `RESPONSE ${stream.id}: ${codeName(code)}`)
      return false
    }
    stream.response = response
    if (isLast && end >= 0 && !hasCrc) response.bodyEnd = end - at
    const isWhole = isLast && dataLength === 0
    if (isWhole && end >= 0) {
      stream.exchange = null
      this.closeStream(stream)
      this.skipBody(bodyLength, end)
    }
    this.handler.onResponse(exchange, response, isWhole)
    if (end < 0) this.streamBody(stream)
    else if (!isWhole) {
      this.finishFrame(stream, bytes, metaEnd, hasCrc ? end - CRC_LENGTH : end, flags, bodyLength)
    }
    if (exchange.state !== ExchangeState.Finished) response.retain()
    return true
  }

  protected onTooLarge(stream: MmtpStream): void {
    const limit = this.messageLimit
    this.out.sendCancel(stream.id, Code.TooLarge)
    this.closeStream(stream)
    stream.fail({ kind: 'too-large', code: Code.TooLarge }, `the response is above ${limit} bytes`)
  }

  /** Pushes have no route yet: every one is refused. */
  #onPush(bytes: Buffer, at: number, end: number): void {
    const id = readU32(bytes, at + 4)
    const flags = readU16(bytes, at + 2)
    const bodyLength = readU32(bytes, at + 12)
    this.skipBody(bodyLength, end)
    if (id <= this.lastProcessed) {
      this.connectionError(Code.Protocol, `PUSH ${id} after ${this.lastProcessed}`)
      return
    }
    this.lastProcessed = id
    const verdict = checkFlags(FrameType.Push, flags, id, bodyLength)
    if (verdict > 0) this.connectionError(verdict as Code, `flags ${flags} of PUSH ${id}`)
    else this.cancelUnopened(id, Code.Unsupported, (flags & Flag.OneWay) !== 0)
  }

  // — connection —————————————————————————————————————————————————————————————————————————————————

  protected onGreeted(): void {
    this.#owner.onCapacity(this)
  }

  protected onSettings(): void {
    this.#owner.onCapacity(this)
  }

  protected onGoAway(last: number): void {
    this.isReusable = false
    this.#isGone = true
    for (const stream of this.streams.values()) {
      if (stream.id <= last) continue
      this.closeStream(stream)
      stream.fail({ kind: 'refused', code: Code.Refused }, `GOAWAY, last stream ${last}`)
    }
    if (this.isOver) return
    this.#owner.onCapacity(this)
    this.#closeIfDone()
  }

  protected onConnectionFailed(): void {
    this.isReusable = false
    this.#owner.onCapacity(this)
  }

  onEnd(): void {
    if (this.isOver) return
    this.isReusable = false
    this.isOver = true
    this.failAll({ kind: 'gone', code: Code.None }, 'the business process closed the connection')
    this.#owner.onCapacity(this)
    this.wire.close()
  }

  override onClose(error: Error | null): void {
    this.isReusable = false
    super.onClose(error)
  }

  protected onPong(): void {}

  protected onDrainTimer(): number {
    return 0
  }

  drain(): void {
    this.isReusable = false
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.isReusable || this.activeStreams > 0 || this.isOver) return
    this.isOver = true
    this.wire.setTimer(0)
    if (!this.#isGone) this.out.sendGoAway(this.lastProcessed, Code.Drain, 0)
    this.wire.close()
  }
}
