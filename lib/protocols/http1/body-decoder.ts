/** Takes the framing off a body (section 6 and 7.1). Pieces are reported as ranges of the bytes that came. */
import { FIELD_STRIDE, type HeaderTable, KIND_REMOVED } from '../../buffer/header-table.ts'
import { CR, HEX, LF, SEMICOLON, TAB } from './chars.ts'
import { Framing, MAX_CHUNK_DIGITS, MAX_CHUNK_EXTENSION_BYTES, MAX_TRAILER_BYTES } from './constants.ts'
import { HeadParser } from './head-parser.ts'
import { HeadKind, type HeadLimits, Parsed } from './head-state.ts'
import { isNoTrailer } from './names.ts'

/** What {@link BodyDecoder.read} found. */
export const BodyEvent = {
  /** Framing only, and all of it consumed. */
  More: 0,
  /** `dataStart…dataEnd`; the last one when `isLast`. */
  Data: 1,
  /** The body ended without a further piece. */
  End: 2,
  /** The body ended with trailers. */
  Trailers: 3,
  /** The framing is broken, `detail` says how. */
  Failed: 4,
} as const
export type BodyEvent = (typeof BodyEvent)[keyof typeof BodyEvent]

/** Where a chunked body stands. */
const ChunkState = { Size: 0, Extension: 1, SizeEnd: 2, Data: 3, DataCr: 4, DataLf: 5, Trailers: 6 } as const
type ChunkState = (typeof ChunkState)[keyof typeof ChunkState]

const DIGIT_ZERO = 0x30

/** The body of one message at a time; one decoder serves a connection for life. */
export class BodyDecoder {
  framing: Framing = Framing.None
  /** Bytes that are missing from the body or from its current chunk. */
  remaining = 0
  /** Bytes of the body seen so far. */
  total = 0
  /** Where reading goes on after an event. */
  position = 0
  dataStart = 0
  dataEnd = 0
  isLast = false
  detail = ''
  #state: ChunkState = ChunkState.Size
  #digits = 0
  #extensionBytes = 0
  #trailers: HeadParser | null = null
  #limits: HeadLimits

