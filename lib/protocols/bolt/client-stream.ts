/** The business process's half of one exchange. */
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../core/message.ts'
import type { Translation } from '../../core/route.ts'
import { RpcClientStream, type RpcClientStreamOwner } from '../rpc/client-stream.ts'
import { timeLeftMs } from '../rpc/time-left.ts'
import { BoltCall } from './call.ts'
import { CrcVersion, FrameType, Key, Proto, Status } from './constants.ts'
import { writeForwarded } from './encoder.ts'
import type { Hop } from './frame.ts'
import { BoltRequest } from './request.ts'
import { BoltReply } from './response.ts'
import { uniqueName } from './service-names.ts'

const NO_BYTES = Buffer.alloc(0)
const NO_LIMIT = -1

/** What a stream needs from the connection it belongs to. */
export interface ClientStreamOwner extends RpcClientStreamOwner {
  /** Gives the stream its id and the version of its hop; `proto` is the version its request came in. */
  begin(stream: BoltClientStream, proto: number): void
}

/** See {@link RpcClientStream}. As a {@link Hop} it says how its request is written. */
export class BoltClientStream extends RpcClientStream<ClientStreamOwner> implements Hop {
  proto: number = Proto.V1
  crcVersion: number = CrcVersion.Never
  switchByte = 0
  isOneWay = false
  /** What the operation is translated to; null for a request that came over Bolt. */
  call: BoltCall | null = null

  constructor(owner: ClientStreamOwner, exchange: Exchange, isReused: boolean) {
    super(owner, exchange, isReused)
  }

  protected prepare(exchange: Exchange, request: RequestHead): GatewayError | null {
    if (request instanceof BoltRequest) return null
    const call = exchange.translation?.call ?? null
    if (call instanceof BoltCall) {
      this.call = call
      return null
    }
    if (request.protocol === 'dubbo')
      return new GatewayError('FEATURE_UNSUPPORTED', 'a Dubbo request cannot become a Bolt request')
    const detail = `the route of this ${request.protocol} request leads to a bolt cluster and names no method to call`
    return new GatewayError('NO_ROUTE', detail)
  }

  protected send(exchange: Exchange, request: RequestHead, bytes: Buffer, offset: number, end: number): void {
    const refusal = this.#refusal(exchange, request)
    if (refusal !== null) this.endLater(new GatewayError(refusal))
    else if (request instanceof BoltRequest) this.#forward(exchange, request, bytes, offset, end)
    else if (this.call !== null) this.#sendCall(exchange, this.call, bytes, offset, end)
  }

  protected oneWayAnswer(): ResponseHead {
    return new BoltReply(Status.Success, '', NO_BYTES)
  }

  #forward(exchange: Exchange, request: BoltRequest, bytes: Buffer, offset: number, end: number): void {
    const { owner } = this
    const translation = exchange.translation
    if (translation !== null) rename(request, translation)
    this.isOneWay = request.isOneWay
    owner.begin(this, request.proto)
    if (this.proto === request.proto) {
      this.crcVersion = request.crcVersion
      this.switchByte = request.switchByte
    }
    const isUnlimited = request.isOneWay && request.timeoutMs <= 0
    const timeoutMs = isUnlimited ? 0 : timeLeftMs(exchange, owner.wire.now())
    writeForwarded(
      owner.wire,
      request,
      request.isOneWay ? FrameType.OneWay : FrameType.Request,
      this,
      timeoutMs === 0 ? request.timeoutMs : timeoutMs,
      bytes,
      offset,
      end,
    )
    if (request.isOneWay) this.endLater(null)
  }

  #sendCall(exchange: Exchange, call: BoltCall, bytes: Buffer, offset: number, end: number): void {
    const { app, wire, maxFrameBytes } = this.owner
    const failure = call.encode(exchange, app, bytes, offset, end)
    if (failure !== null) {
      this.endLater(failure)
      return
    }
    if (call.frameLimit > maxFrameBytes) {
      this.endLater(this.tooLong(call.frameLimit))
      return
    }
    this.owner.begin(this, Proto.V1)
    call.write(wire, this, timeLeftMs(exchange, wire.now()) || NO_LIMIT)
  }

  /** Why the request cannot be sent; null when it can. */
  #refusal(exchange: Exchange, request: RequestHead): ErrorCode | null {
    if (this.owner.isOver) return 'UPSTREAM_REFUSED'
    const { budgetMs } = request
    return budgetMs > 0 && budgetMs <= this.owner.wire.now() - exchange.startMs ? 'DEADLINE_EXCEEDED' : null
  }
}

/** Sends the request to another service. The header block decides: what the content says is not looked at by SOFARPC. */
function rename(request: BoltRequest, translation: Translation): void {
  const { service, version, group } = translation
  if (service === '' && version === '' && group === '') return
  const name = uniqueName(service || request.service, version || request.version, group || request.group)
  const { headers } = request
  headers.set(Key.Service, name)
  if (headers.has(Key.TargetService)) headers.set(Key.TargetService, name)
}
