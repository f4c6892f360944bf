/** The headers of one Mmtp message: positions into its header block, and the changes made on the way. */
import {
  controlCharacter,
  equalsIgnoringCase,
  FIELD_STRIDE,
  HeaderTable,
  KIND_PLAIN,
  KIND_REMOVED,
} from '../../buffer/header-table.ts'
import { Encoding, MAX_NAME_BYTES, MAX_VALUE_BYTES, STATIC_NAMES } from './constants.ts'
import { ENTRY_BYTES, entryLimit, LITERAL_MARK_BYTES, UTF8_BYTES, writeName, writeValue } from './entry.ts'
import { type HeaderName, headerName } from './header-names.ts'

/** An entry marked *never store*: it holds a secret, and every hop keeps the mark. */
export const KIND_SECRET = 3

const CONTENT_ENCODING = 'content-encoding'
/** Values up to here have one byte for their length. */
const MAX_ONE_BYTE_LENGTH = 0x7f
/** Values up to here are remembered with their name; at three bytes a unit their length is still one byte. */
const MAX_KNOWN_LENGTH = 40
/** HTTP names of the body encodings that have one. */
const ENCODING_NAMES: readonly (string | null)[] = [null, 'zstd', null, 'gzip', 'br']

/** The encoding that an HTTP `content-encoding` stands for, -1 when Mmtp has no number for it. */
export function encodingNumber(contentEncoding: string): number {
  if (contentEncoding === 'gzip' || contentEncoding === 'x-gzip') return Encoding.Gzip
  if (contentEncoding === 'br') return Encoding.Brotli
  if (contentEncoding === 'zstd') return Encoding.Zstd
  return contentEncoding === '' || contentEncoding === 'identity' ? Encoding.Identity : -1
}

/**
 * See {@link HeaderTable}. A static name has no bytes: its number n is kept as the position -1-n. When a name is
 * repeated the last one wins. `set` takes out what was there, so the block that is forwarded repeats nothing.
 *
 * A header that is added is written behind the block at once, as an entry like the others, so that the head is
 * forwarded as one range. That needs bytes of our own: the first one retains the head.
 *
 * The body encoding of the frame is visible as `content-encoding`, which it becomes when the message goes on
 * over HTTP; it is no entry of the block.
 */
export class MmtpHeaders extends HeaderTable {
  /** Where the block begins and ends, counted from `base`; added entries belong to it. */
  blockStart = 0
  blockEnd = 0
  /** Entries taken out; when 0 the block may be forwarded as it is. */
  removed = 0
  /** The body encoding of the message. */
  encoding = 0

  /** Prepares for the block at `blockStart…blockEnd` (counted from `base`) of `bytes`. */
  begin(bytes: Buffer, base: number, blockStart: number, blockEnd: number): void {
    if (blockEnd > blockStart) this.open(bytes, base)
    this.bytes = bytes
    this.base = base
    this.blockStart = blockStart
    this.blockEnd = blockEnd
  }

  override release(): void {
    super.release()
    this.blockStart = 0
    this.blockEnd = 0
    this.removed = 0
  }

  override get(name: string): string | null {
    const index = this.#lastOf(headerName(name))
    if (index >= 0) return this.valueAt(index)
    return name === CONTENT_ENCODING ? this.#contentEncoding() : null
  }

  override getAll(name: string): string[] {
    const value = this.get(name)
    return value === null ? [] : [value]
  }

  override has(name: string): boolean {
    return (
      this.#lastOf(headerName(name)) >= 0 || (name === CONTENT_ENCODING && this.#contentEncoding() !== null)
    )
  }

  override set(name: string, value: string): void {
    const known = headerName(name)
    const before = this.count
    const last = this.#lastOf(known)
    if (last < 0) this.#append(known, value, KIND_PLAIN)
    else {
      this.#append(known, value, this.#hasSecret(known) ? KIND_SECRET : KIND_PLAIN)
      this.#removeAmong(known, before)
    }
    if (name === CONTENT_ENCODING) this.encoding = Encoding.Identity
  }

  override add(name: string, value: string): void {
    this.#append(headerName(name), value, KIND_PLAIN)
  }

  addMade(name: string, value: string, source: Buffer, start: number): void {
    const { length } = value
    if (length > MAX_ONE_BYTE_LENGTH) {
      this.add(name, value)
      return
    }
    const known = headerName(name)
    const lengthAt = this.#begin(known, length, KIND_PLAIN)
    const { bytes } = this
    bytes[lengthAt] = length
    for (let i = 0; i < length; i++) bytes[lengthAt + 1 + i] = source[start + i] as number
    this.#end(known, lengthAt + 1, lengthAt + 1 + length, KIND_PLAIN)
  }

  override remove(name: string): void {
    this.#removeAmong(headerName(name), this.count)
    if (name === CONTENT_ENCODING) this.encoding = Encoding.Identity
  }

