/** Writes field lines: ranges as they came, or pairs of strings. */
import { FIELD_STRIDE, HeaderTable, KIND_PLAIN } from '../../buffer/header-table.ts'
import type { Wire } from '../../core/codec.ts'
import type { Headers } from '../../core/message.ts'
import { isNoTrailer } from './names.ts'

const CR = 0x0d
const LF = 0x0a
const COLON = 0x3a
const SPACE = 0x20
const DIGIT_ZERO = 0x30
/** Up to here a loop over the characters beats a call into the runtime (perf/micro/http1-head.ts). */
const SHORT_STRING = 40
const BEYOND_LATIN1 = /[^\x00-\xff]/
const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/
const TOKEN_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

/** Writes a string that has no control characters; what Latin-1 lacks goes out as UTF-8. Returns the position behind it. */
export function writeText(out: Buffer, at: number, text: string): number {
  const length = text.length
  if (length > SHORT_STRING) return at + writeLongText(out, at, text)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    // Never truncate a character: U+010A would become a line feed.
    if (code > 0xff) return at + out.utf8Write(text, at)
    out[at + i] = code
  }
  return at + length
}

function writeLongText(out: Buffer, at: number, text: string): number {
  return BEYOND_LATIN1.test(text) ? out.utf8Write(text, at) : out.latin1Write(text, at)
}

/** Room that {@link writeText} may need for a string. */
export function roomFor(text: string): number {
  return text.length * 3
}

/** Writes a decimal number; returns the position behind it. */
export function writeNumber(out: Buffer, at: number, value: number): number {
  if (value < 10) {
    out[at] = DIGIT_ZERO + value
    return at + 1
  }
  let digits = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++
  for (let i = at + digits - 1; i >= at; i--) {
    out[i] = DIGIT_ZERO + (value % 10)
    value = Math.floor(value / 10)
  }
  return at + digits
}

/** Writes a whole line; the pair has been checked. Returns the position behind it. */
export function writeLine(out: Buffer, at: number, name: string, value: string): number {
  at = writeText(out, at, name)
  out[at] = COLON
  out[at + 1] = SPACE
  at = writeText(out, at + 2, value)
  out[at] = CR
  out[at + 1] = LF
  return at + 2
}

/** Room for {@link writeLine}. */
export function roomForLine(name: string, value: string): number {
  return name.length + roomFor(value) + 4
}

/** True when a pair from a message of another protocol may become a header line here. */
export function isHeader(name: string, value: string): boolean {
  return TOKEN_NAME.test(name) && !FORBIDDEN_IN_VALUE.test(value)
}

/** Ends a chunked body with trailers. Those of a table are copied as ranges, others are checked. */
export function writeTrailers(wire: Wire, trailers: Headers): void {
  const start = wire.reserve(3)
  let at = wire.position
  start[at++] = DIGIT_ZERO
  start[at++] = CR
  start[at++] = LF
  wire.position = at
  if (trailers instanceof HeaderTable && trailers.added === null) copyTrailers(wire, trailers)
  else {
    trailers.forEach((name, value) => {
      writeTrailer(wire, name, value)
    })
  }
  const out = wire.reserve(2)
  at = wire.position
  out[at] = CR
  out[at + 1] = LF
  wire.position = at + 2
}

function copyTrailers(wire: Wire, table: HeaderTable): void {
  const { fields, bytes, base } = table
  for (let at = 0; at < table.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    if (fields[at + 4] !== KIND_PLAIN) continue
    const end = fields[at + 3]
    wire.write(bytes, base + fields[at], base + end)
    const out = wire.reserve(2)
    out[wire.position] = CR
    out[wire.position + 1] = LF
    wire.position += 2
  }
}

function writeTrailer(wire: Wire, name: string, value: string): void {
  if (!isHeader(name, value) || isNoTrailer(name)) return
  const out = wire.reserve(roomForLine(name, value))
  wire.position = writeLine(out, wire.position, name, value)
}
