/** The business process's half of one exchange. */
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../core/message.ts'
import type { Translation } from '../../core/route.ts'
import { RpcClientStream, type RpcClientStreamOwner } from '../rpc/client-stream.ts'
import { timeLeftMs } from '../rpc/time-left.ts'
import { changedHeaders, type DubboAttachments, Located } from './attachments.ts'
import { DubboCall } from './call.ts'
import { Flag, HEADER_LENGTH, Status } from './constants.ts'
import { type Renaming, sendFrame } from './encode.ts'
import { DubboRequest } from './request.ts'
import { DubboReply } from './response.ts'

const NO_BODY = Buffer.alloc(0)

/** What a stream needs from the connection it belongs to. */
export interface ClientStreamOwner extends RpcClientStreamOwner {
  /** Gives the stream its id. */
  begin(stream: ClientStream, serialization: number): void
}

/** See {@link RpcClientStream}. */
export class ClientStream extends RpcClientStream<ClientStreamOwner> {
  /** What turns a translated answer into JSON; null for a request that is passed on. */
  call: DubboCall | null = null

  constructor(owner: ClientStreamOwner, exchange: Exchange, isReused: boolean) {
    super(owner, exchange, isReused)
  }

  protected prepare(exchange: Exchange, request: RequestHead): GatewayError | null {
    return request instanceof DubboRequest ? null : this.#prepareCall(request, exchange)
  }

  protected send(exchange: Exchange, request: RequestHead, bytes: Buffer, offset: number, end: number): void {
    if (this.owner.isOver)
      this.endLater(new GatewayError('UPSTREAM_REFUSED', 'the connection takes no more requests'))
    else if (request instanceof DubboRequest) this.#forward(request, exchange, bytes, offset, end)
    else this.#translate(this.call as DubboCall, exchange, bytes, offset, end)
  }

  protected oneWayAnswer(): ResponseHead {
    return new DubboReply(Status.Ok, 0, NO_BODY)
  }

  /** Looks whether a request of another protocol can become a call. */
  #prepareCall(request: RequestHead, exchange: Exchange): GatewayError | null {
    if (request.protocol === 'bolt') {
      return new GatewayError('FEATURE_UNSUPPORTED', 'a Bolt request cannot go to a Dubbo cluster')
    }
    const call = exchange.translation?.call ?? null
    if (call === null) {
      const name = exchange.route?.name ?? ''
      return new GatewayError(
        'NO_ROUTE',
        `route ${name} leads a ${request.protocol} request to a Dubbo cluster: give its \`to\` a service, method and parameters`,
      )
    }
    if (!(call instanceof DubboCall))
      return new GatewayError('INTERNAL', 'the call was compiled for another protocol')
    this.call = call
    return null
  }

  #forward(request: DubboRequest, exchange: Exchange, bytes: Buffer, offset: number, end: number): void {
    const { owner } = this
    let source = request
    if (exchange.requestBody !== null) {
      // A filter gave the body: it need not be the one whose positions are known.
      source = new DubboRequest(request.flag, bytes, offset, end)
      if (request.headers.isChanged) request.headers.repeatOn(source.headers)
    }
    const translation = exchange.translation
    const renaming = translation === null ? null : rename(source, translation)
    if (renaming instanceof GatewayError) {
      this.endLater(renaming)
      return
    }
    let headers: DubboAttachments | null = null
    if (source.headers.isChanged) {
      headers = changedHeaders(source.headers)
      if (headers !== null) limitTime(headers, request, exchange, owner.wire.now())
    }
    if (source.isBroken) {
      this.endLater(new GatewayError('BAD_REQUEST', 'the attachments cannot be read'))
      return
    }
    owner.begin(this, request.serialization)
    const flag = request.flag & (Flag.Request | Flag.TwoWay | Flag.Serialization)
    sendFrame(owner.wire, flag, 0, 0, this.id, bytes, offset, end, headers, renaming)
    // Nobody answers it: its exchange ends with a success of ours.
    if (request.isOneWay) this.endLater(null)
  }

  #translate(call: DubboCall, exchange: Exchange, bytes: Buffer, offset: number, end: number): void {
    const { owner } = this
    let body: Buffer
    try {
      body = call.encode(exchange, bytes, offset, end, owner.app, owner.wire.now())
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      this.endLater(error)
      return
    }
    const length = HEADER_LENGTH + body.length
    if (length > owner.maxFrameBytes) {
      this.endLater(this.tooLong(length))
      return
    }
    owner.begin(this, call.serialization)
    const flag = Flag.Request | Flag.TwoWay | call.serialization
    sendFrame(owner.wire, flag, 0, 0, this.id, body, 0, body.length, null, null)
  }
}

/** What a route's `to` changes about the service; null when it changes nothing. */
function rename(request: DubboRequest, to: Translation): Renaming | GatewayError | null {
  const service = to.service === request.service ? '' : to.service
  const version = to.version === request.version ? '' : to.version
  if (service === '' && version === '' && to.group === '') return null
  if (!request.isReadable) {
    return new GatewayError(
      'FEATURE_UNSUPPORTED',
      `a request of serialization ${request.serialization} cannot be sent to another service`,
    )
  }
  const { headers } = request
  if (headers.locate() !== Located.Found)
    return new GatewayError('BAD_REQUEST', 'the attachments cannot be read')
  if (service !== '') {
    headers.set('path', service)
    if (headers.has('interface')) headers.set('interface', service)
  }
  if (version !== '') headers.set('version', version)
  if (to.group !== '' && to.group !== request.group) headers.set('group', to.group)
  return service === '' && version === '' ? null : { request, path: service, version }
}

/** Tells the provider a timeout that is shorter than the caller's; only where the attachments are written anyway. */
function limitTime(
  headers: DubboAttachments,
  request: DubboRequest,
  exchange: Exchange,
  nowMs: number,
): void {
  const limitMs = exchange.route?.timeoutMs ?? 0
  if (limitMs === 0 || exchange.deadlineMs === 0) return
  const { budgetMs } = request
  if (budgetMs > 0 && budgetMs <= limitMs) return
  headers.set('timeout', `${timeLeftMs(exchange, nowMs)}`)
}
