/** Input that has to wait: what a pipelining caller sent behind the request that is running. */
import { acquireBlock } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'

/** Bytes in a leased block. Bounded by its owner, who stops reading. */
export class Backlog {
  #block: Slab | null = null
  #start = 0
  #end = 0

  get length(): number {
    return this.#end - this.#start
  }

  /** Copies a range behind what waits. */
  push(bytes: Buffer, offset: number, end: number): void {
    const length = this.length + end - offset
    const block = this.#block
    if (block === null) this.#block = acquireBlock(length)
    else if (length > block.bytes.length) {
      const larger = acquireBlock(length)
      block.bytes.copy(larger.bytes, 0, this.#start, this.#end)
      block.release()
      this.#block = larger
      this.#end -= this.#start
      this.#start = 0
    } else if (this.#end + end - offset > block.bytes.length) {
      block.bytes.copyWithin(0, this.#start, this.#end)
      this.#end -= this.#start
      this.#start = 0
    }
    bytes.copy((this.#block as Slab).bytes, this.#end, offset, end)
    this.#end += end - offset
  }

  get bytes(): Buffer {
    return (this.#block as Slab).bytes
  }

  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#end
  }

  /** Drops what was consumed, up to the absolute position `start`; gives the block back when nothing is left. */
  consumeTo(start: number): void {
    this.#start = start
    if (this.#start === this.#end) this.clear()
  }

  /** Drops everything. */
  clear(): void {
    this.#block?.release()
    this.#block = null
    this.#start = 0
    this.#end = 0
  }
}
