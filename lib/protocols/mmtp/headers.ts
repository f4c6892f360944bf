/** The headers of one Mmtp message: positions into its header block, and the changes made on the way. */
import {
  checkHeader,
  equalsIgnoringCase,
  FIELD_STRIDE,
  HeaderTable,
  KIND_REMOVED,
} from '../../buffer/header-table.ts'
import { Encoding, MAX_NAME_BYTES, MAX_VALUE_BYTES, STATIC_INDEX, STATIC_NAMES } from './constants.ts'

/** An entry marked *never store*: it holds a secret, and every hop keeps the mark. */
export const KIND_SECRET = 3

const NAME = /^[a-z0-9._-]+$/
const CONTENT_ENCODING = 'content-encoding'
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
 * The body encoding of the frame is visible as `content-encoding`, which it becomes when the message goes on
 * over HTTP; it is no entry of the block.
 */
export class MmtpHeaders extends HeaderTable {
  /** Where the block begins and ends, counted from `base`. */
  blockStart = 0
  blockEnd = 0
  /** Entries taken out; when 0 the block may be forwarded as it is. */
  removed = 0
  /** Names among `added` whose entry must keep the *never store* mark; null when none. */
  secrets: string[] | null = null
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
    this.secrets = null
  }

  override get(name: string): string | null {
    const added = this.added
    if (added !== null) {
      for (let i = added.length - 2; i >= 0; i -= 2) if (added[i] === name) return added[i + 1] as string
    }
    let last = -1
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) last = i
    if (last >= 0) return this.valueAt(last)
    return name === CONTENT_ENCODING ? this.#contentEncoding() : null
  }

  override getAll(name: string): string[] {
    const value = this.get(name)
    return value === null ? [] : [value]
  }

  override has(name: string): boolean {
    return super.has(name) || (name === CONTENT_ENCODING && this.#contentEncoding() !== null)
  }

  override set(name: string, value: string): void {
    this.#check(name, value)
    let isSecret = false
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) {
      const kindAt = i * FIELD_STRIDE + 4
      if (this.fields[kindAt] === KIND_SECRET) isSecret = true
      this.fields[kindAt] = KIND_REMOVED
      this.removed++
    }
    if (this.added !== null) this.dropAdded(name)
    this.append(name, value)
    if (name === CONTENT_ENCODING) this.encoding = Encoding.Identity
    if (isSecret) this.#keepSecret(name)
  }

  override add(name: string, value: string): void {
    this.#check(name, value)
    this.append(name, value)
  }

  override remove(name: string): void {
    super.remove(name)
    if (name === CONTENT_ENCODING) this.encoding = Encoding.Identity
  }

  /** Visits each name once, with the value that wins. */
  override forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.count; i++) {
      if (this.fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) continue
      const name = this.nameAt(i)
      if (name !== '' && this.find(name, i + 1) < 0 && !this.#isAdded(name, 0)) visit(name, this.valueAt(i))
    }
    const added = this.added ?? []
    for (let i = 0; i < added.length; i += 2) {
      if (!this.#isAdded(added[i] as string, i + 2)) visit(added[i] as string, added[i + 1] as string)
    }
    const contentEncoding = this.#contentEncoding()
    if (contentEncoding !== null && !super.has(CONTENT_ENCODING)) visit(CONTENT_ENCODING, contentEncoding)
  }

  override find(name: string, from: number): number {
    const fields = this.fields
    const count = this.count
    if (from >= count) return -1
    const staticPosition = -1 - (STATIC_INDEX.get(name) ?? -1)
    const length = name.length
    for (let i = from; i < count; i++) {
      const at = i * FIELD_STRIDE
      if (fields[at + 4] === KIND_REMOVED) continue
      const start = fields[at] as number
      if (start < 0) {
        if (start === staticPosition) return i
      } else if (
        (fields[at + 1] as number) - start === length &&
        equalsIgnoringCase(this.bytes, this.base + start, name)
      ) {
        return i
      }
    }
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

  protected override drop(name: string): void {
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) this.removed++
    super.drop(name)
  }

  #contentEncoding(): string | null {
    return this.encoding === 0 ? null : (ENCODING_NAMES[this.encoding] ?? null)
  }

  #keepSecret(name: string): void {
    this.secrets ??= []
    if (!this.secrets.includes(name)) this.secrets.push(name)
  }

  #isAdded(name: string, from: number): boolean {
    const added = this.added ?? []
    for (let i = from; i < added.length; i += 2) if (added[i] === name) return true
    return false
  }

  #check(name: string, value: string): void {
    checkHeader(name, value)
    if (!checkedNames.has(name)) checkName(name)
    if (value.length > MAX_VALUE_BYTES) {
      throw new TypeError(`the value of header ${name} is longer than ${MAX_VALUE_BYTES} bytes`)
    }
  }
}

/** Names that passed {@link checkName}: looking one up takes a tenth of matching it. */
const checkedNames = new Set<string>()
const MAX_CHECKED_NAMES = 1024

function checkName(name: string): void {
  if (name.length > MAX_NAME_BYTES || !NAME.test(name)) {
    throw new TypeError(`Mmtp header name ${JSON.stringify(name)} must be 1 to 64 of a-z 0-9 . _ -`)
  }
  if (checkedNames.size < MAX_CHECKED_NAMES) checkedNames.add(name)
}
