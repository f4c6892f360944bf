/** The sending half of one connection: frames into the wire's batch, windows, and what waits for them. */
import { crc32 } from 'node:zlib'
import { Queue } from '../../buffer/queue.ts'
import type { Wire } from '../../core/codec.ts'
import {
  type Code,
  Flag,
  FrameType,
  HEADER_LENGTH,
  MAGIC,
  MAX_QUEUED_BYTES,
  MAX_WINDOW,
} from './constants.ts'
import { CRC_LENGTH } from './frame.ts'
import { Settings } from './settings.ts'

/** Pieces from here on are lent to the wire in place of being copied. */
const LEND_BYTES = 16 * 1024
/** Room made behind a message's head for the first piece of its body. */
const FIRST_PIECE_ROOM = 4 * 1024

/** The sending state of one stream. */
export interface SendingStream {
  readonly id: number
  /** Body bytes the peer takes on this stream. */
  sendWindow: number
  /** Body bytes sent or queued so far. */
  messageBytes: number
  /** No frame may be sent any more. */
  readonly isClosed: boolean
  /** The end of the message was given; it may still be queued. */
  isEndGiven: boolean
  /** END is on the wire. */
  hasSentEnd: boolean
  /** Frames get a checksum. */
  readonly usesCrc: boolean
  /** The head was written as the beginning of a message without an answer. */
  readonly isOneWay: boolean
  /** Body pieces that wait for a window; null while there are none. */
  waiting: Waiting | null
}

/** Copies of pieces behind a closed window. */
export class Waiting {
  readonly pieces = new Queue<Buffer>()
  /** Bytes of the first piece that have been sent. */
  sent = 0
  bytes = 0
  /** Monotonic milliseconds of the last progress. */
  sinceMs: number

  constructor(nowMs: number) {
    this.sinceMs = nowMs
  }
}

/** See the file's head. */
export class Outbound {
  readonly wire: Wire
  /** What the peer is ready to receive. */
  readonly peer = new Settings()
  /** Body bytes the peer takes on the connection. */
  window: number
  /** Bytes in all queues. */
  queuedBytes = 0
  /** Frames with a body that were sent, for the budget of WINDOW frames. */
  bodyFrames = 0
  /** DATA frames that were sent. */
  dataFrames = 0
  /** Too much waited; sources are to be told when it is less. */
  #wasFull = false
  /** Streams whose pieces wait, oldest first. */
  readonly blocked = new Set<SendingStream>()
  /** The stream whose head is the last thing in the batch, so that the first piece of its body can still join that frame; null when something followed. */
  #open: SendingStream | null = null
  #openBuffer: Buffer | null = null
  #openAt = 0
  #openEnd = 0

  constructor(wire: Wire) {
    this.wire = wire
    this.window = this.peer.connectionWindow
  }

  /** False while sources should pause. */
  get isWritable(): boolean {
    return this.wire.isWritable && this.queuedBytes < MAX_QUEUED_BYTES
  }

  /** Makes room for a frame of `length` bytes and for `bodyLength` more behind it, if that is little. The caller writes at `wire.position` and calls {@link Outbound.commit} or {@link Outbound.commitHead}. */
  reserve(length: number, bodyLength: number): Buffer {
    this.#open = null
    const extra = bodyLength > 0 && bodyLength <= FIRST_PIECE_ROOM ? bodyLength + CRC_LENGTH : 0
    return this.wire.reserve(length + extra)
  }

  /** The frame that was written ends at `end`. */
  commit(end: number): void {
    this.wire.position = end
  }

  /** A frame with head and whole body ends at `end`. */
  commitWhole(stream: SendingStream, end: number, bodyLength: number): void {
    this.wire.position = end
    stream.isEndGiven = true
    stream.hasSentEnd = true
    stream.messageBytes += bodyLength
    stream.sendWindow -= bodyLength
    this.window -= bodyLength
    if (bodyLength > 0) this.bodyFrames++
  }

  /** As {@link Outbound.commit} for the head of a message at `at`, whose body follows. */
  commitHead(stream: SendingStream, buffer: Buffer, at: number, end: number): void {
    this.wire.position = end
    this.#open = stream
    this.#openBuffer = buffer
    this.#openAt = at
    this.#openEnd = end
  }

