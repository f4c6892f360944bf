/** Finds texts (paths, operations) by their hash, without making a string. */
import { ODD_CODES } from './path.ts'

const SEED = 0x811c9dc5 | 0
const PRIME = 0x01000193
const SLASH = 47
const DOT = 46
const UNKNOWN = -1

/** Whether starts of one length may end anywhere or only after a separator. */
const AFTER_SEPARATOR = 1
const ANYWHERE = 2

/** A hash map from (scope, text) to a value; a text is looked up by a hash that the caller made while it read the text. */
class KeyTable<V> {
  #slots = new Int32Array(64)
  readonly #hashes: number[] = []
  readonly #scopes: number[] = []
  readonly #keys: string[] = []
  readonly values: V[] = []

  find(scope: number, hash: number, text: string, length: number): V | null {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let at = spread(hash, scope) & mask; ; at = (at + 1) & mask) {
      const index = slots[at]! - 1
      if (index < 0) return null
      if (this.#hashes[index] !== hash || this.#scopes[index] !== scope) continue
      const key = this.#keys[index]!
      if (key.length === length && agree(key, text)) return this.values[index]!
    }
  }

  add(scope: number, hash: number, key: string, value: V): void {
    this.#hashes.push(hash)
    this.#scopes.push(scope)
    this.#keys.push(key)
    this.values.push(value)
    if (this.values.length * 2 > this.#slots.length) this.#grow()
    else this.#place(this.values.length - 1)
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 4)
    for (let index = 0; index < this.values.length; index++) this.#place(index)
  }

  #place(index: number): void {
    const mask = this.#slots.length - 1
    let at = spread(this.#hashes[index]!, this.#scopes[index]!) & mask
    while (this.#slots[at] !== 0) at = (at + 1) & mask
    this.#slots[at] = index + 1
  }
}

/** True when the shorter of the two begins the longer. */
function agree(key: string, text: string): boolean {
  if (key.length === text.length) return key === text
  return key.length < text.length ? text.startsWith(key) : key.startsWith(text)
}

function spread(hash: number, scope: number): number {
  const mixed = Math.imul(hash ^ Math.imul(scope, 0x9e3779b1), 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}

function hashOf(text: string): number {
  let hash = SEED
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME)
  return hash
}

/**
 * Values by exact text and by the text's start, each in a numbered scope. One pass over the text
 * ({@link TextIndex.scanPath} or {@link TextIndex.scanName}) makes the hashes of the whole and of each start whose length some rule has;
 * then lookups cost a probe each, however many rules there are.
 */
export class TextIndex<V> {
  readonly #exact = new KeyTable<V>()
  /** Exact names by scope. A name is a string already, one that comes again and whose hash V8 keeps. */
  readonly #names: (Map<string, V> | undefined)[] = []
  readonly #starts = new KeyTable<V>()
  readonly #separator: number
  /** By length: which starts of that length exist. */
  #lengths = new Uint8Array(64)
  #longest = -1
  /** What the last scan found. */
  #text = ''
  #hash = 0
  /** {@link UNKNOWN} for a name whose starts nobody asked for. */
  #count = 0
  #startLengths = new Int32Array(64)
  #startHashes = new Int32Array(64)

  constructor(separator: '/' | '.') {
    this.#separator = separator.charCodeAt(0)
  }

