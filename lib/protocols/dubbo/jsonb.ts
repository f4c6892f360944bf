/**
 * As much of JSONB, the binary form of fastjson2, as routing needs: values are skipped, texts are read and written.
 * In a Dubbo body each value comes behind its length, an i32.
 */
import '../../buffer/latin1.ts'
import { readU32, writeU32 } from './frame.ts'
import { nameAt } from './names.ts'

/** First bytes of values. */
export const Jsonb = {
  Int32: 0x48,
  AsciiFix: 0x49,
  Ascii: 0x79,
  Utf8: 0x7a,
  Utf16: 0x7b,
  Utf16Le: 0x7c,
  Utf16Be: 0x7d,
  Gb18030: 0x7e,
  Symbol: 0x7f,
  Char: 0x90,
  Binary: 0x91,
  Typed: 0x92,
  Reference: 0x93,
  ArrayFix: 0x94,
  Array: 0xa4,
  ObjectEnd: 0xa5,
  Object: 0xa6,
  ZonedTime: 0xaa,
  Timestamp: 0xae,
  Null: 0xaf,
  False: 0xb0,
  True: 0xb1,
  Decimal: 0xb9,
  BigInteger: 0xbb,
  Int8: 0xbd,
} as const

const MAX_ASCII_FIX = 47
const MAX_DEPTH = 64
const UTF8_BYTES = 3

/** The bytes are not JSONB as it is known here. */
export class JsonbError extends Error {
  override readonly name = 'JsonbError'
}

/** Bytes behind the first one, by code, for scalars of a fixed size; −1 for everything else. */
const FIXED = fixedSizes()

function fixedSizes(): Int8Array {
  const sizes = new Int8Array(256).fill(-1)
  const set = (from: number, to: number, size: number): void => {
    sizes.fill(size, from, to + 1)
  }
  set(0xf0, 0xff, 0)
  set(0x00, 0x2f, 0)
  set(0x30, 0x3f, 1)
  set(0x40, 0x47, 2)
  set(Jsonb.Int32, Jsonb.Int32, 4)
  set(0xa9, 0xa9, 4)
  set(0xab, 0xab, 8)
  set(0xac, 0xad, 4)
  set(Jsonb.Null, 0xb3, 0)
  set(0xb5, 0xb5, 8)
  set(0xb7, 0xb7, 4)
  set(0xbc, 0xbc, 2)
  set(Jsonb.Int8, Jsonb.Int8, 1)
  set(0xbe, 0xbe, 8)
  set(0xbf, 0xbf, 4)
  set(0xc0, 0xc7, 2)
  set(0xc8, 0xd7, 1)
  set(0xd8, 0xef, 0)
  return sizes
}

/** True for the first byte of a string. */
export function isJsonbText(code: number): boolean {
  return code >= Jsonb.AsciiFix && code <= Jsonb.Gb18030
}

/** The 32-bit int at `at`; its size is `1 + FIXED[code]`. */
function intAt(bytes: Buffer, at: number): number {
  const code = bytes[at] as number
  if (code <= 0x2f) return code
  if (code >= 0xf0) return code - 0x100
  if (code <= 0x3f) return ((code - 0x38) << 8) | (bytes[at + 1] as number)
  if (code <= 0x47)
    return ((code - 0x44) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
  return readU32(bytes, at + 1) | 0
}

/** Skips values. One at a time; a cursor in place of pairs of results. */
class Cursor {
  at = 0
  end = 0
  depth = 0

  take(length: number): void {
    if (length < 0 || length > this.end - this.at) throw new JsonbError(`a value ends behind ${this.end}`)
    this.at += length
  }

  code(bytes: Buffer): number {
    if (this.at >= this.end) throw new JsonbError(`a value is missing at ${this.at}`)
    return bytes[this.at] as number
  }

  int(bytes: Buffer): number {
    const code = this.code(bytes)
    if (code > Jsonb.Int32 && code < 0xf0) throw new JsonbError(`expected an int at ${this.at}`)
    const start = this.at
    this.take(1 + (FIXED[code] as number))
    return intAt(bytes, start)
  }

  value(bytes: Buffer): void {
    const code = this.code(bytes)
    const size = FIXED[code] as number
    if (size >= 0) {
      this.take(1 + size)
      return
    }
    if (isJsonbText(code)) {
      this.take(1)
      this.take(code < Jsonb.Ascii ? code - Jsonb.AsciiFix : this.int(bytes))
      return
    }
    this.take(1)
    if (++this.depth > MAX_DEPTH) throw new JsonbError(`values nest deeper than ${MAX_DEPTH}`)
    this.#complex(bytes, code)
    this.depth--
  }

  #complex(bytes: Buffer, code: number): void {
    if (code >= Jsonb.ArrayFix && code <= Jsonb.Array) {
      this.#items(bytes, code === Jsonb.Array ? this.int(bytes) : code - Jsonb.ArrayFix)
      return
    }
    switch (code) {
      case Jsonb.Object:
        while (this.code(bytes) !== Jsonb.ObjectEnd) this.#items(bytes, 2)
        this.take(1)
        break
      case Jsonb.Typed:
        this.#name(bytes)
        this.value(bytes)
        break
      case Jsonb.Symbol:
        this.#name(bytes)
        break
      case Jsonb.Reference:
        this.value(bytes)
        break
      case Jsonb.Binary:
      case Jsonb.BigInteger:
        this.take(this.int(bytes))
        break
      case Jsonb.Decimal:
        this.#items(bytes, 2)
        break
      case 0xa7:
        this.take(3)
        this.int(bytes)
        break
      case 0xa8:
      case Jsonb.ZonedTime:
        this.take(7)
        this.#items(bytes, code === Jsonb.ZonedTime ? 2 : 1)
        break
      case Jsonb.Timestamp:
        this.take(8)
        this.int(bytes)
        break
      case Jsonb.Char:
      case 0xb4:
      case 0xb6:
      case 0xb8:
      case 0xba:
        this.value(bytes)
        break
      default:
        throw new JsonbError(`unknown code ${code.toString(16)} at ${this.at - 1}`)
    }
  }

  #items(bytes: Buffer, count: number): void {
    if (count < 0 || count > this.end - this.at) throw new JsonbError(`${count} items do not fit`)
    for (let i = 0; i < count; i++) this.value(bytes)
  }

  /** A type or field name: its text and a number for later, or only that number. */
  #name(bytes: Buffer): void {
    if (isJsonbText(this.code(bytes))) this.value(bytes)
    this.int(bytes)
  }

  /** The type of a typed object. */
  typeName(bytes: Buffer): void {
    this.#name(bytes)
  }
}

