/** Requests: one that arrived, and one that is made here. */
import { PlainRequest } from '../../buffer/plain-request.ts'
import type { RequestHead } from '../../core/message.ts'
import { HEADER_LENGTH, PREFIX_LENGTH, RequestMark, SHARD_UNKNOWN } from './constants.ts'
import { readU16, readU32 } from './frame.ts'
import { MmtpHeaders, OutgoingHeaders } from './headers.ts'
import { operationAt } from './operations.ts'

const MAX_USER_SHARD = 99
const SHARD_UNSHARDED = 0xfffe

/**
 * The head of a REQUEST frame. Position 0 of its headers is the frame's first byte, so that header, route prefix
 * and header block are forwarded as one range. See {@link RequestHead}.
 */
export class MmtpRequest extends PlainRequest implements RequestHead {
  readonly protocol = 'mmtp'
  readonly method = 'POST'
  path = ''
  query = ''
  authority = ''
  declare readonly operation: string
  readonly headers = new MmtpHeaders()
  declare readonly bodyLength: number
  declare readonly budgetMs: number
  /** User shard 0–99, 0xFFFE unsharded, 0xFFFF unknown. Assign to forward another one. */
  declare shard: number
  /** See {@link RequestMark}; at the edge without what only the access layer may claim. */
  declare marks: number
  /** Hops left. Assign to forward fewer. */
  declare hops: number
  declare readonly flags: number
  declare readonly metaLength: number
  declare readonly isOneWay: boolean
  /** Whether the frame whose body is being handed over had a checksum; a forwarded one then gets a new one. */
  declare hasCrc: boolean

  /** `at` is the first byte of the frame, whose header was checked. `bodyLength` is -1 when more frames follow. */
  constructor(
    bytes: Buffer,
    at: number,
    bodyLength: number,
    isTrusted: boolean,
    isOneWay: boolean,
    hasCrc: boolean,
  ) {
    super()
    const prefix = at + HEADER_LENGTH
    const shard = readU16(bytes, prefix + 4)
    const marks = bytes[prefix + 6] as number
    const hopsAndEncoding = bytes[at + 11] as number
    this.operation = operationAt(bytes, prefix + PREFIX_LENGTH, prefix + (bytes[at + 10] as number))
    this.headers.encoding = hopsAndEncoding >> 4
    this.bodyLength = bodyLength
    this.budgetMs = readU32(bytes, prefix)
    this.shard = shard <= MAX_USER_SHARD || shard === SHARD_UNSHARDED ? shard : SHARD_UNKNOWN
    this.marks = isTrusted ? marks : marks & ~RequestMark.ShardVerified
    this.hops = hopsAndEncoding & 0x0f
    this.flags = readU16(bytes, at + 2)
    this.metaLength = readU16(bytes, at + 8)
    this.isOneWay = isOneWay
    this.hasCrc = hasCrc
  }

  get isIdempotent(): boolean {
    return (this.marks & RequestMark.Idempotent) !== 0
  }

  /** 0 normal, 1–3 higher, 7 background. */
  get priority(): number {
    const priority = (this.marks >> 4) & 7
    return priority >= 4 && priority <= 6 ? 0 : priority
  }

  retain(): void {
    this.headers.retain(HEADER_LENGTH + this.metaLength)
  }

  release(): void {
    this.headers.release()
  }
}

/** A request made by this process, for clients. See {@link RequestHead}. */
export class OutgoingRequest extends PlainRequest implements RequestHead {
  readonly protocol = 'mmtp'
  readonly method = 'POST'
  path = ''
  query = ''
  authority = ''
  declare readonly operation: string
  readonly headers = new OutgoingHeaders()
  declare readonly bodyLength: number
  declare readonly budgetMs: number
  shard: number = SHARD_UNKNOWN
  marks = 0
  isOneWay = false
  hasCrc = false

  constructor(operation: string, bodyLength: number, budgetMs: number) {
    super()
    this.operation = operation
    this.bodyLength = bodyLength
    this.budgetMs = budgetMs
  }

  get isIdempotent(): boolean {
    return (this.marks & RequestMark.Idempotent) !== 0
  }

  retain(): void {}

  release(): void {
    this.headers.release()
  }
}
