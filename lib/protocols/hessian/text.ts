/**
 * Hessian's text: UTF-16 code units, each written as one to three bytes of its own (CESU-8), so that a character
 * beyond the basic plane takes two groups of three bytes. Lengths count units, not bytes.
 */
import '../../buffer/latin1.ts'
import { HessianError } from './limits.ts'
import { isAscii } from './words.ts'

declare global {
  interface Buffer {
    ucs2Slice(start: number, end: number): string
  }
}

/** Most units of a piece that a writer emits: half of what the length field holds, as Java's writers do. */
export const MAX_CHUNK_UNITS = 0x8000

/** Up to here a loop over bytes beats a native call (perf/micro/hessian.ts). */
const SHORT_WRITE = 16
/** Up to here `String.fromCharCode` beats a native slice (perf/micro/hessian.ts). */
const SHORT_READ = 12

/** Units on their way to a string; grows to the largest piece, 64 Ki units. */
let units = new Uint16Array(1_024)
let unitBytes = Buffer.from(units.buffer)

/** The error for input that ends inside a value. */
export function truncated(end: number): HessianError {
  return new HessianError('the input ends inside a value', end)
}

/**
 * Returns the offset behind `count` units that begin at `at`, and checks that they are text. A four-byte sequence
 * (which Java's readers refuse, and other writers emit) counts as two units. Overlong forms are taken as Java takes
 * them, so that both sides see one text.
 */
export function skipUnits(bytes: Uint8Array, at: number, end: number, count: number): number {
  const stop = at + count
  if (stop > end) throw truncated(end)
  return isAscii(bytes, at, stop) ? stop : skipMixed(bytes, at, end, count)
}

function skipMixed(bytes: Uint8Array, at: number, end: number, count: number): number {
  while (count > 0) {
    if (at >= end) throw truncated(end)
    const lead = bytes[at]
    if (lead < 0x80) {
      at++
    } else if (lead >= 0xe0 && lead < 0xf0) {
      if (at + 3 > end) throw truncated(end)
      if ((bytes[at + 1] & 0xc0) !== 0x80 || (bytes[at + 2] & 0xc0) !== 0x80) throw notText(at)
      at += 3
    } else if (lead >= 0xc0 && lead < 0xe0) {
      if (at + 2 > end) throw truncated(end)
      if ((bytes[at + 1] & 0xc0) !== 0x80) throw notText(at)
      at += 2
    } else {
      at = skipFour(bytes, at, end)
      // Two units.
      if (--count === 0)
        throw new HessianError('a four-byte character does not fit into the length of its text', at - 4)
    }
    count--
  }
  return at
}

/** A sequence of four bytes, which stands for a character from U+10000 to U+10FFFF. */
function skipFour(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]
  if (lead < 0xf0 || lead > 0xf4) throw notText(at)
  if (at + 4 > end) throw truncated(end)
  for (let i = 1; i < 4; i++) if ((bytes[at + i] & 0xc0) !== 0x80) throw notText(at)
  if ((lead === 0xf0 && bytes[at + 1] < 0x90) || (lead === 0xf4 && bytes[at + 1] > 0x8f)) throw notText(at)
  return at + 4
}

function notText(at: number): HessianError {
  return new HessianError('the bytes of a text are not UTF-8', at)
}

/** Decodes what `skipUnits` measured: the `count` units between `at` and `next`. */
export function decodeUnits(bytes: Buffer, at: number, next: number, count: number): string {
  if (next - at !== count) return decodeMixed(bytes, at, count)
  return count <= SHORT_READ ? decodeShort(bytes, at, count) : bytes.latin1Slice(at, next)
}

function decodeMixed(bytes: Buffer, at: number, count: number): string {
  if (count > units.length) {
    units = new Uint16Array(Math.min(0x10000, count * 2))
    unitBytes = Buffer.from(units.buffer)
  }
  const to = units
  for (let i = 0; i < count; i++) {
    const lead = bytes[at]
    if (lead < 0x80) {
      to[i] = lead
      at++
    } else if (lead < 0xe0) {
      to[i] = ((lead & 0x1f) << 6) | (bytes[at + 1] & 0x3f)
      at += 2
    } else if (lead < 0xf0) {
      to[i] = ((lead & 0x0f) << 12) | ((bytes[at + 1] & 0x3f) << 6) | (bytes[at + 2] & 0x3f)
      at += 3
    } else {
      const high = ((lead & 0x07) << 18) | ((bytes[at + 1] & 0x3f) << 12)
      const point = (high | ((bytes[at + 2] & 0x3f) << 6) | (bytes[at + 3] & 0x3f)) - 0x10000
      to[i++] = 0xd800 | (point >> 10)
      to[i] = 0xdc00 | (point & 0x3ff)
      at += 4
    }
  }
  return unitBytes.ucs2Slice(0, count * 2)
}

/** ASCII of at most `SHORT_READ` units: two or three calls with fixed arguments, which are inlined. */
function decodeShort(b: Uint8Array, at: number, count: number): string {
  let head = ''
  if (count >= 8) {
    head = String.fromCharCode(
      b[at],
      b[at + 1],
      b[at + 2],
      b[at + 3],
      b[at + 4],
      b[at + 5],
      b[at + 6],
      b[at + 7],
    )
    at += 8
    count -= 8
  }
  return head + decodeFew(b, at, count)
}

function decodeFew(b: Uint8Array, at: number, count: number): string {
  const code = String.fromCharCode
  switch (count) {
    case 0:
      return ''
    case 1:
      return code(b[at])
    case 2:
      return code(b[at], b[at + 1])
    case 3:
      return code(b[at], b[at + 1], b[at + 2])
    case 4:
      return code(b[at], b[at + 1], b[at + 2], b[at + 3])
    case 5:
      return code(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4])
    case 6:
      return code(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5])
    default:
      return code(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6])
  }
}

/**
 * Writes the units `from` to `to` of a text and returns the offset behind them. `target` must have three bytes of
 * room for each unit.
 */
export function writeUnits(target: Buffer, at: number, text: string, from: number, to: number): number {
  if (to - from <= SHORT_WRITE) return writeEach(target, at, text, from, to)
  const piece = to - from === text.length ? text : text.slice(from, to)
  const written = target.utf8Write(piece, at, 3 * piece.length)
  // As many bytes as units: all of it is ASCII. UTF-8 differs from CESU-8 in surrogates only.
  if (written === piece.length || !hasSurrogate(piece)) return at + written
  return writeEach(target, at, piece, 0, piece.length)
}

function hasSurrogate(text: string): boolean {
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xf800) === 0xd800) return true
  return false
}

function writeEach(target: Buffer, at: number, text: string, from: number, to: number): number {
  for (let i = from; i < to; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      target[at++] = unit
    } else if (unit < 0x800) {
      target[at++] = 0xc0 | (unit >> 6)
      target[at++] = 0x80 | (unit & 0x3f)
    } else {
      target[at++] = 0xe0 | (unit >> 12)
      target[at++] = 0x80 | ((unit >> 6) & 0x3f)
      target[at++] = 0x80 | (unit & 0x3f)
    }
  }
  return at
}

/** Where a piece that begins at `from` ends: at most `MAX_CHUNK_UNITS` on, and never behind a high surrogate. */
export function chunkEnd(text: string, from: number): number {
  const to = from + MAX_CHUNK_UNITS
  if (to >= text.length) return text.length
  return (text.charCodeAt(to - 1) & 0xfc00) === 0xd800 ? to - 1 : to
}
