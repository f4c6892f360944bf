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
  readonly failureDetail: string

  constructor(statusKind: StatusKind, status: number, body: Buffer, failureDetail = '') {
    this.statusKind = statusKind
    this.status = status
    this.body = body
    this.failureDetail = failureDetail
  }

  get isFailure(): boolean {
    return isFailureStatus(this.statusKind, this.status)
  }

  get bodyLength(): number {
    return this.body.length
  }

  retain(): void {}
  release(): void {}
}

const FIRST_HTTP_FAILURE = 500
const FIRST_RESULT_FAILURE = 4000
const BOLT_SUCCESS = 0
const DUBBO_SUCCESS = 20

/** Whether a status alone tells of a failure on the server's side; see `ResponseHead.isFailure`. */
export function isFailureStatus(kind: StatusKind, status: number): boolean {
  switch (kind) {
    case 'http':
      return status >= FIRST_HTTP_FAILURE
    case 'result':
      return status >= FIRST_RESULT_FAILURE
    case 'bolt':
      return status !== BOLT_SUCCESS
    case 'dubbo':
      return status !== DUBBO_SUCCESS
  }
}
