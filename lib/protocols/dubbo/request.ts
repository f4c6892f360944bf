/** A request that arrived. */
import { PlainRequest } from '../../buffer/plain-request.ts'
import type { RequestHead } from '../../core/message.ts'
import { DubboAttachments, Located } from './attachments.ts'
import { Flag, Serialization } from './constants.ts'
import { found, leadingText, namedVersion, scanLeading } from './leading.ts'

/** Positions in the body of a request whose serialization is read. */
const UNKNOWN = -1

/** See {@link RequestHead}. Its positions count from the first byte of the body, wherever that lies. */
export class DubboRequest extends PlainRequest implements RequestHead {
  readonly protocol = 'dubbo'
  path = ''
  query = ''
  authority = ''
  readonly operation = ''
  readonly headers: DubboAttachments
  readonly bodyLength: number
  readonly isIdempotent = false
  readonly flag: number
  readonly serialization: number
  /** Where the leading values begin; `pathAt` is −1 when they cannot be read. */
  readonly pathAt: number
  readonly versionAt: number
  readonly methodAt: number
  readonly descriptorAt: number
  readonly argumentsAt: number
  #bytes: Buffer
  #bodyAt: number
  #service: string | null = null
  #version = ''
  #method = ''

  /** `bodyAt…end` is the body. */
  constructor(flag: number, bytes: Buffer, bodyAt: number, end: number) {
    super()
    const serialization = flag & Flag.Serialization
    const isKnown =
      (serialization === Serialization.Hessian2 || serialization === Serialization.Fastjson2) &&
      scanLeading(serialization, bytes, bodyAt, end)
    this.flag = flag
    this.serialization = serialization
    this.bodyLength = end - bodyAt
    this.pathAt = isKnown ? found.path : UNKNOWN
    this.versionAt = isKnown ? found.version : UNKNOWN
    this.methodAt = isKnown ? found.method : UNKNOWN
    this.descriptorAt = isKnown ? found.descriptor : UNKNOWN
    this.argumentsAt = isKnown ? found.end : UNKNOWN
    this.#bytes = bytes
    this.#bodyAt = bodyAt
    this.headers = new DubboAttachments(
      serialization,
      bytes,
      bodyAt,
      end,
      this.argumentsAt,
      UNKNOWN,
      this.descriptorAt,
    )
  }

  get isOneWay(): boolean {
    return (this.flag & Flag.TwoWay) === 0
  }

  /** True for a body of a known serialization that does not begin with the five strings. */
  get isMalformed(): boolean {
    return this.pathAt < 0 && this.isReadable
  }

  /** True for the serializations that are read. */
  get isReadable(): boolean {
    return this.serialization === Serialization.Hessian2 || this.serialization === Serialization.Fastjson2
  }

  /** True when somebody asked for attachments that cannot be read. */
  get isBroken(): boolean {
    return this.headers.isAsked && this.headers.located === Located.Unreadable
  }

  override get service(): string {
    this.#decode()
    return this.#service as string
  }

  override get version(): string {
    this.#decode()
    return this.#version
  }

  get method(): string {
    this.#decode()
    return this.#method
  }

  override get group(): string {
    return this.headers.get('group') ?? ''
  }

  override get app(): string {
    return this.headers.get('remote.application') ?? ''
  }

  /** The attachment `timeout`, where the attachments have been read for another reason: looking for it would cost as much as the rest. */
  get budgetMs(): number {
    if (this.headers.located !== Located.Found) return 0
    return Math.max(0, this.headers.wholeNumber('timeout'))
  }

  #decode(): void {
    if (this.#service !== null) return
    if (this.pathAt < 0) {
      this.#service = ''
      return
    }
    this.#service = this.#text(this.pathAt, this.versionAt)
    this.#version = namedVersion(this.#text(this.versionAt, this.methodAt))
    this.#method = this.#text(this.methodAt, this.descriptorAt)
  }

  #text(from: number, to: number): string {
    return leadingText(this.serialization, this.#bytes, this.#bodyAt + from, this.#bodyAt + to)
  }

  /** Keeps the names and what of the body the attachments need; the body itself is the dispatcher's. */
  retain(): void {
    this.#decode()
    this.#bytes = NO_BYTES
    this.headers.keep()
  }

  release(): void {
    this.#service ??= ''
    this.#bytes = NO_BYTES
    this.headers.release()
  }
}

const NO_BYTES = Buffer.alloc(0)
