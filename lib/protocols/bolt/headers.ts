/** The header block of one message ("SimpleMap"): positions into its pairs, and the changes made on the way. */
import '../../buffer/latin1.ts'
import { FIELD_STRIDE, HeaderTable, KIND_PLAIN, KIND_REMOVED } from '../../buffer/header-table.ts'
import { MAX_SHORT_LENGTH } from './constants.ts'
import { readI32, writeI32 } from './frame.ts'

/** Bytes of a pair beside its key and value. */
export const PAIR_OVERHEAD = 8
/** UTF-8 bytes of one UTF-16 unit, at most. */
const UTF8_BYTES = 3
const NULL_LENGTH = -1
/** Names that were found right: looking one up takes less than matching it. */
const checkedNames = new Set<string>()
const MAX_CHECKED_NAMES = 1024
const NAME = /^[!-~]+$/
const FORBIDDEN_IN_VALUE = /[\r\n\0]/
const MAX_ID_BYTES = 64

/** Something that can be written as a header block. */
export interface HeaderBlock {
  /** Bytes that it may need. */
  readonly limit: number
  /** Writes its pairs at `at`. Returns the end. */
  write(buffer: Buffer, at: number): number
}

/**
 * See {@link HeaderTable}. Position 0 is the frame's first byte, so that fixed part, class name, block and content are
 * forwarded as one range. Of a repeated name the last pair wins. A pair that would make the block longer than Java can
 * read is not added; what was there stays.
 */
export class BoltHeaders extends HeaderTable implements HeaderBlock {
  /** Where the block begins and ends, counted from `base`. */
  blockStart = 0
  blockEnd = 0
  /** Pairs taken out; when 0 the block may be forwarded as it is. */
  removed = 0
  /** Bytes of the pairs taken out. */
  #removedBytes = 0
  /** Bytes of the added pairs, at most. */
  #addedBytes = 0

  /**
   * Reads the block at `start…end`, which count from the frame at `base`, and checks every length in it. False when one
   * of them is impossible: such a block makes a Java peer allocate what the length says.
   */
  read(bytes: Buffer, base: number, start: number, end: number): boolean {
    this.bytes = bytes
    this.base = base
    this.blockStart = start
    this.blockEnd = end
    if (start === end) return true
    this.open(bytes, base)
    const last = base + end
    for (let at = base + start; at < last; ) {
      if (last - at < PAIR_OVERHEAD) return false
      const keyLength = readI32(bytes, at)
      const key = at + 4
      const lengthAt = keyLength < 0 ? key : key + keyLength
      if (keyLength < NULL_LENGTH || lengthAt > last - 4) return false
      const valueLength = readI32(bytes, lengthAt)
      const value = lengthAt + 4
      at = valueLength < 0 ? value : value + valueLength
      if (valueLength < NULL_LENGTH || at > last) return false
      // Java ignores pairs with a null in them; they go on with the pair behind them.
      if (keyLength < 0 || valueLength < 0) continue
      this.push(key - base, lengthAt - base, value - base, at - base, KIND_PLAIN)
    }
    return true
  }

  override release(): void {
    super.release()
    this.blockStart = 0
    this.blockEnd = 0
    this.removed = 0
    this.#removedBytes = 0
    this.#addedBytes = 0
  }

  /** Bytes that {@link BoltHeaders.write} may need. */
  get limit(): number {
    return this.blockEnd - this.blockStart - this.#removedBytes + this.#addedBytes
  }

  override get(name: string): string | null {
    const added = this.added
    if (added !== null) {
      for (let i = added.length - 2; i >= 0; i -= 2) {
        if (isSameName(added[i] as string, name)) return added[i + 1] as string
      }
    }
    const index = this.#findLast(name)
    return index < 0 ? null : this.valueAt(index)
  }

  override getAll(name: string): string[] {
    const value = this.get(name)
    return value === null ? [] : [value]
  }

  override has(name: string): boolean {
    if (this.find(name, 0) >= 0) return true
    return this.added !== null && this.#isAdded(name, 0)
  }

