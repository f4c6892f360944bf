/** The request line: method SP target SP version (section 3). */
import { CR, LF, SPACE, TARGET, TOKEN } from './chars.ts'
import { FLAG_CANONICAL, MAX_METHOD_BYTES } from './constants.ts'
import { type HeadState, Parsed, ParserState } from './head-state.ts'

const VERSION_BYTES = 8
const VERSION_TEMPLATE = Buffer.from('HTTP/')
const USUAL_END = Buffer.from('HTTP/1.1\r\n')
const DOT = 0x2e
const HASH = 0x23

/** Reads the request line, from wherever the parser stands in it. */
export function parseRequestLine(parser: HeadState, bytes: Buffer, base: number, end: number): Parsed {
  let i = base + parser.position
  let state = parser.state
  if (state <= ParserState.BlankEnd) {
    // One empty line before the request is tolerated (section 2.2).
    if (i < end && state === ParserState.Start) {
      state = bytes[i] === CR ? ParserState.BlankEnd : ParserState.Method
      if (state === ParserState.BlankEnd) i++
    }
    if (i < end && state === ParserState.BlankEnd) {
      if (bytes[i++] !== LF) return parser.fail('BAD_REQUEST', 'CR without LF before the request line')
      parser.start = i - base
      state = ParserState.Method
    }
  }
  if (state === ParserState.Method) {
    const start = base + parser.start
    while (i < end && TOKEN[bytes[i]] === 1) i++
    if (i - start > MAX_METHOD_BYTES) return parser.fail('FEATURE_UNSUPPORTED', 'the method is too long')
    if (i < end) {
      if (bytes[i] !== SPACE || i === start)
        return parser.fail('BAD_REQUEST', 'the request line has no valid method')
      parser.methodEnd = i++ - base
      parser.targetStart = i - base
      state = ParserState.Target
    }
  }
  if (state === ParserState.Target) {
    let kind = 0
    while (i < end && (kind = TARGET[bytes[i]]) !== 0) {
      if (kind === 2 && parser.queryStart < 0) parser.queryStart = i - base
      i++
    }
    const length = i - base - parser.targetStart
    if (length > parser.maxUriBytes)
      return parser.fail('URI_TOO_LONG', 'the request target is longer than the limit')
    if (i < end) {
      if (bytes[i] !== SPACE || length === 0) return failTarget(parser, bytes[i], length)
      parser.targetEnd = i++ - base
      parser.partStart = i - base
      state = ParserState.Version
    }
  }
  parser.position = i - base
  parser.state = state
  return state === ParserState.Version || state === ParserState.LineEnd
    ? parseVersion(parser, bytes, base, end)
    : Parsed.More
}

/** `HTTP/1.1` and the line's end. */
function parseVersion(parser: HeadState, bytes: Buffer, base: number, end: number): Parsed {
  const start = base + parser.partStart
  let i = base + parser.position
  if (i === start && endsUsually(bytes, start, end)) {
    parser.flags |= FLAG_CANONICAL
    parser.position = parser.fieldsStart = start + USUAL_END.length - base
    parser.state = ParserState.Line
    return Parsed.Done
  }
  for (let k = i - start; k < VERSION_BYTES && i < end; k++, i++) {
    if (!isVersionByte(bytes[i], k))
      return parser.fail('BAD_REQUEST', 'the request line has no valid version')
  }
  parser.position = i - base
  if (i - start < VERSION_BYTES) return Parsed.More
  if (parser.state === ParserState.Version) {
    if (bytes[start + 5] !== 0x31) return parser.fail('VERSION_UNSUPPORTED', 'the major version is not 1')
    if (i >= end) return Parsed.More
    if (bytes[i] !== CR) return parser.fail('BAD_REQUEST', 'the request line does not end behind its version')
    // A higher minor version is read as the highest that is known (RFC 9110 section 2.5).
    parser.minor = bytes[start + 7] === 0x30 ? 0 : 1
    if (bytes[start + 7] === 0x31) parser.flags |= FLAG_CANONICAL
    parser.state = ParserState.LineEnd
    i++
  }
  parser.position = i - base
  if (i >= end) return Parsed.More
  if (bytes[i] !== LF) return parser.fail('BAD_REQUEST', 'CR without LF at the end of the request line')
  parser.position = parser.fieldsStart = i + 1 - base
  parser.state = ParserState.Line
  return Parsed.Done
}

/** Whether the line ends as nearly all do: the version and its CRLF in one read. */
function endsUsually(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < USUAL_END.length) return false
  for (let k = 0; k < USUAL_END.length; k++) if (bytes[start + k] !== USUAL_END[k]) return false
  return true
}

/** Whether a byte may be number `k` of a version. */
export function isVersionByte(byte: number, k: number): boolean {
  if (k < 5) return byte === VERSION_TEMPLATE[k]
  return k === 6 ? byte === DOT : byte >= 0x30 && byte <= 0x39
}

function failTarget(parser: HeadState, byte: number, length: number): Parsed {
  if (byte === HASH) return parser.fail('BAD_REQUEST', 'the request target holds a fragment')
  if (byte === CR || byte === LF) return parser.fail('BAD_REQUEST', 'the request line has no version')
  if (length === 0) return parser.fail('BAD_REQUEST', 'the request line has no target')
  return parser.fail('BAD_REQUEST', 'a forbidden byte in the request target')
}
