/** The caller's half of one exchange. */
import type { GatewayError } from '../../core/errors.ts'
import type { ResponseHead } from '../../core/message.ts'
import { RpcServerStream, type RpcServerStreamOwner } from '../rpc/server-stream.ts'
import { Flag, Status } from './constants.ts'
import { sendFrame } from './encode.ts'
import type { DubboRequest } from './request.ts'
import { DubboReply, DubboResponse } from './response.ts'
import { errorText, status } from './status.ts'
import { errorBody, valueBody } from './text-body.ts'

const FIRST_REFUSAL = 400

/** See {@link RpcServerStream}. */
export class ServerStream extends RpcServerStream {
  readonly #request: DubboRequest
  readonly #idHigh: number
  readonly #idLow: number

  /** The halves are the caller's id of the request, which need not be unique. */
  constructor(owner: RpcServerStreamOwner, request: DubboRequest, idHigh: number, idLow: number) {
    super(owner, request.isOneWay)
    this.#request = request
    this.#idHigh = idHigh
    this.#idLow = idLow
  }

  errorReply(error: GatewayError): DubboReply {
    // Rules on attachments that could not be read matched nothing: that is the caller's fault, not the route's.
    const isBroken = error.code === 'NO_ROUTE' && this.#request.isBroken
    const code = isBroken ? Status.BadRequest : status[error.code]
    const { serialization } = this.#request
    return new DubboReply(code, serialization, errorBody(serialization, errorText(error)))
  }

  localReply(httpStatus: number, _resultCode: number, body: Buffer): DubboReply {
    const { serialization } = this.#request
    const text = body.toString()
    if (httpStatus < FIRST_REFUSAL)
      return new DubboReply(Status.Ok, serialization, valueBody(serialization, text))
    const reason = text === '' ? `meshgate: refused with ${httpStatus}` : text
    return new DubboReply(Status.ServiceError, serialization, errorBody(serialization, reason))
  }

  protected write(response: ResponseHead, bytes: Buffer, offset: number, end: number): void {
    if (response instanceof DubboResponse) this.#forward(response, bytes, offset, end)
    else if (response instanceof DubboReply) {
      this.#send(response.serialization, response.status, bytes, offset, end)
    } else {
      const body = errorBody(this.#request.serialization, 'meshgate: the answer is no Dubbo response')
      this.#send(this.#request.serialization, Status.BadResponse, body, 0, body.length)
    }
  }

  #forward(response: DubboResponse, bytes: Buffer, offset: number, end: number): void {
    const flag = response.flag & Flag.Serialization
    let headers = response.changedHeaders
    if (headers !== null && this.exchange !== null && this.exchange.responseBody !== null) {
      // A filter gave the body: it need not be the one whose attachments were found.
      const whole = new DubboResponse(flag, response.status, bytes, offset, end)
      headers.repeatOn(whole.headers)
      headers = whole.changedHeaders
    }
    const { wire } = this.owner
    sendFrame(wire, flag, response.status, this.#idHigh, this.#idLow, bytes, offset, end, headers, null)
  }

  #send(flag: number, code: number, bytes: Buffer, offset: number, end: number): void {
    sendFrame(this.owner.wire, flag, code, this.#idHigh, this.#idLow, bytes, offset, end, null, null)
  }
}
