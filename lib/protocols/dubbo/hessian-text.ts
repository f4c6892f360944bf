/** Strings of the final dialect of Hessian 2 as ranges: found, decoded, and written, without a reader or a writer. */

import { HessianError } from '../hessian/limits.ts'
import { chunkEnd, decodeUnits, skipUnits, truncated, writeUnits } from '../hessian/text.ts'
import { nameAt } from './names.ts'

/** First bytes of string forms. */
const SHORT_END = 0x20
const MEDIUM = 0x30
const MEDIUM_END = 0x34
const CHUNK = 0x52
const FINAL = 0x53
/** The null value. */
export const HESSIAN_NULL = 0x4e
const MAX_SHORT = 31
const MAX_MEDIUM = 1023
const UTF8_BYTES = 3

/** True for the first byte of a string. */
export function isHessianText(code: number): boolean {
  return code < SHORT_END || (code >= MEDIUM && code < MEDIUM_END) || code === CHUNK || code === FINAL
}

/** Returns the end of the string that begins at `at`. Throws `HessianError` when there is none or it does not end before `end`. */
export function skipHessianText(bytes: Buffer, at: number, end: number): number {
  for (;;) {
    if (at >= end) throw truncated(end)
    const code = bytes[at] as number
    if (code < SHORT_END) return skipUnits(bytes, at + 1, end, code)
    if (!isHessianText(code)) throw new HessianError(`expected a string, found ${code.toString(16)}`, at)
    const headerLength = code < MEDIUM_END ? 2 : 3
    if (at + headerLength > end) throw truncated(end)
    at = skipUnits(bytes, at + headerLength, end, unitsAt(bytes, at, code))
    if (code !== CHUNK) return at
  }
}

function unitsAt(bytes: Buffer, at: number, code: number): number {
  const first = bytes[at + 1] as number
  return code < MEDIUM_END ? ((code - MEDIUM) << 8) | first : (first << 8) | (bytes[at + 2] as number)
}

/** Where the content of a string of one ASCII piece begins, which then reaches to `valueEnd`; -1 for every other form. */
export function asciiStart(bytes: Buffer, at: number, valueEnd: number): number {
  const code = bytes[at] as number
  if (code < SHORT_END) return valueEnd - at - 1 === code ? at + 1 : -1
  if (code === CHUNK) return -1
  const start = at + (code < MEDIUM_END ? 2 : 3)
  return valueEnd - start === unitsAt(bytes, at, code) ? start : -1
}

/** Decodes the string that {@link skipHessianText} measured. */
export function readHessianText(bytes: Buffer, at: number, valueEnd: number): string {
  const start = asciiStart(bytes, at, valueEnd)
  if (start >= 0) return nameAt(bytes, start, valueEnd)
  let text = ''
  while (at < valueEnd) {
    const code = bytes[at] as number
    const from = at + (code < SHORT_END ? 1 : code < MEDIUM_END ? 2 : 3)
    const count = code < SHORT_END ? code : unitsAt(bytes, at, code)
    at = skipUnits(bytes, from, valueEnd, count)
    text += decodeUnits(bytes, from, at, count)
  }
  return text
}

/** Bytes that {@link writeHessianText} may need. */
export function hessianTextLimit(text: string): number {
  return 3 * (1 + (text.length >> 14)) + UTF8_BYTES * text.length
}

/** Writes a string. Returns its end. */
export function writeHessianText(buffer: Buffer, at: number, text: string): number {
  const { length } = text
  if (length <= MAX_SHORT) {
    buffer[at++] = length
    return writeUnits(buffer, at, text, 0, length)
  }
  if (length <= MAX_MEDIUM) {
    buffer[at++] = MEDIUM | (length >> 8)
    buffer[at++] = length
    return writeUnits(buffer, at, text, 0, length)
  }
  for (let from = 0; ; ) {
    const to = chunkEnd(text, from)
    buffer[at++] = to === length ? FINAL : CHUNK
    buffer[at++] = (to - from) >> 8
    buffer[at++] = to - from
    at = writeUnits(buffer, at, text, from, to)
    if (to === length) return at
    from = to
  }
}
