import { type Dialect, type Kind, Op } from './dialect.ts'
import { HessianError } from './limits.ts'
import { read32, unexpected } from './structure.ts'
import { decodeUnits, skipUnits, truncated } from './text.ts'
import { HessianDate } from './values.ts'

const NO_BYTES = Buffer.alloc(0)
const TWO_32 = 0x100000000

/**
 * Reads the scalars at the front of a stream: the strings that lead a Dubbo request, the kind of a Dubbo response.
 * Scalars need no tables, so a cursor may be pointed anywhere, at any number of messages, without a word of
 * preparation. What lies behind the first container is the business of a `HessianReader`, which is a cursor too.
 *
 * Every method throws a HessianError when the input does not hold what it reads, and then leaves the position where it
 * may be anywhere.
 */
export class HessianCursor {
  readonly dialect: Dialect
  /** The input; not copied, and only read. */
  protected bytes: Buffer = NO_BYTES
  /** Offset in the input of what is read next. */
  position = 0
  /** Offset behind the input. */
  end = 0

  constructor(dialect: Dialect) {
    this.dialect = dialect
  }

  /** Points the cursor at the bytes between `offset` and `end`, which must stay as they are while it reads. */
  reset(bytes: Buffer, offset: number, end: number): void {
    this.bytes = bytes
    this.position = offset
    this.end = end
  }

  /** The bytes that are read, for whoever copies a part of them as it is. */
  get input(): Buffer {
    return this.bytes
  }

  /** Whether everything has been read. */
  get isAtEnd(): boolean {
    return this.position >= this.end
  }

  /** The first byte of the next value. */
  protected lead(): number {
    if (this.position >= this.end) throw truncated(this.end)
    return this.bytes[this.position]
  }

  /** Moves on by `count` bytes and returns where they begin. */
  protected take(count: number): number {
    const at = this.position
    if (at + count > this.end) throw truncated(this.end)
    this.position = at + count
    return at
  }

  /** Steps over a null and returns true, or returns false without a step. */
  readNull(): boolean {
    if (this.lead() !== 0x4e) return false
    this.position++
    return true
  }

  /** A boolean; as in Java, null is false and a number is true unless it is zero. */
  readBoolean(): boolean {
    const lead = this.lead()
    if (lead !== 0x54 && lead !== 0x46) return Number(this.readNumber()) !== 0
    this.position++
    return lead === 0x54
  }

  /** An int. Any number that is an integer of 32 bits will do; as in Java, null and booleans count as 0 and 1. */
  readInt(): number {
    const lead = this.lead()
    if (lead >= 0x80 && lead <= 0xbf) {
      this.position++
      return lead - 0x90
    }
    const at = this.position
    const value = this.readNumber()
    if (value !== ((value as number) | 0)) throw new HessianError(`${value} is not an int`, at)
    return value
  }

