/** Cuts the bytes of one direction into frames whose fixed part tells their length. */
import { acquireBlock, SLAB_BYTES } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'

/** A kept frame outgrows its block by at least this factor, so that few of its bytes are copied often. */
const GROWTH = 4

/** How the frames of one protocol begin. */
export interface FrameLayout {
  /**
   * What is wrong with a fixed part of which `have` bytes are there (one at least), as far as they tell; null when nothing
   * is. Even the first byte should tell whether this can be a frame: whoever speaks another protocol is not kept waiting.
   */
  faultOf(bytes: Buffer, at: number, have: number): string | null
  /** Bytes of the fixed part; as long as `have` of them do not tell that, how many must be there to know more. */
  fixedLength(bytes: Buffer, at: number, have: number): number
  /** Length of the whole frame. Called when the fixed part is there and sound. */
  frameLength(bytes: Buffer, at: number): number
}

/** Takes what a {@link FrameDecoder} finds. Ranges are valid during the call only. */
export interface FrameSink {
  /** True once nothing more may be read: the rest of the bytes is dropped. */
  readonly isOver: boolean
  /** A whole frame, whose fixed part is sound. */
  onFrame(bytes: Buffer, at: number, end: number): void
  /** A frame of `length` bytes, of which the fixed part is at `at`, is above the limit. True to skip it and go on. */
  onOversized(bytes: Buffer, at: number, length: number): boolean
  /** The bytes break a rule that nothing can be read after. */
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
  readonly #layout: FrameLayout
  readonly #maxFrame: number
  #block: Slab | null = null
  /** Bytes in `#block`. */
  #held = 0
  /** Bytes that `#block` waits for: a part of the fixed part, then the whole frame. */
  #wanted = 0
  #isMeasured = false
  /** Bytes of an oversized frame that are still to be dropped. */
  #skipLeft = 0

  /** `maxFrame` in bytes, fixed part included. */
  constructor(sink: FrameSink, layout: FrameLayout, maxFrame: number) {
    this.#sink = sink
    this.#layout = layout
    this.#maxFrame = maxFrame
  }

  /** Consumes everything: frames are handed on, an incomplete one is kept. */
  decode(bytes: Buffer, offset: number, end: number, nowMs: number): void {
    if (this.#block !== null) offset = this.#continue(bytes, offset, end)
    const layout = this.#layout
    while (offset < end && !this.#sink.isOver) {
      if (this.#skipLeft > 0) {
        offset = this.#skip(offset, end)
        continue
      }
      const have = end - offset
      const fault = layout.faultOf(bytes, offset, have)
      if (fault !== null) {
        this.#sink.onFault(fault)
        return
      }
      const fixed = layout.fixedLength(bytes, offset, have)
      if (have < fixed) {
        this.#keep(bytes, offset, end, fixed, false, nowMs)
        return
      }
      const length = layout.frameLength(bytes, offset)
      if (length > this.#maxFrame) {
        if (!this.#refuse(bytes, offset, length, nowMs)) return
      } else if (length <= have) {
        this.#sink.onFrame(bytes, offset, offset + length)
        offset += length
      } else {
        this.#keep(bytes, offset, end, length, true, nowMs)
        return
      }
    }
  }

  /** Gives back what is held. */
  close(): void {
    this.#block?.release()
    this.#block = null
    this.#skipLeft = 0
    this.startedMs = 0
  }

  /** A frame above the limit: skips it, if the sink goes on. */
  #refuse(bytes: Buffer, at: number, length: number, nowMs: number): boolean {
    if (!this.#sink.onOversized(bytes, at, length) || this.#sink.isOver) return false
    this.#skipLeft = length
    this.startedMs = nowMs
    return true
  }

  #skip(offset: number, end: number): number {
    const skipped = Math.min(end - offset, this.#skipLeft)
    this.#skipLeft -= skipped
    if (this.#skipLeft === 0) this.startedMs = 0
    return offset + skipped
  }

  #keep(
    bytes: Buffer,
    offset: number,
    end: number,
    wanted: number,
    isMeasured: boolean,
    nowMs: number,
  ): void {
    const length = end - offset
    const block = acquireBlock(Math.max(length, Math.min(wanted, SLAB_BYTES)))
    bytes.copy(block.bytes, 0, offset, end)
    this.#block = block
    this.#held = length
    this.#wanted = wanted
    this.#isMeasured = isMeasured
    this.startedMs = nowMs
  }

  /** Adds to the kept bytes until the frame is whole. Returns where it stopped reading. */
  #continue(bytes: Buffer, offset: number, end: number): number {
    while (this.#block !== null) {
      const take = Math.min(end - offset, this.#wanted - this.#held)
      this.#makeRoom(this.#held + take)
      bytes.copy(this.#block.bytes, this.#held, offset, offset + take)
      this.#held += take
      offset += take
      if (!this.#isMeasured && !this.#measure()) return this.#sink.isOver ? end : offset
      if (this.#held < this.#wanted) {
        if (offset === end) return offset
      } else if (this.#isMeasured) this.#handOver()
    }
    return offset
  }

  #makeRoom(length: number): void {
    const old = this.#block as Slab
    if (length <= old.bytes.length) return
    const block = acquireBlock(Math.min(this.#wanted, Math.max(length, old.bytes.length * GROWTH)))
    old.bytes.copy(block.bytes, 0, 0, this.#held)
    old.release()
    this.#block = block
  }

  /** More of the fixed part is there: finds out how much to wait for. False when the bytes are no longer kept. */
  #measure(): boolean {
    const layout = this.#layout
    const { bytes } = this.#block as Slab
    const fault = layout.faultOf(bytes, 0, this.#held)
    if (fault !== null) {
      this.close()
      this.#sink.onFault(fault)
      return false
    }
    this.#wanted = layout.fixedLength(bytes, 0, this.#held)
    if (this.#held < this.#wanted) return true
    this.#wanted = layout.frameLength(bytes, 0)
    this.#isMeasured = true
    return this.#wanted <= this.#maxFrame || this.#drop(this.#wanted)
  }

  /** The frame that was begun is above the limit. */
  #drop(length: number): false {
    const block = this.#block as Slab
    this.#block = null
    if (this.#refuse(block.bytes, 0, length, this.startedMs)) this.#skip(0, this.#held)
    block.release()
    return false
  }

  #handOver(): void {
    const block = this.#block as Slab
    this.#block = null
    this.startedMs = 0
    this.#sink.onFrame(block.bytes, 0, this.#wanted)
    block.release()
  }
}
