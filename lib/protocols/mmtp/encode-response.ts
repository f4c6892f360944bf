/** Writes the RESPONSE frame that begins an answer. */
import type { Exchange } from '../../core/exchange.ts'
import type { ResponseHead } from '../../core/message.ts'
import {
  Flag,
  FORWARDED_FLAGS,
  FrameType,
  HEADER_LENGTH,
  Origin,
  PREFIX_LENGTH,
  RETRY_AFTER_UNIT_MS,
  ResponseMark,
} from './constants.ts'
import { blockLimit, collect, collectOne, writeAdded, writeBlock, writeCollected } from './encode-headers.ts'
import { bodyEncoding } from './encode-request.ts'
import { type Outbound, type SendingStream, writeHeader } from './outbound.ts'
import { MmtpResponse, OutgoingResponse } from './response.ts'
import { resultCodeOf } from './status.ts'

const U16_MAX = 0xffff
const SUCCESS = 1000
const MS_PER_SECOND = 1000

/** Writes the head of `response` on `stream`, without body. False when it is larger than the peer takes; nothing was written then. `last` when no body follows. */
export function writeResponse(
  out: Outbound,
  stream: SendingStream,
  exchange: Exchange,
  response: ResponseHead,
  last: boolean,
): boolean {
  if (response instanceof MmtpResponse) return forward(out, stream, response, last)
  if (response instanceof OutgoingResponse) return writeOwn(out, stream, response, last)
  return writeOther(out, stream, exchange, response, last)
}

/** Copies header, prefix and block as one range and patches what belongs to the hop, and the status. */
function forward(out: Outbound, stream: SendingStream, response: MmtpResponse, last: boolean): boolean {
  const { headers } = response
  const headLength = headers.blockStart
  const buffer = out.reserve(headLength + blockLimit(headers), last ? 0 : response.bodyLength)
  const at = out.wire.position
  const { bytes, base } = headers
  let end: number
  if (headers.removed === 0) {
    bytes.copy(buffer, at, base, base + headers.blockEnd)
    end = writeAdded(headers, buffer, at + headers.blockEnd)
  } else {
    bytes.copy(buffer, at, base, base + headLength)
    end = writeBlock(headers, buffer, at + headLength)
  }
  const routeLength = buffer[at + 10] as number
  const flags = (response.flags & FORWARDED_FLAGS) | (last ? Flag.End : 0)
  buffer[at + HEADER_LENGTH] = response.status >> 8
  buffer[at + HEADER_LENGTH + 1] = response.status
  return close(out, stream, buffer, at, end, routeLength, flags, headers.encoding << 4, last)
}

/** A refusal, a filter's reply, or the answer of a business process that runs on this module. */
function writeOwn(out: Outbound, stream: SendingStream, response: OutgoingResponse, last: boolean): boolean {
  const limit = collect(response.headers)
  if (limit < 0) return false
  const retryAfterMs = response.retryAfterMs || retryAfterHeaderMs(response)
  const buffer = out.reserve(HEADER_LENGTH + PREFIX_LENGTH + limit, last ? 0 : response.bodyLength)
  const at = out.wire.position
  writePrefix(buffer, at, response.status, response.origin, response.marks, response.costMs, retryAfterMs)
  const end = writeCollected(buffer, at + HEADER_LENGTH + PREFIX_LENGTH)
  const flags = last ? Flag.End : 0
  return close(out, stream, buffer, at, end, PREFIX_LENGTH, flags, response.encoding << 4, last)
}

/** The response of a business process that speaks another protocol. */
function writeOther(
  out: Outbound,
  stream: SendingStream,
  exchange: Exchange,
  response: ResponseHead,
  last: boolean,
): boolean {
  const isHttp = response.statusKind === 'http'
  const resultCode = isHttp ? resultCodeOf(response.status) : response.status
  const contentEncoding = response.headers.get('content-encoding') ?? ''
  const encoding = bodyEncoding(out, contentEncoding)
  let limit = collect(response.headers)
  if (limit < 0) return false
  if (encoding < 0) limit += collectOne('content-encoding', contentEncoding)
  if (isHttp && response.status !== 200) limit += collectOne('http-status', `${response.status}`)
  const buffer = out.reserve(HEADER_LENGTH + PREFIX_LENGTH + limit, last ? 0 : response.bodyLength)
  const at = out.wire.position
  const marks = resultCode === SUCCESS ? 0 : ResponseMark.ErrorDocument
  const costMs = exchange.responseMs > 0 ? exchange.responseMs - exchange.startMs : 0
  writePrefix(buffer, at, resultCode, Origin.Business, marks, costMs, retryAfterHeaderMs(response))
  const end = writeCollected(buffer, at + HEADER_LENGTH + PREFIX_LENGTH)
  return close(
    out,
    stream,
    buffer,
    at,
    end,
    PREFIX_LENGTH,
    last ? Flag.End : 0,
    Math.max(0, encoding) << 4,
    last,
  )
}

/** `Retry-After` in seconds (RFC 9110 section 10.2.3), as milliseconds; 0 without one. */
function retryAfterHeaderMs(response: ResponseHead): number {
  const value = response.headers.get('retry-after')
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) * MS_PER_SECOND : 0
}

function writePrefix(
  buffer: Buffer,
  at: number,
  status: number,
  origin: number,
  marks: number,
  costMs: number,
  retryAfterMs: number,
): void {
  const prefix = at + HEADER_LENGTH
  const cost = Math.min(U16_MAX, Math.max(0, Math.round(costMs)))
  const retryAfter = Math.min(U16_MAX, Math.ceil(retryAfterMs / RETRY_AFTER_UNIT_MS))
  buffer[prefix] = status >> 8
  buffer[prefix + 1] = status
  buffer[prefix + 2] = origin
  buffer[prefix + 3] = marks
  buffer[prefix + 4] = cost >> 8
  buffer[prefix + 5] = cost
  buffer[prefix + 6] = retryAfter >> 8
  buffer[prefix + 7] = retryAfter
}

function close(
  out: Outbound,
  stream: SendingStream,
  buffer: Buffer,
  at: number,
  end: number,
  routeLength: number,
  flags: number,
  encoding: number,
  last: boolean,
): boolean {
  const metaLength = end - at - HEADER_LENGTH
  if (metaLength > out.peer.maxMeta) return false
  writeHeader(buffer, at, FrameType.Response, flags, stream.id, metaLength, routeLength, encoding, 0)
  if (last) {
    stream.isEndGiven = true
    stream.hasSentEnd = true
    out.commit(end)
  } else out.commitHead(stream, buffer, at, end)
  return true
}
