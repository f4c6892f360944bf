/** What the answer of a SOFARPC method means for the operation behind the call. */
import { LocalResponse } from '../../buffer/local-response.ts'
import type { ServiceException } from '../hessian/exceptions.ts'

const NO_BYTES = Buffer.alloc(0)
const MAX_MEMO = 512

/** Result codes that the business side of a call is answered with. */
export const ResultCode = {
  Success: 1000,
  Failed: 4002,
  UnknownService: 6000,
  UnknownMethod: 6001,
  NotConverted: 6004,
  BusinessException: 6666,
} as const
export type ResultCode = (typeof ResultCode)[keyof typeof ResultCode]

/** The response of an operation, with JSON or an empty body. */
export class CallAnswer extends LocalResponse {
  /** What the method threw, in full: for the log, never for the caller. Null when it threw nothing. */
  readonly serviceException: ServiceException | null
  /** What went wrong, for the log; `''` when nothing did. */
  readonly detail: string

  constructor(code: ResultCode, body: Buffer, serviceException: ServiceException | null, detail: string) {
    super('result', code, body)
    this.serviceException = serviceException
    this.detail = detail
    if (body.length > 0) this.headers.add('content-type', 'application/json')
  }
}

/** What the method returned, as JSON. */
export function resultAnswer(json: Buffer): CallAnswer {
  return new CallAnswer(ResultCode.Success, json, null, '')
}

/** A failure on the business side; `memo` is for the caller. */
export function failedAnswer(code: ResultCode, memo: string, detail: string): CallAnswer {
  return withMemo(new CallAnswer(code, NO_BYTES, null, detail), memo)
}

/** An exception of the method, of which the caller is told `memo` and `body`. */
export function exceptionAnswer(exception: ServiceException, memo: string, body: Buffer): CallAnswer {
  return withMemo(new CallAnswer(ResultCode.BusinessException, body, exception, exception.logText), memo)
}

/** Cutting may leave half a surrogate pair, which could not be encoded. */
function withMemo(answer: CallAnswer, memo: string): CallAnswer {
  answer.headers.add('result-memo', encodeURIComponent(memo.slice(0, MAX_MEMO).toWellFormed()))
  return answer
}