  /** Sends a piece of a body as far as the windows allow, and queues a copy of the rest. */
  sendBody(stream: SendingStream, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (stream.isClosed || stream.isEndGiven) return
    stream.isEndGiven = last
    stream.messageBytes += end - offset
    if (stream.waiting === null) offset = this.#sendNow(stream, bytes, offset, end, last)
    if (offset < end || (last && !stream.hasSentEnd)) this.#enqueue(stream, bytes, offset, end)
  }

  /** Sends what waits, as far as the windows allow. True when nothing waits any more. */
  flush(stream: SendingStream): boolean {
    const waiting = stream.waiting
    if (waiting === null) return true
    for (let piece = waiting.pieces.peek(); piece !== undefined; piece = waiting.pieces.peek()) {
      const isLast = stream.isEndGiven && waiting.pieces.length === 1
      const from = waiting.sent
      const to = this.#sendNow(stream, piece, from, piece.length, isLast)
      if (to > from) waiting.sinceMs = this.wire.now()
      waiting.bytes -= to - from
      this.queuedBytes -= to - from
      if (to < piece.length || (isLast && !stream.hasSentEnd)) {
        waiting.sent = to
        return false
      }
      waiting.pieces.shift()
      waiting.sent = 0
    }
    stream.waiting = null
    this.blocked.delete(stream)
    return true
  }

  /** True once after too much had waited and there is room again. */
  takeRelief(): boolean {
    if (!this.#wasFull || !this.isWritable) return false
    this.#wasFull = false
    return true
  }

  /** Drops what waits. */
  discard(stream: SendingStream): void {
    if (stream.waiting === null) return
    this.queuedBytes -= stream.waiting.bytes
    stream.waiting = null
    this.blocked.delete(stream)
  }

  /** Adds to the connection's window; false when that overflows. */
  widen(increment: number): boolean {
    this.window += increment
    return this.window <= MAX_WINDOW
  }

  sendCancel(id: number, code: Code): void {
    const buffer = this.#control(FrameType.Cancel, id, 2)
    const at = this.wire.position + HEADER_LENGTH
    buffer[at] = code >> 8
    buffer[at + 1] = code
    this.wire.position = at + 2
  }

  sendWindow(id: number, increment: number): void {
    const buffer = this.#control(FrameType.Window, id, 4)
    const at = this.wire.position + HEADER_LENGTH
    writeU32(buffer, at, increment)
    this.wire.position = at + 4
  }

  sendGoAway(lastStreamId: number, code: Code, graceMs: number): void {
    const buffer = this.#control(FrameType.GoAway, 0, 10)
    const at = this.wire.position + HEADER_LENGTH
    writeU32(buffer, at, lastStreamId)
    buffer[at + 4] = code >> 8
    buffer[at + 5] = code
    writeU32(buffer, at + 6, graceMs)
    this.wire.position = at + 10
  }

  sendSettingsAck(): void {
    this.#control(FrameType.SettingsAck, 0, 0)
    this.wire.position += HEADER_LENGTH
  }

  /** PING or PONG with the eight bytes at `from`. */
  sendPing(type: number, bytes: Buffer, from: number): void {
    const buffer = this.#control(type, 0, 8)
    const at = this.wire.position + HEADER_LENGTH
    for (let i = 0; i < 8; i++) buffer[at + i] = bytes[from + i] as number
    this.wire.position = at + 8
  }

  /** A frame that was made elsewhere. */
  sendWhole(frame: Buffer): void {
    this.#open = null
    this.wire.write(frame, 0, frame.length)
  }

  #control(type: number, id: number, bodyLength: number): Buffer {
    const buffer = this.reserve(HEADER_LENGTH + bodyLength, 0)
    writeHeader(buffer, this.wire.position, type, 0, id, 0, 0, 0, bodyLength)
    return buffer
  }

