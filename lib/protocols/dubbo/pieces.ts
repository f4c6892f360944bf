/** A body on its way to one frame: nearly always in one piece, otherwise put together. */

/** Takes the whole body. */
export interface BodySink {
  onBody(bytes: Buffer, offset: number, end: number): void
}

/** Collects a body whose frame can only be written when its length is known. What must be kept is copied. */
export class Pieces {
  /** Bytes that are kept. */
  length = 0
  #parts: Buffer[] | null = null

  /** Adds a piece; with the last one `sink` gets the body, without a copy when it came in one piece. */
  add(bytes: Buffer, offset: number, end: number, last: boolean, sink: BodySink): void {
    if (this.#parts === null) {
      if (last) {
        sink.onBody(bytes, offset, end)
        return
      }
      this.#parts = []
    }
    this.#parts.push(Buffer.from(bytes.subarray(offset, end)))
    this.length += end - offset
    if (!last) return
    const whole = Buffer.concat(this.#parts)
    this.#parts = null
    this.length = 0
    sink.onBody(whole, 0, whole.length)
  }
}
