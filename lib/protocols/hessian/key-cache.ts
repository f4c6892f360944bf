import { hasAt, mix, Pattern, wordAt } from './words.ts'

/** Two to the eighth. */
const PLACES = 256
const SHIFT = 32 - 8
/** Keys are compared word by word, and a key begins with its length: so three characters make the shortest. */
const MIN_UNITS = 3

interface Entry {
  /** The key as it came, with its length in front. */
  readonly pattern: Pattern
  readonly text: string
}

/**
 * Keys of maps that were read before: short ASCII texts. Messages repeat their keys, and a text that is used again
 * brings its hash along, which a new one must have computed to become a key. Each key has one place, by its last four
 * bytes and its length, which the key that came last keeps: so the memory is bounded.
 */
export class KeyCache {
  readonly #places: (Entry | null)[] = new Array(PLACES).fill(null)

  /** The short string at `at`, whose first byte is its length, or `null` if it was not kept. */
  find(bytes: Uint8Array, at: number, end: number): string | null {
    const width = bytes[at] + 1
    if (width <= MIN_UNITS || at + width > end) return null
    const entry = this.#places[placeOf(bytes, at, width)]
    if (entry === null || entry.pattern.width !== width || !hasAt(bytes, at, entry.pattern)) return null
    return entry.text
  }

  /** Keeps the text of the string between `at` and `next`, if it is of a kind that `find` looks for. */
  add(bytes: Uint8Array, at: number, next: number, text: string): void {
    const width = next - at
    if (width <= MIN_UNITS || width !== text.length + 1) return
    const pattern = new Pattern(bytes, at, next)
    this.#places[placeOf(bytes, at, width)] = { pattern, text }
  }
}

function placeOf(bytes: Uint8Array, at: number, width: number): number {
  return mix(wordAt(bytes, at + width - 4) ^ (width << 24)) >>> SHIFT
}
