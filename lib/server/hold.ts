/** Body pieces, and trailers behind them, that arrived before anybody could take them. */
import { HeaderTable } from '../buffer/header-table.ts'
import { acquireBlock } from '../buffer/pools.ts'
import type { Slab } from '../buffer/slab-pool.ts'
import type { Headers } from '../core/message.ts'

/** One piece: `length` bytes at the start of a leased block. */
interface Piece {
  readonly block: Slab
  length: number
}

/** Takes the pieces of a {@link Hold}, in order. */
export type PieceSink = (bytes: Buffer, length: number) => void

/** A bounded-by-its-owner list of copied pieces. Its blocks are leased until {@link Hold.clear}. */
export class Hold {
  /** Bytes held. */
  length = 0
  /** What ends the body in place of its last piece; null when nothing does. */
  trailers: Headers | null = null
  readonly #pieces: Piece[] = []

  /** True when nothing need be sent but the head. */
  get isEmpty(): boolean {
    return this.length === 0 && this.trailers === null
  }

  /** Copies the trailers that end the body. */
  end(trailers: Headers): void {
    const copy = new HeaderTable()
    trailers.forEach((name, value) => {
      copy.add(name, value)
    })
    this.trailers = copy
  }

  /** Copies a range behind what is held. */
  push(bytes: Buffer, offset: number, end: number): void {
    let from = offset
    const tail = this.#pieces.at(-1)
    if (tail !== undefined) {
      const copied = bytes.copy(tail.block.bytes, tail.length, from, end)
      tail.length += copied
      from += copied
    }
    if (from < end) {
      const block = acquireBlock(end - from)
      bytes.copy(block.bytes, 0, from, end)
      this.#pieces.push({ block, length: end - from })
    }
    this.length += end - offset
  }

  /** Hands every piece to `sink`, then gives the blocks back. */
  drainTo(sink: PieceSink): void {
    for (const piece of this.#pieces) sink(piece.block.bytes, piece.length)
    this.clear()
  }

  /** One Buffer with every piece, owned by the caller; the blocks are given back and trailers dropped. */
  take(): Buffer {
    const whole = Buffer.allocUnsafeSlow(this.length)
    let at = 0
    this.drainTo((bytes, length) => {
      at += bytes.copy(whole, at, 0, length)
    })
    return whole
  }

  /** Drops everything. */
  clear(): void {
    for (const piece of this.#pieces) piece.block.release()
    this.#pieces.length = 0
    this.length = 0
    this.trailers = null
  }
}
