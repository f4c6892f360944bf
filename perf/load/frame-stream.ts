/** Cutting a byte stream into frames and gathering frames for one write: what all framed protocols have in common. */
import type { Socket } from 'node:net'

/** Above the largest frame that is sent here. */
const SLAB_LENGTH = 512 * 1024

/** How long the frames of a protocol are. */
export interface FrameLayout {
  /** Bytes that must be there before `frameEnd` is asked. */
  readonly headerLength: number
  /**
   * Where the frame at `offset` ends; Infinity when its length lies behind `end`. Throws for bytes that cannot be a
   * frame.
   */
  frameEnd(bytes: Buffer, offset: number, end: number): number
}

/** Takes one frame as a range that is valid only during the call. */
export type OnFrame = (bytes: Buffer, offset: number, end: number) => void

/** Cuts a byte stream into frames. */
export class FrameReader {
  #carry = Buffer.allocUnsafeSlow(SLAB_LENGTH)
  #carried = 0
  readonly #layout: FrameLayout
  readonly #onFrame: OnFrame

  constructor(layout: FrameLayout, onFrame: OnFrame) {
    this.#layout = layout
    this.#onFrame = onFrame
  }

  /** Takes the first `length` bytes of `chunk`; keeps a copy of an incomplete tail only. */
  push(chunk: Buffer, length: number): void {
    let bytes = chunk
    let end = length
    if (this.#carried > 0) {
      chunk.copy(this.#carry, this.#carried, 0, length)
      bytes = this.#carry
      end = this.#carried + length
    }
    let offset = 0
    while (end - offset >= this.#layout.headerLength) {
      const frameEnd = this.#layout.frameEnd(bytes, offset, end)
      if (frameEnd > end) break
      this.#onFrame(bytes, offset, frameEnd)
      offset = frameEnd
    }
    bytes.copy(this.#carry, 0, offset, end)
    this.#carried = end - offset
  }
}

/** Gathers frames in a slab and writes them at once; the slab is used again as soon as the kernel has taken it. */
export class FrameBatch {
  /** Where the bytes of the last `append` begin in the slab. */
  at = 0
  #slab = Buffer.allocUnsafeSlow(SLAB_LENGTH)
  #length = 0
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Copies `bytes` in and returns the slab, whose `at` is where they begin, for patching before the next call. */
  append(bytes: Uint8Array): Buffer {
    if (this.#length + bytes.length > SLAB_LENGTH) this.flush()
    this.at = this.#length
    this.#slab.set(bytes, this.#length)
    this.#length += bytes.length
    return this.#slab
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.#length === 0) return
    this.#socket.write(this.#slab.subarray(0, this.#length))
    this.#length = 0
    if (this.#socket.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(SLAB_LENGTH)
  }
}
