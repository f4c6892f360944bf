/**
 * The codec of a dialled connection. One exchange runs at a time, so the connection is also the stream that carries its
 * request.
 */
import type {
  ClientCodec,
  ClientCodecOptions,
  ClientOwner,
  UpstreamHandler,
  UpstreamStream,
  Wire,
} from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { type Exchange, ExchangeState } from '../../core/exchange.ts'
import type { Headers, RequestHead } from '../../core/message.ts'
import { BodyDecoder, BodyEvent } from './body-decoder.ts'
import { BodyWriter } from './body-writer.ts'
import { ConnectionTimer, later } from './connection-timer.ts'
import { EMPTY, Framing, MAX_INFORMATIONAL } from './constants.ts'
import { HeadParser } from './head-parser.ts'
import { HeadKind, type HeadLimits, Parsed } from './head-state.ts'
import { openResponse, responseFraming } from './open-response.ts'
import { Http1Request } from './request.ts'
import { writeRequestHead } from './request-encoder.ts'
import { planRequest } from './request-plan.ts'
import type { Http1Response } from './response.ts'

/** What the next bytes are. */
const Read = {
  /** Nothing: no exchange, or its request is not sent. Bytes are a fault. */
  Idle: 0,
  /** The head of the answer. */
  Head: 1,
  Body: 2,
  /** Another protocol, after 101. */
  Tunnel: 3,
  Closed: 4,
} as const
type Read = (typeof Read)[keyof typeof Read]

/** See {@link ClientCodec} and {@link UpstreamStream}. What an idle connection does not need is made on demand. */
export class Http1Client implements ClientCodec, UpstreamStream {
  readonly #wire: Wire
  readonly #options: ClientCodecOptions
  readonly #limits: HeadLimits
  readonly #handler: UpstreamHandler
  readonly #owner: ClientOwner
  readonly #timer: ConnectionTimer
  readonly #writer = new BodyWriter()
  #read: Read = Read.Idle
  #exchange: Exchange | null = null
  #parser: HeadParser | null = null
  #body: BodyDecoder | null = null
  #isReusable = true
  /** The request of the running exchange was sent to its end. */
  #isSent = false
  #isHead = false
  /** The other end of a tunnel sent FIN. */
  #isAnswered = false
  /** A response that was reported during this read, and its exchange. */
  #response: Http1Response | null = null
  #answered: Exchange | null = null
  #isPaused = false
  /** The connection may serve on after the running exchange. */
  #isKeepAlive = true
  #informational = 0
  /** Exchanges that were opened. */
  #exchanges = 0
  #activeMs: number

  constructor(wire: Wire, options: ClientCodecOptions, handler: UpstreamHandler, owner: ClientOwner) {
    this.#wire = wire
    this.#options = options
    this.#limits = { maxHeadBytes: options.maxHeadBytes, maxHeaders: options.maxHeaders, maxUriBytes: 0 }
    this.#handler = handler
    this.#owner = owner
    this.#timer = new ConnectionTimer(wire)
    this.#activeMs = wire.now()
    this.#timer.arm(later(this.#activeMs, options.idleTimeoutMs))
  }

  get capacity(): number {
    return this.#isReusable && this.#exchange === null ? 1 : 0
  }

  get isReusable(): boolean {
    return this.#isReusable
  }

  get activeStreams(): number {
    return this.#exchange === null ? 0 : 1
  }

  get isReused(): boolean {
    return this.#exchanges > 1
  }

  get isWritable(): boolean {
    return this.#wire.isWritable
  }

  // ─── Output ─────────────────────────────────────────────────────────────────────────────────────────────────

  open(exchange: Exchange): UpstreamStream {
    if (this.capacity === 0) throw new Error('a stream was opened on a connection without capacity')
    this.#exchange = exchange
    this.#exchanges++
    this.#isSent = false
    this.#informational = 0
    const { maxRequests } = this.#options
    this.#isKeepAlive = maxRequests === 0 || this.#exchanges < maxRequests
    return this
  }

