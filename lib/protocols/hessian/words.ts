import { isAscii as isAllAscii } from 'node:buffer'

/**
 * Looks at bytes four at a time. A DataView reads a word at any address for the price of a byte, which makes checking
 * and comparing three to four times as quick as byte by byte (perf/micro/hessian.ts). Making one costs as much as
 * checking a hundred bytes, so the last one is kept, and with it the memory that was read last.
 */
export const HIGH_BITS = 0x80808080 | 0

/** From here on a native check, which needs a view of its own, is quicker. */
const LONG = 1_024

let view: DataView = new DataView(new ArrayBuffer(4))
let viewed: Uint8Array = new Uint8Array(view.buffer)
/** Where `viewed` begins in the view. */
let base = 0

function look(bytes: Uint8Array): void {
  if (bytes.buffer !== view.buffer) view = new DataView(bytes.buffer)
  viewed = bytes
  base = bytes.byteOffset
}

/** Whether the bytes between `at` and `stop`, which lie in `bytes`, are all below 0x80. */
export function isAscii(bytes: Uint8Array, at: number, stop: number): boolean {
  if (stop - at >= LONG) return isAllAscii(bytes.subarray(at, stop))
  if (stop - at < 4) {
    while (at < stop) if (bytes[at++] >= 0x80) return false
    return true
  }
  if (bytes !== viewed) look(bytes)
  const words = view
  const last = base + stop - 4
  let i = base + at
  for (; i < last - 12; i += 16) {
    const bits =
      words.getInt32(i, true) |
      words.getInt32(i + 4, true) |
      words.getInt32(i + 8, true) |
      words.getInt32(i + 12, true)
    if ((bits & HIGH_BITS) !== 0) return false
  }
  // The last word may overlap the one before it.
  let bits = words.getInt32(last, true)
  for (; i < last; i += 4) bits |= words.getInt32(i, true)
  return (bits & HIGH_BITS) === 0
}

/** The view over the memory of `bytes`; `bytes.byteOffset` is where they begin in it. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== viewed) look(bytes)
  return view
}

/** Bytes to compare others with: at least four. */
export class Pattern {
  /** Bytes in all. */
  readonly width: number
  /** Every four of them, and the last four, which may overlap the ones before. */
  readonly words: Int32Array

  /** Copies the bytes between `at` and `stop`. */
  constructor(bytes: Uint8Array, at: number, stop: number) {
    this.width = stop - at
    const whole = (this.width - 1) >> 2
    this.words = new Int32Array(whole + 1)
    for (let i = 0; i < whole; i++) this.words[i] = wordAt(bytes, at + i * 4)
    this.words[whole] = wordAt(bytes, stop - 4)
  }
}

/** Whether `bytes` holds at `at` what the pattern holds. There must be room for all of it. */
export function hasAt(bytes: Uint8Array, at: number, { words, width }: Pattern): boolean {
  if (bytes !== viewed) look(bytes)
  const start = base + at
  const last = words.length - 1
  for (let i = 0; i < last; i++) if (view.getInt32(start + i * 4, true) !== words[i]) return false
  return view.getInt32(start + width - 4, true) === words[last]
}

/** Four bytes at `at`, which lie in `bytes`, as a signed number. */
export function wordAt(bytes: Uint8Array, at: number): number {
  if (bytes !== viewed) look(bytes)
  return view.getInt32(base + at, true)
}

/** Spreads the difference of two words over all of their bits. */
export function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  return Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
}
