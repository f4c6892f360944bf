/** The attachments of one message: positions into its body, found when somebody asks, and the changes made on the way. */

import { FIELD_STRIDE, HeaderTable, KIND_PLAIN, KIND_REMOVED } from '../../buffer/header-table.ts'
import { acquireBlock } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'
import { type AttachmentSink, KIND_ENCODED, MapForm } from './attachment-map.ts'
import { MAX_TEXT_UNITS, Serialization } from './constants.ts'
import { readHessianValue } from './hessian-values.ts'
import { readJsonbText } from './jsonb.ts'
import { locateHessian } from './locate-hessian.ts'
import { locateJsonb } from './locate-jsonb.ts'

/** What is known of a message's attachments. */
export const Located = {
  /** Nobody asked yet. */
  Not: 0,
  /** There is a map, or a place for one. */
  Found: 1,
  /** The body breaks the rules of its serialization, or a limit. */
  Unreadable: 2,
  /** The message has none: another serialization, or a kind of response without. */
  None: 3,
} as const
export type Located = (typeof Located)[keyof typeof Located]

/** Bodies up to here are kept whole when their attachments are not known yet; of longer ones they are looked for. */
const KEEP_WHOLE_BYTES = 8 * 1024

const MAX_DIGITS = 9
const MAX_NAME_UNITS = 1024
const FORBIDDEN = /[\0\r\n]/

/**
 * See {@link HeaderTable}. Position 0 is the first byte of the body. Names are compared without regard to case and
 * written as they are given; of repeated ones the last wins, in Java's maps too.
 */
export class DubboAttachments extends HeaderTable implements AttachmentSink {
  located: Located = Located.Not
  form: MapForm = MapForm.Present
  /** Where the map's value begins and ends (for fastjson2 with the length in front). */
  mapAt = 0
  mapEnd = 0
  /** Where the entries begin and the end marker lies. */
  entriesAt = 0
  entriesEnd = 0
  /** Entries taken out. */
  removed = 0
  /** Whether somebody wanted to know, so that it matters when they cannot be read. */
  isAsked = false
  readonly serialization: number
  #end: number
  /** Where the values in front of the map begin; −1 when that is not known. */
  readonly #valuesAt: number
  /** How many they are; −1: as many as the descriptor that ends at `#valuesAt` says. */
  readonly #values: number
  readonly #descriptorAt: number

  /** `base` and `end` bound the body. A body without attachments gives `serialization` 0. */
  constructor(
    serialization: number,
    bytes: Buffer,
    base: number,
    end: number,
    valuesAt: number,
    values: number,
    descriptorAt: number,
  ) {
    super()
    this.serialization = serialization
    this.bytes = bytes
    this.base = base
    this.#end = end - base
    this.#valuesAt = valuesAt
    this.#values = values
    this.#descriptorAt = descriptorAt
  }

  /** Whether what is written differs from what came. */
  get isChanged(): boolean {
    return this.removed > 0 || this.added !== null
  }

  /** Finds the attachments unless that was done. Returns what is known. */
  locate(): Located {
    this.isAsked = true
    if (this.located === Located.Not) this.located = this.#find()
    return this.located
  }

