/** Writes the REQUEST frame that begins a message. */
import type { ErrorCode } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import {
  Encoding,
  Flag,
  FORWARDED_FLAGS,
  FrameType,
  HEADER_LENGTH,
  INITIAL_HOPS,
  MAX_OPERATION_BYTES,
  PREFIX_LENGTH,
  RequestMark,
  SHARD_UNKNOWN,
} from './constants.ts'
import { collect, collectOne, copyHead, writeBlock, writeCollected } from './encode-headers.ts'
import { encodingNumber } from './headers.ts'
import { type Outbound, type SendingStream, writeHeader, writeU32 } from './outbound.ts'
import { MmtpRequest, OutgoingRequest } from './request.ts'

/**
 * Writes the head of `request` on `stream`, without body. Returns null, or the failure when it cannot be sent;
 * nothing was written then. `last` when no body follows; `nowMs` is the monotonic clock.
 */
export function writeRequest(
  out: Outbound,
  stream: SendingStream,
  exchange: Exchange,
  request: RequestHead,
  last: boolean,
  nowMs: number,
): ErrorCode | null {
  if (request.budgetMs > 0 && request.budgetMs <= nowMs - exchange.startMs) return 'DEADLINE_EXCEEDED'
  const budgetMs = remainingMs(exchange, request, nowMs)
  if (!(request instanceof MmtpRequest)) return writeOther(out, stream, exchange, request, last, budgetMs)
  if (request.hops === 0) return 'LOOP'
  const operation = exchange.translation?.operation ?? ''
  if (operation !== '' && operation !== request.operation) {
    return writeRenamed(out, stream, request, operation, last, budgetMs)
  }
  return forward(out, stream, request, last, budgetMs)
}

/** What is left of the caller's budget and of our own deadline, whichever is nearer; never a 0 that was not one. */
function remainingMs(exchange: Exchange, request: RequestHead, nowMs: number): number {
  let left = request.budgetMs === 0 ? 0 : request.budgetMs - (nowMs - exchange.startMs)
  if (exchange.deadlineMs > 0) {
    const untilDeadline = Math.max(1, exchange.deadlineMs - nowMs)
    if (left === 0 || untilDeadline < left) left = untilDeadline
  }
  return left === 0 ? 0 : Math.max(1, Math.floor(left))
}

/** The flags that go on with a forwarded request; ONEWAY follows when its end is known to be in the same frame. */
function forwardedFlags(request: MmtpRequest, last: boolean): number {
  const kept = request.flags & (FORWARDED_FLAGS | Flag.Early)
  if (!last) return kept
  return kept | Flag.End | (request.isOneWay ? Flag.OneWay : 0)
}

/** Copies header, prefix and block as one range and patches what belongs to the hop. */
function forward(
  out: Outbound,
  stream: SendingStream,
  request: MmtpRequest,
  last: boolean,
  budgetMs: number,
): ErrorCode | null {
  const { headers } = request
  const buffer = out.reserve(headers.blockEnd, last ? 0 : request.bodyLength)
  const at = out.wire.position
  const end = copyHead(headers, buffer, at)
  const metaLength = end - at - HEADER_LENGTH
  if (metaLength > out.peer.maxMeta) return 'HEAD_TOO_LARGE'
  const hopsAndEncoding = (headers.encoding << 4) | (request.hops - 1)
  const routeLength = buffer[at + 10] as number
  const flags = forwardedFlags(request, last)
  writeHeader(buffer, at, FrameType.Request, flags, stream.id, metaLength, routeLength, hopsAndEncoding, 0)
  writeU32(buffer, at + HEADER_LENGTH, budgetMs)
  buffer[at + HEADER_LENGTH + 4] = request.shard >> 8
  buffer[at + HEADER_LENGTH + 5] = request.shard
  buffer[at + HEADER_LENGTH + 6] = request.marks
  finish(out, stream, buffer, at, end, last)
  return null
}

