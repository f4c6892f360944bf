/** Responses: one that arrived, and one that is made here. */
import { LocalResponse } from '../../buffer/local-response.ts'
import type { LocalReply } from '../../core/codec.ts'
import type { ErrorCode } from '../../core/errors.ts'
import type { ResponseHead, StatusKind } from '../../core/message.ts'
import { Code, HEADER_LENGTH, Origin, RETRY_AFTER_UNIT_MS, ResponseMark } from './constants.ts'
import { readU16 } from './frame.ts'
import { MmtpHeaders } from './headers.ts'
import { encodeMemo, MEMOS, OVERLOADS, refusalCancel, status } from './status.ts'

/** From here on result codes tell of failures behind the gateway. */
const FIRST_FAILURE = 4000

/**
 * The head of a RESPONSE frame. Position 0 of its headers is the frame's first byte, as in a request. See
 * {@link ResponseHead}.
 */
export class MmtpResponse implements ResponseHead {
  declare status: number
  readonly statusKind: StatusKind = 'result'
  readonly headers = new MmtpHeaders()
  declare readonly bodyLength: number
  /** Who made the answer; see {@link Origin}. */
  declare readonly origin: number
  /** See {@link ResponseMark}. */
  declare readonly marks: number
  declare readonly costMs: number
  declare readonly retryAfterMs: number
  declare readonly flags: number
  declare readonly metaLength: number
  /** As in a request. */
  declare hasCrc: boolean
  /** Where the body ends, counted like the positions of the headers, while all of it lies behind the head in the same bytes; else 0. */
  bodyEnd = 0

  /** `at` is the first byte of the frame, whose header was checked. */
  constructor(bytes: Buffer, at: number, bodyLength: number, hasCrc: boolean) {
    const prefix = at + HEADER_LENGTH
    this.status = readU16(bytes, prefix)
    this.headers.encoding = (bytes[at + 11] as number) >> 4
    this.bodyLength = bodyLength
    this.origin = bytes[prefix + 2] as number
    this.marks = bytes[prefix + 3] as number
    this.costMs = readU16(bytes, prefix + 4)
    this.retryAfterMs = readU16(bytes, prefix + 6) * RETRY_AFTER_UNIT_MS
    this.flags = readU16(bytes, at + 2)
    this.metaLength = readU16(bytes, at + 8)
    this.hasCrc = hasCrc
  }

  get isFailure(): boolean {
    return this.status >= FIRST_FAILURE
  }

  get failureDetail(): string {
    return ''
  }

  retain(): void {
    this.bodyEnd = 0
    this.headers.retain(HEADER_LENGTH + this.metaLength)
  }

  release(): void {
    this.headers.release()
  }
}

/** A response that this process makes: a refusal, a filter's reply, a business process's own answer. */
export class OutgoingResponse extends LocalResponse implements LocalReply {
  origin: number = Origin.Sidecar
  marks = 0
  costMs = 0
  retryAfterMs = 0
  encoding = 0
  /** When not `Code.None`, a CANCEL with this code is sent in its place. */
  cancel: Code = Code.None

  constructor(resultCode: number, body: Buffer) {
    super('result', resultCode, body)
    if (resultCode !== 1000 && body.length > 0) this.marks |= ResponseMark.ErrorDocument
  }
}

const NO_BODY = Buffer.alloc(0)

/** The refusal for a failure: empty body, the reason (`message` where the table's is not right) in `result-memo`. */
export function refusal(
  code: ErrorCode,
  isUnprocessed: boolean,
  retryAfterMs: number,
  message: string | null = null,
): OutgoingResponse {
  const reply = new OutgoingResponse(status[code], NO_BODY)
  if (isUnprocessed) reply.marks |= ResponseMark.Unprocessed
  if (OVERLOADS.has(code)) reply.marks |= ResponseMark.Overloaded
  reply.retryAfterMs = retryAfterMs
  reply.cancel = refusalCancel(code)
  reply.headers.add('result-memo', message === null ? (MEMOS[code] as string) : encodeMemo(message))
  return reply
}
