/** Writes response heads. */
import { KIND_PLAIN } from '../../buffer/header-table.ts'
import type { Wire } from '../../core/codec.ts'
import type { GatewayError } from '../../core/errors.ts'
import type { ResponseHead } from '../../core/message.ts'
import {
  ConnectionLine,
  Framing,
  KIND_CONTENT_LENGTH,
  KIND_EXPECT,
  KIND_HOST,
  KIND_UPGRADE,
} from './constants.ts'
import {
  copyAll,
  copyFields,
  FRAMING_ROOM,
  isMade,
  roomForAdded,
  writeAdded,
  writeForeign,
  writeFraming,
} from './encoder.ts'
import { writeNumber, writeText } from './header-writer.ts'
import { errorReply } from './replies.ts'
import { Http1Response } from './response.ts'
import { statusLine } from './status.ts'

const PLAIN = (1 << KIND_PLAIN) | (1 << KIND_HOST) | (1 << KIND_EXPECT)
const STATUS_LINE_ROOM = 64
const RESULT_ROOM = 32
/** On a response with a result code: the HTTP status to use. Not forwarded. */
const HTTP_STATUS = 'http-status'
const RESULT_STATUS = 'result-status: '
const CR = 0x0d
const LF = 0x0a

/**
 * Writes a response head. `status` and `framing` are what the caller gets, whatever the response says itself; `resultStatus`
 * is the result code that an operation is told, 0 for none.
 */
export function writeResponseHead(
  wire: Wire,
  response: ResponseHead,
  status: number,
  framing: Framing,
  length: number,
  connection: ConnectionLine,
  resultStatus: number,
): void {
  if (response instanceof Http1Response) {
    writeHttp1(wire, response, status, framing, length, connection, resultStatus)
    return
  }
  const headers = response.headers
  const line = statusLine(status)
  const isOwn = isMade(headers)
  const room =
    STATUS_LINE_ROOM + line.length + (isOwn ? roomForAdded(headers.added) : 0) + FRAMING_ROOM + RESULT_ROOM
  let out = wire.reserve(room)
  let at = copyAll(out, wire.position, line)
  if (isOwn) at = writeAdded(out, at, headers.added, '')
  else {
    wire.position = at
    writeForeign(wire, headers, response.statusKind === 'result' ? HTTP_STATUS : '', '')
    out = wire.reserve(FRAMING_ROOM + RESULT_ROOM)
    at = wire.position
  }
  if (resultStatus > 0) at = writeResultStatus(out, at, resultStatus)
  wire.position = writeFraming(out, at, framing, length, false, connection)
}

/** The fast path: ranges of the head that came, in as few copies as its dropped fields allow. */
function writeHttp1(
  wire: Wire,
  response: Http1Response,
  status: number,
  framing: Framing,
  length: number,
  connection: ConnectionLine,
  resultStatus: number,
): void {
  const table = response.headers
  const out = wire.reserve(
    response.headLength + STATUS_LINE_ROOM + roomForAdded(table.added) + FRAMING_ROOM + RESULT_ROOM,
  )
  let at = wire.position
  let keep = PLAIN
  let isLengthKept = false
  if (framing === Framing.Length || framing === Framing.Described) {
    isLengthKept = response.isLengthKept(framing === Framing.Length ? length : -1)
    if (isLengthKept) keep |= 1 << KIND_CONTENT_LENGTH
  }
  if (connection === ConnectionLine.Upgrade) keep |= 1 << KIND_UPGRADE
  let run = 0
  if (!response.isLineKept || status !== response.status) {
    at = copyAll(out, at, statusLine(status))
    run = response.fieldsStart
  }
  at = copyFields(out, at, table, run, response.headLength - 2, keep)
  at = writeAdded(out, at, table.added, '')
  if (resultStatus > 0) at = writeResultStatus(out, at, resultStatus)
  wire.position = writeFraming(out, at, framing, length, isLengthKept, connection)
}

function writeResultStatus(out: Buffer, at: number, resultStatus: number): number {
  at = writeNumber(out, writeText(out, at, RESULT_STATUS), resultStatus)
  out[at] = CR
  out[at + 1] = LF
  return at + 2
}

/** Writes the whole answer to a request that makes no exchange; its connection is closed behind it. Returns the status. */
export function writeRefusal(wire: Wire, error: GatewayError): number {
  const reply = errorReply(error, false)
  const length = reply.body.length
  writeResponseHead(wire, reply, reply.status, Framing.Length, length, ConnectionLine.Close, 0)
  wire.write(reply.body, 0, length)
  return reply.status
}
