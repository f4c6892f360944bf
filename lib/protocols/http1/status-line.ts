/** The status line: version SP code SP reason (section 4). */
import { CR, endOfValue, LF, SPACE } from './chars.ts'
import { FLAG_CANONICAL } from './constants.ts'
import { type HeadState, Parsed, ParserState } from './head-state.ts'
import { isVersionByte } from './request-line.ts'

/** `HTTP/1.1 200`: the part of fixed length. */
const FIXED_BYTES = 12
const VERSION_BYTES = 8

/** Reads the status line, from wherever the parser stands in it. A missing space behind the code is tolerated. */
export function parseStatusLine(parser: HeadState, bytes: Buffer, base: number, end: number): Parsed {
  let i = base + parser.position
  if (parser.state === ParserState.Start) {
    for (let k = i - base; k < FIXED_BYTES && i < end; k++, i++) {
      if (!isFixedByte(bytes[i], k))
        return parser.fail('BAD_REQUEST', 'the answer does not start with a status line')
    }
    parser.position = i - base
    if (i - base < FIXED_BYTES) return Parsed.More
    const failure = readFixedPart(parser, bytes, base)
    if (failure !== Parsed.Done) return failure
  }
  if (parser.state === ParserState.Status && i < end) {
    if (bytes[i] === SPACE) {
      i++
      if (parser.minor === 1 && bytes[base + 7] === 0x31) parser.flags |= FLAG_CANONICAL
    } else if (bytes[i] !== CR) return parser.fail('BAD_REQUEST', 'the status code is not three digits')
    parser.state = ParserState.Reason
  }
  if (parser.state === ParserState.Reason) {
    i = endOfValue(bytes, i, end)
    if (i < end) {
      if (bytes[i] !== CR) return parser.fail('BAD_REQUEST', 'a control byte in the status line')
      i++
      parser.state = ParserState.LineEnd
    }
  }
  parser.position = i - base
  if (parser.state !== ParserState.LineEnd || i >= end) return Parsed.More
  if (bytes[i] !== LF) return parser.fail('BAD_REQUEST', 'CR without LF at the end of the status line')
  parser.position = parser.fieldsStart = i + 1 - base
  parser.state = ParserState.Line
  return Parsed.Done
}

function isFixedByte(byte: number, k: number): boolean {
  if (k < VERSION_BYTES) return isVersionByte(byte, k)
  return k === VERSION_BYTES ? byte === SPACE : byte >= 0x30 && byte <= 0x39
}

function readFixedPart(parser: HeadState, bytes: Buffer, base: number): Parsed {
  if (bytes[base + 5] !== 0x31)
    return parser.fail('BAD_REQUEST', 'the answer has another major version than 1')
  parser.minor = bytes[base + 7] === 0x30 ? 0 : 1
  parser.status = (bytes[base + 9] - 0x30) * 100 + (bytes[base + 10] - 0x30) * 10 + bytes[base + 11] - 0x30
  if (parser.status < 100 || parser.status > 599)
    return parser.fail('BAD_REQUEST', `status ${parser.status} does not exist`)
  parser.state = ParserState.Status
  return Parsed.Done
}
