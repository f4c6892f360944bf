/** What the heads of requests and responses share when they are written. */
import { FIELD_STRIDE, HeaderTable } from '../../buffer/header-table.ts'
import type { Wire } from '../../core/codec.ts'
import type { Headers } from '../../core/message.ts'
import {
  CHUNKED_LINE,
  CONNECTION_CLOSE,
  CONNECTION_KEEP_ALIVE,
  CONNECTION_TE,
  CONNECTION_UPGRADE,
  CONTENT_LENGTH_NAME,
  ConnectionLine,
  Framing,
} from './constants.ts'
import { isHeader, roomForLine, writeLine, writeNumber } from './header-writer.ts'
import { isOwnName } from './names.ts'

const CR = 0x0d
const LF = 0x0a
/** Up to here a loop beats a call into the runtime. */
const SHORT_COPY = 24

/** Room for the lines of {@link writeFraming} and the empty line. */
export const FRAMING_ROOM = 128

/** Copies `start…end` to `at`; returns the position behind it. */
export function copyRange(out: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  if (end - start > SHORT_COPY) bytes.copy(out, at, start, end)
  else for (let i = start, to = at; i < end; i++, to++) out[to] = bytes[i]
  return at + end - start
}

/** Copies the whole of a prebuilt piece. */
export function copyAll(out: Buffer, at: number, piece: Buffer): number {
  return copyRange(out, at, piece, 0, piece.length)
}

/**
 * Copies a head from `run` (a position that counts from its start) to `end`, without the fields whose kind is not in the
 * bit set `keep`. Field lines are contiguous, so what lies between two dropped ones is one copy. Returns the position
 * behind it.
 */
export function copyFields(
  out: Buffer,
  at: number,
  table: HeaderTable,
  run: number,
  end: number,
  keep: number,
): number {
  const { fields, bytes, base } = table
  const stop = table.count * FIELD_STRIDE
  for (let i = 0; i < stop; i += FIELD_STRIDE) {
    if (((keep >>> fields[i + 4]) & 1) === 1) continue
    const start = fields[i]
    if (start > run) at = copyRange(out, at, bytes, base + run, base + start)
    run = i + FIELD_STRIDE < stop ? fields[i + FIELD_STRIDE] : end
  }
  return end > run ? copyRange(out, at, bytes, base + run, base + end) : at
}

/** Room for {@link writeAdded}. */
export function roomForAdded(added: readonly string[] | null): number {
  if (added === null) return 0
  let room = 0
  for (let i = 0; i < added.length; i += 2) room += roomForLine(added[i], added[i + 1])
  return room
}

/** Writes the headers that were set or added on the way, but for those that are the codec's own. `skip` is one more name to leave out. */
export function writeAdded(out: Buffer, at: number, added: readonly string[] | null, skip: string): number {
  if (added === null) return at
  for (let i = 0; i < added.length; i += 2) {
    const name = added[i]
    if (name === skip || isOwnName(name)) continue
    at = writeLine(out, at, name, added[i + 1])
  }
  return at
}

/** Writes Connection, Transfer-Encoding and Content-Length and the empty line. `isLengthKept` when the latter is there already. */
export function writeFraming(
  out: Buffer,
  at: number,
  framing: Framing,
  length: number,
  isLengthKept: boolean,
  connection: ConnectionLine,
): number {
  switch (connection) {
    case ConnectionLine.Close:
      at = copyAll(out, at, CONNECTION_CLOSE)
      break
    case ConnectionLine.KeepAlive:
      at = copyAll(out, at, CONNECTION_KEEP_ALIVE)
      break
    case ConnectionLine.Upgrade:
      at = copyAll(out, at, CONNECTION_UPGRADE)
      break
    case ConnectionLine.Te:
      at = copyAll(out, at, CONNECTION_TE)
      break
  }
  if (framing === Framing.Chunked) at = copyAll(out, at, CHUNKED_LINE)
  else if (framing === Framing.Length && !isLengthKept) {
    at = writeNumber(out, copyAll(out, at, CONTENT_LENGTH_NAME), length)
    out[at++] = CR
    out[at++] = LF
  }
  out[at] = CR
  out[at + 1] = LF
  return at + 2
}

// `forEach` takes a function; one that lives in the module and finds its wire here needs no closure per message.
let sink: Wire | null = null
let sinkSkip = ''
let sinkSkipToo = ''

/**
 * Writes the headers of a message of another protocol. Names that do not cross, those that the codec writes itself and
 * the two to skip are left out, and so is whatever would break the head: bad names and control characters.
 */
export function writeForeign(wire: Wire, headers: Headers, skip: string, skipToo: string): void {
  sink = wire
  sinkSkip = skip
  sinkSkipToo = skipToo
  headers.forEach(writeToSink)
  sink = null
}

function writeToSink(name: string, value: string): void {
  if (name === sinkSkip || name === sinkSkipToo || isOwnName(name) || !isHeader(name, value)) return
  const wire = sink as Wire
  const out = wire.reserve(roomForLine(name, value))
  wire.position = writeLine(out, wire.position, name, value)
}

/** True for headers that hold nothing but what was set: those of meshgate's own responses. */
export function isMade(headers: Headers): headers is HeaderTable {
  return headers instanceof HeaderTable && headers.count === 0
}
