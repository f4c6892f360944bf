/** Things found by ids that are handed out in rising order, such as the streams of a connection. */

const INITIAL_SLOTS = 8

/** What the table holds: its id does not change while it is in. */
export interface Identified {
  readonly id: number
}

/**
 * A direct-mapped table: an id's slot is its low bits. Ids rise, so those that are open at once rarely meet; when two do, the older
 * one, which is likely to stay for long, moves to a side table.
 *
 * ```
 *   id 1 3 5 7 9 …      slot = id >> 1 & mask
 *   [ 9 │ · │ · │ 7 ]   3 and 5 are over, 9 took the slot of 1, which waits in the side table
 * ```
 *
 * A `Map` is rebuilt for every few dozen ids that come and go, and each copy of it that was promoted keeps what it held alive
 * until the next full collection (perf/micro/id-table.ts).
 */
export class IdTable<T extends Identified> {
  #slots: (T | null)[] = []
  #mask = 0
  #size = 0
  #aside: Map<number, T> | null = null

  get size(): number {
    return this.#size
  }

  /** What has this id; undefined when there is nothing. */
  get(id: number): T | undefined {
    const found = this.#slots[(id >>> 1) & this.#mask]
    if (found !== undefined && found !== null && found.id === id) return found
    return this.#aside === null ? undefined : this.#aside.get(id)
  }

  /** Adds an item whose id is not in yet. */
  add(item: T): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    this.#size++
    this.#put(item)
  }

  /** Takes an item out; false when it was not in. */
  delete(id: number): boolean {
    const slot = (id >>> 1) & this.#mask
    const found = this.#slots[slot]
    if (found !== undefined && found !== null && found.id === id) this.#slots[slot] = null
    else if (this.#aside === null || !this.#aside.delete(id)) return false
    this.#size--
    return true
  }

  /** Everything, in no order, as an array of the caller's own: items may be added and deleted while it is walked. */
  values(): T[] {
    const items = this.#slots.filter((item) => item !== null)
    if (this.#aside !== null) items.push(...this.#aside.values())
    return items
  }

  #put(item: T): void {
    const slot = (item.id >>> 1) & this.#mask
    const older = this.#slots[slot] as T | null
    this.#slots[slot] = item
    if (older === null) return
    this.#aside ??= new Map()
    this.#aside.set(older.id, older)
  }

  #grow(): void {
    const items = this.values()
    const length = Math.max(INITIAL_SLOTS, this.#slots.length * 2)
    this.#slots = new Array<T | null>(length).fill(null)
    this.#mask = length - 1
    this.#aside = null
    // In rising order, so that of two that meet the older one moves aside.
    for (const item of items.sort((a, b) => a.id - b.id)) this.#put(item)
  }
}