  #find(): Located {
    const isHessian = this.serialization === Serialization.Hessian2
    if (!isHessian && this.serialization !== Serialization.Fastjson2) return Located.None
    if (this.#valuesAt < 0) return Located.Unreadable
    this.open(this.bytes, this.base)
    const find = isHessian ? locateHessian : locateJsonb
    if (find(this, this.#end, this.#descriptorAt, this.#valuesAt, this.#values)) return Located.Found
    this.count = 0
    return Located.Unreadable
  }

  override get(name: string): string | null {
    if (this.added !== null) {
      const at = this.#addedAt(name)
      if (at >= 0) return this.added[at + 1] as string
    }
    const index = this.find(name)
    return index < 0 ? null : this.valueAt(index)
  }

  /** The value of `name` as a whole number of at most nine digits; -1 when it is none. */
  wholeNumber(name: string): number {
    const index = this.#addedAt(name) < 0 ? this.find(name) : -1
    if (index >= 0 && this.fields[index * FIELD_STRIDE + 4] === KIND_PLAIN) {
      const { bytes, base, fields } = this
      const at = index * FIELD_STRIDE
      return wholeNumberAt(bytes, base + (fields[at + 2] as number), base + (fields[at + 3] as number))
    }
    const value = Buffer.from(this.get(name) ?? '')
    return wholeNumberAt(value, 0, value.length)
  }

  override getAll(name: string): string[] {
    const value = this.get(name)
    return value === null ? [] : [value]
  }

  override has(name: string): boolean {
    return this.get(name) !== null
  }

  override set(name: string, value: string): void {
    check(name, value)
    this.drop(name)
    this.append(name, value)
  }

  override add(name: string, value: string): void {
    check(name, value)
    if (this.added !== null) this.dropAdded(name)
    this.append(name, value)
  }

  override forEach(visit: (name: string, value: string) => void): void {
    if (this.locate() === Located.Found) {
      for (let i = 0; i < this.count; i++) {
        if (!this.#isVisible(i)) continue
        const name = this.nameAt(i)
        if (this.find(name) !== i || this.#addedAt(name) >= 0) continue
        const value = this.valueAt(i)
        if (value !== null) visit(name, value)
      }
    }
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) visit(added[i] as string, added[i + 1] as string)
  }

  /** Index of the entry with this name that wins among those that came; −1 when there is none. */
  override find(name: string): number {
    if (this.locate() !== Located.Found) return -1
    const { fields, bytes, base } = this
    const { length } = name
    for (let i = this.count - 1; i >= 0; i--) {
      const at = i * FIELD_STRIDE
      const start = fields[at] as number
      if ((fields[at + 1] as number) - start !== length || !this.#isVisible(i)) continue
      if (equalsAnyCase(bytes, base + start, name)) return i
    }
    return -1
  }

  /** The text of entry `index`; null when it has none. */
  override valueAt(index: number): string {
    const at = index * FIELD_STRIDE
    const start = this.base + (this.fields[at + 2] as number)
    const end = this.base + (this.fields[at + 3] as number)
    if (this.fields[at + 4] === KIND_PLAIN) return this.bytes.latin1Slice(start, end)
    const read = this.serialization === Serialization.Hessian2 ? readHessianValue : readJsonbText
    return read(this.bytes, start, end) as string
  }

  override nameAt(index: number): string {
    const at = index * FIELD_STRIDE
    const start = this.base + (this.fields[at] as number)
    return this.bytes.latin1Slice(start, this.base + (this.fields[at + 1] as number))
  }

  protected override drop(name: string): void {
    for (let i = this.find(name); i >= 0; i = this.find(name)) {
      this.fields[i * FIELD_STRIDE + 4] = KIND_REMOVED
      this.removed++
    }
    if (this.added !== null) this.dropAdded(name)
  }

  protected override dropAdded(name: string): void {
    const at = this.#addedAt(name)
    if (at < 0) return
    const added = this.added as string[]
    added.splice(at, 2)
    if (added.length === 0) this.added = null
  }

  /** Makes the same changes to the attachments of another body. */
  repeatOn(other: DubboAttachments): void {
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) other.remove(this.nameAt(i))
    }
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) other.set(added[i] as string, added[i + 1] as string)
  }

  /** Copies what may still be asked for, because the exchange outlives the bytes. */
  keep(): void {
    if (this.isRetained) return
    if (this.located === Located.Not && this.#end > KEEP_WHOLE_BYTES) this.located = this.#find()
    if (this.located === Located.Not) this.#keepRange(0, this.#end)
    else if (this.located === Located.Found) this.#keepRange(this.mapAt, this.mapEnd)
    // What was there to know is known, and the bytes go away.
    else this.bytes = NO_BYTES
  }

  #keepRange(from: number, to: number): void {
    if (from === to) {
      this.bytes = NO_BYTES
      return
    }
    const block: Slab = acquireBlock(to - from)
    this.bytes.copy(block.bytes, 0, this.base + from, this.base + to)
    this.adopt(block)
    this.base = 0 - from
  }

  override release(): void {
    super.release()
    this.#end = 0
    this.removed = 0
    if (this.located === Located.Not) this.located = Located.None
  }

  #isVisible(index: number): boolean {
    const kind = this.fields[index * FIELD_STRIDE + 4]
    return kind === KIND_PLAIN || kind === KIND_ENCODED
  }

  #addedAt(name: string): number {
    const { added } = this
    if (added === null) return -1
    for (let i = added.length - 2; i >= 0; i -= 2) if (isSameName(added[i] as string, name)) return i
    return -1
  }
}

const NO_BYTES = Buffer.alloc(0)

/** The attachments to rewrite when `headers` were changed; null when they can be passed on as they are, or cannot be written. */
export function changedHeaders(headers: DubboAttachments): DubboAttachments | null {
  return headers.isChanged && headers.locate() === Located.Found ? headers : null
}

function isSameName(a: string, b: string): boolean {
  return a === b || (a.length === b.length && a.toLowerCase() === b.toLowerCase())
}

/** Whether the bytes at `offset` spell `name`, ignoring the case of ASCII letters. The caller has compared the lengths. Names differ at their end. */
function equalsAnyCase(bytes: Buffer, offset: number, name: string): boolean {
  for (let i = name.length - 1; i >= 0; i--) {
    const byte = bytes[offset + i] as number
    const wanted = name.charCodeAt(i)
    if (byte === wanted) continue
    const folded = byte | 0x20
    if (folded !== (wanted | 0x20) || folded < 0x61 || folded > 0x7a || wanted > 0x7a) return false
  }
  return true
}

function wholeNumberAt(bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > MAX_DIGITS) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

/** Names that passed {@link check}. */
const checkedNames = new Set<string>()
const MAX_CHECKED_NAMES = 1024
const NAME = /^[!-~]+$/

/** Throws `TypeError` unless the pair can become an attachment. */
function check(name: string, value: string): void {
  if (!checkedNames.has(name)) {
    if (name.length > MAX_NAME_UNITS || !NAME.test(name)) {
      throw new TypeError(
        `attachment name ${JSON.stringify(name)} must be 1 to 1024 printable ASCII characters`,
      )
    }
    if (checkedNames.size < MAX_CHECKED_NAMES) checkedNames.add(name)
  }
  if (value.length > MAX_TEXT_UNITS) {
    throw new TypeError(`the value of attachment ${name} is longer than ${MAX_TEXT_UNITS} characters`)
  }
  if (FORBIDDEN.test(value)) throw new TypeError(`the value of attachment ${name} holds CR, LF or NUL`)
}
