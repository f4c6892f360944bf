/** The fields that frame a message or belong to its hop: what they may say and what they mean. */
import {
  equalsIgnoringCase,
  FIELD_STRIDE,
  KIND_HOP,
  KIND_PLAIN,
  KIND_REMOVED,
} from '../../buffer/header-table.ts'
import { COMMA, SPACE, TAB, TOKEN } from './chars.ts'
import {
  FLAG_CHUNKED,
  FLAG_CLOSE,
  FLAG_CONTENT_LENGTH,
  FLAG_EDGE,
  FLAG_EXPECT,
  FLAG_FORWARDED,
  FLAG_HOST,
  FLAG_KEEP_ALIVE,
  FLAG_OPERATION,
  FLAG_OPTIONS,
  FLAG_TE_TRAILERS,
  FLAG_UPGRADE,
  FLAG_UPGRADE_OPTION,
  KIND_CONTENT_LENGTH,
  KIND_EXPECT,
  KIND_HOST,
  KIND_TE,
  KIND_UPGRADE,
  MAX_CONNECTION_OPTIONS,
} from './constants.ts'
import { HeadKind, type HeadState, Parsed } from './head-state.ts'
import { isAuthority } from './host.ts'
import { isProtectedName, Known } from './names.ts'

/** Reads a field whose name the codec knows. Returns its kind for the table, or -1 when the head is refused. */
export function readKnownField(
  parser: HeadState,
  known: Known,
  bytes: Buffer,
  base: number,
  start: number,
  end: number,
): number {
  if (parser.kind === HeadKind.Trailers) return KIND_PLAIN
  switch (known) {
    case Known.Host:
      return readHost(parser, bytes, base, start, end)
    case Known.ContentLength:
      return readContentLength(parser, bytes, start, end)
    case Known.TransferEncoding:
      return readTransferEncoding(parser, bytes, start, end)
    case Known.Connection:
      return readConnection(parser, bytes, start, end)
    case Known.Te:
      if (!isText(bytes, start, end, 'trailers')) return KIND_HOP
      parser.flags |= FLAG_TE_TRAILERS
      return KIND_TE
    case Known.Upgrade:
      parser.flags |= FLAG_UPGRADE
      return KIND_UPGRADE
    case Known.Expect:
      return readExpect(parser, bytes, start, end)
    case Known.Forwarded:
      parser.flags |= FLAG_FORWARDED
      return KIND_PLAIN
    case Known.OperationType:
      parser.flags |= FLAG_OPERATION
      return KIND_PLAIN
    case Known.Edge:
      parser.flags |= FLAG_EDGE
      return KIND_PLAIN
    default:
      return KIND_HOP
  }
}

/** Whether the range spells the lower-case `text`, ignoring case. */
export function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  return end - start === text.length && equalsIgnoringCase(bytes, start, text)
}

function refuse(parser: HeadState, detail: string): -1 {
  parser.fail('BAD_REQUEST', detail)
  return -1
}

/** Section 3.2: exactly one, and well formed. */
function readHost(parser: HeadState, bytes: Buffer, base: number, start: number, end: number): number {
  if (parser.kind !== HeadKind.Request) return KIND_PLAIN
  if ((parser.flags & FLAG_HOST) !== 0) return refuse(parser, 'more than one Host')
  if (!isAuthority(bytes, start, end)) return refuse(parser, 'Host is not a valid authority')
  parser.flags |= FLAG_HOST
  parser.hostStart = start - base
  parser.hostEnd = end - base
  parser.hostIndex = parser.table.count
  return KIND_HOST
}

/** Section 6.2: digits and nothing else. A request may say it once; an answer may repeat the same number. */
function readContentLength(parser: HeadState, bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > 16) return refuse(parser, 'Content-Length is not a number below 2^53')
  let length = 0
  for (let i = start; i < end; i++) {
    const digit = bytes[i] - 0x30
    if (digit < 0 || digit > 9) return refuse(parser, 'Content-Length is not a number')
    length = length * 10 + digit
  }
  if (length > Number.MAX_SAFE_INTEGER) return refuse(parser, 'Content-Length is not a number below 2^53')
  if ((parser.flags & FLAG_CONTENT_LENGTH) !== 0) {
    if (parser.kind === HeadKind.Request) return refuse(parser, 'more than one Content-Length')
    return length === parser.contentLength ? KIND_REMOVED : refuse(parser, 'Content-Lengths that differ')
  }
  parser.flags |= FLAG_CONTENT_LENGTH
  parser.contentLength = length
  parser.lengthIndex = parser.table.count
  return KIND_CONTENT_LENGTH
}

