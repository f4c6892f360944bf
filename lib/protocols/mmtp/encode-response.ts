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
import { collect, collectOne, copyHead, writeCollected } from './encode-headers.ts'
import { bodyEncoding } from './encode-request.ts'
import { type Outbound, type SendingStream, writeHeader } from './outbound.ts'
import { MmtpResponse, OutgoingResponse } from './response.ts'
import { resultCodeOf } from './status.ts'

/** Largest body that is copied along with its head; a larger one may be lent. */
const MAX_WHOLE_BODY = 4 * 1024
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
  if (response instanceof MmtpResponse) {
    if (!last && exchange.responseBody === null && isWhole(out, stream, response)) {
      forwardWhole(out, stream, response)
      return true
    }
    return forward(out, stream, response, last)
  }
  if (response instanceof OutgoingResponse) return writeOwn(out, stream, response, last)
  return writeOther(out, stream, exchange, response, last)
}

/** Whether the frame can go on as it came, body and all. */
function isWhole(
  out: Outbound,
  stream: SendingStream,
  { headers, bodyEnd, bodyLength }: MmtpResponse,
): boolean {
  if (bodyEnd === 0 || headers.removed > 0 || headers.isRetained) return false
  if (headers.blockEnd - HEADER_LENGTH > out.peer.maxMeta || stream.waiting !== null) return false
  const { window, peer } = out
  return bodyLength <= MAX_WHOLE_BODY && bodyLength <= Math.min(stream.sendWindow, window, peer.maxBodyFrame)
}

/** Copies the whole frame; the piece of body that the dispatcher hands over next has been sent with it. */
function forwardWhole(out: Outbound, stream: SendingStream, response: MmtpResponse): void {
  const { headers, bodyEnd, bodyLength } = response
  const { bytes, base } = headers
  const buffer = out.reserve(bodyEnd, 0)
  const at = out.wire.position
  bytes.copy(buffer, at, base, base + bodyEnd)
  const metaLength = headers.blockEnd - HEADER_LENGTH
  const flags = (response.flags & FORWARDED_FLAGS) | Flag.End
  const routeLength = buffer[at + 10] as number
  const encoding = headers.encoding << 4
  writeHeader(buffer, at, FrameType.Response, flags, stream.id, metaLength, routeLength, encoding, bodyLength)
  buffer[at + HEADER_LENGTH] = response.status >> 8
  buffer[at + HEADER_LENGTH + 1] = response.status
  out.commitWhole(stream, at + bodyEnd, bodyLength)
}

/** Copies header, prefix and block as one range and patches what belongs to the hop, and the status. */
function forward(out: Outbound, stream: SendingStream, response: MmtpResponse, last: boolean): boolean {
  const { headers } = response
  const buffer = out.reserve(headers.blockEnd, last ? 0 : response.bodyLength)
  const at = out.wire.position
  const end = copyHead(headers, buffer, at)
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
