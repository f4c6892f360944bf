import { randomInt } from 'node:crypto'

const RANGE = 0x1_0000_0000

/** Says yes for a fraction of the calls; one multiplication-free step of xorshift each, a few nanoseconds. */
export class Sampler {
  readonly #threshold: number
  #state: number

  /** `fraction` from 0 (never) to 1 (always). `seed` makes the sequence repeatable. */
  constructor(fraction: number, seed: number = randomInt(1, 0x7fff_ffff)) {
    this.#threshold = Math.round(fraction * RANGE)
    this.#state = seed | 0 || 1
  }

  /** True for the next one of the fraction. */
  take(): boolean {
    if (this.#threshold === 0) return false
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0 < this.#threshold
  }
}
