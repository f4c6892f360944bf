/** The accepting side of a connection: takes requests, makes exchanges of them, and answers. */
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { RpcServer } from '../rpc/server.ts'
import { Command, CrcVersion, FrameType, Proto, Serializer, Status } from './constants.ts'
import { writeBare, writeControl } from './encoder.ts'
import { checksumFault, commandOf, type Hop, hopOf, traits, typeOf } from './frame.ts'
import { BoltRequest } from './request.ts'
import { BoltServerStream } from './server-stream.ts'

/** See the file's head. */
export class BoltServer extends RpcServer implements ServerCodec {
  /** Responses that a caller sent: there is nothing they could answer, so they are dropped, as Java does. */
  strayFrames = 0
  /** Version of the last frame, for frames that answer none. */
  #proto: number = Proto.V1

  constructor(wire: Wire, options: ServerCodecOptions, handler: DownstreamHandler, context: ServerContext) {
    super(wire, traits, options, handler, context)
    this.watch()
  }

  onFrame(bytes: Buffer, at: number, end: number): void {
    const fault = checksumFault(bytes, at, end)
    if (fault !== null) {
      this.onFault(fault)
      return
    }
    const type = typeOf(bytes, at)
    this.#proto = bytes[at] as number
    if (type === FrameType.Response) {
      this.strayFrames++
      return
    }
    switch (commandOf(bytes, at)) {
      case Command.Request:
        this.#onRequest(bytes, at)
        break
      case Command.Heartbeat:
        if (type === FrameType.Request) this.#acknowledge(bytes, at)
        break
      default:
      // GoAway of a caller that is a mesh: it will open no more calls, and closes the connection itself.
    }
  }

  #acknowledge(bytes: Buffer, at: number): void {
    writeControl(this.wire, FrameType.Response, Command.Heartbeat, hopOf(bytes, at), Serializer.Hessian)
  }

  #onRequest(bytes: Buffer, at: number): void {
    const request = new BoltRequest(bytes, at)
    if (!request.readHeaders(bytes, at)) {
      const detail = 'a length in the header block is impossible'
      this.#refuse(request, 'BAD_REQUEST', Status.CodecException, detail)
      return
    }
    if (request.serializer === Serializer.Java) {
      const detail = 'serializer 2: what Java serialization may run at its reader is not passed on'
      this.#refuse(request, 'FEATURE_UNSUPPORTED', Status.DeserializationFailed, detail)
      return
    }
    const start = at + request.contentOffset
    this.begin(request, new BoltServerStream(this, request), bytes, start, start + request.bodyLength)
  }

  /** Answers a request without an exchange. */
  #refuse(request: BoltRequest, code: ErrorCode, status: Status, detail: string): void {
    request.release()
    const { isOneWay, serializer } = request
    if (!isOneWay) writeBare(this.wire, request, serializer, status)
    const error = new GatewayError(code, `request ${request.id}: ${detail}`)
    this.handler.onProtocolError(error, this.wire.peer, isOneWay ? 0 : status)
  }

  onOversized(bytes: Buffer, at: number, length: number): boolean {
    const detail = `a frame of ${length} bytes is above ${this.options.maxFrameBytes}`
    const isCall = typeOf(bytes, at) === FrameType.Request && commandOf(bytes, at) === Command.Request
    if (isCall) writeBare(this.wire, hopOf(bytes, at), Serializer.Hessian, Status.CodecException)
    this.fail('BODY_TOO_LARGE', detail, isCall ? Status.CodecException : 0)
    return false
  }

  /** A caller cannot be told to go elsewhere, unless it is a mesh. */
  protected announceDrain(): number {
    if (this.options.boltGoAway) {
      const hop: Hop = { proto: this.#proto, crcVersion: CrcVersion.Never, switchByte: 0, id: 0 }
      writeControl(this.wire, FrameType.Request, Command.GoAway, hop, Serializer.Hessian)
    }
    return 0
  }
}
