/** Puts the framing around a body that is sent (section 7.1). */
import type { Wire } from '../../core/codec.ts'
import type { Headers } from '../../core/message.ts'
import { Framing, LAST_CHUNK, LEND_BYTES } from './constants.ts'
import { writeTrailers } from './header-writer.ts'

/** Digits of a chunk size, CRLF, CRLF behind the data and the last chunk. */
const CHUNK_OVERHEAD = 16 + 2 + 2 + 5
const CR = 0x0d
const LF = 0x0a
const DIGITS = Buffer.from('0123456789abcdef')

/** The body of one message at a time; part of a connection for life. */
export class BodyWriter {
  framing: Framing = Framing.None
  /** Bytes that a body of known length still lacks. */
  remaining = 0

  /** Starts a body; `length` counts for {@link Framing.Length} only. */
  begin(framing: Framing, length: number): void {
    this.framing = framing
    this.remaining = framing === Framing.Length ? length : 0
  }

  /** Writes a piece. Returns false when the body is not as long as its head said: nothing can mend that but closing. */
  write(wire: Wire, bytes: Buffer, offset: number, end: number, last: boolean): boolean {
    const length = end - offset
    switch (this.framing) {
      case Framing.None:
      case Framing.Described:
        return true
      case Framing.Chunked:
        this.#writeChunk(wire, bytes, offset, end, last)
        return true
      case Framing.Length:
        if (length > this.remaining) return false
        this.remaining -= length
        break
    }
    if (length >= LEND_BYTES) wire.lend(bytes, offset, end)
    else if (length > 0) wire.write(bytes, offset, end)
    return !last || this.remaining === 0
  }

  /** Ends the body; only a chunked one can carry `trailers`. Returns as {@link BodyWriter.write}. */
  end(wire: Wire, trailers: Headers): boolean {
    if (this.framing !== Framing.Chunked) return this.remaining === 0
    writeTrailers(wire, trailers)
    return true
  }

  #writeChunk(wire: Wire, bytes: Buffer, offset: number, end: number, last: boolean): void {
    const length = end - offset
    if (length === 0) {
      // An empty chunk would end the body.
      if (last) wire.write(LAST_CHUNK, 0, LAST_CHUNK.length)
      return
    }
    const isLent = length >= LEND_BYTES
    let out = wire.reserve(CHUNK_OVERHEAD + (isLent ? 0 : length))
    let at = writeSize(out, wire.position, length)
    if (isLent) {
      wire.position = at
      wire.lend(bytes, offset, end)
      out = wire.reserve(CHUNK_OVERHEAD)
      at = wire.position
    } else {
      bytes.copy(out, at, offset, end)
      at += length
    }
    out[at++] = CR
    out[at++] = LF
    if (last) at += LAST_CHUNK.copy(out, at)
    wire.position = at
  }
}

/** A chunk size and its CRLF; returns the position behind it. */
function writeSize(out: Buffer, at: number, length: number): number {
  let shift = 0
  while (length >>> shift > 15) shift += 4
  for (; shift >= 0; shift -= 4) out[at++] = DIGITS[(length >>> shift) & 15]
  out[at++] = CR
  out[at++] = LF
  return at
}
