/** Where the text of each container of a stream begins and ends, by its slot, for references to it. */

/** The end of a container that is still being written. */
export const OPEN = -1
/** The end of one that was not written at all. */
export const UNKNOWN = -2

const INITIAL_SLOTS = 64
/** A larger table is not kept for the next result. */
const KEPT_SLOTS = 4096

/** The ranges of one result at a time. */
export class WrittenRanges {
  #starts = new Int32Array(INITIAL_SLOTS)
  #ends = new Int32Array(INITIAL_SLOTS)

  /** Forgets all ranges. */
  reset(): void {
    if (this.#ends.length > KEPT_SLOTS) {
      this.#starts = new Int32Array(INITIAL_SLOTS)
      this.#ends = new Int32Array(INITIAL_SLOTS)
    }
    this.#ends.fill(UNKNOWN)
  }

  open(slot: number, start: number): void {
    if (slot >= this.#ends.length) this.#grow(slot)
    this.#starts[slot] = start
    this.#ends[slot] = OPEN
  }

  close(slot: number, end: number): void {
    this.#ends[slot] = end
  }

  startOf(slot: number): number {
    return this.#starts[slot]
  }

  /** The end of a range, `OPEN` or `UNKNOWN`. */
  endOf(slot: number): number {
    return slot < this.#ends.length ? this.#ends[slot] : UNKNOWN
  }

  /** The ranges from `slot` to `end` have moved by some bytes. */
  move(slot: number, end: number, by: number): void {
    for (; slot < end && slot < this.#ends.length; slot++) {
      this.#starts[slot] += by
      if (this.#ends[slot] >= 0) this.#ends[slot] += by
    }
  }

  #grow(slot: number): void {
    const starts = new Int32Array(slot * 2)
    const ends = new Int32Array(slot * 2).fill(UNKNOWN)
    starts.set(this.#starts)
    ends.set(this.#ends)
    this.#starts = starts
    this.#ends = ends
  }
}
