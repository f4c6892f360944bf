/** What the scalars of a JSON tape stand for. */
import '../../buffer/latin1.ts'
import { type JsonTape, Tag } from './json-scanner.ts'

/** Longest integer that is counted up in a double: when that is safe in the end, it was so all the way. */
const SMALL = 16
/** Characters of a value that a message quotes. */
const MAX_SHOWN = 40
const LONG_MIN = -(2n ** 63n)
const LONG_MAX = 2n ** 63n - 1n

/** The characters of a text. */
export function textOf(tape: JsonTape, node: number): string {
  const start = tape.start(node)
  const end = tape.end(node)
  const tag = tape.tag(node)
  if (tag === Tag.Ascii) return tape.bytes.latin1Slice(start, end)
  if (tag === Tag.Utf8) return tape.bytes.utf8Slice(start, end)
  // Escapes are rare enough for the engine's own parser.
  return JSON.parse(tape.bytes.utf8Slice(start - 1, end + 1)) as string
}

/** A number as it is written. */
export function digitsOf(tape: JsonTape, node: number): string {
  return tape.bytes.latin1Slice(tape.start(node), tape.end(node))
}

/** A number as the nearest double. */
export function doubleOf(tape: JsonTape, node: number): number {
  if (tape.tag(node) === Tag.Integer && tape.end(node) - tape.start(node) <= SMALL) {
    const value = smallOf(tape, node)
    if (Number.isSafeInteger(value)) return value
  }
  const quotient = fractionOf(tape, node)
  if (!Number.isNaN(quotient)) return quotient
  return Number(digitsOf(tape, node))
}

/** Whether a number is written with an exponent. */
export function hasExponent(tape: JsonTape, node: number): boolean {
  if (tape.tag(node) === Tag.Integer) return false
  const { bytes } = tape
  for (let at = tape.end(node) - 1; at > tape.start(node); at--) if (bytes[at] > 0x39) return true
  return false
}

/** The integer of 64 bits that a number is, null when it is none. */
export function longOf(tape: JsonTape, node: number): number | bigint | null {
  if (tape.tag(node) === Tag.Integer) {
    const value = tape.end(node) - tape.start(node) <= SMALL ? smallOf(tape, node) : Number.NaN
    // Adding 0 takes the sign off a zero.
    if (Number.isSafeInteger(value)) return value + 0
    return longFrom(digitsOf(tape, node))
  }
  const value = Number(digitsOf(tape, node))
  return Number.isSafeInteger(value) ? value + 0 : null
}

/** The integer of 64 bits that decimal digits are, null when they are none. */
export function longFrom(digits: string): number | bigint | null {
  if (digits.length > 20 || !/^-?\d+$/.test(digits)) return null
  const value = BigInt(digits)
  return value >= LONG_MIN && value <= LONG_MAX ? value : null
}

/** A value as messages show it. */
export function shown(tape: JsonTape, node: number): string {
  switch (tape.tag(node)) {
    case Tag.Null:
      return 'null'
    case Tag.False:
      return 'false'
    case Tag.True:
      return 'true'
    case Tag.Integer:
    case Tag.Decimal:
      return shorten(digitsOf(tape, node))
    case Tag.Array:
      return 'an array'
    case Tag.Object:
      return 'an object'
    default:
      return JSON.stringify(shorten(textOf(tape, node)))
  }
}

/** The path of a node from the root: `$[0].items[2].price`. */
export function pathOf(tape: JsonTape, wanted: number): string {
  let path = '$'
  let node = 0
  while (node !== wanted) {
    const isObject = tape.tag(node) === Tag.Object
    let child = tape.child(node)
    for (let index = 0; ; index++) {
      const value = isObject ? tape.next(child) : child
      if (wanted >= child && wanted < tape.next(value)) {
        path += isObject ? keyStep(textOf(tape, child)) : `[${index}]`
        // A key stands for its member.
        if (wanted === child && isObject) return path
        node = value
        break
      }
      child = tape.next(value)
    }
  }
  return path
}

function keyStep(key: string): string {
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(shorten(key))}]`
}

function shorten(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`
}

/** An integer of at most `SMALL` characters; not exact beyond 2^53. */
function smallOf(tape: JsonTape, node: number): number {
  const { bytes } = tape
  const end = tape.end(node)
  let at = tape.start(node)
  const isNegative = bytes[at] === 0x2d
  if (isNegative) at++
  let value = 0
  while (at < end) value = value * 10 + (bytes[at++] - 0x30)
  return isNegative ? -value : value
}

/**
 * A number with a fraction and without an exponent, of few digits; NaN for others. Digits and power of ten are exact in
 * doubles, so that the one division rounds as it should.
 */
function fractionOf(tape: JsonTape, node: number): number {
  const { bytes } = tape
  const end = tape.end(node)
  const start = tape.start(node)
  if (end - start > SMALL) return Number.NaN
  let value = 0
  let point = end - 1
  for (let at = bytes[start] === 0x2d ? start + 1 : start; at < end; at++) {
    const digit = bytes[at] - 0x30
    if (digit >= 0 && digit <= 9) value = value * 10 + digit
    else if (bytes[at] === 0x2e) point = at
    else return Number.NaN
  }
  const result = value / POWERS[end - 1 - point]
  return bytes[start] === 0x2d ? -result : result
}

const POWERS = Array.from({ length: SMALL }, (_, exponent) => 10 ** exponent)
