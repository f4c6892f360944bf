/** A request that came over Bolt. */
import { FIELD_STRIDE } from '../../buffer/header-table.ts'
import type { RequestHead } from '../../core/message.ts'
import { FrameType, Key } from './constants.ts'
import { readI32, typeOf, wordOffset } from './frame.ts'
import { BoltMessage } from './message.ts'
import { NO_SERVICE, type ServiceName, serviceNameAt, textAt } from './service-names.ts'

/** See {@link RequestHead}. Service, method and application come from the header block, whatever the content says. */
export class BoltRequest extends BoltMessage implements RequestHead {
  readonly protocol = 'bolt'
  path = ''
  query = ''
  authority = ''
  readonly operation = ''
  readonly isIdempotent = false
  /** Nobody waits for an answer. */
  readonly isOneWay: boolean
  /** Milliseconds as they came; -1 and 0 are no limit. */
  readonly timeoutMs: number
  #name: ServiceName | null = null

  constructor(bytes: Buffer, at: number) {
    super(bytes, at, false)
    this.isOneWay = typeOf(bytes, at) === FrameType.OneWay
    this.timeoutMs = readI32(bytes, at + wordOffset(this.proto))
  }

  get budgetMs(): number {
    return this.timeoutMs > 0 ? this.timeoutMs : 0
  }

  get service(): string {
    return this.#serviceName().service
  }

  get version(): string {
    return this.#serviceName().version
  }

  get group(): string {
    return this.#serviceName().uniqueId
  }

  get method(): string {
    return this.#textOf(Key.Method)
  }

  get app(): string {
    return this.#textOf(Key.App)
  }

  #serviceName(): ServiceName {
    this.#name ??= this.#readServiceName()
    return this.#name
  }

  #readServiceName(): ServiceName {
    const { headers } = this
    const index = headers.indexAsCame(Key.Service)
    if (index < 0) return NO_SERVICE
    const { bytes, base, fields } = headers
    const at = index * FIELD_STRIDE
    return serviceNameAt(bytes, base + (fields[at + 2] as number), base + (fields[at + 3] as number))
  }

  #textOf(key: string): string {
    const { headers } = this
    const index = headers.indexAsCame(key)
    if (index < 0) return ''
    const { bytes, base, fields } = headers
    const at = index * FIELD_STRIDE
    return textAt(bytes, base + (fields[at + 2] as number), base + (fields[at + 3] as number))
  }
}
