/** The slow half of writing: buffers that the kernel did not take at once and that must stay untouched until it has. */
import type net from 'node:net'
import { slabs } from '../buffer/pools.ts'
import { type Slab, SlabPool } from '../buffer/slab-pool.ts'
import { retainRead } from './reads.ts'

const NOTHING = Buffer.alloc(0)

/** Told when everything that was written before has left. */
export interface FlushListener {
  onFlushed(): void
}

/**
 * Made for a connection when its peer is slower than its source for the first time. The stream calls back for one
 * empty write behind the pending ones, instead of once per write:
 *
 * ```
 *   batch batch lent │ empty write → callback: all before it have left, their slabs go back
 *                    └ later batches wait for the next empty write
 * ```
 */
export class Output {
  readonly #socket: net.Socket
  readonly #listener: FlushListener
  /** Slabs in front of the empty write. */
  #pending: Slab[] = []
  /** Slabs behind it. */
  #later: Slab[] = []
  #isWaiting = false
  #isClosed = false
  readonly #onEmptyWritten = (): void => this.#onFlushed()

  constructor(socket: net.Socket, listener: FlushListener) {
    this.#socket = socket
    this.#listener = listener
  }

  /** Takes over the lease of a slab whose bytes were written and are still pending. */
  hold(slab: Slab): void {
    if (this.#isClosed) {
      slab.release()
      return
    }
    if (this.#isWaiting) this.#later.push(slab)
    else this.#wait(slab)
  }

  /** Writes a range, without a copy when its slab can be retained. */
  lend(bytes: Buffer, offset: number, end: number): void {
    const slab = retainRead(bytes)
    if (slab !== null) {
      this.#socket.write(slab.bytes.subarray(offset, end))
      if (this.#socket.writableLength === 0) slab.release()
      else this.hold(slab)
      return
    }
    for (let from = offset; from < end; from += slabs.slabSize) {
      const copy = slabs.acquire()
      const length = bytes.copy(copy.bytes, 0, from, Math.min(end, from + slabs.slabSize))
      this.#socket.write(copy.bytes.subarray(0, length))
      if (this.#socket.writableLength === 0) copy.release()
      else this.hold(copy)
    }
  }

  /** A slab for one message that is longer than the pool's; it is not pooled. */
  largeSlab(length: number): Slab {
    return new SlabPool(length, 0).acquire()
  }

  /** The socket is gone: whatever was pending will not be read any more. */
  close(): void {
    this.#isClosed = true
    this.#releasePending()
    for (const slab of this.#later) slab.release()
    this.#later = []
  }

  #wait(slab: Slab): void {
    this.#isWaiting = true
    this.#pending.push(slab)
    this.#socket.write(NOTHING, this.#onEmptyWritten)
  }

  #onFlushed(): void {
    if (this.#isClosed) return
    this.#releasePending()
    this.#isWaiting = false
    const later = this.#later
    if (later.length > 0) {
      // After `end` nothing may be written, not even nothing: the stream tells when it has finished.
      if (this.#socket.writableEnded) this.#socket.once('finish', this.#onEmptyWritten)
      else this.#socket.write(NOTHING, this.#onEmptyWritten)
      this.#later = this.#pending
      this.#pending = later
      this.#isWaiting = true
    }
    this.#listener.onFlushed()
  }

  #releasePending(): void {
    for (const slab of this.#pending) slab.release()
    this.#pending.length = 0
  }
}
