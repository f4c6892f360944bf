/** The consumer's role: sends requests and takes their responses. */
import type { ClientCodec, ClientCodecOptions, ClientOwner, UpstreamHandler, Wire } from '../../core/codec.ts'
import type { Exchange } from '../../core/exchange.ts'
import { RpcClient } from '../rpc/client.ts'
import { ClientStream, type ClientStreamOwner } from './client-stream.ts'
import { Flag, HEADER_LENGTH, Serialization, Status } from './constants.ts'
import { sendFrame } from './encode.ts'
import { answerEvent, isReadOnly, ownSerialization, sendHeartbeat } from './events.ts'
import { limitFault, readU32, traits } from './frame.ts'
import { DubboResponse } from './response.ts'
import { errorBody } from './text-body.ts'

/** A provider that stays silent for so many heartbeats is gone. */
const MISSED_HEARTBEATS = 3

/** See the file's head. */
export class DubboClient extends RpcClient<ClientStream> implements ClientCodec, ClientStreamOwner {
  readonly #heartbeatMs: number
  #sentMs: number
  /** When the last heartbeat of ours went out. */
  #beatMs = 0
  /** Serialization of the last request. */
  #serialization: number = Serialization.Hessian2

  constructor(wire: Wire, options: ClientCodecOptions, handler: UpstreamHandler, owner: ClientOwner) {
    // Heartbeats keep a connection in use, as those of consumers do.
    const idleTimeoutMs = options.heartbeatMs > 0 ? 0 : options.idleTimeoutMs
    super(wire, traits, options, idleTimeoutMs, handler, owner)
    this.#heartbeatMs = options.heartbeatMs
    this.#sentMs = this.receivedMs
    this.watch()
  }

  protected createStream(exchange: Exchange, isReused: boolean): ClientStream {
    return new ClientStream(this, exchange, isReused)
  }

  begin(stream: ClientStream, serialization: number): void {
    stream.id = this.takeId()
    this.expectAnswer(stream)
    this.#serialization = serialization
    this.#sentMs = this.wire.now()
  }

  onFrame(bytes: Buffer, at: number, end: number): void {
    const flag = bytes[at + 2] as number
    if ((flag & Flag.Request) !== 0) {
      if ((flag & Flag.Event) !== 0) this.#onEvent(flag, bytes, at, end)
      else if ((flag & Flag.TwoWay) !== 0) this.#refuse(flag, bytes, at)
      return
    }
    // The answer to a heartbeat has done its work by arriving.
    if ((flag & Flag.Event) !== 0) return
    // Ids of ours have 31 bits: 0 is none of them.
    const stream = this.awaited(readU32(bytes, at + 4) === 0 ? readU32(bytes, at + 8) : 0)
    if (stream !== null) this.#onResponse(stream, flag, bytes, at, end)
  }

  #onResponse(stream: ClientStream, flag: number, bytes: Buffer, at: number, end: number): void {
    const { exchange, call } = stream
    stream.exchange = null
    this.closeStream(stream)
    if (exchange === null) return
    const bodyAt = at + HEADER_LENGTH
    const status = bytes[at + 3] as number
    if (call === null) {
      this.pass(exchange, new DubboResponse(flag, status, bytes, bodyAt, end), bytes, bodyAt, end)
    } else this.tell(exchange, call.answer(flag & Flag.Serialization, status, bytes, bodyAt, end))
  }

  #onEvent(flag: number, bytes: Buffer, at: number, end: number): void {
    this.usedMs = this.receivedMs
    if ((flag & Flag.TwoWay) !== 0) {
      answerEvent(this.wire, bytes, at, end)
      this.#sentMs = this.receivedMs
    } else if (isReadOnly(bytes, at, end)) this.drain()
  }

  /** Providers may call back their consumers, but behind a gateway it is not known which one. */
  #refuse(flag: number, bytes: Buffer, at: number): void {
    const serialization = flag & Flag.Serialization
    const body = errorBody(serialization, 'meshgate: calls from a provider to its consumer are not passed on')
    const idHigh = readU32(bytes, at + 4)
    const idLow = readU32(bytes, at + 8)
    const { ServiceNotFound } = Status
    sendFrame(this.wire, serialization, ServiceNotFound, idHigh, idLow, body, 0, body.length, null, null)
  }

  onOversized(bytes: Buffer, at: number, length: number): boolean {
    this.onFault(limitFault(bytes, at, length, this.maxFrameBytes))
    return false
  }

  protected checkPeer(nowMs: number): void {
    if (this.#heartbeatMs === 0) return
    const silenceMs = MISSED_HEARTBEATS * this.#heartbeatMs
    if (nowMs - this.receivedMs >= silenceMs) {
      this.fail('UPSTREAM_RESET', `nothing received for ${silenceMs} ms`)
      this.wire.close()
    } else if (nowMs >= this.#beatDueMs) {
      this.#sentMs = nowMs
      this.#beatMs = nowMs
      sendHeartbeat(this.wire, ownSerialization(this.#serialization), this.takeId())
    }
  }

  protected get nextCheckMs(): number {
    if (this.#heartbeatMs === 0) return Infinity
    return Math.min(this.#beatDueMs, this.receivedMs + MISSED_HEARTBEATS * this.#heartbeatMs)
  }

  /** Java counts the silence of either direction. A beat that went out waits for its answer. */
  get #beatDueMs(): number {
    return Math.max(this.#beatMs, Math.min(this.receivedMs, this.#sentMs)) + this.#heartbeatMs
  }
}