  override set(name: string, value: string): void {
    checkPair(name, value)
    const isNew = this.added === null && this.#findLast(name) < 0
    if (!this.#hasRoom(name, value, isNew ? 0 : this.#bytesOf(name))) return
    if (!isNew) this.drop(name)
    this.append(name, value)
  }

  override add(name: string, value: string): void {
    checkPair(name, value)
    if (this.#hasRoom(name, value, 0)) this.append(name, value)
  }

  override addMade(name: string, value: string): void {
    if (this.#hasRoom(name, value, 0)) this.append(name, value)
  }

  /** Visits each name once, with the value that wins. */
  override forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) continue
      const name = this.nameAt(i)
      if (this.find(name, i + 1) < 0 && !this.#isAdded(name, 0)) visit(name, this.valueAt(i))
    }
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) {
      if (!this.#isAdded(added[i] as string, i + 2)) visit(added[i] as string, added[i + 1] as string)
    }
  }

  override find(name: string, from: number): number {
    const { fields, bytes, base, count } = this
    const length = name.length
    for (let i = from; i < count; i++) {
      const at = i * FIELD_STRIDE
      const start = fields[at] as number
      if ((fields[at + 1] as number) - start !== length || fields[at + 4] === KIND_REMOVED) continue
      if (spells(bytes, base + start, name)) return i
    }
    return -1
  }

  placeOfId(name: string, idBytes: Uint8Array): number {
    if (this.added !== null && this.#isAdded(name, 0)) return -1
    const index = this.#findLast(name)
    if (index < 0) return -1
    const { bytes, base, fields } = this
    const at = index * FIELD_STRIDE
    const start = base + (fields[at + 2] as number)
    const end = base + (fields[at + 3] as number)
    if (start === end || end - start > MAX_ID_BYTES) return -1
    for (let i = start; i < end; i++) if (idBytes[bytes[i] as number] !== 1) return -1
    return index
  }

  textAt(place: number): string {
    return place < this.count ? this.valueAt(place) : ''
  }

  /** Index of the pair that won when the message came, whatever was changed since; -1 when there was none. `key` is as SOFARPC writes it. */
  indexAsCame(key: string): number {
    const { fields, bytes, base } = this
    const { length } = key
    const spelled = spellingOf(key)
    for (let i = this.count - 1; i >= 0; i--) {
      const at = i * FIELD_STRIDE
      const start = fields[at] as number
      if ((fields[at + 1] as number) - start === length && holds(bytes, base + start, spelled)) return i
    }
    return -1
  }

  override valueAt(index: number): string {
    const { base, fields } = this
    const at = index * FIELD_STRIDE
    return textOf(this.bytes, base + (fields[at + 2] as number), base + (fields[at + 3] as number))
  }

  /** The name of field `index`, as it came. */
  override nameAt(index: number): string {
    const at = index * FIELD_STRIDE
    const start = this.base + (this.fields[at] as number)
    return this.bytes.utf8Slice(start, this.base + (this.fields[at + 1] as number))
  }

  /** Writes the pairs that are left, then those that were added. Returns the end. */
  write(buffer: Buffer, at: number): number {
    return this.writeAdded(buffer, this.#writeKept(buffer, at))
  }

  /** Writes the pairs that were added. Returns the end. */
  writeAdded(buffer: Buffer, at: number): number {
    const { added } = this
    if (added === null) return at
    for (let i = 0; i < added.length; i++) at = writeText(buffer, at, added[i] as string)
    return at
  }

  protected override drop(name: string): void {
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) {
      this.fields[i * FIELD_STRIDE + 4] = KIND_REMOVED
      this.removed++
      this.#removedBytes += this.#pairBytes(i)
    }
    const added = this.added
    if (added === null) return
    for (let i = added.length - 2; i >= 0; i -= 2) {
      if (!isSameName(added[i] as string, name)) continue
      this.#addedBytes -= mostBytes(added[i] as string, added[i + 1] as string)
      added.splice(i, 2)
    }
    if (added.length === 0) this.added = null
  }

  protected override append(name: string, value: string): void {
    super.append(name, value)
    this.#addedBytes += mostBytes(name, value)
  }

  /** Copies the runs of pairs between those that were removed. A pair reaches from the end of the one before it to the end of its value. */
  #writeKept(buffer: Buffer, at: number): number {
    const { bytes, base, fields, count, blockStart, blockEnd } = this
    if (this.removed === 0) {
      return blockStart === blockEnd ? at : at + bytes.copy(buffer, at, base + blockStart, base + blockEnd)
    }
    let runStart = blockStart
    let pairStart = blockStart
    for (let i = 0; i < count; i++) {
      const pairEnd = fields[i * FIELD_STRIDE + 3] as number
      if (fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) {
        if (pairStart > runStart) at += bytes.copy(buffer, at, base + runStart, base + pairStart)
        runStart = pairEnd
      }
      pairStart = pairEnd
    }
    if (pairStart > runStart) at += bytes.copy(buffer, at, base + runStart, base + pairStart)
    return at
  }

  /** Bytes of the pair `index`, with the nulls in front of it. */
  #pairBytes(index: number): number {
    const at = index * FIELD_STRIDE
    const start = index === 0 ? this.blockStart : (this.fields[at - FIELD_STRIDE + 3] as number)
    return (this.fields[at + 3] as number) - start
  }

