/** Writes frames: bodies as they came, or with other attachments or another service. */
import '../../buffer/latin1.ts'
import { FIELD_STRIDE, KIND_REMOVED } from '../../buffer/header-table.ts'
import type { Wire } from '../../core/codec.ts'
import { MapForm } from './attachment-map.ts'
import type { DubboAttachments } from './attachments.ts'
import { HEADER_LENGTH, LEND_BYTES, Serialization } from './constants.ts'
import { writeHeader, writeU32 } from './frame.ts'
import { hessianTextLimit, writeHessianText } from './hessian-text.ts'
import { Jsonb, jsonbTextLimit, writeJsonbField, writeJsonbText } from './jsonb.ts'
import type { DubboRequest } from './request.ts'

const HESSIAN_MAP = 0x48
const HESSIAN_END = 0x5a
const LENGTH_BYTES = 4
/** Bytes around the entries of a new map, and around a string with a length in front. */
const FRAMING_BYTES = 8

/** What stands in for the leading path and version of a request. */
export interface Renaming {
  readonly request: DubboRequest
  /** `''` keeps what came. */
  readonly path: string
  readonly version: string
}

/**
 * Writes one frame. `offset…end` is the body as it came; `headers` are its attachments, null when they are passed on as
 * they are. The changes must be possible: attachments that were located.
 */
export function sendFrame(
  wire: Wire,
  flag: number,
  status: number,
  idHigh: number,
  idLow: number,
  bytes: Buffer,
  offset: number,
  end: number,
  headers: DubboAttachments | null,
  renaming: Renaming | null,
): void {
  const length = end - offset
  const isChanged = headers !== null || renaming !== null
  if (length >= LEND_BYTES) {
    if (isChanged) sendLongChanged(wire, flag, status, idHigh, idLow, bytes, offset, end, headers, renaming)
    else {
      sendHead(wire, flag, status, idHigh, idLow, length)
      wire.lend(bytes, offset, end)
    }
    return
  }
  const room = isChanged ? length + growth(headers, renaming) : length
  const buffer = wire.reserve(HEADER_LENGTH + room)
  const at = wire.position
  const bodyAt = at + HEADER_LENGTH
  const bodyEnd = isChanged
    ? writeChanged(buffer, bodyAt, bytes, offset, end, headers, renaming)
    : bodyAt + bytes.copy(buffer, bodyAt, offset, end)
  writeHeader(buffer, at, flag, status, idHigh, idLow, bodyEnd - bodyAt)
  wire.position = bodyEnd
}

function sendHead(
  wire: Wire,
  flag: number,
  status: number,
  idHigh: number,
  idLow: number,
  bodyLength: number,
): void {
  const buffer = wire.reserve(HEADER_LENGTH)
  wire.position = writeHeader(buffer, wire.position, flag, status, idHigh, idLow, bodyLength)
}

/** Bytes that changes may add. */
function growth(headers: DubboAttachments | null, renaming: Renaming | null): number {
  let limit = 2 * FRAMING_BYTES
  if (renaming !== null) limit += textLimit(renaming.path) + textLimit(renaming.version)
  const added = headers === null ? null : headers.added
  if (added !== null) for (let i = 0; i < added.length; i++) limit += textLimit(added[i] as string)
  return limit
}

function textLimit(text: string): number {
  return FRAMING_BYTES + Math.max(hessianTextLimit(text), jsonbTextLimit(text))
}

/** Returns the end of the body. */
function writeChanged(
  buffer: Buffer,
  at: number,
  bytes: Buffer,
  offset: number,
  end: number,
  headers: DubboAttachments | null,
  renaming: Renaming | null,
): number {
  let from = offset
  if (renaming !== null) {
    const { request } = renaming
    at += bytes.copy(buffer, at, offset, offset + request.pathAt)
    at = writeFront(buffer, at, bytes, offset, renaming)
    from = offset + request.methodAt
  }
  if (headers === null) return at + bytes.copy(buffer, at, from, end)
  if (headers.removed === 0 && headers.form === MapForm.Present) {
    const mapOut = at + offset + headers.mapAt - from
    at += bytes.copy(buffer, at, from, offset + headers.entriesEnd)
    at = closeMap(headers, buffer, writeAdded(headers, buffer, at), mapOut)
  } else {
    at += bytes.copy(buffer, at, from, offset + headers.mapAt)
    at = writeMap(headers, buffer, at, bytes, offset)
  }
  const restAt = offset + headers.mapEnd
  return restAt === end ? at : at + bytes.copy(buffer, at, restAt, end)
}

