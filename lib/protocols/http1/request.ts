/** A request that came over HTTP/1: positions in its head, decoded when somebody asks. */
import { FIELD_STRIDE, type HeaderTable } from '../../buffer/header-table.ts'
import { PlainRequest } from '../../buffer/plain-request.ts'
import type { RequestHead } from '../../core/message.ts'
import {
  FLAG_ABSOLUTE,
  FLAG_CANONICAL,
  FLAG_CHUNKED,
  FLAG_CLOSE,
  FLAG_EXPECT,
  FLAG_KEEP_ALIVE,
  FLAG_TE_TRAILERS,
  FLAG_UPGRADE,
  KIND_CONTENT_LENGTH,
  KIND_HOST,
} from './constants.ts'
import type { HeadParser } from './head-parser.ts'
import { isAuthorityText } from './host.ts'
import { isIdempotent } from './methods.ts'

/** See {@link RequestHead}. The encoder reads the positions; they count from the start of the head in `headers`. */
export class Http1Request extends PlainRequest implements RequestHead {
  readonly protocol = 'http1'
  readonly method: string
  readonly bodyLength: number
  readonly minor: number
  readonly flags: number
  readonly start: number
  readonly methodEnd: number
  readonly pathStart: number
  readonly queryStart: number
  readonly targetEnd: number
  readonly fieldsStart: number
  readonly headLength: number
  readonly hostStart: number
  readonly hostEnd: number
  readonly hostIndex: number
  readonly lengthIndex: number
  /** Set by the codec when the request came on the operation path. */
  operation = ''
  /** True once path or query were assigned. */
  isTargetChanged = false
  /** True once the authority was assigned. */
  isAuthorityChanged = false
  #path: string | null = null
  #query: string | null = null
  #authority: string | null = null
  readonly headers: HeaderTable

  /** Takes over what `parser` found, and gives the parser back. */
  constructor(parser: HeadParser, method: string) {
    super()
    this.method = method
    this.bodyLength =
      (parser.flags & FLAG_CHUNKED) !== 0 ? -1 : parser.contentLength < 0 ? 0 : parser.contentLength
    this.minor = parser.minor
    this.flags = parser.flags
    this.start = parser.start
    this.methodEnd = parser.methodEnd
    this.pathStart = parser.pathStart
    this.queryStart = parser.queryStart
    this.targetEnd = parser.targetEnd
    this.fieldsStart = parser.fieldsStart
    this.headLength = parser.headLength
    this.hostStart = parser.hostStart
    this.hostEnd = parser.hostEnd
    this.hostIndex = parser.hostIndex
    this.lengthIndex = parser.lengthIndex
    this.headers = parser.handOver()
  }

  get path(): string {
    return (this.#path ??= this.#readPath())
  }

  set path(path: string) {
    this.#path = path
    this.#query ??= this.query
    this.isTargetChanged = true
  }

  get query(): string {
    if (this.#query !== null) return this.#query
    if (this.queryStart < 0) return (this.#query = '')
    const { bytes, base } = this.headers
    return (this.#query = bytes.latin1Slice(base + this.queryStart + 1, base + this.targetEnd))
  }

  set query(query: string) {
    this.#query = query
    this.#path ??= this.#readPath()
    this.isTargetChanged = true
  }

  get authority(): string {
    if (this.#authority !== null) return this.#authority
    const { bytes, base } = this.headers
    return (this.#authority = bytes.latin1Slice(base + this.hostStart, base + this.hostEnd).toLowerCase())
  }

  /** Throws `TypeError` when it is no host with or without a port. */
  set authority(authority: string) {
    if (!isAuthorityText(authority)) {
      throw new TypeError(`authority ${JSON.stringify(authority)} must be a host, with or without a port`)
    }
    this.#authority = authority.toLowerCase()
    this.isAuthorityChanged = true
  }

  get isIdempotent(): boolean {
    return isIdempotent(this.method)
  }

  get budgetMs(): number {
    return 0
  }

  /** Whether the connection may serve on afterwards, by the caller's wish (section 9.3). */
  get isKeepAlive(): boolean {
    if ((this.flags & FLAG_CLOSE) !== 0) return false
    return this.minor === 1 || (this.flags & FLAG_KEEP_ALIVE) !== 0
  }

  get isExpecting(): boolean {
    return (this.flags & FLAG_EXPECT) !== 0
  }

  /** Whether the caller offers to switch protocols. */
  get isUpgrade(): boolean {
    return (this.flags & FLAG_UPGRADE) !== 0
  }

  get takesTrailers(): boolean {
    return (this.flags & FLAG_TE_TRAILERS) !== 0
  }

  /** True when the request line may be forwarded as it came. */
  get isLineKept(): boolean {
    return (this.flags & (FLAG_CANONICAL | FLAG_ABSOLUTE)) === FLAG_CANONICAL && !this.isTargetChanged
  }

  /** True when the Host field may be forwarded as it came. */
  get isHostKept(): boolean {
    if (this.isAuthorityChanged || this.hostIndex < 0 || (this.flags & FLAG_ABSOLUTE) !== 0) return false
    return this.headers.fields[this.hostIndex * FIELD_STRIDE + 4] === KIND_HOST
  }

  /** True when the Content-Length field is there and says `length`. */
  isLengthKept(length: number): boolean {
    if (this.lengthIndex < 0 || this.bodyLength !== length) return false
    return this.headers.fields[this.lengthIndex * FIELD_STRIDE + 4] === KIND_CONTENT_LENGTH
  }

  retain(): void {
    this.headers.retain(this.headLength)
  }

  release(): void {
    this.headers.release()
  }

  #readPath(): string {
    const { bytes, base } = this.headers
    const end = this.queryStart < 0 ? this.targetEnd : this.queryStart
    if (end > this.pathStart) return bytes.latin1Slice(base + this.pathStart, base + end)
    // An absolute target without a path (section 3.2.4).
    return this.method === 'OPTIONS' && this.queryStart < 0 ? '*' : '/'
  }
}
