/** A first-in first-out queue of O(1) steps. */

const INITIAL_CAPACITY = 16

/**
 * A ring that doubles when it is full:
 *
 * ```
 *   [ . . c d e f . . ]
 *         ^head   ^tail
 * ```
 *
 * `Array.shift` moves every element of a long queue; this moves none.
 */
export class Queue<T> {
  #ring: (T | undefined)[] = new Array(INITIAL_CAPACITY)
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Adds at the end. */
  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item
    this.#length++
  }

  /** The first item, which stays; undefined when empty. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#head]
  }

  /** Takes the first item; undefined when empty. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.#length--
    return item
  }

  /** Takes out the first item that `isWanted`, keeping the order of the others; false when there is none. O(n), for the rare path. */
  remove(isWanted: (item: T) => boolean): boolean {
    let isFound = false
    for (let left = this.#length; left > 0; left--) {
      const item = this.shift() as T
      if (!isFound && isWanted(item)) isFound = true
      else this.push(item)
    }
    return isFound
  }

  #grow(): void {
    const old = this.#ring
    const larger: (T | undefined)[] = new Array(old.length * 2)
    for (let i = 0; i < this.#length; i++) larger[i] = old[(this.#head + i) & (old.length - 1)]
    this.#ring = larger
    this.#head = 0
  }
}
