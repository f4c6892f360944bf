/** Writes request heads. */
import { KIND_PLAIN } from '../../buffer/header-table.ts'
import type { Wire } from '../../core/codec.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import {
  ConnectionLine,
  KIND_CONTENT_LENGTH,
  KIND_EXPECT,
  KIND_HOST,
  KIND_TE,
  KIND_UPGRADE,
  LINE_END,
} from './constants.ts'
import {
  copyAll,
  copyFields,
  copyRange,
  FRAMING_ROOM,
  roomForAdded,
  writeAdded,
  writeForeign,
  writeFraming,
} from './encoder.ts'
import { roomFor, writeLine, writeText } from './header-writer.ts'
import { isAuthorityText } from './host.ts'
import { Http1Request } from './request.ts'
import type { RequestPlan } from './request-plan.ts'

const HOST = 'host'
const OPERATION_TYPE = 'operation-type'
const SPACE = 0x20
const PLAIN_TARGET = /^[\x21\x22\x24-\x7e]*$/
const NOT_IN_TARGET = /[^\x21\x22\x24-\x7e]/gu
const NOT_IN_PATH = /[^\x21\x22\x24-\x3e\x40-\x7e]/gu
const LINE_ROOM = 256

/** Writes a request head. One that came over HTTP/1 is copied, one of another protocol is translated as its route says. */
export function writeRequestHead(
  wire: Wire,
  request: RequestHead,
  exchange: Exchange,
  plan: RequestPlan,
): void {
  if (request instanceof Http1Request) writeHttp1(wire, request, exchange, plan)
  else writeTranslated(wire, request, exchange, plan)
}

function writeHttp1(wire: Wire, request: Http1Request, exchange: Exchange, plan: RequestPlan): void {
  const table = request.headers
  const isLengthKept = request.isLengthKept(plan.length)
  let keep = 1 << KIND_PLAIN
  if (isLengthKept) keep |= 1 << KIND_CONTENT_LENGTH
  if (plan.expects) keep |= 1 << KIND_EXPECT
  const connection = connectionLine(request, plan)
  if (connection === ConnectionLine.Upgrade) keep |= 1 << KIND_UPGRADE
  else if (connection === ConnectionLine.Te) keep |= 1 << KIND_TE
  const fieldsEnd = request.headLength - 2
  let out: Buffer
  let at: number
  if (request.isLineKept && request.isHostKept) {
    out = wire.reserve(request.headLength + roomForAdded(table.added) + FRAMING_ROOM)
    at = copyFields(out, wire.position, table, request.start, fieldsEnd, keep | (1 << KIND_HOST))
  } else {
    const host = hostOf(request, exchange)
    // Assigned targets grow when they are encoded; a range of the head cannot.
    const target = request.isTargetChanged ? targetOf(request.path, request.query) : ''
    out = wire.reserve(
      request.headLength +
        target.length +
        roomFor(host) +
        LINE_ROOM +
        roomForAdded(table.added) +
        FRAMING_ROOM,
    )
    at = writeLineOf(out, wire.position, request, target)
    at = writeLine(out, at, HOST, host)
    at = copyFields(out, at, table, request.fieldsStart, fieldsEnd, keep)
  }
  at = writeAdded(out, at, table.added, HOST)
  wire.position = writeFraming(out, at, plan.framing, plan.length, isLengthKept, connection)
}

function connectionLine(request: Http1Request, plan: RequestPlan): ConnectionLine {
  if (request.isUpgrade) return ConnectionLine.Upgrade
  if (plan.closes) return ConnectionLine.Close
  return request.takesTrailers ? ConnectionLine.Te : ConnectionLine.None
}

/** The request line in origin-form or asterisk-form. */
function writeLineOf(out: Buffer, at: number, request: Http1Request, target: string): number {
  const { bytes, base } = request.headers
  at = copyRange(out, at, bytes, base + request.start, base + request.methodEnd)
  out[at++] = SPACE
  if (request.isTargetChanged) at = writeText(out, at, target)
  else if (request.pathStart === request.targetEnd || request.pathStart === request.queryStart) {
    // An absolute target without a path gets one.
    at = writeText(out, at, request.path)
    at = copyRange(out, at, bytes, base + request.pathStart, base + request.targetEnd)
  } else at = copyRange(out, at, bytes, base + request.pathStart, base + request.targetEnd)
  return copyAll(out, at, LINE_END)
}

/** Host of a request whose own field cannot be copied: what was assigned or set, what came, or the endpoint. */
function hostOf(request: Http1Request, exchange: Exchange): string {
  if (request.isAuthorityChanged) return request.authority
  const added = request.headers.added
  if (added !== null) {
    const at = added.lastIndexOf(HOST)
    if (at >= 0 && at % 2 === 0 && isAuthorityText(added[at + 1])) return added[at + 1]
  }
  return request.authority === '' ? endpointHost(exchange) : request.authority
}

function endpointHost(exchange: Exchange): string {
  // A Unix socket's path is no authority.
  return isAuthorityText(exchange.endpoint) ? exchange.endpoint : 'localhost'
}

/** Path and query as they may stand in a request line; what may not is percent-encoded. */
function targetOf(path: string, query: string): string {
  let target = PLAIN_TARGET.test(path) && !path.includes('?') ? path : path.replace(NOT_IN_PATH, encode)
  if (target !== '*' && !target.startsWith('/')) target = `/${target}`
  if (query === '') return target
  return `${target}?${PLAIN_TARGET.test(query) ? query : query.replace(NOT_IN_TARGET, encode)}`
}

/** A lone surrogate has no encoding and becomes the replacement character. */
function encode(character: string): string {
  if (character === '#') return '%23'
  return encodeURIComponent(character.toWellFormed())
}

/** The path of a route may bring a query along. */
function configuredTarget(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? targetOf(path, '') : targetOf(path.slice(0, at), path.slice(at + 1))
}

function ownTarget(request: RequestHead): string {
  return targetOf(request.operation === '' ? request.path : `/${request.operation}`, request.query)
}

/** A request of another protocol, by the rules of its route. */
function writeTranslated(wire: Wire, request: RequestHead, exchange: Exchange, plan: RequestPlan): void {
  const translation = exchange.translation
  const method = translation?.method || 'POST'
  const target = translation?.path ? configuredTarget(translation.path) : ownTarget(request)
  const authority = isAuthorityText(request.authority) ? request.authority : endpointHost(exchange)
  const operation = request.operation
  let out = wire.reserve(method.length + target.length + roomFor(authority) + roomFor(operation) + LINE_ROOM)
  let at = writeText(out, wire.position, method)
  out[at++] = SPACE
  at = writeText(out, at, target)
  at = copyAll(out, at, LINE_END)
  at = writeLine(out, at, HOST, authority)
  if (operation !== '') at = writeLine(out, at, OPERATION_TYPE, operation.replace(/[\x00-\x1f\x7f]/g, ''))
  wire.position = at
  writeForeign(wire, request.headers, HOST, operation === '' ? '' : OPERATION_TYPE)
  out = wire.reserve(FRAMING_ROOM)
  const connection = plan.closes ? ConnectionLine.Close : ConnectionLine.None
  wire.position = writeFraming(out, wire.position, plan.framing, plan.length, false, connection)
}
