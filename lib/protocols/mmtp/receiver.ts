/**
 * The receiving half of a connection: which stream a frame belongs to, what may be received, checksums, and bodies
 * that come in pieces. {@link MmtpConnection} adds control frames, times and ends.
 */
import { crc32 } from 'node:zlib'
import { IdTable } from '../../buffer/id-table.ts'
import type { Wire } from '../../core/codec.ts'
import { Budgets } from './budgets.ts'
import { Code, FIRST_IGNORABLE_TYPE, Flag, FrameType } from './constants.ts'
import { FrameDecoder, type FrameSink } from './decoder.ts'
import { CRC_LENGTH, checkFlags, isMessageType, readU16, readU32 } from './frame.ts'
import { Outbound } from './outbound.ts'
import type { Settings } from './settings.ts'
import type { MmtpStream } from './stream.ts'

/** Credit is given back in steps of this part of a window. */
const CREDIT_PART = 4

/** See the file's head. */
export abstract class Receiver implements FrameSink {
  readonly wire: Wire
  readonly out: Outbound
  readonly own: Settings
  /** Open streams by id. */
  readonly streams = new IdTable<MmtpStream>()
  /** True once nothing is read any more. */
  isOver = false
  /** The peer's HELLO or HELLO_ACK has been read. */
  isGreeted = false
  /** Monotonic milliseconds of the last bytes. */
  receivedMs: number
  protected readonly decoder: FrameDecoder
  protected readonly budgets: Budgets
  protected readonly isDialler: boolean
  /** Body bytes the peer may still send. */
  #receiveWindow: number
  #owed = 0
  /** The stream that the body of a streamed frame goes to; null to skip it. */
  #bodyStream: MmtpStream | null = null
  #bodyFlags = 0
  #bodyLength = 0
  #bodyLeft = 0
  #crc = 0
  #expectedCrc = 0

  protected constructor(wire: Wire, own: Settings, isDialler: boolean) {
    this.wire = wire
    this.out = new Outbound(wire)
    this.own = own
    this.isDialler = isDialler
    this.decoder = new FrameDecoder(this, own.maxMeta, own.maxBodyFrame, !isDialler)
    this.#receiveWindow = own.connectionWindow
    this.receivedMs = wire.now()
    this.budgets = new Budgets(this.receivedMs)
  }

  /** Longest message that is taken; at most what our settings announce. */
  protected abstract readonly messageLimit: number
  /** REQUEST, RESPONSE, PUSH and PUSH_ACK. The body is whole when `end` is not -1. */
  protected abstract onHead(type: number, bytes: Buffer, at: number, metaEnd: number, end: number): void
  /** HELLO … GOAWAY. */
  protected abstract onControl(type: number, bytes: Buffer, at: number, metaEnd: number, end: number): void
  /** A message grew beyond `messageLimit`. */
  protected abstract onTooLarge(stream: MmtpStream): void
  /** Whether `id` was opened at some time: its frames are late when it is not open now. */
  protected abstract wasOpened(id: number): boolean
  /** Cancels an open stream because of the peer's fault. */
  protected abstract streamError(stream: MmtpStream, code: Code, detail: string): void
  /** GOAWAY, then close. Every open stream fails. */
  abstract connectionError(code: Code, detail: string): void

  checkOrder(type: number): Code {
    const first = this.isDialler ? FrameType.HelloAck : FrameType.Hello
    if (this.isGreeted) return type === first ? Code.Protocol : Code.None
    return type === first || (this.isDialler && type === FrameType.GoAway) ? Code.None : Code.Protocol
  }

  onFault(code: Code, detail: string): void {
    this.connectionError(code, detail)
  }

