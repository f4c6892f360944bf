/**
 * Pools of equally sized buffers that are leased and given back. A lease has one owner, who passes on the duty
 * to release it once; a second holder must retain.
 */

/** One leased buffer. `leases` counts its holders. */
export class Slab {
  readonly bytes: Buffer
  leases = 0
  readonly #pool: SlabPool

  constructor(pool: SlabPool, size: number) {
    this.#pool = pool
    // allocUnsafeSlow: a slab must not be cut from Node's shared pool, which a small long-lived piece would pin.
    this.bytes = Buffer.allocUnsafeSlow(size)
  }

  /** Adds a holder. */
  retain(): void {
    if (this.leases === 0) throw new Error('slab retained after its release')
    this.leases++
  }

  /** Ends one holder's lease; the last one gives the slab back to its pool. Throws when nobody holds it. */
  release(): void {
    if (this.leases === 0) throw new Error('slab released twice')
    if (--this.leases === 0) this.#pool.takeBack(this)
  }
}

/** A free list of slabs of one size, bounded, so that a burst does not keep its memory. */
export class SlabPool {
  readonly slabSize: number
  /** Leased slabs, for the leak tests and the admin port. */
  leased = 0
  readonly #maxFree: number
  readonly #free: Slab[] = []

  /** `slabSize` in bytes; at most `maxFree` slabs are kept for reuse. */
  constructor(slabSize: number, maxFree: number) {
    this.slabSize = slabSize
    this.#maxFree = maxFree
  }

  /** Slabs kept for reuse. */
  get pooled(): number {
    return this.#free.length
  }

  /** Leases a slab with unspecified content. The caller owns one lease. */
  acquire(): Slab {
    const slab = this.#free.pop() ?? new Slab(this, this.slabSize)
    slab.leases = 1
    this.leased++
    return slab
  }

  /** Called by {@link Slab.release} only. */
  takeBack(slab: Slab): void {
    this.leased--
    // In test mode released bytes are poisoned, so that whoever reads them later reads nonsense at once.
    if (poisoning) slab.bytes.fill(0xdb)
    if (this.#free.length < this.#maxFree) this.#free.push(slab)
  }
}

let poisoning = false

/** Switches poisoning of released slabs; on in tests, off in service, where it would cost a fill per release. */
export function poisonReleasedSlabs(isOn: boolean): void {
  poisoning = isOn
}
