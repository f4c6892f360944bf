/** Responses: one that came over Bolt, and one that is made here. */
import { FIELD_STRIDE } from '../../buffer/header-table.ts'
import type { LocalReply } from '../../core/codec.ts'
import type { ResponseHead } from '../../core/message.ts'
import { Key, Status } from './constants.ts'
import { readU16, wordOffset } from './frame.ts'
import { BoltHeaders, isExactly } from './headers.ts'
import { BoltMessage } from './message.ts'

const TRUE = 'true'

/** See {@link ResponseHead}. */
export class BoltResponse extends BoltMessage implements ResponseHead {
  readonly statusKind = 'bolt'
  status: number
  /** The service or SOFARPC itself failed, although the status is success. */
  #isError = false

  constructor(bytes: Buffer, at: number) {
    super(bytes, at, true)
    this.status = readU16(bytes, at + wordOffset(this.proto))
  }

  get isFailure(): boolean {
    return this.status !== Status.Success || this.#isError
  }

  get failureDetail(): string {
    return ''
  }

  /** True when the header block says that the content holds an exception, of the service or of SOFARPC itself. */
  get isError(): boolean {
    return this.#isError
  }

  /** Reads the header block; see {@link BoltMessage.readHeaders}. */
  override readHeaders(bytes: Buffer, at: number): boolean {
    if (!super.readHeaders(bytes, at)) return false
    if (this.headers.count > 0) this.#isError = this.#readIsError()
    return true
  }

  #readIsError(): boolean {
    const { headers } = this
    const index = headers.indexAsCame(Key.ResponseError)
    if (index < 0) return false
    const { bytes, base, fields } = headers
    const at = index * FIELD_STRIDE
    const start = fields[at + 2] as number
    return (fields[at + 3] as number) - start === TRUE.length && isExactly(bytes, base + start, TRUE)
  }
}

/** A response that meshgate makes. A class name goes with content of serializer 1 (Hessian); without content it is empty. */
export class BoltReply implements LocalReply {
  status: number
  readonly statusKind = 'bolt'
  readonly headers = new BoltHeaders()
  readonly className: string
  readonly body: Buffer

  constructor(status: number, className: string, body: Buffer) {
    this.status = status
    this.className = className
    this.body = body
  }

  get isFailure(): boolean {
    return this.status !== Status.Success
  }

  get failureDetail(): string {
    return ''
  }

  get bodyLength(): number {
    return this.body.length
  }

  retain(): void {}

  release(): void {
    this.headers.release()
  }
}
