/** Signatures that were used already, within fixed memory. */
import type { Counter } from '../../core/services.ts'

/** What {@link NonceCache.admit} found: never seen; seen; or not remembered, because all places hold signatures that are still valid. */
export const Nonce = { New: 0, Seen: 1, Full: 2 } as const
export type Nonce = (typeof Nonce)[keyof typeof Nonce]

const FIRST_CAPACITY = 1024

/**
 * Remembers signatures until their time is up. Only those that were found right get here, so that nobody without a key can fill it.
 * When it is full of valid ones the oldest makes room, unless the caller is strict: then nothing is forgotten and nothing admitted.
 *
 * A set, and a ring with the order of arrival, that grows up to `max` places:
 *
 *     keys    │ c │ d │ – │ a │ b │      head = 3 (the oldest), count = 4
 *
 * Not an LRU cache, because nothing is ever used again and the oldest has to be looked at before it goes: 0.3 µs against 2
 * (perf/micro/sign.ts).
 */
export class NonceCache {
  readonly #max: number
  /** Counts signatures that were forgotten while they were valid. */
  readonly #forgotten: Counter
  readonly #seen = new Set<string>()
  #keys: string[]
  /** Wall-clock milliseconds until which each is valid. */
  #validUntil: Float64Array
  #head = 0
  #count = 0

  constructor(max: number, forgotten: Counter) {
    this.#max = max
    this.#forgotten = forgotten
    const capacity = Math.min(max, FIRST_CAPACITY)
    this.#keys = new Array<string>(capacity).fill('')
    this.#validUntil = new Float64Array(capacity)
  }

  get size(): number {
    return this.#count
  }

  /** Takes note of a signature that is valid until `validUntil`; the caller has refused those whose time is up at `now`. */
  admit(signature: string, validUntil: number, now: number, isStrict: boolean): Nonce {
    if (this.#seen.has(signature)) return Nonce.Seen
    // Two for one that comes: so it empties as traffic falls, and no request pays for many.
    if (this.#isOldestOver(now)) this.#dropOldest()
    if (this.#isOldestOver(now)) this.#dropOldest()
    if (this.#count === this.#keys.length && !this.#grow()) {
      if (isStrict) return Nonce.Full
      this.#forgotten.value++
      this.#dropOldest()
    }
    const at = (this.#head + this.#count) % this.#keys.length
    this.#keys[at] = signature
    this.#validUntil[at] = validUntil
    this.#count++
    this.#seen.add(signature)
    return Nonce.New
  }

  close(): void {
    this.#seen.clear()
    this.#keys = ['']
    this.#head = 0
    this.#count = 0
  }

  #isOldestOver(now: number): boolean {
    return this.#count > 0 && this.#validUntil[this.#head] < now
  }

  #dropOldest(): void {
    this.#seen.delete(this.#keys[this.#head])
    this.#keys[this.#head] = ''
    this.#head = (this.#head + 1) % this.#keys.length
    this.#count--
  }

  /** Doubles the places, the oldest first; false when there may be no more. */
  #grow(): boolean {
    const capacity = this.#keys.length
    if (capacity >= this.#max) return false
    const larger = Math.min(this.#max, capacity * 2)
    const keys = new Array<string>(larger).fill('')
    const validUntil = new Float64Array(larger)
    for (let i = 0; i < this.#count; i++) {
      const at = (this.#head + i) % capacity
      keys[i] = this.#keys[at]
      validUntil[i] = this.#validUntil[at]
    }
    this.#keys = keys
    this.#validUntil = validUntil
    this.#head = 0
    return true
  }
}
