/** Cuts the bytes of one direction into frames. */
import { acquireBlock, SLAB_BYTES } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'
import { Code, HEADER_LENGTH } from './constants.ts'
import { checkHeader, readU16, readU32 } from './frame.ts'

/** Takes what a {@link FrameDecoder} finds. Ranges are valid during the call only. */
export interface FrameSink {
  /** True once nothing more may be read: the rest of the bytes is dropped. */
  readonly isOver: boolean
  /** Judges a header whose own bytes are sound by what came before. Pure. */
  checkOrder(type: number): Code
  /** A whole frame: header at `at`, meta up to `metaEnd`, body up to `end`. */
  onFrame(bytes: Buffer, at: number, metaEnd: number, end: number): void
  /** Header and meta of a frame whose body is too long to be collected; it follows in pieces. */
  onFrameHead(bytes: Buffer, at: number, metaEnd: number): void
  /** The next piece of that body. */
  onFramePiece(bytes: Buffer, offset: number, end: number, last: boolean): void
  /** The bytes break a rule: connection error. */
  onFault(code: Code, detail: string): void
}

/**
 * Frames that arrive whole are read in place. The beginning of one that does not is copied into a leased block,
 * whose size is known from the 16 header bytes; a frame above the size of a slab is not collected, its body
 * streams. An idle connection holds nothing.
 */
export class FrameDecoder {
  readonly maxMeta: number
  readonly maxBodyFrame: number
  readonly isFromDialler: boolean
  /** Monotonic milliseconds at which the frame that is still incomplete began; 0 when there is none. */
  startedMs = 0
  readonly #sink: FrameSink
  #block: Slab | null = null
  /** Bytes in `#block`. */
  #held = 0
  /** Bytes that `#block` waits for: the header, then header and meta, or the whole frame. */
  #wanted = 0
  /** Body bytes of a streamed frame that are still to come. */
  #bodyLeft = 0

  constructor(sink: FrameSink, maxMeta: number, maxBodyFrame: number, isFromDialler: boolean) {
    this.#sink = sink
    this.maxMeta = maxMeta
    this.maxBodyFrame = maxBodyFrame
    this.isFromDialler = isFromDialler
  }

  /** Consumes everything: frames are handed on, an incomplete one is kept. */
  decode(bytes: Buffer, offset: number, end: number, nowMs: number): void {
    if (this.#block !== null) offset = this.#continue(bytes, offset, end)
    while (offset < end && !this.#sink.isOver) {
      if (this.#bodyLeft > 0) {
        offset = this.#stream(bytes, offset, end)
        continue
      }
      if (end - offset < HEADER_LENGTH) {
        this.#keep(bytes, offset, end, HEADER_LENGTH, nowMs)
        return
      }
      if (!this.#isSound(bytes, offset)) return
      const metaEnd = offset + HEADER_LENGTH + readU16(bytes, offset + 8)
      const frameEnd = metaEnd + readU32(bytes, offset + 12)
      if (frameEnd <= end) {
        this.#sink.onFrame(bytes, offset, metaEnd, frameEnd)
        offset = frameEnd
        continue
      }
      if (frameEnd - offset <= SLAB_BYTES || metaEnd > end) {
        this.#keep(bytes, offset, end, wantedBytes(metaEnd - offset, frameEnd - offset), nowMs)
        return
      }
      this.startedMs = nowMs
      this.#bodyLeft = frameEnd - metaEnd
      this.#sink.onFrameHead(bytes, offset, metaEnd)
      offset = metaEnd
    }
  }

  /** Gives back what is held. */
  close(): void {
    this.#block?.release()
    this.#block = null
    this.#bodyLeft = 0
    this.startedMs = 0
  }

  #isSound(bytes: Buffer, at: number): boolean {
    const code =
      checkHeader(bytes, at, this.maxMeta, this.maxBodyFrame, this.isFromDialler) ||
      this.#sink.checkOrder(bytes[at + 1] as number)
    if (code === Code.None) return true
    this.#sink.onFault(code, `frame header ${bytes.toString('hex', at, at + HEADER_LENGTH)}`)
    return false
  }

  #stream(bytes: Buffer, offset: number, end: number): number {
    const pieceEnd = Math.min(end, offset + this.#bodyLeft)
    this.#bodyLeft -= pieceEnd - offset
    const isLast = this.#bodyLeft === 0
    if (isLast) this.startedMs = 0
    this.#sink.onFramePiece(bytes, offset, pieceEnd, isLast)
    return pieceEnd
  }

  #keep(bytes: Buffer, offset: number, end: number, wanted: number, nowMs: number): void {
    const block = acquireBlock(wanted)
    bytes.copy(block.bytes, 0, offset, end)
    this.#block = block
    this.#held = end - offset
    this.#wanted = wanted
    this.startedMs = nowMs
  }

  /** Adds to the kept bytes until what was wanted is there. Returns where it stopped reading. */
  #continue(bytes: Buffer, offset: number, end: number): number {
    while (this.#block !== null) {
      const take = Math.min(end - offset, this.#wanted - this.#held)
      bytes.copy(this.#block.bytes, this.#held, offset, offset + take)
      this.#held += take
      offset += take
      if (this.#held < this.#wanted) return offset
      if (this.#wanted === HEADER_LENGTH && !this.#widen()) return end
      if (this.#held === this.#wanted) this.#handOver()
    }
    return offset
  }

  /** The header is complete: checks it and makes room for what follows. False when it was refused. */
  #widen(): boolean {
    const old = this.#block as Slab
    if (!this.#isSound(old.bytes, 0)) {
      this.close()
      return false
    }
    const metaEnd = HEADER_LENGTH + readU16(old.bytes, 8)
    this.#wanted = wantedBytes(metaEnd, metaEnd + readU32(old.bytes, 12))
    if (this.#wanted <= old.bytes.length) return true
    const block = acquireBlock(this.#wanted)
    old.bytes.copy(block.bytes, 0, 0, HEADER_LENGTH)
    old.release()
    this.#block = block
    return true
  }

  #handOver(): void {
    const block = this.#block as Slab
    const metaEnd = HEADER_LENGTH + readU16(block.bytes, 8)
    const frameEnd = metaEnd + readU32(block.bytes, 12)
    this.#block = null
    if (frameEnd === this.#wanted) {
      this.startedMs = 0
      this.#sink.onFrame(block.bytes, 0, metaEnd, frameEnd)
    } else {
      this.#bodyLeft = frameEnd - metaEnd
      this.#sink.onFrameHead(block.bytes, 0, metaEnd)
    }
    block.release()
  }
}

/** What to collect of a frame: all of it, or its head when its body streams. */
function wantedBytes(headLength: number, frameLength: number): number {
  return frameLength <= SLAB_BYTES ? frameLength : headLength
}