  /** `limits` bind the trailers. */
  constructor(limits: HeadLimits) {
    this.#limits = {
      maxHeadBytes: Math.min(limits.maxHeadBytes, MAX_TRAILER_BYTES),
      maxHeaders: limits.maxHeaders,
      maxUriBytes: 0,
    }
  }

  /** Starts a body; `length` counts for {@link Framing.Length} only. */
  begin(framing: Framing, length: number): void {
    this.framing = framing
    this.remaining = framing === Framing.Length ? length : 0
    this.total = 0
    this.isLast = false
    this.#state = ChunkState.Size
    this.#digits = 0
    this.#extensionBytes = 0
  }

  /** Drops what a body that was given up has left. */
  abandon(): void {
    this.#trailers?.abandon()
    this.#trailers = null
  }

  /** The trailers of {@link BodyEvent.Trailers}. The caller releases them. They are valid while the bytes are. */
  takeTrailers(): HeaderTable {
    const table = (this.#trailers as HeadParser).handOver()
    this.#trailers = null
    for (let i = 0; i < table.count; i++) {
      if (isNoTrailer(table.nameAt(i))) table.fields[i * FIELD_STRIDE + 4] = KIND_REMOVED
    }
    return table
  }

  /** Looks for the next event in `offset…end`, which is not empty. Call it again from `position` on. */
  read(bytes: Buffer, offset: number, end: number): BodyEvent {
    if (this.framing === Framing.Chunked) return this.#readChunked(bytes, offset, end)
    this.dataStart = offset
    this.dataEnd = this.framing === Framing.Length ? Math.min(end, offset + this.remaining) : end
    this.position = this.dataEnd
    const length = this.dataEnd - offset
    this.total += length
    if (this.framing === Framing.Length) {
      this.remaining -= length
      this.isLast = this.remaining === 0
    }
    return BodyEvent.Data
  }

  #readChunked(bytes: Buffer, offset: number, end: number): BodyEvent {
    let i = offset
    while (i < end) {
      switch (this.#state) {
        case ChunkState.Data:
          return this.#readData(bytes, i, end)
        case ChunkState.Trailers:
          return this.#readTrailers(bytes, i, end)
        case ChunkState.Size:
          i = this.#readSize(bytes, i, end)
          break
        case ChunkState.Extension:
          i = this.#readExtension(bytes, i, end)
          break
        case ChunkState.SizeEnd:
          i = bytes[i] === LF ? this.#endSize(i) : this.#fail('CR without LF behind a chunk size')
          break
        case ChunkState.DataCr:
          if (bytes[i++] === CR) this.#state = ChunkState.DataLf
          else i = this.#fail('a chunk is longer than its size')
          break
        default:
          if (bytes[i++] === LF) this.#state = ChunkState.Size
          else i = this.#fail('CR without LF behind a chunk')
      }
      if (i < 0) return BodyEvent.Failed
    }
    this.position = end
    return BodyEvent.More
  }

  #readSize(bytes: Buffer, i: number, end: number): number {
    for (; i < end; i++) {
      const digit = HEX[bytes[i]]
      if (digit > 15) break
      if (++this.#digits > MAX_CHUNK_DIGITS) return this.#fail('a chunk size has too many digits')
      this.remaining = this.remaining * 16 + digit
    }
    if (i === end) return i
    if (this.#digits === 0) return this.#fail('a chunk has no size')
    if (this.remaining > Number.MAX_SAFE_INTEGER) return this.#fail('a chunk size is not below 2^53')
    if (bytes[i] === CR) this.#state = ChunkState.SizeEnd
    else if (bytes[i] === SEMICOLON) this.#state = ChunkState.Extension
    else return this.#fail('a forbidden byte in a chunk size')
    return i + 1
  }

  /** Extensions are checked for size and control bytes, and dropped (section 7.1.1). */
  #readExtension(bytes: Buffer, i: number, end: number): number {
    for (; i < end; i++) {
      const byte = bytes[i]
      if (byte === CR) {
        this.#state = ChunkState.SizeEnd
        return i + 1
      }
      if ((byte < 0x20 && byte !== TAB) || byte > 0x7e)
        return this.#fail('a forbidden byte in a chunk extension')
      if (++this.#extensionBytes > MAX_CHUNK_EXTENSION_BYTES)
        return this.#fail('chunk extensions beyond the limit')
    }
    return i
  }

  #endSize(i: number): number {
    this.#digits = 0
    this.#state = this.remaining === 0 ? ChunkState.Trailers : ChunkState.Data
    return i + 1
  }

  #readData(bytes: Buffer, i: number, end: number): BodyEvent {
    const length = Math.min(end - i, this.remaining)
    this.remaining -= length
    this.total += length
    this.dataStart = i
    this.dataEnd = this.position = i + length
    if (this.remaining === 0) {
      this.#state = ChunkState.DataCr
      // The usual end in one piece with the last data: one event instead of three.
      if (endsHere(bytes, i + length, end)) {
        this.position = i + length + 7
        this.isLast = true
      }
    }
    return BodyEvent.Data
  }

  #readTrailers(bytes: Buffer, i: number, end: number): BodyEvent {
    const parser = (this.#trailers ??= HeadParser.acquire(HeadKind.Trailers, this.#limits))
    this.position = parser.read(bytes, i, end)
    const { outcome } = parser
    if (outcome === Parsed.More) return BodyEvent.More
    if (outcome === Parsed.Failed) {
      this.#fail(`trailers: ${parser.detail}`)
      return BodyEvent.Failed
    }
    if (parser.table.count > 0) return BodyEvent.Trailers
    this.abandon()
    return BodyEvent.End
  }

  #fail(detail: string): -1 {
    this.detail = detail
    return -1
  }
}

/** Whether CRLF, the last chunk and no trailers follow. */
function endsHere(bytes: Buffer, i: number, end: number): boolean {
  return (
    end - i >= 7 &&
    bytes[i + 2] === DIGIT_ZERO &&
    bytes[i] === CR &&
    bytes[i + 1] === LF &&
    bytes[i + 3] === CR &&
    bytes[i + 4] === LF &&
    bytes[i + 5] === CR &&
    bytes[i + 6] === LF
  )
}