/** The leading path and version. Returns their end. */
function writeFront(buffer: Buffer, at: number, bytes: Buffer, offset: number, renaming: Renaming): number {
  const { request, path, version } = renaming
  const write = request.serialization === Serialization.Hessian2 ? writeHessianText : writeJsonbField
  at =
    path === ''
      ? at + bytes.copy(buffer, at, offset + request.pathAt, offset + request.versionAt)
      : write(buffer, at, path)
  return version === ''
    ? at + bytes.copy(buffer, at, offset + request.versionAt, offset + request.methodAt)
    : write(buffer, at, version)
}

/** The map with its changes, in place of what was there. Returns its end. */
function writeMap(
  headers: DubboAttachments,
  buffer: Buffer,
  at: number,
  bytes: Buffer,
  offset: number,
): number {
  const mapOut = at
  if (headers.form === MapForm.Present) {
    at += bytes.copy(buffer, at, offset + headers.mapAt, offset + headers.entriesAt)
    at = writeKept(headers, buffer, at, bytes, offset)
  } else if (headers.added === null) {
    return at + bytes.copy(buffer, at, offset + headers.mapAt, offset + headers.mapEnd)
  } else if (headers.serialization === Serialization.Hessian2) buffer[at++] = HESSIAN_MAP
  else {
    at += LENGTH_BYTES
    buffer[at++] = Jsonb.Object
  }
  return closeMap(headers, buffer, writeAdded(headers, buffer, at), mapOut)
}

/** Copies the runs of entries between those that were removed. */
function writeKept(
  headers: DubboAttachments,
  buffer: Buffer,
  at: number,
  bytes: Buffer,
  offset: number,
): number {
  const { fields, count } = headers
  let runStart = headers.entriesAt
  let entryStart = runStart
  for (let i = 0; i < count; i++) {
    const entryEnd = fields[i * FIELD_STRIDE + 3] as number
    if (fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) {
      if (entryStart > runStart) at += bytes.copy(buffer, at, offset + runStart, offset + entryStart)
      runStart = entryEnd
    }
    entryStart = entryEnd
  }
  if (entryStart > runStart) at += bytes.copy(buffer, at, offset + runStart, offset + entryStart)
  return at
}

function writeAdded(headers: DubboAttachments, buffer: Buffer, at: number): number {
  const { added } = headers
  if (added === null) return at
  const write = headers.serialization === Serialization.Hessian2 ? writeHessianText : writeJsonbText
  for (let i = 0; i < added.length; i++) at = write(buffer, at, added[i] as string)
  return at
}

/** Writes the end marker, and fastjson2's length in front. Returns the end. */
function closeMap(headers: DubboAttachments, buffer: Buffer, at: number, mapOut: number): number {
  if (headers.serialization === Serialization.Hessian2) {
    buffer[at++] = HESSIAN_END
    return at
  }
  buffer[at++] = Jsonb.ObjectEnd
  writeU32(buffer, mapOut, at - mapOut - LENGTH_BYTES)
  return at
}

/** Where the changed parts of a long body are written, so that its length is known before its first byte goes out. */
let scratch = Buffer.alloc(4 * 1024)

/** Lends the long parts of a body and writes the changed ones between them. */
function sendLongChanged(
  wire: Wire,
  flag: number,
  status: number,
  idHigh: number,
  idLow: number,
  bytes: Buffer,
  offset: number,
  end: number,
  headers: DubboAttachments | null,
  renaming: Renaming | null,
): void {
  const request = renaming === null ? null : renaming.request
  const frontStart = request === null ? offset : offset + request.pathAt
  const frontEnd = request === null ? offset : offset + request.methodAt
  const mapStart = headers === null ? end : offset + headers.mapAt
  const mapEnd = headers === null ? end : offset + headers.mapEnd
  const room = frontEnd - frontStart + mapEnd - mapStart + growth(headers, renaming)
  if (room > scratch.length) scratch = Buffer.alloc(2 * room)
  const frontLength = renaming === null ? 0 : writeFront(scratch, 0, bytes, offset, renaming)
  const changed = headers === null ? frontLength : writeMap(headers, scratch, frontLength, bytes, offset)
  const kept = frontStart - offset + mapStart - frontEnd + end - mapEnd
  sendHead(wire, flag, status, idHigh, idLow, kept + changed)
  sendPart(wire, bytes, offset, frontStart)
  sendPart(wire, scratch, 0, frontLength)
  sendPart(wire, bytes, frontEnd, mapStart)
  sendPart(wire, scratch, frontLength, changed)
  sendPart(wire, bytes, mapEnd, end)
}

function sendPart(wire: Wire, bytes: Buffer, offset: number, end: number): void {
  if (offset === end) return
  if (end - offset >= LEND_BYTES && bytes !== scratch) wire.lend(bytes, offset, end)
  else wire.write(bytes, offset, end)
}
