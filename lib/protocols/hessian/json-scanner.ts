/**
 * A strict scanner of JSON text (RFC 8259): one pass over the bytes checks them and leaves a tape of what is where, so
 * that values can be counted, looked at in any order and written elsewhere without building objects. Numbers keep
 * their digits, and no key can do any harm.
 */
import { isUtf8 } from 'node:buffer'

/** What a node of the tape is. */
export const Tag = {
  Null: 0,
  False: 1,
  True: 2,
  /** A number without fraction and exponent. */
  Integer: 3,
  /** A number with a fraction or an exponent. */
  Decimal: 4,
  /** Text of ASCII without escapes: its bytes are its characters. */
  Ascii: 5,
  /** Text without escapes. */
  Utf8: 6,
  /** Text with escapes. */
  Escaped: 7,
  Array: 8,
  Object: 9,
} as const

/** Deepest nesting that is scanned. */
export const MAX_DEPTH = 64
/** Most values of one text, keys included. */
export const MAX_VALUES = 100_000

/** JSON text that is none, or not what is expected there. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  /** Node of the tape, -1 when the text itself is malformed. */
  readonly node: number

  constructor(message: string, node: number) {
    super(message)
    this.node = node
  }
}

/** Ints of a node: tag; first byte; byte behind the last, of a container its count; node behind it. */
const NODE = 4

/** What was scanned last. One tape serves any number of texts, one after the other. */
export class JsonTape {
  /** The text; text nodes lie within the quotes. */
  bytes: Buffer = Buffer.alloc(0)
  #nodes = new Int32Array(1024 * NODE)
  #size = 0
  #start = 0
  #at = 0
  #end = 0
  readonly #open = new Int32Array(MAX_DEPTH + 1)
  readonly #counts = new Int32Array(MAX_DEPTH + 1)

  /** Scans one JSON value and nothing else; the root is node 0. Keeps `bytes` until `release`. Throws a `JsonError`. */
  scan(bytes: Buffer, offset: number, end: number): void {
    this.bytes = bytes
    this.#start = offset
    this.#at = offset
    this.#end = end
    this.#size = 0
    if (this.#values() >= 0x80 && !isUtf8(bytes.subarray(offset, end))) {
      throw new JsonError('the text is not UTF-8', -1)
    }
  }

  /** Lets go of the text and of a tape that has grown large. */
  release(): void {
    this.bytes = EMPTY
    if (this.#nodes.length > LARGE_TAPE) this.#nodes = new Int32Array(1024 * NODE)
  }

  tag(node: number): number {
    return this.#nodes[node]
  }

  /** First byte of a scalar; of a text the one behind the quote. */
  start(node: number): number {
    return this.#nodes[node + 1]
  }

  /** The byte behind a scalar's last. */
  end(node: number): number {
    return this.#nodes[node + 2]
  }

  /** Elements of an array, members of an object. */
  count(node: number): number {
    return this.#nodes[node + 2]
  }

  /** The first element, or the first key. */
  child(node: number): number {
    return node + NODE
  }

  /** The node behind this one and all in it: the next element, the value of a key, the key behind a value. */
  next(node: number): number {
    return this.#nodes[node + 3]
  }

  /** Values until the root is complete. Returns all bytes of texts or-ed together: 0x80 and more tell of non-ASCII. */
  #values(): number {
    let depth = 0
    let seen = 0
    for (;;) {
      const lead = this.#skipSpace()
      if (lead === 0x22) {
        seen |= this.#text()
      } else if (lead === 0x7b || lead === 0x5b) {
        if (depth === MAX_DEPTH) throw this.#malformed(`it is nested deeper than ${MAX_DEPTH}`)
        this.#open[depth] = this.#add(lead === 0x7b ? Tag.Object : Tag.Array, this.#at, 0)
        this.#counts[depth++] = 0
        this.#at++
        const next = this.#skipSpace()
        if (next !== lead + 2) {
          if (lead === 0x7b) seen |= this.#key()
          continue
        }
        this.#at++
        this.#close(--depth)
      } else if (lead === 0x2d || (lead >= 0x30 && lead <= 0x39)) {
        this.#number(lead)
      } else {
        this.#word(lead)
      }
      // A value is complete: close what it completes, until another one is due.
      for (;;) {
        const next = this.#skipSpace()
        if (depth === 0) {
          if (next === -1) return seen
          throw this.#unexpected('the end')
        }
        const container = this.#nodes[this.#open[depth - 1]]
        this.#counts[depth - 1]++
        if (next === 0x2c) {
          this.#at++
          if (container === Tag.Object) {
            this.#skipSpace()
            seen |= this.#key()
          }
          break
        }
        if (next !== (container === Tag.Object ? 0x7d : 0x5d)) {
          throw this.#unexpected(container === Tag.Object ? '"," or "}"' : '"," or "]"')
        }
        this.#at++
        this.#nodes[this.#open[depth - 1] + 2] = this.#counts[depth - 1]
        this.#close(--depth)
      }
    }
  }