  onFrame(bytes: Buffer, at: number, metaEnd: number, end: number): void {
    const type = bytes[at + 1] as number
    if (isMessageType(type)) {
      if (!this.#admit(bytes, at, end - metaEnd)) return
      if (type === FrameType.Data) this.#onData(bytes, at, metaEnd, end)
      else this.onHead(type, bytes, at, metaEnd, end)
      return
    }
    if (type >= FIRST_IGNORABLE_TYPE) {
      if (!this.budgets.takeIgnorable(this.receivedMs))
        this.connectionError(Code.Abuse, 'too many ignorable frames')
      return
    }
    this.onControl(type, bytes, at, metaEnd, end)
  }

  onFrameHead(bytes: Buffer, at: number, metaEnd: number): void {
    const type = bytes[at + 1] as number
    const bodyLength = readU32(bytes, at + 12)
    this.#bodyStream = null
    this.#bodyFlags = readU16(bytes, at + 2)
    this.#bodyLength = bodyLength
    this.#bodyLeft = (this.#bodyFlags & Flag.Crc) === 0 ? bodyLength : bodyLength - CRC_LENGTH
    this.#crc = 0
    this.#expectedCrc = 0
    // Ignorable frames are shorter than what is collected, so this is a part of a message.
    if (!this.#admit(bytes, at, bodyLength)) return
    if (type === FrameType.Data) this.#onData(bytes, at, metaEnd, -1)
    else this.onHead(type, bytes, at, metaEnd, -1)
  }

  onFramePiece(bytes: Buffer, offset: number, end: number, last: boolean): void {
    const stream = this.#bodyStream
    if (stream === null || stream.isClosed) {
      if (last) this.#settle(stream, this.#bodyLength)
      return
    }
    const hasCrc = (this.#bodyFlags & Flag.Crc) !== 0
    const dataEnd = Math.min(end, offset + this.#bodyLeft)
    this.#bodyLeft -= dataEnd - offset
    if (hasCrc) {
      if (dataEnd > offset) this.#crc = crc32(bytes.subarray(offset, dataEnd), this.#crc)
      for (let i = dataEnd; i < end; i++)
        this.#expectedCrc = ((this.#expectedCrc << 8) | (bytes[i] as number)) >>> 0
    }
    if (!last) {
      if (dataEnd > offset) stream.deliver(bytes, offset, dataEnd, false, hasCrc)
      return
    }
    this.#bodyStream = null
    if (hasCrc && this.#crc !== this.#expectedCrc) {
      this.streamError(stream, Code.Checksum, 'checksum')
      this.#settle(stream, this.#bodyLength)
      return
    }
    this.finishFrame(stream, bytes, offset, dataEnd, this.#bodyFlags, this.#bodyLength)
  }

  /** The last (or only) piece of a frame whose body counts `bodyLength` bytes. */
  protected finishFrame(
    stream: MmtpStream,
    bytes: Buffer,
    offset: number,
    end: number,
    flags: number,
    bodyLength: number,
  ): void {
    const last = (flags & Flag.End) !== 0
    if (last) stream.hasReceivedEnd = true
    if (last || end > offset) stream.deliver(bytes, offset, end, last, (flags & Flag.Crc) !== 0)
    this.#settle(stream, bodyLength)
  }

  /** The body of the frame whose head is being read goes to `stream`, piece by piece. */
  protected streamBody(stream: MmtpStream): void {
    this.#bodyStream = stream
  }

  /** Whether the checksum of a whole frame is right, or there is none. */
  protected isIntact(bytes: Buffer, metaEnd: number, end: number, flags: number): boolean {
    if ((flags & Flag.Crc) === 0) return true
    const dataEnd = end - CRC_LENGTH
    return crc32(bytes.subarray(metaEnd, dataEnd)) === readU32(bytes, dataEnd)
  }

  /** Counts a body against the connection's window. */
  #admit(bytes: Buffer, at: number, bodyLength: number): boolean {
    if (bodyLength <= this.#receiveWindow) {
      this.#receiveWindow -= bodyLength
      return true
    }
    this.connectionError(
      Code.Flow,
      `${bodyLength} bytes on stream ${readU32(bytes, at + 4)} are past the window`,
    )
    return false
  }

  #onData(bytes: Buffer, at: number, metaEnd: number, end: number): void {
    const id = readU32(bytes, at + 4)
    const bodyLength = readU32(bytes, at + 12)
    const stream = this.find(id)
    if (stream === undefined) {
      this.skipBody(bodyLength, end)
      return
    }
    const flags = readU16(bytes, at + 2)
    if (stream.hasReceivedEnd || !stream.hasReceivedHead) {
      this.connectionError(
        Code.Protocol,
        `DATA on stream ${id} ${stream.hasReceivedEnd ? 'after END' : 'before its head'}`,
      )
      return
    }
    if (!this.admitOnStream(stream, bodyLength)) return
    const verdict = checkFlags(FrameType.Data, flags, id, bodyLength)
    if (verdict > 0) {
      this.connectionError(verdict as Code, `flags ${flags} of DATA on stream ${id}`)
      return
    }
    const isEmpty = bodyLength === ((flags & Flag.Crc) === 0 ? 0 : CRC_LENGTH)
    if (isEmpty && (flags & Flag.End) === 0 && !this.budgets.takeEmptyData()) {
      this.connectionError(Code.Abuse, 'too many empty DATA frames')
      return
    }
    if (verdict < 0) this.streamError(stream, -verdict as Code, `flags ${flags}`)
    else if (end >= 0 && !this.isIntact(bytes, metaEnd, end, flags))
      this.streamError(stream, Code.Checksum, 'checksum')
    else if (stream.receivedBytes > this.messageLimit) this.onTooLarge(stream)
    else if (end < 0) {
      this.#bodyStream = stream
      return
    } else {
      const dataEnd = (flags & Flag.Crc) === 0 ? end : end - CRC_LENGTH
      this.finishFrame(stream, bytes, metaEnd, dataEnd, flags, bodyLength)
      return
    }
    this.skipBody(bodyLength, end)
  }

  /** Counts a body against the stream's window and the message's length. */
  protected admitOnStream(stream: MmtpStream, bodyLength: number): boolean {
    stream.receivedBytes += bodyLength
    if (bodyLength <= stream.receiveWindow) {
      stream.receiveWindow -= bodyLength
      return true
    }
    this.connectionError(Code.Flow, `${bodyLength} bytes on stream ${stream.id} are past its window`)
    return false
  }

  /** Gives credit back for a body that nobody takes; one that is still to come is credited at its end. */
  protected skipBody(bodyLength: number, end: number): void {
    if (end >= 0) this.#credit(bodyLength)
  }

  /** The open stream `id`; undefined when the frame is late, or was a connection error. */
  protected find(id: number): MmtpStream | undefined {
    const stream = this.streams.get(id)
    if (stream === undefined && !this.wasOpened(id)) {
      this.connectionError(Code.Protocol, `frame on stream ${id}, which was never opened`)
    }
    return stream
  }

  /** A frame was dealt with: gives its credit back, unless the stream is paused. */
  #settle(stream: MmtpStream | null, bodyLength: number): void {
    if (stream === null || stream.isClosed) {
      this.#credit(bodyLength)
      return
    }
    stream.owed += bodyLength
    if (stream.isPaused) stream.withheld += bodyLength
    else {
      this.#credit(bodyLength)
      this.#creditStream(stream)
    }
  }

  #credit(length: number): void {
    this.#owed += length
    if (this.#owed < this.own.connectionWindow / CREDIT_PART || this.isOver) return
    this.out.sendWindow(0, this.#owed)
    this.#receiveWindow += this.#owed
    this.#owed = 0
  }

  #creditStream(stream: MmtpStream): void {
    if (stream.owed < this.own.streamWindow / CREDIT_PART || stream.hasReceivedEnd || this.isOver) return
    this.out.sendWindow(stream.id, stream.owed)
    stream.receiveWindow += stream.owed
    stream.owed = 0
  }

  /** Gives back what was withheld while the stream was paused. */
  release(stream: MmtpStream): void {
    stream.isPaused = false
    const { withheld } = stream
    stream.withheld = 0
    if (withheld > 0) this.#credit(withheld)
    if (!stream.isClosed) this.#creditStream(stream)
  }
}
