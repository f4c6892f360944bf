/** Events: heartbeats and the notices that a provider takes no more requests. They end at each connection. */
import type { Wire } from '../../core/codec.ts'
import { Flag, HEADER_LENGTH, MAX_EVENT_BYTES, Serialization, Status } from './constants.ts'
import { writeHeader } from './frame.ts'
import { errorBody } from './text-body.ts'

const HESSIAN_HEARTBEAT = Buffer.from('4e', 'hex')
const FASTJSON_HEARTBEAT = Buffer.from('00000001af', 'hex')
const HESSIAN_READONLY = Buffer.from('0152', 'hex')
const FASTJSON_READONLY = Buffer.from('000000024a52', 'hex')

function heartbeatBody(serialization: number): Buffer | null {
  if (serialization === Serialization.Hessian2) return HESSIAN_HEARTBEAT
  return serialization === Serialization.Fastjson2 ? FASTJSON_HEARTBEAT : null
}

/** Serializations of frames that begin here: what the peer used last, where it can be written. */
export function ownSerialization(last: number): number {
  return last === Serialization.Fastjson2 ? last : Serialization.Hessian2
}

/**
 * Answers a two-way event as Java does: a heartbeat with a heartbeat, one too long or empty with status 40, every other
 * one not at all. A serialization that is not read says what its null looks like by sending it.
 */
export function answerEvent(wire: Wire, bytes: Buffer, at: number, end: number): void {
  const serialization = (bytes[at + 2] as number) & Flag.Serialization
  const bodyAt = at + HEADER_LENGTH
  const length = end - bodyAt
  if (length === 0 || length > MAX_EVENT_BYTES) {
    const text =
      length === 0
        ? 'Decode dubbo protocol event failed: the body is empty'
        : `Event data too long, actual size ${length}, threshold ${MAX_EVENT_BYTES}`
    const body = errorBody(serialization, `meshgate: ${text}`)
    answer(wire, bytes, at, serialization, Status.BadRequest, body, 0, body.length)
    return
  }
  const expected = heartbeatBody(serialization)
  if (expected !== null && !isBody(expected, bytes, bodyAt, end)) return
  answer(wire, bytes, at, Flag.Event | serialization, Status.Ok, bytes, bodyAt, end)
}

/** True for the notice that the peer takes no more requests. */
export function isReadOnly(bytes: Buffer, at: number, end: number): boolean {
  const serialization = (bytes[at + 2] as number) & Flag.Serialization
  const expected = serialization === Serialization.Fastjson2 ? FASTJSON_READONLY : HESSIAN_READONLY
  return isBody(expected, bytes, at + HEADER_LENGTH, end)
}

/** Asks the peer for a sign of life. */
export function sendHeartbeat(wire: Wire, serialization: number, id: number): void {
  const flag = Flag.Request | Flag.TwoWay | Flag.Event | serialization
  const body = heartbeatBody(serialization) ?? HESSIAN_HEARTBEAT
  send(wire, flag, 0, 0, id, body, 0, body.length)
}

/** Tells the peer to send no more requests. */
export function sendReadOnly(wire: Wire, serialization: number): void {
  const body = serialization === Serialization.Fastjson2 ? FASTJSON_READONLY : HESSIAN_READONLY
  send(wire, Flag.Request | Flag.Event | serialization, 0, 0, 0, body, 0, body.length)
}

function isBody(expected: Buffer, bytes: Buffer, at: number, end: number): boolean {
  return end - at === expected.length && expected.compare(bytes, at, end) === 0
}

/** Answers the frame at `at` under its own id. */
function answer(
  wire: Wire,
  bytes: Buffer,
  at: number,
  flag: number,
  status: number,
  body: Buffer,
  offset: number,
  end: number,
): void {
  send(wire, flag, status, bytes.readUInt32BE(at + 4), bytes.readUInt32BE(at + 8), body, offset, end)
}

function send(
  wire: Wire,
  flag: number,
  status: number,
  idHigh: number,
  idLow: number,
  body: Buffer,
  offset: number,
  end: number,
): void {
  const buffer = wire.reserve(HEADER_LENGTH + end - offset)
  const bodyAt = writeHeader(buffer, wire.position, flag, status, idHigh, idLow, end - offset)
  wire.position = bodyAt + body.copy(buffer, bodyAt, offset, end)
}