/** As {@link forward}, under the operation that the route names. */
function writeRenamed(
  out: Outbound,
  stream: SendingStream,
  request: MmtpRequest,
  operation: string,
  last: boolean,
  budgetMs: number,
): ErrorCode | null {
  const { headers } = request
  const buffer = out.reserve(
    prefixEnd(operation) + headers.blockEnd - headers.blockStart,
    last ? 0 : request.bodyLength,
  )
  const at = out.wire.position
  const blockAt = writePrefix(buffer, at, operation, budgetMs, request.shard, request.marks)
  const end = writeBlock(headers, buffer, blockAt)
  const hopsAndEncoding = (headers.encoding << 4) | (request.hops - 1)
  return close(out, stream, buffer, at, blockAt, end, forwardedFlags(request, last), hopsAndEncoding, last)
}

/** A request that came over another protocol, or that this process makes. */
function writeOther(
  out: Outbound,
  stream: SendingStream,
  exchange: Exchange,
  request: RequestHead,
  last: boolean,
  budgetMs: number,
): ErrorCode | null {
  const operation = exchange.translation?.operation || request.operation
  if (operation === '' || Buffer.byteLength(operation, 'latin1') > MAX_OPERATION_BYTES) return 'NO_ROUTE'
  const own = request instanceof OutgoingRequest ? request : null
  const contentEncoding = request.headers.get('content-encoding') ?? ''
  const encoding = own === null ? bodyEncoding(out, contentEncoding) : Encoding.Identity
  let limit = collect(request.headers)
  if (limit < 0) return 'HEAD_TOO_LARGE'
  if (encoding < 0) limit += collectOne('content-encoding', contentEncoding)
  const buffer = out.reserve(prefixEnd(operation) + limit, last ? 0 : request.bodyLength)
  const at = out.wire.position
  const marks = own === null ? (request.isIdempotent ? RequestMark.Idempotent : 0) : own.marks
  const blockAt = writePrefix(buffer, at, operation, budgetMs, own?.shard ?? SHARD_UNKNOWN, marks)
  const end = writeCollected(buffer, blockAt)
  const flags = last ? Flag.End | (own?.isOneWay ? Flag.OneWay : 0) : 0
  const hopsAndEncoding = (Math.max(0, encoding) << 4) | INITIAL_HOPS
  return close(out, stream, buffer, at, blockAt, end, flags, hopsAndEncoding, last)
}

/** The number for a `content-encoding` that the peer can decode; -1 when it has to stay a header. */
export function bodyEncoding(out: Outbound, contentEncoding: string): number {
  const encoding = encodingNumber(contentEncoding)
  if (encoding === Encoding.Identity) return Encoding.Identity
  return encoding > 0 && ((out.peer.encodings >> encoding) & 1) === 1 ? encoding : -1
}

function prefixEnd(operation: string): number {
  return HEADER_LENGTH + PREFIX_LENGTH + operation.length
}

/** Writes the route prefix of a frame at `at`. Returns its end. */
function writePrefix(
  buffer: Buffer,
  at: number,
  operation: string,
  budgetMs: number,
  shard: number,
  marks: number,
): number {
  const prefix = at + HEADER_LENGTH
  writeU32(buffer, prefix, budgetMs)
  buffer[prefix + 4] = shard >> 8
  buffer[prefix + 5] = shard
  buffer[prefix + 6] = marks
  buffer[prefix + 7] = 0
  return prefix + PREFIX_LENGTH + buffer.latin1Write(operation, prefix + PREFIX_LENGTH)
}

function close(
  out: Outbound,
  stream: SendingStream,
  buffer: Buffer,
  at: number,
  blockAt: number,
  end: number,
  flags: number,
  hopsAndEncoding: number,
  last: boolean,
): ErrorCode | null {
  const metaLength = end - at - HEADER_LENGTH
  if (metaLength > out.peer.maxMeta) return 'HEAD_TOO_LARGE'
  const routeLength = blockAt - at - HEADER_LENGTH
  writeHeader(buffer, at, FrameType.Request, flags, stream.id, metaLength, routeLength, hopsAndEncoding, 0)
  finish(out, stream, buffer, at, end, last)
  return null
}

function finish(
  out: Outbound,
  stream: SendingStream,
  buffer: Buffer,
  at: number,
  end: number,
  last: boolean,
): void {
  if (last) {
    stream.isEndGiven = true
    stream.hasSentEnd = true
    out.commit(end)
  } else out.commitHead(stream, buffer, at, end)
}
