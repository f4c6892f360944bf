/** Responses: one that arrived, and one that is made here. */
import { LocalResponse } from '../../buffer/local-response.ts'
import type { ResponseHead, StatusKind } from '../../core/message.ts'
import { changedHeaders, DubboAttachments } from './attachments.ts'
import { Flag, ResponseKind, Serialization, Status } from './constants.ts'

const HESSIAN_ZERO = 0x90
const NO_KIND = -1
const JSONB_KIND_LENGTH = 6

/** The head of a response frame. See {@link ResponseHead}. */
export class DubboResponse implements ResponseHead {
  status: number
  readonly statusKind: StatusKind = 'dubbo'
  readonly bodyLength: number
  readonly flag: number
  /** See {@link ResponseKind}; −1 for a status other than 20 and for bodies that are not read. */
  readonly kind: number
  #bytes: Buffer
  readonly #bodyAt: number
  /** Made when somebody asks: most answers are passed on unread. */
  #headers: DubboAttachments | null = null

  /** `bodyAt…end` is the body. */
  constructor(flag: number, status: number, bytes: Buffer, bodyAt: number, end: number) {
    this.flag = flag
    this.status = status
    this.bodyLength = end - bodyAt
    this.kind = status === Status.Ok ? kindOf(flag & Flag.Serialization, bytes, bodyAt, end) : NO_KIND
    this.#bytes = bytes
    this.#bodyAt = bodyAt
  }

  get headers(): DubboAttachments {
    this.#headers ??= this.#makeHeaders()
    return this.#headers
  }

  /** The attachments when they were changed and the changes can be written, else null. */
  get changedHeaders(): DubboAttachments | null {
    return this.#headers === null ? null : changedHeaders(this.#headers)
  }

  #makeHeaders(): DubboAttachments {
    const bytes = this.#bytes
    const isThere = this.kind >= ResponseKind.ExceptionWithAttachments && bytes.length > 0
    const serialization = this.flag & Flag.Serialization
    const values = this.kind === ResponseKind.NullWithAttachments ? 0 : 1
    const valuesAt = serialization === Serialization.Hessian2 ? 1 : JSONB_KIND_LENGTH
    const bodyEnd = this.#bodyAt + this.bodyLength
    return new DubboAttachments(
      isThere ? serialization : 0,
      bytes,
      this.#bodyAt,
      bodyEnd,
      valuesAt,
      values,
      0,
    )
  }

  /** Exceptions of the service come with status 20. */
  get isFailure(): boolean {
    return (
      this.status !== Status.Ok ||
      this.kind === ResponseKind.Exception ||
      this.kind === ResponseKind.ExceptionWithAttachments
    )
  }

  get failureDetail(): string {
    return ''
  }

  retain(): void {
    this.headers.keep()
    this.#bytes = NO_BYTES
  }

  release(): void {
    this.#headers?.release()
    this.#bytes = NO_BYTES
  }
}

const NO_BYTES = Buffer.alloc(0)

/** The kind that the body begins with; −1 when it has none that is known. */
export function kindOf(serialization: number, bytes: Buffer, at: number, end: number): number {
  let kind = NO_KIND
  if (serialization === Serialization.Hessian2 && end > at) kind = (bytes[at] as number) - HESSIAN_ZERO
  else if (serialization === Serialization.Fastjson2 && end - at >= JSONB_KIND_LENGTH) {
    const isByte = bytes[at + 3] === 2 && bytes[at + 4] === 0xbd && bytes.readUIntBE(at, 3) === 0
    if (isByte) kind = bytes[at + 5] as number
  }
  return kind >= 0 && kind <= ResponseKind.NullWithAttachments ? kind : NO_KIND
}

/** A response that meshgate makes; its body is that of the frame. Headers have no place in it. */
export class DubboReply extends LocalResponse {
  readonly serialization: number
  /** Takes any name, as those of the business process's answers do. */
  override readonly headers = new DubboAttachments(0, NO_BYTES, 0, 0, 0, 0, 0)

  constructor(status: number, serialization: number, body: Buffer) {
    super('dubbo', status, body)
    this.serialization = serialization
  }
}
