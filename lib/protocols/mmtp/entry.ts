/** Writes the parts of a header entry (section 6). */
import type { HeaderName } from './header-names.ts'

/** Bytes of an entry beside its name and value, at most. */
export const ENTRY_BYTES = 4
/** Bytes in front of a name that is written out. */
export const LITERAL_MARK_BYTES = 2
/** UTF-8 bytes of one UTF-16 unit, at most. */
export const UTF8_BYTES = 3

const STATIC_ENTRY = 0x40
const LITERAL = 0x7f
const LITERAL_SECRET = 0x01
/** Up to here a loop over a value beats a call into Node. */
const SHORT_VALUE = 24

/** Bytes that an entry may need. */
export function entryLimit(name: string, value: string): number {
  return ENTRY_BYTES + name.length + UTF8_BYTES * value.length
}

/** Writes a static name by its number, unless a secret needs the literal form that bears the mark. Returns its end. */
export function writeName(buffer: Buffer, at: number, name: HeaderName, isSecret: boolean): number {
  if (name.index >= 0 && !isSecret) {
    buffer[at] = STATIC_ENTRY | name.index
    return at + 1
  }
  const { text } = name
  buffer[at] = isSecret ? LITERAL_SECRET : LITERAL
  buffer[at + 1] = text.length
  for (let i = 0; i < text.length; i++) buffer[at + LITERAL_MARK_BYTES + i] = text.charCodeAt(i)
  return at + LITERAL_MARK_BYTES + text.length
}

/** Writes a value behind its length. Returns its end. */
export function writeValue(buffer: Buffer, at: number, value: string): number {
  const { length } = value
  if (length <= SHORT_VALUE) {
    let i = 0
    for (; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit >= 0x80) break
      buffer[at + 1 + i] = unit
    }
    if (i === length) {
      buffer[at] = length
      return at + 1 + length
    }
  }
  const byteLength = Buffer.byteLength(value)
  if (byteLength < 0x80) buffer[at++] = byteLength
  else {
    buffer[at++] = 0x80 | (byteLength >> 8)
    buffer[at++] = byteLength
  }
  return at + buffer.utf8Write(value, at)
}