  #findLast(name: string): number {
    const { fields, bytes, base } = this
    const { length } = name
    const spelled = spellingOf(name)
    for (let i = this.count - 1; i >= 0; i--) {
      const at = i * FIELD_STRIDE
      const start = fields[at] as number
      if ((fields[at + 1] as number) - start !== length || fields[at + 4] === KIND_REMOVED) continue
      if (holds(bytes, base + start, spelled) || spells(bytes, base + start, name)) return i
    }
    return -1
  }

  /** Bytes that dropping `name` frees. */
  #bytesOf(name: string): number {
    let freed = 0
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) freed += this.#pairBytes(i)
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) {
      if (isSameName(added[i] as string, name))
        freed += exactBytes(added[i] as string, added[i + 1] as string)
    }
    return freed
  }

  /** Whether one pair more fits, once `freed` bytes are gone. The exact lengths are counted only when the estimate is above the limit. */
  #hasRoom(name: string, value: string, freed: number): boolean {
    if (this.limit + mostBytes(name, value) <= MAX_SHORT_LENGTH) return true
    let length = this.blockEnd - this.blockStart - this.#removedBytes - freed + exactBytes(name, value)
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) length += exactBytes(added[i] as string, added[i + 1] as string)
    return length <= MAX_SHORT_LENGTH
  }

  #isAdded(name: string, from: number): boolean {
    const added = this.added ?? []
    for (let i = from; i < added.length; i += 2) if (isSameName(added[i] as string, name)) return true
    return false
  }
}

/** Writes a length and the text behind it. Returns the end. */
export function writeText(buffer: Buffer, at: number, text: string): number {
  const length = text.length
  const start = at + 4
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) {
      const written = buffer.utf8Write(text, start)
      writeI32(buffer, at, written)
      return start + written
    }
    buffer[start + i] = unit
  }
  writeI32(buffer, at, length)
  return start + length
}

/** The UTF-8 text in `start…end`. A single character, as most rpcIds are, needs no native call (perf/micro/bolt-text.ts). */
function textOf(bytes: Buffer, start: number, end: number): string {
  const first = bytes[start] as number
  return end - start === 1 && first < 0x80 ? String.fromCharCode(first) : bytes.utf8Slice(start, end)
}

/** Whether the bytes at `at` spell the ASCII `text`. The caller has compared the lengths. Names differ at their end. */
export function isExactly(bytes: Buffer, at: number, text: string): boolean {
  for (let i = text.length - 1; i >= 0; i--) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

/** The bytes of names that somebody looked for: comparing these takes a third of the time that the names' characters take. */
const spellings = new Map<string, Uint8Array>()

function spellingOf(name: string): Uint8Array {
  return spellings.get(name) ?? spell(name)
}

function spell(name: string): Uint8Array {
  const bytes = Buffer.from(name)
  if (spellings.size < MAX_CHECKED_NAMES) spellings.set(name, bytes)
  return bytes
}

/** As {@link isExactly}, for a name from {@link spellingOf}. One beyond ASCII has more bytes than its length, and the last of them differ from the length that follows a name. */
function holds(bytes: Buffer, at: number, spelled: Uint8Array): boolean {
  for (let i = spelled.length - 1; i >= 0; i--) if (bytes[at + i] !== spelled[i]) return false
  return true
}

/** As {@link isExactly}, without regard to case. */
function spells(bytes: Buffer, at: number, name: string): boolean {
  for (let i = name.length - 1; i >= 0; i--) {
    const byte = bytes[at + i] as number
    const wanted = name.charCodeAt(i)
    if (byte !== wanted && !isSameLetter(byte, wanted)) return false
  }
  return true
}

function isSameLetter(one: number, other: number): boolean {
  const lower = one | 0x20
  return lower === (other | 0x20) && lower >= 0x61 && lower <= 0x7a && other < 0x80
}

function isSameName(one: string, other: string): boolean {
  return one === other || (one.length === other.length && one.toLowerCase() === other.toLowerCase())
}

function mostBytes(name: string, value: string): number {
  return PAIR_OVERHEAD + UTF8_BYTES * (name.length + value.length)
}

function exactBytes(name: string, value: string): number {
  return PAIR_OVERHEAD + Buffer.byteLength(name) + Buffer.byteLength(value)
}

function checkPair(name: string, value: string): void {
  if (!checkedNames.has(name)) checkName(name)
  if (FORBIDDEN_IN_VALUE.test(value)) {
    throw new TypeError(`the value of header ${name} holds a control character (CR, LF, NUL)`)
  }
}

function checkName(name: string): void {
  if (!NAME.test(name)) {
    throw new TypeError(
      `header name ${JSON.stringify(name)} must be visible ASCII characters without a space`,
    )
  }
  if (checkedNames.size < MAX_CHECKED_NAMES) checkedNames.add(name)
}
