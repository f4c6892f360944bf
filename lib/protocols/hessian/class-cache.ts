/**
 * Class definitions that were read before, found by their bytes. A peer sends the same few definitions with every
 * message; comparing them is several times quicker than reading them again.
 *
 * A definition is found only if all of its bytes are equal, so what one peer sent is never mistaken for what another
 * sends. Each has one of two places, by a few of its bytes; a third that belongs there drives one out: so the memory is
 * bounded.
 */
import { hasAt, mix, Pattern, wordAt } from './words.ts'

/** Two to the ninth. */
const PLACES = 512
const SHIFT = 32 - 9
const MAX_ENTRY_BYTES = 1_024

interface Entry<T> {
  readonly pattern: Pattern
  readonly value: T
}

/** What a reader (`T` is a ClassDef) or a skipper (the number of fields) keeps of definitions from message to message. */
export class ClassCache<T> {
  readonly #places: (Entry<T> | null)[] = new Array(PLACES).fill(null)
  /** Bytes of the definition that `find` found last. */
  width = 0

  /** What was kept for the definition that begins at `at`, or `undefined`; sets `width`. */
  find(bytes: Uint8Array, at: number, end: number): T | undefined {
    const place = placeAt(bytes, at, end)
    if (place === -1) return undefined
    const entry = this.#entryAt(place, bytes, at, end) ?? this.#entryAt(place ^ 1, bytes, at, end)
    if (entry === null) return undefined
    this.width = entry.pattern.width
    return entry.value
  }

  #entryAt(place: number, bytes: Uint8Array, at: number, end: number): Entry<T> | null {
    const entry = this.#places[place]
    if (entry === null || at + entry.pattern.width > end || !hasAt(bytes, at, entry.pattern)) return null
    return entry
  }

  /** Keeps `value` for the definition between `at` and `next`, whose bytes are copied. */
  add(bytes: Uint8Array, at: number, next: number, value: T): void {
    const place = placeAt(bytes, at, next)
    if (place === -1 || next - at > MAX_ENTRY_BYTES) return
    if (this.#places[place] !== null) this.#places[place ^ 1] = this.#places[place]
    this.#places[place] = { pattern: new Pattern(bytes, at, next), value }
  }
}

/**
 * Where a definition has its place: the end of the class name and what follows it, the number of fields. -1 when
 * the name or what follows is too short. The same for `find` and `add`: it looks at bytes of the definition only.
 */
function placeAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 8 > end) return -1
  const lead = bytes[at + 1]
  // Both dialects' forms of a length below 1,024; any other finds other bytes, and no harm is done.
  const length =
    lead < 0x80
      ? lead < 0x20
        ? lead
        : ((lead & 3) << 8) | bytes[at + 2]
      : lead < 0xc0
        ? lead - 0x90
        : ((lead - 0xc8) << 8) | bytes[at + 2]
  const nameEnd = at + 2 + length
  if (length < 4 || nameEnd + 2 > end) return -1
  return mix(wordAt(bytes, nameEnd - 4) ^ (length << 16) ^ (bytes[nameEnd] << 8)) >>> SHIFT
}
