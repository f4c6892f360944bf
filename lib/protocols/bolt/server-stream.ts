/** The caller's half of one exchange. */
import { GatewayError } from '../../core/errors.ts'
import type { ResponseHead } from '../../core/message.ts'
import { RpcServerStream, type RpcServerStreamOwner } from '../rpc/server-stream.ts'
import { FrameType, Serializer, Status, sendableStatus } from './constants.ts'
import { writeBare, writeForwarded, writeOwn } from './encoder.ts'
import type { BoltRequest } from './request.ts'
import { BoltReply, BoltResponse } from './response.ts'
import { answerTo, localAnswer } from './status.ts'

const NO_BYTES = Buffer.alloc(0)

/** See {@link RpcServerStream}. */
export class BoltServerStream extends RpcServerStream {
  readonly #request: BoltRequest

  constructor(owner: RpcServerStreamOwner, request: BoltRequest) {
    super(owner, request.isOneWay)
    this.#request = request
  }

  errorReply(error: GatewayError): BoltReply {
    return answerTo(error)
  }

  localReply(httpStatus: number, _resultCode: number, body: Buffer): BoltReply {
    return localAnswer(httpStatus, body)
  }

  /** A caller that is still unanswered would wait until its time is over. */
  override finish(): void {
    if (this.exchange !== null && this.mayAnswer)
      this.answer(new BoltReply(Status.Unknown, '', NO_BYTES), NO_BYTES, 0, 0)
    super.finish()
  }

  protected write(response: ResponseHead, bytes: Buffer, offset: number, end: number): void {
    if (response instanceof BoltResponse) {
      const status = sendableStatus(response.status)
      const { wire } = this.owner
      writeForwarded(wire, response, FrameType.Response, this.#request, status, bytes, offset, end)
    } else if (response instanceof BoltReply) this.#writeReply(response, bytes, offset, end)
    else {
      const detail = `an answer with a status of kind ${response.statusKind} cannot become a Bolt response`
      const reply = answerTo(new GatewayError('FEATURE_UNSUPPORTED', detail))
      this.#writeReply(reply, reply.body, 0, reply.body.length)
    }
  }

  #writeReply(reply: BoltReply, bytes: Buffer, offset: number, end: number): void {
    const { wire } = this.owner
    const request = this.#request
    const { className, headers } = reply
    const code = sendableStatus(reply.status)
    if (className === '' && end === offset && headers.added === null) {
      writeBare(wire, request, request.serializer, code)
      return
    }
    const { Response } = FrameType
    writeOwn(wire, Response, request, Serializer.Hessian, code, className, headers, bytes, offset, end)
  }
}
