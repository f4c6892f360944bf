/** JSON text in the making: one Buffer that grows to a limit and is used for message after message. */
import '../../buffer/latin1.ts'
import { writeTime } from './iso-dates.ts'

const INITIAL_BYTES = 4_096
/** A larger buffer is not kept for the next text. */
const KEPT_BYTES = 256 * 1_024
/** Up to here a loop is quicker than a native call. */
const LOOPED = 40
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/

/** More text than the limit allows. */
export class OutputLimit extends Error {
  override readonly name = 'OutputLimit'
}

/** Appends JSON; what it is given is not checked to form a text. Throws an `OutputLimit` rather than grow past the limit. */
export class JsonOutput {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #at = 0
  #limit = 0

  /** Begins a text of at most `limit` bytes. */
  reset(limit: number): void {
    this.#at = 0
    this.#limit = limit
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  }

  /** Bytes so far. */
  get length(): number {
    return this.#at
  }

  /** The text so far as a Buffer of its own. */
  copy(): Buffer {
    const text = Buffer.allocUnsafe(this.#at)
    this.#buffer.copy(text, 0, 0, this.#at)
    return text
  }

  /** A byte that was written. */
  byteAt(index: number): number {
    return this.#buffer[index]
  }

  byte(value: number): void {
    if (this.#at === this.#buffer.length) this.#reserve(1)
    this.#buffer[this.#at++] = value
  }

  /** Prepared bytes: a key with its quotes and colon, say. */
  bytes(part: Uint8Array): void {
    const { length } = part
    this.#reserve(length)
    const buffer = this.#buffer
    let at = this.#at
    for (let i = 0; i < length; i++) buffer[at++] = part[i]
    this.#at = at
  }

  /** ASCII that needs no quotes. */
  ascii(text: string): void {
    const { length } = text
    this.#reserve(length)
    if (length > LOOPED) {
      this.#at += this.#buffer.latin1Write(text, this.#at)
      return
    }
    const buffer = this.#buffer
    for (let i = 0; i < length; i++) buffer[this.#at++] = text.charCodeAt(i)
  }

  /** ASCII in quotes, nothing in it to escape. */
  quoted(text: string): void {
    this.byte(0x22)
    this.ascii(text)
    this.byte(0x22)
  }

  /** An integer of 32 bits. */
  int(value: number): void {
    this.#reserve(11)
    const buffer = this.#buffer
    if (value < 0) {
      buffer[this.#at++] = 0x2d
      value = -value
    }
    let end = this.#at + 1
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end++
    this.#at = end
    do {
      const rest = Math.floor(value / 10)
      buffer[--end] = 0x30 + value - rest * 10
      value = rest
    } while (value > 0)
  }

  /** A point in time in ISO 8601, in quotes. */
  time(ms: number): void {
    this.#reserve(26)
    if (writeTime(ms, this.#buffer, this.#at + 1)) {
      this.#buffer[this.#at] = 0x22
      this.#buffer[this.#at + 25] = 0x22
      this.#at += 26
    } else {
      this.quoted(new Date(ms).toISOString())
    }
  }

  /** Any text, in quotes. */
  text(text: string): void {
    const quoted = ESCAPED.test(text) ? JSON.stringify(text) : null
    const { length } = quoted ?? text
    this.#reserve(length * 3 + 2)
    if (quoted === null) this.#buffer[this.#at++] = 0x22
    this.#at += this.#buffer.utf8Write(quoted ?? text, this.#at)
    if (quoted === null) this.#buffer[this.#at++] = 0x22
  }

  /** The `count` bytes from `at` on as a text in quotes, when they are ASCII that needs no escape; else returns false. */
  plain(bytes: Uint8Array, at: number, count: number): boolean {
    this.#reserve(count + 2)
    const buffer = this.#buffer
    let to = this.#at
    buffer[to++] = 0x22
    for (const end = at + count; at < end; at++) {
      const byte = bytes[at]
      if (byte < 0x20 || byte >= 0x80 || byte === 0x22 || byte === 0x5c) return false
      buffer[to++] = byte
    }
    buffer[to++] = 0x22
    this.#at = to
    return true
  }

  /** The `count` bytes from `at` on, when they are digits of a JSON number without an exponent; else returns false. */
  digits(bytes: Uint8Array, at: number, count: number): boolean {
    const end = at + count
    const first = bytes[at] === 0x2d ? at + 1 : at
    let point = -1
    for (let i = first; i < end; i++) {
      if (bytes[i] >= 0x30 && bytes[i] <= 0x39) continue
      if (bytes[i] !== 0x2e || point >= 0) return false
      point = i
    }
    const wholeEnd = point < 0 ? end : point
    const hasLeadingZero = wholeEnd - first > 1 && bytes[first] === 0x30
    if (wholeEnd === first || point === end - 1 || hasLeadingZero) return false
    this.#reserve(count)
    while (at < end) this.#buffer[this.#at++] = bytes[at++]
    return true
  }

  /** Bytes in base64, in quotes. */
  base64(bytes: Buffer): void {
    this.#reserve(Math.ceil(bytes.length / 3) * 4 + 2)
    this.quoted(bytes.toString('base64'))
  }

  /** What was written from `start` to `end`, once more. */
  again(start: number, end: number): void {
    this.#reserve(end - start)
    this.#buffer.copyWithin(this.#at, start, end)
    this.#at += end - start
  }

  /** Puts bytes in front of what was written from `start` on. */
  insert(start: number, part: Uint8Array): void {
    this.#reserve(part.length)
    this.#buffer.copyWithin(start + part.length, start, this.#at)
    this.#buffer.set(part, start)
    this.#at += part.length
  }

  /** Changes a byte that was written. */
  replace(index: number, value: number): void {
    this.#buffer[index] = value
  }

  /**
   * The path from the root to the place where the next value would stand: `$.items[2].price`. Reads what has been
   * written, which is why nothing has to keep track of it.
   */
  path(): string {
    const steps: (string | number)[] = []
    const text = this.#buffer.utf8Slice(0, this.#at)
    const tokens = /"(?:[^"\\]|\\.)*"|[[\]{},:]/g
    let last = ''
    for (const [token] of text.matchAll(tokens)) {
      if (token === '[') steps.push(0)
      else if (token === '{') steps.push('')
      else if (token === ']' || token === '}') steps.pop()
      else if (token === ',' && typeof steps.at(-1) === 'number') steps.push((steps.pop() as number) + 1)
      else if (token === ':') steps.splice(-1, 1, JSON.parse(last) as string)
      last = token
    }
    return `$${steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`
  }

  #reserve(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#buffer.length) return
    // What is needed may be an estimate, three times too large at most.
    if (this.#at > this.#limit || needed > this.#limit * 3) throw new OutputLimit()
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}
