/** A response that came over HTTP/1: positions in its head, decoded when somebody asks. */
import { FIELD_STRIDE, type HeaderTable } from '../../buffer/header-table.ts'
import type { ResponseHead } from '../../core/message.ts'
import { FLAG_CANONICAL, FLAG_CLOSE, FLAG_KEEP_ALIVE, KIND_CONTENT_LENGTH } from './constants.ts'
import type { HeadParser } from './head-parser.ts'

/** See {@link ResponseHead}. The encoder reads the positions; they count from the start of the head in `headers`. */
export class Http1Response implements ResponseHead {
  status: number
  readonly statusKind = 'http'
  readonly bodyLength: number
  /** What Content-Length said, -1 when there was none. Not the length of the body in an answer to HEAD. */
  readonly contentLength: number
  readonly minor: number
  readonly flags: number
  readonly fieldsStart: number
  readonly headLength: number
  readonly headers: HeaderTable
  readonly #lengthIndex: number
  readonly #receivedStatus: number

  /** Takes over what `parser` found, and gives the parser back. `bodyLength` follows from the request too, so the caller says it. */
  constructor(parser: HeadParser, bodyLength: number) {
    this.status = parser.status
    this.#receivedStatus = parser.status
    this.bodyLength = bodyLength
    this.contentLength = parser.contentLength
    this.minor = parser.minor
    this.flags = parser.flags
    this.fieldsStart = parser.fieldsStart
    this.headLength = parser.headLength
    this.#lengthIndex = parser.lengthIndex
    this.headers = parser.handOver()
  }

  get isFailure(): boolean {
    return this.status >= 500
  }

  get failureDetail(): string {
    return ''
  }

  /** Whether the connection may serve on afterwards, by the business process's wish (section 9.3). */
  get isKeepAlive(): boolean {
    if ((this.flags & FLAG_CLOSE) !== 0) return false
    return this.minor === 1 || (this.flags & FLAG_KEEP_ALIVE) !== 0
  }

  /** True when the status line may be forwarded as it came. */
  get isLineKept(): boolean {
    return (this.flags & FLAG_CANONICAL) !== 0 && this.status === this.#receivedStatus
  }

  /** True when the Content-Length field is there and says `length`; -1 accepts any. */
  isLengthKept(length: number): boolean {
    if (this.#lengthIndex < 0 || (length >= 0 && this.contentLength !== length)) return false
    return this.headers.fields[this.#lengthIndex * FIELD_STRIDE + 4] === KIND_CONTENT_LENGTH
  }

  retain(): void {
    this.headers.retain(this.headLength)
  }

  release(): void {
    this.headers.release()
  }
}
