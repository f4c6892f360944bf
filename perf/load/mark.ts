/**
 * The mark by which an answer is known: a tilde, which nothing else in these messages holds, and connection and request
 * number as 16 hexadecimal digits. Text, so that it also survives as a string of JSON or Hessian.
 */
const TILDE = 0x7e
const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

/** Bytes of a mark. */
export const MARK_LENGTH = 17

/** A mark to build messages with; its numbers are written later. */
export const EMPTY_MARK = `~${'0'.repeat(16)}`

/** Writes a mark at `at`. */
export function writeMark(bytes: Buffer, at: number, connection: number, id: number): void {
  bytes[at] = TILDE
  writeDigits(bytes, at + 9, connection)
  writeDigits(bytes, at + 17, id)
}

function writeDigits(bytes: Buffer, end: number, value: number): void {
  let rest = value
  for (let at = end - 1; at >= end - 8; at--) {
    bytes[at] = DIGITS[rest & 15]!
    rest >>>= 4
  }
}

/** Whether the mark at `at` bears these numbers. */
export function hasMark(bytes: Buffer, at: number, connection: number, id: number): boolean {
  return bytes[at] === TILDE && hasDigits(bytes, at + 9, connection) && hasDigits(bytes, at + 17, id)
}

function hasDigits(bytes: Buffer, end: number, value: number): boolean {
  let rest = value
  for (let at = end - 1; at >= end - 8; at--) {
    if (bytes[at] !== DIGITS[rest & 15]) return false
    rest >>>= 4
  }
  return true
}

/** Finds the mark of message after message, which mostly stands where it stood in the last one. */
export class MarkFinder {
  #distance = 0

  /** Where the mark between `offset` and `end` begins, -1 for none. */
  find(bytes: Buffer, offset: number, end: number): number {
    const expected = offset + this.#distance
    if (expected + MARK_LENGTH <= end && bytes[expected] === TILDE) return expected
    const found = bytes.indexOf(TILDE, offset)
    if (found < 0 || found + MARK_LENGTH > end) return -1
    this.#distance = found - offset
    return found
  }
}
