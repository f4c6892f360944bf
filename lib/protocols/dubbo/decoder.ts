/** Cuts the bytes of one direction into frames. */
import { acquireBlock, SLAB_BYTES } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'
import { HEADER_LENGTH, MAGIC_HIGH, MAGIC_LOW } from './constants.ts'
import { MAX_BODY_LENGTH, readU32 } from './frame.ts'

/** Takes what a {@link FrameDecoder} finds. Ranges are valid during the call only. */
export interface FrameSink {
  /** True once nothing more may be read: the rest of the bytes is dropped. */
  readonly isOver: boolean
  /** A whole frame, header included. */
  onFrame(bytes: Buffer, at: number, end: number): void
  /** The bytes are no frame, or one above the limit: the connection cannot go on. */
  onFault(detail: string): void
}

/**
 * Frames that arrive whole are read in place. The beginning of one that does not is copied into a leased block that
 * grows with what arrives, so that a length alone costs no memory. An idle connection holds nothing.
 */
export class FrameDecoder {
  /** Monotonic milliseconds at which the frame that is still incomplete began; 0 when there is none. */
  startedMs = 0
  readonly #sink: FrameSink
  readonly #maxBody: number
  #block: Slab | null = null
  /** Bytes in `#block`. */
  #held = 0
  /** Bytes that `#block` waits for: the header, then the whole frame. */
  #wanted = 0

  /** `maxFrameBytes` counts the header; 0 leaves it to the length field. */
  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink
    this.#maxBody = maxFrameBytes === 0 ? MAX_BODY_LENGTH : Math.max(0, maxFrameBytes - HEADER_LENGTH)
  }

  /** Consumes everything: frames are handed on, an incomplete one is kept. */
  decode(bytes: Buffer, offset: number, end: number, nowMs: number): void {
    if (this.#block !== null) offset = this.#continue(bytes, offset, end)
    while (offset < end && !this.#sink.isOver) {
      if (end - offset < HEADER_LENGTH) {
        // Even the first bytes tell whether this can be a frame: whoever speaks another protocol is not kept waiting.
        if (this.#hasMagic(bytes, offset, end)) this.#keep(bytes, offset, end, HEADER_LENGTH, nowMs)
        return
      }
      if (!this.#isSound(bytes, offset, end)) return
      const frameEnd = offset + HEADER_LENGTH + readU32(bytes, offset + 12)
      if (frameEnd > end) {
        this.#keep(bytes, offset, end, frameEnd - offset, nowMs)
        return
      }
      this.#sink.onFrame(bytes, offset, frameEnd)
      offset = frameEnd
    }
  }

  /** Gives back what is held. */
  close(): void {
    this.#block?.release()
    this.#block = null
    this.startedMs = 0
  }

  #hasMagic(bytes: Buffer, at: number, end: number): boolean {
    if (bytes[at] === MAGIC_HIGH && (end - at < 2 || bytes[at + 1] === MAGIC_LOW)) return true
    this.#sink.onFault(
      `expected the magic bytes dabb, got ${bytes.toString('hex', at, Math.min(end, at + HEADER_LENGTH))}`,
    )
    return false
  }

  #isSound(bytes: Buffer, at: number, end: number): boolean {
    if (!this.#hasMagic(bytes, at, end)) return false
    const bodyLength = readU32(bytes, at + 12)
    if (bodyLength <= this.#maxBody) return true
    const detail =
      bodyLength > MAX_BODY_LENGTH
        ? `body length ${bodyLength | 0} is negative`
        : `body length ${bodyLength} is above the limit of ${this.#maxBody}`
    this.#sink.onFault(`${detail}: ${bytes.toString('hex', at, at + HEADER_LENGTH)}`)
    return false
  }

  #keep(bytes: Buffer, offset: number, end: number, wanted: number, nowMs: number): void {
    const length = end - offset
    const block = acquireBlock(Math.min(wanted, Math.max(SLAB_BYTES, 2 * length)))
    bytes.copy(block.bytes, 0, offset, end)
    this.#block = block
    this.#held = length
    this.#wanted = wanted
    this.startedMs = nowMs
  }

  /** Adds to the kept bytes until what was wanted is there. Returns where it stopped reading. */
  #continue(bytes: Buffer, offset: number, end: number): number {
    while (this.#block !== null) {
      const take = Math.min(end - offset, this.#wanted - this.#held)
      this.#makeRoom(this.#held + take)
      bytes.copy(this.#block.bytes, this.#held, offset, offset + take)
      this.#held += take
      offset += take
      if (this.#wanted === HEADER_LENGTH && !this.#hasMagic(this.#block.bytes, 0, this.#held)) {
        this.close()
        return end
      }
      if (this.#held < this.#wanted) return offset
      if (this.#wanted === HEADER_LENGTH && !this.#widen()) return end
      if (this.#held === this.#wanted) this.#handOver()
    }
    return offset
  }

  #makeRoom(length: number): void {
    const old = this.#block as Slab
    if (length <= old.bytes.length) return
    const block = acquireBlock(Math.min(this.#wanted, Math.max(length, 2 * old.bytes.length)))
    old.bytes.copy(block.bytes, 0, 0, this.#held)
    old.release()
    this.#block = block
  }

  /** The header is complete: checks it. False when it was refused. */
  #widen(): boolean {
    const { bytes } = this.#block as Slab
    if (!this.#isSound(bytes, 0, HEADER_LENGTH)) {
      this.close()
      return false
    }
    this.#wanted = HEADER_LENGTH + readU32(bytes, 12)
    return true
  }

  #handOver(): void {
    const block = this.#block as Slab
    const length = this.#held
    this.#block = null
    this.startedMs = 0
    this.#sink.onFrame(block.bytes, 0, length)
    block.release()
  }
}
