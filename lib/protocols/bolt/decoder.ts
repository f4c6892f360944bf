/** Cuts the bytes of one direction into frames. */
import { acquireBlock } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'
import { FrameType, MIN_FIXED_LENGTH } from './constants.ts'
import { faultOf, fixedLength, frameLength, lengthFaultOf, typeOf } from './frame.ts'

/** Room for the beginning of a long frame; it grows with what really arrives, so that a length alone costs nothing. */
const FIRST_BLOCK_BYTES = 256 * 1024
const GROWTH = 4

/** Takes what a {@link FrameDecoder} finds. Ranges are valid during the call only. */
export interface FrameSink {
  /** True once nothing more may be read: the rest of the bytes is dropped. */
  readonly isOver: boolean
  /** A whole frame, whose fixed part is sound; a checksum is included and not verified. */
  onFrame(bytes: Buffer, at: number, end: number): void
  /** A frame of `length` bytes, of which the fixed part is at `at`, is above the limit. True to skip it and go on. */
  onOversized(bytes: Buffer, at: number, length: number): boolean
  /** The bytes break a rule that nothing can be read after. */
  onFault(detail: string): void
}

/**
 * Frames that arrive whole are read in place. The beginning of one that does not is copied into a leased block. An
 * idle connection holds nothing.
 */
export class FrameDecoder {
  /** Monotonic milliseconds at which the frame that is still incomplete began; 0 when there is none. */
  startedMs = 0
  readonly #sink: FrameSink
  readonly #maxFrame: number
  #block: Slab | null = null
  /** Bytes in `#block`. */
  #held = 0
  /** Bytes that `#block` waits for: a part of the fixed part, then the whole frame. */
  #wanted = 0
  #isMeasured = false
  /** Bytes of an oversized frame that are still to be dropped. */
  #skipLeft = 0

  /** `maxFrame` in bytes, header included. */
  constructor(sink: FrameSink, maxFrame: number) {
    this.#sink = sink
    this.#maxFrame = maxFrame
  }

  /** Consumes everything: frames are handed on, an incomplete one is kept. */
  decode(bytes: Buffer, offset: number, end: number, nowMs: number): void {
    if (this.#block !== null) offset = this.#continue(bytes, offset, end)
    while (offset < end && !this.#sink.isOver) {
      if (this.#skipLeft > 0) {
        offset = this.#skip(offset, end)
        continue
      }
      const have = end - offset
      const fault = faultOf(bytes, offset, have)
      if (fault !== null) {
        this.#sink.onFault(fault)
        return
      }
      const fixed = fixedWanted(bytes, offset, have)
      if (have < fixed) {
        this.#keep(bytes, offset, end, fixed, false, nowMs)
        return
      }
      const length = this.#measure(bytes, offset)
      if (length < 0) return
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

  /** The length of a frame whose fixed part is there; -1 when its lengths are impossible. */
  #measure(bytes: Buffer, at: number): number {
    const fault = lengthFaultOf(bytes, at)
    if (fault === null) return frameLength(bytes, at)
    this.#sink.onFault(fault)
    return -1
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
    const block = acquireBlock(Math.max(end - offset, Math.min(wanted, FIRST_BLOCK_BYTES)))
    bytes.copy(block.bytes, 0, offset, end)
    this.#block = block
    this.#held = end - offset
    this.#wanted = wanted
    this.#isMeasured = isMeasured
    this.startedMs = nowMs
  }

  /** Adds to the kept bytes until the frame is whole. Returns where it stopped reading. */
  #continue(bytes: Buffer, offset: number, end: number): number {
    while (this.#block !== null) {
      const take = Math.min(end - offset, this.#wanted - this.#held)
      if (this.#held + take > this.#block.bytes.length) this.#grow(this.#held + take)
      bytes.copy(this.#block.bytes, this.#held, offset, offset + take)
      this.#held += take
      offset += take
      if (this.#held < this.#wanted) return offset
      if (this.#isMeasured) this.#handOver()
      else if (!this.#widen()) return end
    }
    return offset
  }

  #grow(needed: number): void {
    const old = this.#block as Slab
    const block = acquireBlock(Math.min(this.#wanted, Math.max(needed, old.bytes.length * GROWTH)))
    old.bytes.copy(block.bytes, 0, 0, this.#held)
    old.release()
    this.#block = block
  }

  /** More of the fixed part is there: finds out how much to wait for. False when the bytes were refused. */
  #widen(): boolean {
    const { bytes } = this.#block as Slab
    const fault = faultOf(bytes, 0, this.#held)
    if (fault !== null) {
      this.close()
      this.#sink.onFault(fault)
      return false
    }
    this.#wanted = fixedWanted(bytes, 0, this.#held)
    if (this.#held < this.#wanted) return true
    const length = this.#measure(bytes, 0)
    if (length < 0) {
      this.close()
      return false
    }
    this.#wanted = length
    this.#isMeasured = true
    if (length <= this.#maxFrame) {
      if (length === this.#held) this.#handOver()
      return true
    }
    const block = this.#block as Slab
    this.#block = null
    const isSkipped = this.#refuse(bytes, 0, length, this.startedMs)
    if (isSkipped) this.#skip(0, this.#held)
    block.release()
    return isSkipped
  }

  #handOver(): void {
    const block = this.#block as Slab
    this.#block = null
    this.startedMs = 0
    this.#sink.onFrame(block.bytes, 0, this.#wanted)
    block.release()
  }
}

/** Bytes of the fixed part to wait for: the shortest there is, until its first bytes tell which one it is. */
function fixedWanted(bytes: Buffer, at: number, have: number): number {
  if (have < MIN_FIXED_LENGTH) return MIN_FIXED_LENGTH
  return fixedLength(bytes[at] as number, typeOf(bytes, at) === FrameType.Response)
}
