/** The business process's half of one exchange. */
import type { UpstreamHandler, UpstreamStream, Wire } from '../../core/codec.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { RequestHead } from '../../core/message.ts'
import type { Translation } from '../../core/route.ts'
import { changedHeaders, type DubboAttachments, Located } from './attachments.ts'
import { DubboCall } from './call.ts'
import { Flag, Status } from './constants.ts'
import { type Renaming, sendFrame } from './encode.ts'
import { Pieces } from './pieces.ts'
import { DubboRequest } from './request.ts'
import { DubboReply } from './response.ts'

const NO_BODY = Buffer.alloc(0)

/** What a stream needs from the connection it belongs to. */
export interface ClientStreamOwner {
  readonly wire: Wire
  readonly handler: UpstreamHandler
  readonly maxFrameBytes: number
  /** Own application, told to providers as the caller of translated operations. */
  readonly app: string
  /** Gives the stream its id; false when nothing may be sent any more. */
  begin(stream: ClientStream, serialization: number): boolean
  closeStream(stream: ClientStream): void
  /** Has `stream.report()` called when the running call is over. */
  reportLater(stream: ClientStream): void
}

/** See {@link UpstreamStream}. Its frame goes out with the last piece of the request's body. */
export class ClientStream implements UpstreamStream {
  /** 0 before it has been sent. */
  id = 0
  isClosed = false
  readonly isReused: boolean
  /** Null once nobody waits for events any more. */
  exchange: Exchange | null
  /** What turns a translated answer into JSON; null for a request that is passed on. */
  call: DubboCall | null = null
  readonly #owner: ClientStreamOwner
  #request: RequestHead | null = null
  #pieces: Pieces | null = null
  /** What {@link ClientStream.report} tells; null for the end of a one-way request. */
  #failure: GatewayError | null = null

  constructor(owner: ClientStreamOwner, exchange: Exchange, isReused: boolean) {
    this.#owner = owner
    this.exchange = exchange
    this.isReused = isReused
  }

  get isWritable(): boolean {
    return this.#owner.wire.isWritable
  }

  sendRequest(request: RequestHead, last: boolean): void {
    const { exchange } = this
    if (exchange === null || this.#request !== null || this.isClosed) return
    const failure = request instanceof DubboRequest ? null : this.#prepareCall(request, exchange)
    if (failure !== null) {
      this.#failLater(failure)
      return
    }
    this.#request = request
    if (last) this.onBody(NO_BODY, 0, 0)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (this.#request === null || this.isClosed) return
    if (last && this.#pieces === null) {
      this.onBody(bytes, offset, end)
      return
    }
    this.#pieces ??= new Pieces()
    const limit = this.#owner.maxFrameBytes
    if (limit > 0 && this.#pieces.length + end - offset > limit) {
      this.#failLater(new GatewayError('BODY_TOO_LARGE', `the body is above maxFrameBytes (${limit})`))
    } else this.#pieces.add(bytes, offset, end, last, this)
  }

  /** Dubbo has no trailers: the request just ends. */
  sendTrailers(): void {
    this.sendBody(NO_BODY, 0, 0, true)
  }

  cancel(): void {
    this.exchange = null
    this.#close()
  }

  /** Responses arrive whole. */
  pause(): void {}
  resume(): void {}

  /** The body is whole: writes the frame. */
  onBody(bytes: Buffer, offset: number, end: number): void {
    const request = this.#request
    const { exchange } = this
    if (request === null || exchange === null) return
    if (request instanceof DubboRequest) this.#forward(request, exchange, bytes, offset, end)
    else this.#translate(this.call as DubboCall, exchange, bytes, offset, end)
  }

  /** The connection is gone, or the peer broke the rules. */
  fail(error: GatewayError): void {
    const { exchange } = this
    this.exchange = null
    this.#close()
    if (exchange !== null) this.#owner.handler.onUpstreamFailed(exchange, error)
  }

  /** Tells what happened while the dispatcher was calling us. */
  report(): void {
    const { exchange } = this
    this.exchange = null
    if (exchange === null) return
    const { handler } = this.#owner
    if (this.#failure !== null) handler.onUpstreamFailed(exchange, this.#failure)
    else handler.onResponse(exchange, new DubboReply(Status.Ok, 0, NO_BODY), true)
  }

  /** Looks whether a request of another protocol can become a call. */
  #prepareCall(request: RequestHead, exchange: Exchange): GatewayError | null {
    if (request.protocol === 'bolt') {
      return new GatewayError('FEATURE_UNSUPPORTED', 'a Bolt request cannot go to a Dubbo cluster')
    }
    const call = exchange.route?.translation?.call ?? null
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
    let source = request
    if (exchange.requestBody !== null) {
      // A filter gave the body: it need not be the one whose positions are known.
      source = new DubboRequest(request.flag, bytes, offset, end)
      if (request.headers.isChanged) request.headers.repeatOn(source.headers)
    }
    const translation = exchange.route?.translation ?? null
    const renaming = translation === null ? null : rename(source, translation)
    if (renaming instanceof GatewayError) {
      this.#failLater(renaming)
      return
    }
    let headers: DubboAttachments | null = null
    if (source.headers.isChanged) {
      headers = changedHeaders(source.headers)
      if (headers !== null) limitTime(headers, request, exchange, this.#owner.wire.now())
    }
    if (source.isBroken) {
      this.#failLater(new GatewayError('BAD_REQUEST', 'the attachments cannot be read'))
      return
    }
    if (!this.#owner.begin(this, request.serialization)) {
      this.#failLater(new GatewayError('UPSTREAM_REFUSED', 'the connection takes no more requests'))
      return
    }
    const flag = request.flag & (Flag.Request | Flag.TwoWay | Flag.Serialization)
    sendFrame(this.#owner.wire, flag, 0, 0, this.id, bytes, offset, end, headers, renaming)
    // Nobody answers it: its exchange ends with a success of ours.
    if (request.isOneWay) this.#endLater()
  }

  #translate(call: DubboCall, exchange: Exchange, bytes: Buffer, offset: number, end: number): void {
    let body: Buffer
    try {
      const { app, wire, maxFrameBytes } = this.#owner
      body = call.encode(exchange, bytes, offset, end, app, wire.now(), maxFrameBytes)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      this.#failLater(error)
      return
    }
    if (!this.#owner.begin(this, call.serialization)) {
      this.#failLater(new GatewayError('UPSTREAM_REFUSED', 'the connection takes no more requests'))
      return
    }
    const flag = Flag.Request | Flag.TwoWay | call.serialization
    sendFrame(this.#owner.wire, flag, 0, 0, this.id, body, 0, body.length, null, null)
  }

  #failLater(failure: GatewayError): void {
    this.#failure = failure
    this.#endLater()
  }

  #endLater(): void {
    this.#close()
    this.#owner.reportLater(this)
  }

  #close(): void {
    this.#request = null
    this.#pieces = null
    if (!this.isClosed) this.#owner.closeStream(this)
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
  headers.set('timeout', `${Math.max(1, Math.floor(exchange.deadlineMs - nowMs))}`)
}
