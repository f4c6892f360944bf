/**
 * The headers of one message as ranges of the bytes they came in, plus the changes made on the way. Nothing is
 * decoded before somebody asks; encoders copy ranges.
 */
import './latin1.ts'
import type { Headers } from '../core/message.ts'
import { acquireBlock } from './pools.ts'
import type { Slab } from './slab-pool.ts'

/** Numbers per field in {@link HeaderTable.fields}: name start, name end, value start, value end, kind. Positions count from `base`. */
export const FIELD_STRIDE = 5
/** An ordinary field. */
export const KIND_PLAIN = 0
/** Removed on the way: neither visible nor forwarded. */
export const KIND_REMOVED = 1
/** Belongs to the hop it came over: visible, not forwarded. Codecs may use higher kinds for the names they know; those are visible, and the codec decides. */
export const KIND_HOP = 2

const INITIAL_FIELDS = 32
const MAX_SPARE_ARRAYS = 4096
const spareArrays: Int32Array[] = []
const EMPTY_BYTES = Buffer.alloc(0)
const NO_FIELDS = new Int32Array(0)
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/

/** Values of repeated `cookie` headers are joined as RFC 6265 section 5.4 wants it. */
const COOKIE = 'cookie'

/** See {@link Headers}. The codec that made the table fills `fields` and decides what the kinds above {@link KIND_HOP} mean. */
export class HeaderTable implements Headers {
  /** The bytes that the ranges point into; valid while the read callback runs, longer after {@link HeaderTable.retain}. */
  bytes: Buffer = EMPTY_BYTES
  /** Where position 0 of the ranges lies in `bytes`. */
  base = 0
  fields: Int32Array = NO_FIELDS
  count = 0
  /** Names and values that were set or added, in turn; null when none. */
  added: string[] | null = null
  #block: Slab | null = null

  /** Prepares the table for fields found in `bytes`; to be undone by {@link HeaderTable.release}. */
  open(bytes: Buffer, base: number): void {
    this.bytes = bytes
    this.base = base
    if (this.fields === NO_FIELDS)
      this.fields = spareArrays.pop() ?? new Int32Array(INITIAL_FIELDS * FIELD_STRIDE)
  }

  /** Appends a field; positions count from `base`. */
  push(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, kind: number): void {
    const at = this.count * FIELD_STRIDE
    if (at === this.fields.length) this.#grow()
    const fields = this.fields
    fields[at] = nameStart
    fields[at + 1] = nameEnd
    fields[at + 2] = valueStart
    fields[at + 3] = valueEnd
    fields[at + 4] = kind
    this.count++
  }

  get isRetained(): boolean {
    return this.#block !== null
  }

  /** Copies `length` bytes from `base` into a leased block, because the table outlives the bytes it was made from. */
  retain(length: number): void {
    if (this.#block === null) this.retainFor(length, 0)
  }

  /** As {@link HeaderTable.retain}, in a block where `room` bytes can be written behind the copied ones. */
  protected retainFor(length: number, room: number): void {
    const old = this.#block
    if (old !== null && length + room <= old.bytes.length) return
    const block = acquireBlock(length + room)
    this.bytes.copy(block.bytes, 0, this.base, this.base + length)
    old?.release()
    this.#block = block
    this.bytes = block.bytes
    this.base = 0
  }

  /** Takes over a block (and its lease) that holds the bytes already, with position 0 at its start. */
  adopt(block: Slab): void {
    this.#block = block
    this.bytes = block.bytes
    this.base = 0
  }

  /** Gives back what the table leased. It reads as empty from now on. */
  release(): void {
    this.#block?.release()
    this.#block = null
    if (this.fields.length === INITIAL_FIELDS * FIELD_STRIDE && spareArrays.length < MAX_SPARE_ARRAYS) {
      spareArrays.push(this.fields)
    }
    this.fields = NO_FIELDS
    this.count = 0
    this.added = null
    this.bytes = EMPTY_BYTES
    this.base = 0
  }

  get(name: string): string | null {
    let found: string | null = null
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) {
      found = this.join(name, found, this.valueAt(i))
    }
    const added = this.added
    if (added === null) return found
    for (let i = 0; i < added.length; i += 2) {
      if (added[i] === name) found = this.join(name, found, added[i + 1] as string)
    }
    return found
  }