  /** A long, as a number while it is safe. Any integer will do; null and booleans count as 0 and 1. */
  readLong(): number | bigint {
    const at = this.position
    const value = this.readNumber()
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      throw new HessianError(`${value} is not a long`, at)
    }
    return value
  }

  /** A double. Any number will do; null and booleans count as 0 and 1. A long beyond 2^53 is rounded. */
  readDouble(): number {
    return Number(this.readNumber())
  }

  /** A number of any kind; null and booleans count as 0 and 1. A bigint is a long beyond what a number holds. */
  readNumber(): number | bigint {
    const lead = this.lead()
    const op = this.dialect.ops[lead]
    const at = this.take(this.dialect.widths[lead])
    const { bytes } = this
    switch (op) {
      case Op.Int1:
        return lead - 0x90
      case Op.Int2:
        return ((lead - 0xc8) << 8) | bytes[at + 1]
      case Op.Int3:
        return ((lead - 0xd4) << 16) | (bytes[at + 1] << 8) | bytes[at + 2]
      case Op.Int4:
      case Op.Long4:
        return read32(bytes, at + 1)
      case Op.Long1:
        return lead - 0xe0
      case Op.Long2:
        return ((lead - 0xf8) << 8) | bytes[at + 1]
      case Op.Long3:
        return ((lead - 0x3c) << 16) | (bytes[at + 1] << 8) | bytes[at + 2]
      case Op.Long8:
        return readInt64(bytes, at + 1)
      case Op.False:
      case Op.Null:
        return 0
      case Op.True:
        return 1
      default:
        return this.#readDouble(op, at)
    }
  }

  #readDouble(op: number, at: number): number {
    const { bytes } = this
    switch (op) {
      case Op.DoubleZero:
        return 0
      case Op.DoubleOne:
        return 1
      case Op.DoubleByte:
        return (bytes[at + 1] << 24) >> 24
      case Op.DoubleShort:
        return ((bytes[at + 1] << 24) >> 16) | bytes[at + 2]
      case Op.DoubleFloat:
        return bytes.readFloatBE(at + 1)
      case Op.DoubleMills:
        // As Java does it: other ways to divide by a thousand differ in the last bit.
        return read32(bytes, at + 1) * 0.001
      case Op.Double8:
        return bytes.readDoubleBE(at + 1)
      default:
        throw unexpected('a number', bytes[at], at)
    }
  }

  /** A date. */
  readDate(): HessianDate {
    const lead = this.lead()
    const op = this.dialect.ops[lead]
    if (op !== Op.DateMillis && op !== Op.DateMinutes) throw unexpected('a date', lead, this.position)
    const at = this.take(this.dialect.widths[lead])
    if (op === Op.DateMinutes) return new HessianDate(read32(this.bytes, at + 1) * 60_000)
    return new HessianDate(Number(readInt64(this.bytes, at + 1)))
  }

  /** A string. */
  readString(): string {
    const lead = this.lead()
    if (lead >= 0x20) return this.#readLongString()
    const at = this.position + 1
    const next = skipUnits(this.bytes, at, this.end, lead)
    this.position = next
    return decodeUnits(this.bytes, at, next, lead)
  }

  /** A string or null. */
  readNullableString(): string | null {
    return this.readNull() ? null : this.readString()
  }

  #readLongString(): string {
    let text = ''
    for (;;) {
      const isLast = this.dialect.ops[this.lead()] !== Op.StringChunk
      const count = this.#stringLength()
      const at = this.position
      this.position = skipUnits(this.bytes, at, this.end, count)
      const piece = decodeUnits(this.bytes, at, this.position, count)
      text = text === '' ? piece : text + piece
      if (isLast) return text
    }
  }

  /** Steps over a string and returns true, or over a null and returns false. Decodes nothing. */
  skipString(): boolean {
    if (this.readNull()) return false
    for (;;) {
      const isLast = this.dialect.ops[this.lead()] !== Op.StringChunk
      const count = this.#stringLength()
      this.position = skipUnits(this.bytes, this.position, this.end, count)
      if (isLast) return true
    }
  }

  /** Units of the piece of a string that begins here; steps over what says so. */
  #stringLength(): number {
    const lead = this.lead()
    const { bytes } = this
    switch (this.dialect.ops[lead]) {
      case Op.StringShort:
        this.position++
        return lead
      case Op.StringMedium:
        return ((lead & 3) << 8) | bytes[this.take(2) + 1]
      case Op.StringFinal:
      case Op.StringChunk: {
        const at = this.take(3)
        return (bytes[at + 1] << 8) | bytes[at + 2]
      }
      default:
        throw unexpected('a string', lead, this.position)
    }
  }

  /** Bytes: a view of the input when they come in one piece, as short ones always do, else a copy. */
  readBinary(): Buffer {
    let pieces: Buffer[] | null = null
    for (;;) {
      const isLast = this.dialect.ops[this.lead()] !== Op.BinaryChunk
      const count = this.#binaryLength()
      const at = this.take(count)
      const piece = this.bytes.subarray(at, at + count)
      if (isLast) return pieces === null ? piece : Buffer.concat([...pieces, piece])
      pieces ??= []
      if (count > 0) pieces.push(piece)
    }
  }

  #binaryLength(): number {
    const lead = this.lead()
    const { bytes } = this
    switch (this.dialect.ops[lead]) {
      case Op.BinaryShort:
        this.position++
        return lead & 0x0f
      case Op.BinaryMedium:
        return ((lead & 3) << 8) | bytes[this.take(2) + 1]
      case Op.BinaryFinal:
      case Op.BinaryChunk: {
        const at = this.take(3)
        return (bytes[at + 1] << 8) | bytes[at + 2]
      }
      default:
        throw unexpected('a binary value', lead, this.position)
    }
  }

  /** What the first byte of the next value announces; `Kind.ClassDef` for a definition in front of it. */
  protected kindAhead(): Kind {
    return this.dialect.kinds[this.lead()] as Kind
  }
}

/** An integer of 64 bits: a number while it is safe. */
function readInt64(bytes: Uint8Array, at: number): number | bigint {
  const high = read32(bytes, at)
  const low = read32(bytes, at + 4) >>> 0
  const value = high * TWO_32 + low
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low)
}