  /** The value stored for an exact text, made on first sight. */
  exact(scope: number, text: string, make: () => V): V {
    if (this.#separator === SLASH) return this.#entry(this.#exact, scope, text, make)
    this.#names[scope] ??= new Map()
    const names = this.#names[scope]
    const known = names.get(text)
    if (known !== undefined) return known
    const value = make()
    names.set(text, value)
    return value
  }

  /** The value stored for a start, made on first sight. */
  start(scope: number, text: string, make: () => V, endsAnywhere: boolean): V {
    const length = text.length
    if (length > this.#longest) this.#reach(length)
    const endsAfterSeparator = length === 0 || text.charCodeAt(length - 1) === this.#separator
    this.#lengths[length]! |= endsAnywhere && !endsAfterSeparator ? ANYWHERE : AFTER_SEPARATOR
    return this.#entry(this.#starts, scope, text, make)
  }

  /** Every stored value. */
  *values(): Iterable<V> {
    yield* this.#exact.values
    for (const names of this.#names) if (names !== undefined) yield* names.values()
    yield* this.#starts.values
  }

  /**
   * Reads a path. Returns false for one that is not in its plain form (escapes, `//`, dot segments, `;` …): what
   * it means is then to be found out first.
   */
  scanPath(path: string): boolean {
    const length = path.length
    const lengths = this.#lengths
    const longest = this.#longest
    let isPlain = true
    let hash = SEED
    let previous = 0
    let count = 0
    for (let i = 0; i < length; i++) {
      const code = path.charCodeAt(i)
      hash = Math.imul(hash ^ code, PRIME)
      if (code === SLASH) {
        if (previous === SLASH) isPlain = false
        if (i < longest && lengths[i + 1] !== 0) count = this.#note(count, i + 1, hash)
      } else {
        if (code > 127 || ODD_CODES[code] === 1) isPlain = false
        else if (code === DOT && previous === SLASH && mayBeDotSegment(path, i)) isPlain = false
        if (i < longest && (lengths[i + 1]! & ANYWHERE) !== 0) count = this.#note(count, i + 1, hash)
      }
      previous = code
    }
    this.#text = path
    this.#hash = hash
    // A path without its last slash also falls under the prefix that has it.
    if (
      length > 0 &&
      length < longest &&
      previous !== SLASH &&
      (lengths[length + 1]! & AFTER_SEPARATOR) !== 0
    ) {
      count = this.#note(count, length + 1, Math.imul(hash ^ SLASH, PRIME))
    }
    this.#count = count
    return isPlain && (length === 0 || path.charCodeAt(0) === SLASH || path === '*')
  }

  /** Takes a name; any text is fine. It is read only when no route has just this name. */
  scanName(name: string): void {
    this.#text = name
    this.#count = UNKNOWN
  }

  #scanStarts(): void {
    const name = this.#text
    const length = name.length
    const lengths = this.#lengths
    const longest = this.#longest
    let hash = SEED
    let count = 0
    if (longest >= 0 && lengths[0] !== 0) count = this.#note(count, 0, hash)
    for (let i = 0; i < length; i++) {
      const code = name.charCodeAt(i)
      hash = Math.imul(hash ^ code, PRIME)
      if (i < longest && code === this.#separator && lengths[i + 1] !== 0)
        count = this.#note(count, i + 1, hash)
    }
    this.#count = count
  }

  /** How many starts of the scanned text are worth a {@link TextIndex.findStart}. */
  get starts(): number {
    if (this.#count === UNKNOWN) this.#scanStarts()
    return this.#count
  }

  /** The value of exactly the scanned text, null when there is none. */
  findExact(scope: number): V | null {
    if (this.#separator !== SLASH) return this.#names[scope]?.get(this.#text) ?? null
    return this.#exact.find(scope, this.#hash, this.#text, this.#text.length)
  }

  /** The value of the scanned text's start number `index`, counted from the shortest; null when there is none. */
  findStart(scope: number, index: number): V | null {
    return this.#starts.find(scope, this.#startHashes[index]!, this.#text, this.#startLengths[index]!)
  }

  #note(count: number, length: number, hash: number): number {
    this.#startLengths[count] = length
    this.#startHashes[count] = hash
    return count + 1
  }

  #entry(table: KeyTable<V>, scope: number, text: string, make: () => V): V {
    const hash = hashOf(text)
    const known = table.find(scope, hash, text, text.length)
    if (known !== null) return known
    const value = make()
    table.add(scope, hash, text, value)
    return value
  }

  #reach(length: number): void {
    this.#longest = length
    if (length + 1 < this.#lengths.length) return
    const room = (length + 1) * 2
    const lengths = new Uint8Array(room)
    lengths.set(this.#lengths)
    this.#lengths = lengths
    this.#startLengths = new Int32Array(room)
    this.#startHashes = new Int32Array(room)
  }
}

function mayBeDotSegment(path: string, dot: number): boolean {
  const next = path.charCodeAt(dot + 1)
  // NaN at the end of the path.
  return !(next >= 0) || next === SLASH || next === DOT
}