  getAll(name: string): string[] {
    const values: string[] = []
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) values.push(this.valueAt(i))
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) if (added[i] === name) values.push(added[i + 1] as string)
    return values
  }

  has(name: string): boolean {
    if (this.find(name, 0) >= 0) return true
    return this.added !== null && this.#indexOfAdded(name) >= 0
  }

  set(name: string, value: string): void {
    checkHeader(name, value)
    this.drop(name)
    this.append(name, value)
  }

  add(name: string, value: string): void {
    checkHeader(name, value)
    this.append(name, value)
  }

  /** See {@link Headers}. */
  addMade(name: string, value: string, _bytes: Buffer, _start: number): void {
    this.append(name, value)
  }

  remove(name: string): void {
    this.drop(name)
  }

  forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * FIELD_STRIDE + 4] !== KIND_REMOVED) visit(this.nameAt(i), this.valueAt(i))
    }
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) visit(added[i] as string, added[i + 1] as string)
  }

  /** How two values of one name become one. */
  protected join(name: string, first: string | null, second: string): string {
    if (first === null) return second
    return name === COOKIE ? `${first}; ${second}` : `${first}, ${second}`
  }

  /** Index of the next field with this lower-case name, from field `from` on; -1 when there is none. */
  find(name: string, from: number): number {
    const fields = this.fields
    const length = name.length
    for (let i = from; i < this.count; i++) {
      const at = i * FIELD_STRIDE
      const start = fields[at] as number
      if ((fields[at + 1] as number) - start !== length || fields[at + 4] === KIND_REMOVED) continue
      if (equalsIgnoringCase(this.bytes, this.base + start, name)) return i
    }
    return -1
  }

  /** The value of field `index`, as Latin-1 (RFC 9110 section 5.5). */
  valueAt(index: number): string {
    const at = index * FIELD_STRIDE
    return this.bytes.latin1Slice(
      this.base + (this.fields[at + 2] as number),
      this.base + (this.fields[at + 3] as number),
    )
  }

  /** The name of field `index` in lower case. */
  nameAt(index: number): string {
    const at = index * FIELD_STRIDE
    return this.bytes
      .latin1Slice(this.base + (this.fields[at] as number), this.base + (this.fields[at + 1] as number))
      .toLowerCase()
  }

  /** Removes every value of `name`. */
  protected drop(name: string): void {
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) {
      this.fields[i * FIELD_STRIDE + 4] = KIND_REMOVED
    }
    if (this.added !== null) this.dropAdded(name)
  }

  /** Takes every added value of `name` out again. */
  protected dropAdded(name: string): void {
    for (let i = this.#indexOfAdded(name); i >= 0; i = this.#indexOfAdded(name)) this.added?.splice(i, 2)
  }

  /** Adds a pair that has been checked. */
  protected append(name: string, value: string): void {
    if (this.added === null) this.added = [name, value]
    else this.added.push(name, value)
  }

  #indexOfAdded(name: string): number {
    const added = this.added as string[]
    for (let i = 0; i < added.length; i += 2) if (added[i] === name) return i
    return -1
  }

  #grow(): void {
    const larger = new Int32Array(this.fields.length * 2)
    larger.set(this.fields)
    this.fields = larger
  }
}

/** Whether the bytes at `offset` spell the lower-case ASCII `name`, ignoring case. The caller has compared the lengths. */
export function equalsIgnoringCase(bytes: Buffer, offset: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[offset + i] as number
    const wanted = name.charCodeAt(i)
    if (byte === wanted) continue
    if (byte < 0x41 || byte > 0x5a || byte + 0x20 !== wanted) return false
  }
  return true
}

/** Names that passed {@link checkHeader}: looking one up takes a tenth of matching it (perf/micro/header-table.ts). */
const checkedNames = new Set<string>()
const MAX_CHECKED_NAMES = 1024
/** Up to here a loop over a value beats a regular expression. */
const SHORT_VALUE = 16

/** Throws `TypeError` unless the pair may go on the wire: a lower-case token, and a value without control bytes other than tab. */
export function checkHeader(name: string, value: string): void {
  if (!checkedNames.has(name)) checkName(name)
  if (value.length <= SHORT_VALUE ? hasControl(value) : FORBIDDEN_IN_VALUE.test(value)) {
    throw controlCharacter(name)
  }
}

/** What is thrown for a value that would break the message. */
export function controlCharacter(name: string): TypeError {
  return new TypeError(`the value of header ${name} holds a control character (CR, LF, NUL …)`)
}

function checkName(name: string): void {
  if (!TOKEN.test(name)) throw new TypeError(`header name ${JSON.stringify(name)} must be a lower-case token`)
  if (checkedNames.size < MAX_CHECKED_NAMES) checkedNames.add(name)
}

function hasControl(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === 0x7f || (code < 0x20 && code !== 0x09)) return true
  }
  return false
}
