/** What the answer of a method means for the operation that was translated to its call. */
import { LocalResponse } from '../../buffer/local-response.ts'

const NO_BYTES = Buffer.alloc(0)
const MAX_MEMO = 512

/** Result codes that an operation gets for what a service answered (docs/translation.md). */
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
export class CallResponse extends LocalResponse {
  /** `memo` is for the caller, `failureDetail` for the log; either may be `''`. */
  constructor(code: ResultCode, body: Buffer, memo: string, failureDetail: string) {
    super('result', code, body, failureDetail)
    if (body.length > 0) this.headers.add('content-type', 'application/json')
    // Cutting may leave half a surrogate pair, which could not be encoded.
    if (memo !== '')
      this.headers.add('result-memo', encodeURIComponent(memo.slice(0, MAX_MEMO).toWellFormed()))
  }
}

/** What the method returned, as JSON. */
export function callResult(json: Buffer): CallResponse {
  return new CallResponse(ResultCode.Success, json, '', '')
}

/** A failure on the business side that the caller is told no more of than its `code` and `memo`. */
export function callFailure(code: ResultCode, memo: string, failureDetail: string): CallResponse {
  return new CallResponse(code, NO_BYTES, memo, failureDetail)
}

/** The peer has no such service. */
export function unknownService(failureDetail: string): CallResponse {
  return callFailure(ResultCode.UnknownService, 'the service was not found', failureDetail)
}

/** The service has no such method. */
export function unknownMethod(failureDetail: string): CallResponse {
  return callFailure(ResultCode.UnknownMethod, 'the method was not found', failureDetail)
}

/** The result holds something that JSON rules do not cover. */
export function notConverted(failureDetail: string): CallResponse {
  return callFailure(ResultCode.NotConverted, 'the result has no JSON form', failureDetail)
}