  #close(depth: number): void {
    this.#nodes[this.#open[depth] + 3] = this.#size
  }

  #add(tag: number, start: number, end: number): number {
    const node = this.#size
    if (node + NODE > this.#nodes.length) this.#grow()
    const nodes = this.#nodes
    nodes[node] = tag
    nodes[node + 1] = start
    nodes[node + 2] = end
    nodes[node + 3] = node + NODE
    this.#size = node + NODE
    return node
  }

  #grow(): void {
    if (this.#nodes.length / NODE >= MAX_VALUES)
      throw this.#malformed(`it has more than ${MAX_VALUES} values`)
    const larger = new Int32Array(Math.min(this.#nodes.length * 4, MAX_VALUES * NODE))
    larger.set(this.#nodes)
    this.#nodes = larger
  }

  /** Moves to the next byte that is no white space and returns it, -1 at the end. */
  #skipSpace(): number {
    const { bytes } = this
    const end = this.#end
    let at = this.#at
    while (at < end) {
      const byte = bytes[at]
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) {
        this.#at = at
        return byte
      }
      at++
    }
    this.#at = at
    return -1
  }

  #key(): number {
    if (this.#at >= this.#end || this.bytes[this.#at] !== 0x22)
      throw this.#unexpected('a key in double quotes')
    const seen = this.#text()
    if (this.#skipSpace() !== 0x3a) throw this.#unexpected('":"')
    this.#at++
    return seen
  }

  /** The text whose quote is at hand. Returns its bytes beyond ASCII or-ed together, 0 for none. */
  #text(): number {
    const { bytes } = this
    const end = this.#end
    const start = this.#at + 1
    let at = start
    let seen = 0
    let isEscaped = false
    for (;;) {
      while (at < end && PLAIN[bytes[at]] === 1) at++
      if (at >= end) break
      const byte = bytes[at]
      if (byte === 0x22) {
        this.#add(isEscaped ? Tag.Escaped : seen < 0x80 ? Tag.Ascii : Tag.Utf8, start, at)
        this.#at = at + 1
        return seen
      }
      this.#at = at
      if (byte === 0x5c) {
        isEscaped = true
        at = this.#escape(at + 1)
      } else if (byte < 0x20) {
        throw this.#malformed('a control character has to be escaped')
      } else {
        seen |= byte
        at++
      }
    }
    this.#at = end
    throw this.#malformed('a text has no end')
  }

  /** Returns the index behind the escape whose letter is at `at`. */
  #escape(at: number): number {
    const letter = at < this.#end ? this.bytes[at] : -1
    if (letter !== 0x75) {
      if (!SIMPLE_ESCAPES.has(letter)) throw this.#malformed('there is no such escape')
      return at + 1
    }
    if (at + 5 > this.#end) throw this.#malformed('\\u takes four hexadecimal digits')
    for (let i = 1; i <= 4; i++)
      if (!isHexDigit(this.bytes[at + i])) throw this.#malformed('\\u takes four hexadecimal digits')
    return at + 5
  }

  #number(lead: number): void {
    const start = this.#at
    let at = lead === 0x2d ? start + 1 : start
    let tag: number = Tag.Integer
    const first = at
    at = this.#digits(at)
    if (at > first + 1 && this.bytes[first] === 0x30)
      throw this.#malformed('a number begins with no 0 before other digits')
    if (at < this.#end && this.bytes[at] === 0x2e) {
      tag = Tag.Decimal
      at = this.#digits(at + 1)
    }
    if (at < this.#end && (this.bytes[at] | 0x20) === 0x65) {
      tag = Tag.Decimal
      at++
      if (at < this.#end && (this.bytes[at] === 0x2b || this.bytes[at] === 0x2d)) at++
      at = this.#digits(at)
    }
    this.#add(tag, start, at)
    this.#at = at
  }

  /** The index behind at least one digit. */
  #digits(at: number): number {
    const { bytes } = this
    const start = at
    const end = this.#end
    while (at < end && bytes[at] >= 0x30 && bytes[at] <= 0x39) at++
    if (at === start) {
      this.#at = at
      throw this.#unexpected('a digit')
    }
    return at
  }

  #word(lead: number): void {
    const word = lead === 0x74 ? TRUE : lead === 0x66 ? FALSE : lead === 0x6e ? NULL : null
    if (word === null) throw this.#unexpected('a value')
    const start = this.#at
    for (let i = 0; i < word.length; i++) {
      if (start + i >= this.#end || this.bytes[start + i] !== word[i]) throw this.#unexpected('a value')
    }
    this.#at = start + word.length
    this.#add(word === TRUE ? Tag.True : word === FALSE ? Tag.False : Tag.Null, start, this.#at)
  }

  #unexpected(wanted: string): JsonError {
    const at = this.#at
    if (at >= this.#end) return new JsonError(`the text ends where ${wanted} is expected`, -1)
    const byte = this.bytes[at]
    const found =
      byte > 0x20 && byte < 0x7f ? JSON.stringify(String.fromCharCode(byte)) : `0x${byte.toString(16)}`
    return new JsonError(`byte ${at - this.#start}: expected ${wanted}, got ${found}`, -1)
  }

  #malformed(why: string): JsonError {
    return new JsonError(`byte ${this.#at - this.#start}: ${why}`, -1)
  }
}

/** 1 for ASCII that stands for itself in a text. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) => {
  return byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c ? 1 : 0
})
const EMPTY = Buffer.alloc(0)
/** Ints of a tape that is not kept. */
const LARGE_TAPE = 16 * 1024 * NODE
const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')
const SIMPLE_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'))

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66)
}
