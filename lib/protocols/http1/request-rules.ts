/** What a complete request head must obey as a whole (sections 3.2, 3.3 and 6.1). */
import { FIELD_STRIDE, KIND_HOP, KIND_REMOVED } from '../../buffer/header-table.ts'
import { SLASH } from './chars.ts'
import {
  FLAG_ABSOLUTE,
  FLAG_CHUNKED,
  FLAG_CONTENT_LENGTH,
  FLAG_EDGE,
  FLAG_HOST,
  FLAG_UPGRADE,
  FLAG_UPGRADE_OPTION,
  KIND_UPGRADE,
} from './constants.ts'
import { isText } from './fields.ts'
import { type HeadState, Parsed } from './head-state.ts'
import { isAuthority } from './host.ts'
import { Known, knownName } from './names.ts'

const ASTERISK = 0x2a
const AT_SIGN = 0x40
const QUESTION_MARK = 0x3f
const SCHEMES = ['http://', 'https://'] as const
// h2c is a way around the routes of a gateway, and TLS inside a connection would end at the wrong place.
const REFUSED_UPGRADE = /(?:^|[ \t,])(?:h2c?|http|tls)(?:$|[ \t,/])/i

/** Checks a head that was read to its end. `method` is its method. */
export function checkRequest(parser: HeadState, bytes: Buffer, base: number, method: string): Parsed {
  const flags = parser.flags
  if ((flags & FLAG_CHUNKED) !== 0) {
    if ((flags & FLAG_CONTENT_LENGTH) !== 0) {
      return parser.fail('BAD_REQUEST', 'both Content-Length and Transfer-Encoding')
    }
    if (parser.minor === 0) return parser.fail('BAD_REQUEST', 'Transfer-Encoding in HTTP/1.0')
  }
  if ((flags & FLAG_HOST) === 0 && parser.minor === 1) return parser.fail('BAD_REQUEST', 'no Host')
  if (method === 'CONNECT' || method === 'TRACE') {
    return parser.fail('FEATURE_UNSUPPORTED', `${method} is not served`)
  }
  if ((flags & (FLAG_UPGRADE | FLAG_UPGRADE_OPTION)) !== 0) checkUpgrade(parser, bytes, base)
  return checkTarget(parser, bytes, base, method)
}

/** Section 3.2: origin-form, absolute-form or, for OPTIONS, asterisk-form. */
function checkTarget(parser: HeadState, bytes: Buffer, base: number, method: string): Parsed {
  const start = parser.targetStart
  parser.pathStart = start
  if (bytes[base + start] === SLASH) return Parsed.Done
  if (bytes[base + start] === ASTERISK && parser.targetEnd === start + 1) {
    return method === 'OPTIONS'
      ? Parsed.Done
      : parser.fail('BAD_REQUEST', 'the target * goes with OPTIONS only')
  }
  for (const scheme of SCHEMES) {
    const end = start + scheme.length
    if (end < parser.targetEnd && isText(bytes, base + start, base + end, scheme)) {
      return readAbsoluteTarget(parser, bytes, base, end)
    }
  }
  return parser.fail('BAD_REQUEST', 'the request target has no known form')
}

/** The target's authority counts and Host does not (section 3.2.2). */
function readAbsoluteTarget(parser: HeadState, bytes: Buffer, base: number, start: number): Parsed {
  let end = start
  while (end < parser.targetEnd && bytes[base + end] !== SLASH && bytes[base + end] !== QUESTION_MARK) {
    if (bytes[base + end] === AT_SIGN)
      return parser.fail('BAD_REQUEST', 'user information in the request target')
    end++
  }
  if (!isAuthority(bytes, base + start, base + end)) {
    return parser.fail('BAD_REQUEST', 'the authority of the request target is not valid')
  }
  parser.flags |= FLAG_ABSOLUTE
  parser.hostStart = start
  parser.hostEnd = end
  parser.pathStart = end
  return Parsed.Done
}

/** An Upgrade crosses when Connection names it, no body comes with it and its protocol is not refused. */
function checkUpgrade(parser: HeadState, bytes: Buffer, base: number): void {
  const wanted = FLAG_UPGRADE | FLAG_UPGRADE_OPTION
  const hasBody = parser.contentLength > 0 || (parser.flags & FLAG_CHUNKED) !== 0
  if ((parser.flags & wanted) === wanted && parser.minor === 1 && !hasBody) {
    parser.table.bytes = bytes
    parser.table.base = base
    if (!REFUSED_UPGRADE.test(parser.table.get('upgrade') ?? '')) return
  }
  parser.flags &= ~wanted
  const fields = parser.table.fields
  for (let at = 4; at < parser.table.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    if (fields[at] === KIND_UPGRADE) fields[at] = KIND_HOP
  }
}

/** Takes out what only the access layer may set, for a listener at the edge. */
export function stripEdgeFields(parser: HeadState, bytes: Buffer, base: number): void {
  if ((parser.flags & FLAG_EDGE) === 0) return
  const fields = parser.table.fields
  for (let at = 0; at < parser.table.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    if (knownName(bytes, base + fields[at], base + fields[at + 1]) === Known.Edge)
      fields[at + 4] = KIND_REMOVED
  }
}
