/** A response that meshgate itself makes: a refusal, a filter's reply, a redirect. */
import type { LocalReply } from '../core/codec.ts'
import type { StatusKind } from '../core/message.ts'
import { HeaderTable } from './header-table.ts'

/** See {@link LocalReply}. It owns no leased bytes. */
export class LocalResponse implements LocalReply {
  status: number
  readonly statusKind: StatusKind
  readonly headers = new HeaderTable()
  readonly body: Buffer

  constructor(statusKind: StatusKind, status: number, body: Buffer) {
    this.statusKind = statusKind
    this.status = status
    this.body = body
  }

  get bodyLength(): number {
    return this.body.length
  }

  retain(): void {}
  release(): void {}
}
