/** The bytes of a writer: one Buffer that grows, and is used for message after message. */
import type { Dialect } from './dialect.ts'
import { writeUnits } from './text.ts'

const INITIAL_BYTES = 1_024
/** A larger buffer is given back at the next reset, so that one large message does not hold its memory for ever. */
const KEPT_BYTES = 256 * 1_024
const INT_MIN = -0x80000000
const INT_MAX = 0x7fffffff
const TWO_32 = 0x100000000
const TWO_63 = 2 ** 63

/** Appends scalars and bytes. Not used by itself: `HessianWriter` extends it. */
export class HessianOutput {
  readonly dialect: Dialect
  protected buffer: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  protected at = 0

  constructor(dialect: Dialect) {
    this.dialect = dialect
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.at
  }

  /** The bytes written so far: a view of the writer's own buffer, valid until it writes or is reset. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.at)
  }

  /** Copies everything written to `target` at an offset and returns the offset behind it. */
  copyTo(target: Buffer, at: number): number {
    this.buffer.copy(target, at, 0, this.at)
    return at + this.at
  }

  writeNull(): void {
    this.put(0x4e)
  }

  writeBoolean(value: boolean): void {
    this.put(value ? 0x54 : 0x46)
  }

  /** An int: an integer of 32 bits, which the caller has checked. */
  writeInt(value: number): void {
    this.reserve(5)
    const { buffer } = this
    if (value >= -16 && value <= 47) {
      buffer[this.at++] = 0x90 + value
    } else if (value >= -2_048 && value <= 2_047) {
      buffer[this.at++] = 0xc8 + (value >> 8)
      buffer[this.at++] = value
    } else if (value >= -262_144 && value <= 262_143) {
      buffer[this.at++] = 0xd4 + (value >> 16)
      buffer[this.at++] = value >> 8
      buffer[this.at++] = value
    } else {
      buffer[this.at++] = 0x49
      this.put32(value)
    }
  }

  /** A long: an integer of 64 bits. A number must be an integer, and is exact only while it is safe. */
  writeLong(value: number | bigint): void {
    if (typeof value === 'bigint') {
      const small = Number(value)
      if (!Number.isSafeInteger(small)) {
        this.reserve(9)
        this.put(0x4c)
        this.put32(Number(BigInt.asIntN(32, value >> 32n)))
        this.put32(Number(BigInt.asIntN(32, value)))
        return
      }
      value = small
    }
    this.reserve(9)
    const { buffer } = this
    if (value >= -8 && value <= 15) {
      buffer[this.at++] = 0xe0 + value
    } else if (value >= -2_048 && value <= 2_047) {
      buffer[this.at++] = 0xf8 + (value >> 8)
      buffer[this.at++] = value
    } else if (value >= -262_144 && value <= 262_143) {
      buffer[this.at++] = 0x3c + (value >> 16)
      buffer[this.at++] = value >> 8
      buffer[this.at++] = value
    } else if (value >= INT_MIN && value <= INT_MAX) {
      buffer[this.at++] = this.dialect.long4
      this.put32(value)
    } else {
      buffer[this.at++] = 0x4c
      this.#put64(value)
    }
  }

  /** A double, in the shortest form that keeps its value; −0 keeps its sign, which Java's writers drop. */
  writeDouble(value: number): void {
    this.reserve(9)
    const { buffer, dialect } = this
    const whole = value | 0
    if (whole === value && whole >= -0x8000 && whole <= 0x7fff && !Object.is(value, -0)) {
      if (whole === 0 || whole === 1) {
        buffer[this.at++] = whole === 0 ? dialect.doubleZero : dialect.doubleOne
      } else if (whole >= -0x80 && whole <= 0x7f) {
        buffer[this.at++] = dialect.doubleByte
        buffer[this.at++] = whole
      } else {
        buffer[this.at++] = dialect.doubleShort
        this.put16(whole)
      }
      return
    }
    if (dialect.isDraft) this.#putFloatOrDouble(value)
    else this.#putMillsOrDouble(value)
  }

  #putFloatOrDouble(value: number): void {
    if (Math.fround(value) === value && !Object.is(value, -0)) {
      this.put(0x6b)
      this.at = this.buffer.writeFloatBE(value, this.at)
    } else {
      this.put(0x44)
      this.at = this.buffer.writeDoubleBE(value, this.at)
    }
  }

  #putMillsOrDouble(value: number): void {
    const mills = Math.trunc(value * 1_000)
    if (mills >= INT_MIN && mills <= INT_MAX && mills * 0.001 === value && !Object.is(value, -0)) {
      this.put(0x5f)
      this.put32(mills)
    } else {
      this.put(0x44)
      this.at = this.buffer.writeDoubleBE(value, this.at)
    }
  }

  /** A date: milliseconds since 1970, an integer. */
  writeDate(ms: number): void {
    this.reserve(9)
    const minutes = ms / 60_000
    if (!this.dialect.isDraft && minutes >= INT_MIN && minutes <= INT_MAX && Number.isInteger(minutes)) {
      this.put(0x4b)
      this.put32(minutes)
    } else {
      this.put(this.dialect.dateMillis)
      this.#put64(ms)
    }
  }

  /** An integer of 64 bits; what is beyond them becomes the nearest that fits. */
  #put64(value: number): void {
    this.reserve(8)
    const isTooLarge = value >= TWO_63
    const clamped = value < -TWO_63 ? -TWO_63 : value
    this.put32(isTooLarge ? INT_MAX : Math.floor(clamped / TWO_32))
    this.put32(isTooLarge ? -1 : clamped - Math.floor(clamped / TWO_32) * TWO_32)
  }

  /** Appends bytes as they are, without a look at them: values that were encoded before, say. */
  writeRaw(bytes: Uint8Array, offset: number, end: number): void {
    this.reserve(end - offset)
    // A short copy is quicker in a loop than through a native call.
    if (end - offset <= 48) {
      const { buffer } = this
      let { at } = this
      for (let i = offset; i < end; i++) buffer[at++] = bytes[i]
      this.at = at
    } else {
      this.buffer.set(offset === 0 && end === bytes.length ? bytes : bytes.subarray(offset, end), this.at)
      this.at += end - offset
    }
  }

  /** A string of at most 31 ASCII characters, which are the bytes `offset` to `end`. */
  writeAscii(bytes: Uint8Array, offset: number, end: number): void {
    this.reserve(end - offset + 1)
    const { buffer } = this
    let { at } = this
    buffer[at++] = end - offset
    for (let i = offset; i < end; i++) buffer[at++] = bytes[i]
    this.at = at
  }

  protected clear(): void {
    this.at = 0
    if (this.buffer.length > KEPT_BYTES) this.buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  }

  /** Makes room for `count` bytes. */
  protected reserve(count: number): void {
    if (this.at + count > this.buffer.length) this.#grow(this.at + count)
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }

  protected put(byte: number): void {
    if (this.at === this.buffer.length) this.#grow(this.at + 1)
    this.buffer[this.at++] = byte
  }

  /** Two bytes; room has been made. */
  protected put16(value: number): void {
    this.buffer[this.at++] = value >> 8
    this.buffer[this.at++] = value
  }

  /** Four bytes; room has been made. */
  protected put32(value: number): void {
    const { buffer } = this
    buffer[this.at++] = value >> 24
    buffer[this.at++] = value >> 16
    buffer[this.at++] = value >> 8
    buffer[this.at++] = value
  }

  /** Units of a text without a length. */
  protected putUnits(text: string, from: number, to: number): void {
    this.reserve((to - from) * 3)
    this.at = writeUnits(this.buffer, this.at, text, from, to)
  }
}