  sendRequest(request: RequestHead, last: boolean): void {
    const exchange = this.#exchange
    if (exchange === null || this.#read !== Read.Idle) return
    const plan = planRequest(exchange, request, last, !this.#isKeepAlive)
    this.#isHead = plan.isHead
    this.#writer.begin(plan.framing, plan.length)
    this.#read = Read.Head
    this.#isSent = last
    writeRequestHead(this.#wire, request, exchange, plan)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (this.#exchange === null || this.#isSent) return
    if (!this.#writer.write(this.#wire, bytes, offset, end, last)) {
      this.#fail('INTERNAL', 'the request body is not as long as its head said')
    } else if (last) this.#endRequest()
  }

  sendTrailers(trailers: Headers): void {
    if (this.#exchange === null || this.#isSent) return
    if (!this.#writer.end(this.#wire, trailers)) {
      this.#fail('INTERNAL', 'the request body is not as long as its head said')
    } else this.#endRequest()
  }

  cancel(): void {
    if (this.#exchange === null) return
    this.#exchange = null
    if (this.#read === Read.Idle) {
      // Nothing was sent, so nothing is lost.
      this.#exchanges--
    } else this.#shut(true)
    this.#owner.onCapacity(this)
  }

  pause(): void {
    if (this.#exchange === null || this.#isPaused) return
    this.#isPaused = true
    this.#wire.pauseRead()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#read !== Read.Closed) this.#wire.resumeRead()
  }

  drain(): void {
    this.#isReusable = false
    this.#isKeepAlive = false
    if (this.#exchange === null) this.#shut(false)
  }

  #endRequest(): void {
    this.#isSent = true
    if (this.#read !== Read.Tunnel) return
    this.#wire.end()
    if (this.#isAnswered) this.#endTunnel()
  }

  // ─── Input ──────────────────────────────────────────────────────────────────────────────────────────────────

  onBytes(bytes: Buffer, offset: number, end: number): void {
    while (offset < end && this.#read !== Read.Closed) {
      const exchange = this.#exchange
      if (exchange === null || this.#read === Read.Idle) {
        this.#fail('UPSTREAM_RESET', 'the business process sent bytes that nobody asked for')
        break
      }
      if (this.#read === Read.Head) offset = this.#readHead(exchange, bytes, offset, end)
      else if (this.#read === Read.Body) offset = this.#readBody(exchange, bytes, offset, end)
      else {
        this.#handler.onResponseBody(exchange, bytes, offset, end, false)
        offset = end
      }
    }
    if (this.#response !== null) this.#retainResponse(this.#response)
  }

  /** The bytes of a head are gone when the read is over; most exchanges are, too. */
  #retainResponse(response: Http1Response): void {
    if (this.#answered?.state !== ExchangeState.Finished) response.retain()
    this.#response = null
    this.#answered = null
  }

  onEnd(): void {
    const exchange = this.#exchange
    if (this.#read !== Read.Tunnel || exchange === null) {
      this.#endOfInput(null)
      return
    }
    // The caller may still have something to say: the tunnel ends when both directions have.
    this.#isAnswered = true
    if (this.#isSent) this.#endTunnel()
    this.#handler.onResponseBody(exchange, EMPTY, 0, 0, true)
  }

  onClose(error: Error | null): void {
    if (this.#read !== Read.Closed) this.#endOfInput(error)
    this.#read = Read.Closed
    this.#parser?.abandon()
    this.#parser = null
    this.#body?.abandon()
  }

  onDrain(): void {
    if (this.#exchange !== null) this.#handler.onUpstreamDrain(this.#exchange)
  }

  onTimer(): void {
    this.#timer.fired()
    if (this.#read === Read.Closed) return
    const now = this.#wire.now()
    const { idleTimeoutMs } = this.#options
    if (this.#exchange === null && now >= later(this.#activeMs, idleTimeoutMs)) {
      this.#isReusable = false
      this.#shut(false)
      this.#owner.onCapacity(this)
      return
    }
    this.#timer.arm(later(this.#exchange === null ? this.#activeMs : now, idleTimeoutMs))
  }

  /** The business process sends no more, orderly (`error` is null) or not. */
  #endOfInput(error: Error | null): void {
    const exchange = this.#exchange
    if (
      exchange !== null &&
      this.#read === Read.Body &&
      error === null &&
      this.#body?.framing === Framing.Close
    ) {
      this.#complete()
      this.#handler.onResponseBody(exchange, EMPTY, 0, 0, true)
      this.#settle()
      return
    }
    const detail = error === null ? 'FIN before the answer was complete' : error.message
    this.#fail('UPSTREAM_RESET', detail)
  }

  #readHead(exchange: Exchange, bytes: Buffer, offset: number, end: number): number {
    const parser = (this.#parser ??= HeadParser.acquire(HeadKind.Response, this.#limits))
    const next = parser.read(bytes, offset, end)
    if (parser.outcome === Parsed.More) return end
    this.#parser = null
    const response = parser.outcome === Parsed.Done ? openResponse(parser, this.#isHead, this.#options) : null
    if (response === null) {
      const detail = parser.detail
      parser.abandon()
      this.#fail('UPSTREAM_PROTOCOL', detail)
      return end
    }
    if (response.status === 101 || response.status >= 200) {
      this.#response = response
      this.#answered = exchange
    }
    if (response.status < 200) this.#takeInterim(exchange, response)
    else this.#takeResponse(exchange, response, next < end)
    return next
  }

  /** A 1xx: the real answer follows, or after 101 another protocol. */
  #takeInterim(exchange: Exchange, response: Http1Response): void {
    if (response.status === 101) {
      const request = exchange.request
      const isAsked = request instanceof Http1Request && request.isUpgrade && this.#isSent
      if (!isAsked) {
        this.#response = null
        response.release()
        this.#fail('UPSTREAM_PROTOCOL', 'the business process switched protocols without being asked')
        return
      }
      this.#isReusable = false
      this.#isKeepAlive = false
      this.#read = Read.Tunnel
      this.#isSent = false
      this.#isAnswered = false
      this.#writer.begin(Framing.Tunnel, 0)
      this.#handler.onResponse(exchange, response, false)
      return
    }
    if (++this.#informational > MAX_INFORMATIONAL) {
      response.release()
      this.#fail('UPSTREAM_PROTOCOL', `more than ${MAX_INFORMATIONAL} interim responses`)
      return
    }
    this.#handler.onInformational(exchange, response)
    response.release()
  }

  #takeResponse(exchange: Exchange, response: Http1Response, hasMore: boolean): void {
    if (!response.isKeepAlive) this.#isKeepAlive = false
    if (response.bodyLength === 0) {
      if (hasMore) this.#isKeepAlive = false
      this.#complete()
      this.#handler.onResponse(exchange, response, true)
      this.#settle()
      return
    }
    this.#read = Read.Body
    this.#body ??= new BodyDecoder(this.#limits)
    const framing = responseFraming(response)
    if (framing === Framing.Close) this.#isKeepAlive = false
    this.#body.begin(framing, response.bodyLength)
    this.#handler.onResponse(exchange, response, false)
  }

  #readBody(exchange: Exchange, bytes: Buffer, offset: number, end: number): number {
    const body = this.#body as BodyDecoder
    const event = body.read(bytes, offset, end)
    if (event === BodyEvent.Failed) {
      this.#fail('UPSTREAM_PROTOCOL', body.detail)
      return end
    }
    const { maxBodyBytes } = this.#options
    if (maxBodyBytes > 0 && body.total > maxBodyBytes) {
      this.#fail('UPSTREAM_PROTOCOL', `the answer's body is longer than ${maxBodyBytes} bytes`)
      return end
    }
    const next = body.position
    const isLast = event >= BodyEvent.End || (event === BodyEvent.Data && body.isLast)
    if (isLast) {
      if (next < end) this.#isKeepAlive = false
      this.#complete()
    }
    if (event === BodyEvent.Data) {
      this.#handler.onResponseBody(exchange, bytes, body.dataStart, body.dataEnd, body.isLast)
    } else if (event === BodyEvent.End) this.#handler.onResponseBody(exchange, EMPTY, 0, 0, true)
    else if (event === BodyEvent.Trailers) {
      const trailers = body.takeTrailers()
      this.#handler.onResponseTrailers(exchange, trailers)
      trailers.release()
    }
    if (isLast) this.#settle()
    return next
  }

  #endTunnel(): void {
    this.#complete()
    this.#settle()
  }

  // ─── The end of an exchange and of the connection ───────────────────────────────────────────────────────────

  /**
   * The answer is complete: the connection is free before the handler hears of it, so that what the handler still says
   * to the old stream finds none. Whether it may serve on is decided by {@link Http1Client.#settle}, when the handler is done.
   */
  #complete(): void {
    if (!this.#isSent) this.#isKeepAlive = false
    if (!this.#isKeepAlive) this.#isReusable = false
    this.#exchange = null
    this.#read = Read.Idle
    this.#activeMs = this.#wire.now()
    this.resume()
  }

  #settle(): void {
    if (!this.#isReusable && this.#exchange === null) this.#shut(false)
    this.#owner.onCapacity(this)
  }

  /** Ends the connection, and the exchange that runs on it with an error. */
  #fail(code: ErrorCode, detail: string): void {
    const exchange = this.#exchange
    this.#exchange = null
    this.#isReusable = false
    this.#shut(true)
    if (exchange !== null) this.#handler.onUpstreamFailed(exchange, new GatewayError(code, detail))
    this.#owner.onCapacity(this)
  }

  #shut(isAbrupt: boolean): void {
    this.#isReusable = false
    if (this.#read === Read.Closed) return
    this.#read = Read.Closed
    if (isAbrupt) this.#wire.destroy()
    else this.#wire.close()
  }
}
