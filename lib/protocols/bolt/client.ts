/** The dialling side of a connection: sends requests and finds the exchanges of their answers. */
import type { ClientCodec, ClientCodecOptions, ClientOwner, UpstreamHandler, Wire } from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import { RpcClient } from '../rpc/client.ts'
import { BoltClientStream, type ClientStreamOwner } from './client-stream.ts'
import { Command, CrcVersion, FrameType, Proto, Serializer, Status } from './constants.ts'
import { writeBare, writeControl } from './encoder.ts'
import { checksumFault, commandOf, type Hop, hopOf, idOf, traits, typeOf } from './frame.ts'
import { Beat, Heartbeat } from './heartbeat.ts'
import { BoltResponse } from './response.ts'

/** Ids of heartbeats are even, those of calls odd. */
const BEAT_ID_STEP = 2
const MAX_BEAT_ID = 0x7ffffffe

/** See the file's head. */
export class BoltClient extends RpcClient<BoltClientStream> implements ClientCodec, ClientStreamOwner {
  readonly #heartbeat: Heartbeat
  /** Version of every frame that is sent, because a Java peer answers in that of the first; 0 before it is known. */
  #proto = 0
  #lastBeatId = 0

  constructor(wire: Wire, options: ClientCodecOptions, handler: UpstreamHandler, owner: ClientOwner) {
    super(wire, traits, options, options.idleTimeoutMs, handler, owner)
    this.#heartbeat = new Heartbeat(options.heartbeatMs)
    this.watch()
  }

  protected createStream(exchange: Exchange, isReused: boolean): BoltClientStream {
    return new BoltClientStream(this, exchange, isReused)
  }

  begin(stream: BoltClientStream, proto: number): void {
    if (this.#proto === 0) this.#proto = proto
    stream.proto = this.#proto
    stream.id = this.takeId()
    if (!stream.isOneWay) this.expectAnswer(stream)
  }

  onFrame(bytes: Buffer, at: number, end: number): void {
    const fault = checksumFault(bytes, at, end)
    if (fault !== null) {
      this.onFault(fault)
      return
    }
    const type = typeOf(bytes, at)
    const command = commandOf(bytes, at)
    // An answer to a heartbeat has done its work by arriving.
    if (type === FrameType.Response) {
      if (command === Command.Response) this.#onResponse(bytes, at)
    } else if (command === Command.GoAway) this.drain()
    else if (type === FrameType.Request) this.#onRequest(bytes, at, command)
  }

  #onResponse(bytes: Buffer, at: number): void {
    const stream = this.awaited(idOf(bytes, at))
    if (stream === null) return
    const { exchange, call } = stream
    const response = new BoltResponse(bytes, at)
    if (!response.readHeaders(bytes, at)) {
      response.release()
      const detail = `response ${stream.id}: a length in the header block is impossible`
      stream.fail(new GatewayError('UPSTREAM_PROTOCOL', detail))
      return
    }
    stream.exchange = null
    const start = at + response.contentOffset
    const end = start + response.bodyLength
    if (exchange === null) response.release()
    else if (call === null) this.pass(exchange, response, bytes, start, end)
    else {
      this.tell(exchange, call.answer(response, bytes, start, end))
      response.release()
    }
    this.closeStream(stream)
  }

  /** The business process does not call through us: a heartbeat is answered, a call refused. */
  #onRequest(bytes: Buffer, at: number, command: number): void {
    const hop = hopOf(bytes, at)
    if (command === Command.Heartbeat) {
      writeControl(this.wire, FrameType.Response, Command.Heartbeat, hop, Serializer.Hessian)
    } else writeBare(this.wire, hop, Serializer.Hessian, Status.NoProcessor)
  }

  /** One answer is too long: it is skipped, and the others go on. */
  onOversized(bytes: Buffer, at: number, length: number): boolean {
    const stream = typeOf(bytes, at) === FrameType.Response ? this.awaited(idOf(bytes, at)) : null
    const detail = `the response of ${length} bytes is above ${this.maxFrameBytes}`
    stream?.fail(new GatewayError('UPSTREAM_PROTOCOL', detail))
    return true
  }

  protected get nextCheckMs(): number {
    return this.#heartbeat.nextMs(this.receivedMs)
  }

  protected checkPeer(nowMs: number): void {
    const beat = this.#heartbeat.check(nowMs, this.receivedMs)
    if (beat === Beat.Send) this.#sendHeartbeat()
    else if (beat === Beat.Dead) {
      this.fail('UPSTREAM_RESET', 'the business process answers no heartbeats')
      this.wire.destroy()
    }
  }

  #sendHeartbeat(): void {
    if (this.#proto === 0) this.#proto = Proto.V1
    this.#lastBeatId = this.#lastBeatId >= MAX_BEAT_ID ? BEAT_ID_STEP : this.#lastBeatId + BEAT_ID_STEP
    const hop: Hop = {
      proto: this.#proto,
      crcVersion: CrcVersion.Never,
      switchByte: 0,
      id: this.#lastBeatId,
    }
    writeControl(this.wire, FrameType.Request, Command.Heartbeat, hop, Serializer.Hessian)
  }
}
