/** Reads and checks a header block (section 6): one pass, no allocation, positions into the block as the result. */

import { KIND_PLAIN, KIND_REMOVED } from '../../buffer/header-table.ts'
import {
  Code,
  EDGE_STRIPPED,
  ENTRY_OVERHEAD,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_ENTRIES,
  MAX_NAME_BYTES,
  STATIC_NAMES,
} from './constants.ts'
import { KIND_SECRET, type MmtpHeaders } from './headers.ts'

const STATIC_ENTRY = 0x40
const LITERAL_NAME = 63
const NEVER_STORE = 0x01
const STATIC_COUNT = 63

const NAME_BYTES = new Uint8Array(256)
for (const byte of Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789._-')) NAME_BYTES[byte] = 1

const NAME_LENGTHS = new Uint8Array(STATIC_COUNT)
STATIC_NAMES.forEach((name, index) => {
  NAME_LENGTHS[index] = name.length
})

const IS_STRIPPED = new Uint8Array(STATIC_COUNT)
for (const index of EDGE_STRIPPED) IS_STRIPPED[index] = 1

/** Static numbers by the length of their name, for literal names that spell a static one. */
const BY_LENGTH: readonly (readonly number[])[] = Array.from({ length: MAX_NAME_BYTES + 1 }, (_, length) =>
  STATIC_NAMES.flatMap((name, index) => (name.length === length ? [index] : [])),
)

/** Cursor and result of {@link readLength}: the value that was read and the position behind it. */
let lengthValue = 0

/**
 * Indexes the block in `start…end` into `headers`, whose positions count from `base`. `isTrusted` is false at the
 * edge: what only the access layer may set is stripped, and a repeated static name refused.
 *
 * Returns `Code.None`, `Code.Compression` for a malformed block, or `Code.TooLarge` for one that is refused with
 * status 3002 (too large, or repeated names at the edge).
 */
export function readHeaderBlock(
  headers: MmtpHeaders,
  bytes: Buffer,
  start: number,
  end: number,
  base: number,
  isTrusted: boolean,
): Code {
  headers.begin(bytes, base, start - base, end - base)
  let at = start
  let charged = 0
  let seenLow = 0
  let seenHigh = 0
  while (at < end) {
    const first = bytes[at++] as number
    let staticName = first & 0x3f
    let nameStart = -1
    let nameLength = 0
    let kind = KIND_PLAIN
    if (first === NEVER_STORE || first === (STATIC_ENTRY | LITERAL_NAME)) {
      if (at >= end) return Code.Compression
      nameLength = bytes[at++] as number
      nameStart = at
      at += nameLength
      if (at > end || !isName(bytes, nameStart, nameLength)) return Code.Compression
      if (first === NEVER_STORE) kind = KIND_SECRET
      staticName = isTrusted ? -1 : staticNumber(bytes, nameStart, nameLength)
    } else if ((first & 0xc0) === STATIC_ENTRY) {
      nameLength = NAME_LENGTHS[staticName] as number
    } else return Code.Compression
    at = readLength(bytes, at, end)
    if (at < 0) return Code.Compression
    const valueEnd = at + lengthValue
    if (valueEnd > end) return Code.Compression
    charged += nameLength + lengthValue + ENTRY_OVERHEAD
    if (headers.count === MAX_BLOCK_ENTRIES || charged > MAX_BLOCK_BYTES) return Code.TooLarge
    if (!isValue(bytes, at, valueEnd)) return Code.Compression
    if (!isTrusted && staticName >= 0) {
      const bit = 1 << (staticName & 31)
      if (((staticName < 32 ? seenLow : seenHigh) & bit) !== 0) return Code.TooLarge
      if (staticName < 32) seenLow |= bit
      else seenHigh |= bit
      if (IS_STRIPPED[staticName] === 1) {
        kind = KIND_REMOVED
        headers.removed++
      }
    }
    if (nameStart < 0) headers.push(-1 - staticName, -1 - staticName, at - base, valueEnd - base, kind)
    else headers.push(nameStart - base, nameStart - base + nameLength, at - base, valueEnd - base, kind)
    at = valueEnd
  }
  return Code.None
}

/** Reads a value length into `lengthValue`. Returns the position behind it, -1 when it is cut off or not in its shortest form. */
function readLength(bytes: Buffer, at: number, end: number): number {
  if (at >= end) return -1
  const first = bytes[at] as number
  if (first < 0x80) {
    lengthValue = first
    return at + 1
  }
  if (at + 1 >= end) return -1
  lengthValue = ((first & 0x7f) << 8) | (bytes[at + 1] as number)
  return lengthValue < 0x80 ? -1 : at + 2
}

function isName(bytes: Buffer, start: number, length: number): boolean {
  if (length === 0 || length > MAX_NAME_BYTES) return false
  for (let i = start; i < start + length; i++) if (NAME_BYTES[bytes[i] as number] === 0) return false
  return true
}

function isValue(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte <= 0x0d && (byte === 0 || byte === 0x0a || byte === 0x0d)) return false
  }
  return true
}

/** The static number that a literal name spells, -1 for none. Without it `uid` spelled out would pass the edge. */
function staticNumber(bytes: Buffer, start: number, length: number): number {
  for (const index of BY_LENGTH[length] as readonly number[]) {
    const name = STATIC_NAMES[index] as string
    let i = 0
    while (i < length && bytes[start + i] === name.charCodeAt(i)) i++
    if (i === length) return index
  }
  return -1
}
