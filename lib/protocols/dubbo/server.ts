/** The provider's role: takes requests, makes exchanges of them, and answers. */
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import { RpcServer } from '../rpc/server.ts'
import { Flag, HEADER_LENGTH, Serialization } from './constants.ts'
import { sendFrame } from './encode.ts'
import { answerEvent, ownSerialization, sendReadOnly } from './events.ts'
import { limitFault, readU32, traits } from './frame.ts'
import { DubboRequest } from './request.ts'
import { ServerStream } from './server-stream.ts'
import { errorText, status } from './status.ts'
import { errorBody } from './text-body.ts'

/** A peer that was told READONLY may have sent requests before it read that: the connection waits this long for them. */
const DRAIN_NOTICE_MS = 1_000

/** See the file's head. */
export class DubboServer extends RpcServer implements ServerCodec {
  /** Serialization of the last request. */
  #serialization: number = Serialization.Hessian2

  constructor(wire: Wire, options: ServerCodecOptions, handler: DownstreamHandler, context: ServerContext) {
    super(wire, traits, options, handler, context)
    this.watch()
  }

  onFrame(bytes: Buffer, at: number, end: number): void {
    const flag = bytes[at + 2] as number
    // Answers to nothing: this side asks no questions.
    if ((flag & Flag.Request) === 0) return
    if ((flag & Flag.Event) === 0) this.#onRequest(flag, bytes, at, end)
    else if ((flag & Flag.TwoWay) !== 0) answerEvent(this.wire, bytes, at, end)
  }

  #onRequest(flag: number, bytes: Buffer, at: number, end: number): void {
    const request = new DubboRequest(flag, bytes, at + HEADER_LENGTH, end)
    this.#serialization = request.serialization
    if (request.isMalformed) {
      this.#refuse(request, bytes, at)
      return
    }
    const stream = new ServerStream(this, request, readU32(bytes, at + 4), readU32(bytes, at + 8))
    this.begin(request, stream, bytes, at + HEADER_LENGTH, end)
  }

  /** Answers without an exchange. */
  #refuse(request: DubboRequest, bytes: Buffer, at: number): void {
    const detail = 'the body does not begin with protocol version, path, version, method and descriptor'
    const error = new GatewayError('BAD_REQUEST', detail)
    const { serialization, isOneWay } = request
    request.release()
    this.handler.onProtocolError(error, this.wire.peer, isOneWay ? 0 : status.BAD_REQUEST)
    if (isOneWay || this.isOver) return
    const body = errorBody(serialization, errorText(error))
    const idHigh = readU32(bytes, at + 4)
    const idLow = readU32(bytes, at + 8)
    sendFrame(this.wire, serialization, status.BAD_REQUEST, idHigh, idLow, body, 0, body.length, null, null)
  }

  onOversized(bytes: Buffer, at: number, length: number): boolean {
    this.onFault(limitFault(bytes, at, length, this.options.maxFrameBytes))
    return false
  }

  protected announceDrain(): number {
    sendReadOnly(this.wire, ownSerialization(this.#serialization))
    return DRAIN_NOTICE_MS
  }
}