/** Section 6.1: `chunked` once and alone. Other codings are not supported, everything else is an attack. */
function readTransferEncoding(parser: HeadState, bytes: Buffer, start: number, end: number): number {
  if ((parser.flags & FLAG_CHUNKED) !== 0) return refuse(parser, 'more than one Transfer-Encoding')
  if (isText(bytes, start, end, 'chunked')) {
    parser.flags |= FLAG_CHUNKED
    return KIND_HOP
  }
  const codings = bytes.latin1Slice(start, end).toLowerCase()
  if (
    /^(?:[a-z0-9-]+[ \t]*,[ \t]*)*[a-z0-9-]+$/.test(codings) &&
    !/chunked.*chunked|chunked[ \t]*,/.test(codings)
  ) {
    parser.fail('FEATURE_UNSUPPORTED', 'a transfer coding other than chunked')
    return -1
  }
  return refuse(parser, 'Transfer-Encoding is malformed')
}

/** RFC 9110 section 10.1.1: there is one expectation, and HTTP/1.0 has none. */
function readExpect(parser: HeadState, bytes: Buffer, start: number, end: number): number {
  if (parser.kind !== HeadKind.Request) return KIND_PLAIN
  if (parser.minor === 0) return KIND_REMOVED
  if (!isText(bytes, start, end, '100-continue')) {
    parser.fail('EXPECTATION_FAILED', 'an expectation other than 100-continue')
    return -1
  }
  if ((parser.flags & FLAG_EXPECT) !== 0) return KIND_REMOVED
  parser.flags |= FLAG_EXPECT
  return KIND_EXPECT
}

/** RFC 9110 section 7.6.1: a list of options. */
function readConnection(parser: HeadState, bytes: Buffer, start: number, end: number): number {
  for (let i = start; i < end; ) {
    const byte = bytes[i]
    if (byte === COMMA || byte === SPACE || byte === TAB) {
      i++
      continue
    }
    let optionEnd = i
    while (optionEnd < end && TOKEN[bytes[optionEnd]] === 1) optionEnd++
    if (optionEnd === i) return refuse(parser, 'Connection is not a list of options')
    parser.flags |= flagOfOption(bytes, i, optionEnd)
    i = optionEnd
  }
  return KIND_HOP
}

function flagOfOption(bytes: Buffer, start: number, end: number): number {
  if (isText(bytes, start, end, 'keep-alive')) return FLAG_KEEP_ALIVE
  if (isText(bytes, start, end, 'close')) return FLAG_CLOSE
  if (isText(bytes, start, end, 'upgrade')) return FLAG_UPGRADE_OPTION
  return isText(bytes, start, end, 'te') ? 0 : FLAG_OPTIONS
}

/** Last step of every head: marks the fields that Connection names, so that they do not cross. */
export function checkConnectionOptions(parser: HeadState, bytes: Buffer, base: number): Parsed {
  if ((parser.flags & FLAG_OPTIONS) === 0) return Parsed.Done
  const table = parser.table
  // While a head is being read the table may still point to the bytes of an earlier read.
  table.bytes = bytes
  table.base = base
  const options = (table.get('connection') ?? '').toLowerCase().split(/[ \t,]+/)
  if (options.length > MAX_CONNECTION_OPTIONS) {
    return parser.fail('BAD_REQUEST', `Connection lists more than ${MAX_CONNECTION_OPTIONS} options`)
  }
  for (const option of options) {
    if (option === '' || isProtectedName(option)) continue
    for (let i = table.find(option, 0); i >= 0; i = table.find(option, i + 1)) {
      const at = i * FIELD_STRIDE + 4
      if (table.fields[at] === KIND_PLAIN) table.fields[at] = KIND_HOP
    }
  }
  return Parsed.Done
}