  /** Returns the position up to which it sent. */
  #sendNow(stream: SendingStream, bytes: Buffer, offset: number, end: number, last: boolean): number {
    const trailer = stream.usesCrc ? CRC_LENGTH : 0
    while (offset < end) {
      const room = Math.min(stream.sendWindow, this.window, this.peer.maxBodyFrame) - trailer
      if (room <= 0) return offset
      const pieceEnd = Math.min(end, offset + room)
      this.#sendPiece(stream, bytes, offset, pieceEnd, last && pieceEnd === end, trailer)
      offset = pieceEnd
    }
    if (last && !stream.hasSentEnd) this.#sendPiece(stream, bytes, end, end, true, 0)
    return end
  }

  #sendPiece(
    stream: SendingStream,
    bytes: Buffer,
    from: number,
    to: number,
    last: boolean,
    trailer: number,
  ): void {
    const length = to - from
    const bodyLength = length + trailer
    const isLent = length >= LEND_BYTES
    const buffer = this.#frameFor(stream, isLent ? 0 : bodyLength, bodyLength, last, trailer > 0)
    const { wire } = this
    if (isLent) wire.lend(bytes, from, to)
    else if (length > 0) {
      bytes.copy(buffer, wire.position, from, to)
      wire.position += length
    }
    if (trailer > 0) this.#sendCrc(bytes, from, to)
    stream.sendWindow -= bodyLength
    this.window -= bodyLength
    if (bodyLength > 0) this.bodyFrames++
    if (last) stream.hasSentEnd = true
  }

  /** The frame that a piece goes into: the message's head when that is still the last thing in the batch, a DATA frame otherwise. */
  #frameFor(stream: SendingStream, room: number, bodyLength: number, last: boolean, hasCrc: boolean): Buffer {
    const { wire } = this
    const flags = (last ? Flag.End : 0) | (hasCrc ? Flag.Crc : 0)
    if (this.#open === stream) {
      const buffer = wire.reserve(room)
      // A flush in between would have moved the position or changed the buffer.
      if (buffer === this.#openBuffer && wire.position === this.#openEnd) {
        const at = this.#openAt
        this.#open = null
        buffer[at + 3] = (buffer[at + 3] as number) | flags | (last && stream.isOneWay ? Flag.OneWay : 0)
        writeU32(buffer, at + 12, bodyLength)
        return buffer
      }
    }
    this.#open = null
    this.dataFrames++
    const buffer = wire.reserve(HEADER_LENGTH + room)
    writeHeader(buffer, wire.position, FrameType.Data, flags, stream.id, 0, 0, 0, bodyLength)
    wire.position += HEADER_LENGTH
    return buffer
  }

  #sendCrc(bytes: Buffer, from: number, to: number): void {
    const buffer = this.wire.reserve(CRC_LENGTH)
    writeU32(buffer, this.wire.position, crc32(bytes.subarray(from, to)))
    this.wire.position += CRC_LENGTH
  }

  #enqueue(stream: SendingStream, bytes: Buffer, offset: number, end: number): void {
    stream.waiting ??= new Waiting(this.wire.now())
    const piece = Buffer.allocUnsafeSlow(end - offset)
    bytes.copy(piece, 0, offset, end)
    stream.waiting.pieces.push(piece)
    stream.waiting.bytes += piece.length
    this.queuedBytes += piece.length
    if (this.queuedBytes >= MAX_QUEUED_BYTES) this.#wasFull = true
    this.blocked.add(stream)
  }
}

/** Writes the 16 bytes of a frame header. */
export function writeHeader(
  buffer: Buffer,
  at: number,
  type: number,
  flags: number,
  id: number,
  metaLength: number,
  routeLength: number,
  hopsAndEncoding: number,
  bodyLength: number,
): void {
  buffer[at] = MAGIC
  buffer[at + 1] = type
  buffer[at + 2] = flags >> 8
  buffer[at + 3] = flags
  writeU32(buffer, at + 4, id)
  buffer[at + 8] = metaLength >> 8
  buffer[at + 9] = metaLength
  buffer[at + 10] = routeLength
  buffer[at + 11] = hopsAndEncoding
  writeU32(buffer, at + 12, bodyLength)
}

/** Writes a 32-bit number. */
export function writeU32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}
