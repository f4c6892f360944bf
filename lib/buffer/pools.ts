/** The pools of the process. They start empty and hold no memory before the first lease. */
import { type Slab, SlabPool } from './slab-pool.ts'

/** Bytes of one read or output slab. */
export const SLAB_BYTES = 64 * 1024

/** Slabs for reads and for output batches. */
export const slabs = new SlabPool(SLAB_BYTES, 256)

const smallHeads = new SlabPool(1024, 4096)
const mediumHeads = new SlabPool(8 * 1024, 256)

/** Leases a block for a retained head of `length` bytes. Longer ones than a slab get a block of their own, which is not pooled. */
export function acquireBlock(length: number): Slab {
  if (length <= 1024) return smallHeads.acquire()
  if (length <= 8 * 1024) return mediumHeads.acquire()
  if (length <= SLAB_BYTES) return slabs.acquire()
  return new SlabPool(length, 0).acquire()
}

/** Leases that are out, and slabs that wait for reuse. */
export function poolUsage(): { leased: number; pooled: number } {
  return {
    leased: slabs.leased + smallHeads.leased + mediumHeads.leased,
    pooled: slabs.pooled + smallHeads.pooled + mediumHeads.pooled,
  }
}