  /** Visits each name once, with the value that wins. */
  override forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) continue
      const name = this.nameAt(i)
      if (name !== '' && this.#lastOf(headerName(name)) === i) visit(name, this.valueAt(i))
    }
    const contentEncoding = this.#contentEncoding()
    if (contentEncoding !== null && this.find(CONTENT_ENCODING, 0) < 0)
      visit(CONTENT_ENCODING, contentEncoding)
  }

  override find(name: string, from: number): number {
    const known = headerName(name)
    for (let i = from; i < this.count; i++) if (this.#isNamed(i, known)) return i
    return -1
  }

  override valueAt(index: number): string {
    const at = index * FIELD_STRIDE
    const start = this.base + (this.fields[at + 2] as number)
    return this.bytes.utf8Slice(start, this.base + (this.fields[at + 3] as number))
  }

  /** The name of field `index`; `''` for a static number without a meaning. */
  override nameAt(index: number): string {
    const at = index * FIELD_STRIDE
    const start = this.fields[at] as number
    if (start < 0) return STATIC_NAMES[-1 - start] ?? ''
    return this.bytes.latin1Slice(this.base + start, this.base + (this.fields[at + 1] as number))
  }

  #contentEncoding(): string | null {
    return this.encoding === 0 ? null : (ENCODING_NAMES[this.encoding] ?? null)
  }

  /** The field whose value wins, -1 for none. */
  #lastOf(name: HeaderName): number {
    for (let i = this.count - 1; i >= 0; i--) if (this.#isNamed(i, name)) return i
    return -1
  }

  /** Whether field `index` is there and has this name. */
  #isNamed(index: number, name: HeaderName): boolean {
    const { fields } = this
    const at = index * FIELD_STRIDE
    const start = fields[at] as number
    if (fields[at + 4] === KIND_REMOVED) return false
    if (start < 0) return start === -1 - name.index
    const length = (fields[at + 1] as number) - start
    return length === name.text.length && equalsIgnoringCase(this.bytes, this.base + start, name.text)
  }

  #hasSecret(name: HeaderName): boolean {
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * FIELD_STRIDE + 4] === KIND_SECRET && this.#isNamed(i, name)) return true
    }
    return false
  }

  /** Takes the name out of the first `count` fields. */
  #removeAmong(name: HeaderName, count: number): void {
    for (let i = 0; i < count; i++) {
      if (!this.#isNamed(i, name)) continue
      this.fields[i * FIELD_STRIDE + 4] = KIND_REMOVED
      this.removed++
    }
  }

  /** Adds an entry. When it throws there is nothing more than before. */
  #append(name: HeaderName, value: string, kind: number): void {
    if (name.value === value && kind === KIND_PLAIN) {
      this.#appendKnown(name, value)
      return
    }
    if (value.length > MAX_VALUE_BYTES) throw tooLong(name.text)
    const lengthAt = this.#begin(name, UTF8_BYTES * value.length, kind)
    const end = writeValue(this.bytes, lengthAt, value)
    const start = lengthAt + ((this.bytes[lengthAt] as number) < 0x80 ? 1 : 2)
    if (end - start > MAX_VALUE_BYTES) throw tooLong(name.text)
    if (hasControl(this.bytes, start, end)) throw controlCharacter(name.text)
    this.#end(name, start, end, kind)
    if (kind === KIND_PLAIN && value.length <= MAX_KNOWN_LENGTH) {
      name.value = value
      name.entry = null
    }
  }

  /** Adds an entry whose value was checked the last time. */
  #appendKnown(name: HeaderName, value: string): void {
    if (name.entry === null) {
      const entry = Buffer.allocUnsafeSlow(entryLimit(name.text, value))
      const end = writeValue(entry, writeName(entry, 0, name, false), value)
      name.entry = entry.subarray(0, end)
    }
    const { entry, text, index } = name
    this.retainFor(this.blockEnd, entry.length)
    const { bytes, blockEnd } = this
    for (let i = 0; i < entry.length; i++) bytes[blockEnd + i] = entry[i] as number
    const valueStart = blockEnd + (index >= 0 ? 0 : LITERAL_MARK_BYTES - 1 + text.length) + 2
    this.#end(name, valueStart, blockEnd + entry.length, KIND_PLAIN)
  }

  /** Writes the name of an entry behind the block, with room for a value of `valueRoom` bytes. Returns where its length goes. */
  #begin(name: HeaderName, valueRoom: number, kind: number): number {
    if (!name.isValid) throw badName(name.text)
    this.retainFor(this.blockEnd, ENTRY_BYTES + name.text.length + valueRoom)
    return writeName(this.bytes, this.blockEnd, name, kind === KIND_SECRET)
  }

  /** The entry that {@link MmtpHeaders.#begin} began has its value: it becomes a part of the block. */
  #end(name: HeaderName, valueStart: number, valueEnd: number, kind: number): void {
    if (this.count === 0) this.open(this.bytes, this.base)
    const isStatic = name.index >= 0 && kind !== KIND_SECRET
    const nameStart = isStatic ? -1 - name.index : this.blockEnd + LITERAL_MARK_BYTES
    const nameEnd = isStatic ? nameStart : nameStart + name.text.length
    this.push(nameStart, nameEnd, valueStart, valueEnd, kind)
    this.blockEnd = valueEnd
  }
}

function tooLong(name: string): TypeError {
  return new TypeError(`the value of header ${name} is longer than ${MAX_VALUE_BYTES} bytes`)
}

function hasControl(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return true
  }
  return false
}

/** The headers of a message that this process makes. Like those of a received one, but there is no block yet. */
export class OutgoingHeaders extends HeaderTable {
  override set(name: string, value: string): void {
    check(name, value)
    super.set(name, value)
  }

  override add(name: string, value: string): void {
    check(name, value)
    super.add(name, value)
  }

  protected override join(_name: string, _first: string | null, second: string): string {
    return second
  }
}

function check(name: string, value: string): void {
  if (!headerName(name).isValid) throw badName(name)
  if (value.length > MAX_VALUE_BYTES) throw tooLong(name)
}

function badName(name: string): TypeError {
  return new TypeError(
    `Mmtp header name ${JSON.stringify(name)} must be 1 to ${MAX_NAME_BYTES} of a-z 0-9 . _ -`,
  )
}