const cursor = new Cursor()

/** Returns the end of the value at `at`. Throws {@link JsonbError}. */
export function skipJsonb(bytes: Buffer, at: number, end: number): number {
  cursor.at = at
  cursor.end = end
  cursor.depth = 0
  cursor.value(bytes)
  return cursor.at
}

/** Where the entries of the object at `at` begin; −1 when it is none. Throws {@link JsonbError}. */
export function jsonbEntries(bytes: Buffer, at: number, end: number): number {
  cursor.at = at
  cursor.end = end
  if (cursor.code(bytes) === Jsonb.Typed) {
    cursor.take(1)
    cursor.typeName(bytes)
  }
  if (cursor.code(bytes) !== Jsonb.Object) return -1
  return cursor.at + 1
}

/** Where the value behind the length at `at` ends. Throws {@link JsonbError} when that lies outside of the body. */
export function jsonbFieldEnd(bytes: Buffer, at: number, end: number): number {
  if (end - at < 4) throw new JsonbError(`a length is missing at ${at}`)
  const length = readU32(bytes, at)
  if (length === 0 || length > end - at - 4) throw new JsonbError(`a value of ${length} bytes does not fit`)
  return at + 4 + length
}

/** Where the content of an ASCII string begins, which then reaches to `valueEnd`; −1 for every other value. */
export function jsonbAsciiStart(bytes: Buffer, at: number, valueEnd: number): number {
  const code = bytes[at] as number
  if (code >= Jsonb.AsciiFix && code < Jsonb.Ascii)
    return valueEnd - at - 1 === code - Jsonb.AsciiFix ? at + 1 : -1
  return code === Jsonb.Ascii ? at + 2 + (FIXED[bytes[at + 1] as number] as number) : -1
}

/** The text of a string, or of a scalar that has one; null for everything else. The value was skipped before. */
export function readJsonbText(bytes: Buffer, at: number, valueEnd: number): string | null {
  const ascii = jsonbAsciiStart(bytes, at, valueEnd)
  if (ascii >= 0) return nameAt(bytes, ascii, valueEnd)
  const code = bytes[at] as number
  if (code <= Jsonb.Int32 || code >= 0xf0) return `${intAt(bytes, at)}`
  const start = at + 2 + (FIXED[bytes[at + 1] as number] as number)
  switch (code) {
    case Jsonb.Utf8:
      return bytes.utf8Slice(start, valueEnd)
    case Jsonb.Utf16Le:
      return bytes.toString('utf16le', start, valueEnd)
    case Jsonb.Utf16:
    case Jsonb.Utf16Be:
      return (valueEnd - start) % 2 === 0
        ? Buffer.from(bytes.subarray(start, valueEnd)).swap16().toString('utf16le')
        : null
    case Jsonb.True:
      return 'true'
    case Jsonb.False:
      return 'false'
    default:
      return null
  }
}

/** Bytes that {@link writeJsonbText} may need. */
export function jsonbTextLimit(text: string): number {
  return 6 + UTF8_BYTES * text.length
}

/** Writes a string without a length in front. Returns its end. */
export function writeJsonbText(buffer: Buffer, at: number, text: string): number {
  const byteLength = Buffer.byteLength(text)
  const isAscii = byteLength === text.length
  if (isAscii && byteLength <= MAX_ASCII_FIX) buffer[at++] = Jsonb.AsciiFix + byteLength
  else {
    buffer[at++] = isAscii ? Jsonb.Ascii : Jsonb.Utf8
    at = writeJsonbInt(buffer, at, byteLength)
  }
  return at + buffer.utf8Write(text, at)
}

/** Writes an int that is not negative. Returns its end. */
export function writeJsonbInt(buffer: Buffer, at: number, value: number): number {
  if (value <= 0x2f) buffer[at++] = value
  else if (value <= 0x7ff) {
    buffer[at++] = 0x38 + (value >> 8)
    buffer[at++] = value
  } else if (value <= 0x3_ffff) {
    buffer[at++] = 0x44 + (value >> 16)
    buffer[at++] = value >> 8
    buffer[at++] = value
  } else {
    buffer[at++] = Jsonb.Int32
    writeU32(buffer, at, value)
    at += 4
  }
  return at
}

/** Writes a string as a value of a Dubbo body: behind its length. Returns its end. */
export function writeJsonbField(buffer: Buffer, at: number, text: string): number {
  const end = writeJsonbText(buffer, at + 4, text)
  writeU32(buffer, at, end - at - 4)
  return end
}
