/**
 * The codec of an accepted connection: its input, its end and its time; {@link ServerStream} is its output. One exchange
 * runs at a time, and what a pipelining caller sends meanwhile waits in a backlog.
 */
import type {
  DownstreamHandler,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../../core/codec.ts'
import { type ErrorCode, GatewayError } from '../../core/errors.ts'
import { Exchange } from '../../core/exchange.ts'
import { BodyDecoder, BodyEvent } from './body-decoder.ts'
import { ConnectionTimer, later } from './connection-timer.ts'
import { DRAIN_QUIET_MS, EMPTY, Framing, LINGER_BYTES, LINGER_MS, MAX_DRAIN_BYTES } from './constants.ts'
import { HeadParser } from './head-parser.ts'
import { HeadKind, Parsed } from './head-state.ts'
import { InputGate, Read } from './input-gate.ts'
import { openRequest } from './open-request.ts'
import type { Http1Request } from './request.ts'
import { writeRefusal } from './response-encoder.ts'
import { ServerStream, type StreamConnection } from './server-stream.ts'

/** See {@link ServerCodec}. What an idle connection does not need is made on demand. */
export class Http1Server implements ServerCodec, StreamConnection {
  readonly #wire: Wire
  readonly #options: ServerCodecOptions
  readonly #handler: DownstreamHandler
  readonly #context: ServerContext
  readonly #timer: ConnectionTimer
  readonly #gate: InputGate
  #read: Read = Read.Head
  #stream: ServerStream | null = null
  #parser: HeadParser | null = null
  #body: BodyDecoder | null = null
  /** True inside the loop over input: whoever changes the state leaves it to that loop to go on. */
  #isBusy = false
  isDraining = false
  /** The peer sent FIN. */
  #isEnded = false
  /** The running exchange was reported as failed. */
  #isFailed = false
  #hasServed = false
  /** When bytes came or an exchange ended the last time. */
  #activeMs: number
  /** When the incomplete head began, or the end of the connection. */
  #sinceMs = 0
  #quietMs = DRAIN_QUIET_MS
  /** Bytes dropped while draining or discarding. */
  #dropped = 0

  constructor(wire: Wire, options: ServerCodecOptions, handler: DownstreamHandler, context: ServerContext) {
    this.#wire = wire
    this.#options = options
    this.#handler = handler
    this.#context = context
    this.#timer = new ConnectionTimer(wire)
    this.#gate = new InputGate(wire)
    this.#activeMs = wire.now()
    this.#timer.arm(this.#deadline(this.#activeMs))
  }

  get activeExchanges(): number {
    return this.#exchange === null ? 0 : 1
  }

  get #exchange(): Exchange | null {
    return this.#stream === null ? null : this.#stream.exchange
  }

  // ─── Input ──────────────────────────────────────────────────────────────────────────────────────────────────

  onBytes(bytes: Buffer, offset: number, end: number): void {
    this.#activeMs = this.#wire.now()
    if (this.#isBusy || this.#gate.hasBacklog) {
      this.#gate.keep(bytes, offset, end, this.#read)
      if (!this.#isBusy) this.#advance()
      return
    }
    const next = this.#run(bytes, offset, end)
    if (next < end) this.#gate.keep(bytes, next, end, this.#read)
    if (this.#gate.hasBacklog) this.#advance()
    if (this.#read === Read.Body) this.#timer.arm(this.#deadline(this.#activeMs))
  }

  onEnd(): void {
    this.#isEnded = true
    const exchange = this.#exchange
    if (this.#read === Read.Tunnel) {
      if (exchange !== null) this.#handler.onRequestBody(exchange, EMPTY, 0, 0, true)
    } else if (this.#read === Read.Body) {
      this.#failRequest('DOWNSTREAM_GONE', 'FIN before the end of the request body', false)
    } else if (this.#read === Read.Head) {
      if (this.#parser !== null) {
        const error = new GatewayError('DOWNSTREAM_GONE', 'FIN before the end of the request head')
        this.#handler.onProtocolError(error, this.#wire.peer, 0)
      }
      this.#close()
    } else if (exchange === null) this.#close()
  }

  onDrain(): void {
    const exchange = this.#exchange
    if (exchange !== null) this.#handler.onDownstreamDrain(exchange)
  }

  onClose(error: Error | null): void {
    this.#read = Read.Closed
    this.#parser?.abandon()
    this.#parser = null
    this.#body?.abandon()
    this.#gate.clear()
    const exchange = this.#exchange
    if (this.#stream === null || exchange === null) return
    this.#stream.exchange = null
    if (this.#isFailed) return
    const detail = error === null ? 'the connection was closed' : error.message
    this.#handler.onDownstreamFailed(exchange, new GatewayError('DOWNSTREAM_GONE', detail), false)
  }

  /** Consumes input until it is used up or has to wait. A loop, so that pipelined requests do not pile up on the stack. */
  #run(bytes: Buffer, offset: number, end: number): number {
    this.#isBusy = true
    while (offset < end && this.#read !== Read.Waiting) {
      if (this.#read === Read.Head) offset = this.#readHead(bytes, offset, end)
      else if (this.#read === Read.Body || this.#read === Read.Drain)
        offset = this.#readBody(bytes, offset, end)
      else {
        const exchange = this.#exchange
        if (this.#read !== Read.Tunnel) this.#discard(end - offset)
        else if (exchange !== null) this.#handler.onRequestBody(exchange, bytes, offset, end, false)
        offset = end
      }
    }
    this.#isBusy = false
    // The bytes of a head are gone when the read is over; an exchange that goes on needs its own.
    this.#exchange?.request.retain()
    return offset
  }

  /** Works off the backlog as far as the state allows; closes when nothing can follow any more. */
  #advance(): void {
    const gate = this.#gate
    while (gate.hasBacklog && this.#read !== Read.Waiting) {
      const held = gate.take()
      held.consumeTo(this.#run(held.bytes, held.start, held.end))
      gate.putBack(held, this.#read)
    }
    gate.update(this.#read)
    if (this.#isEnded && this.#read === Read.Head && !gate.hasBacklog) this.#close()
  }

  #readHead(bytes: Buffer, offset: number, end: number): number {
    const isFirst = this.#parser === null
    const parser = (this.#parser ??= HeadParser.acquire(HeadKind.Request, this.#options))
    const next = parser.read(bytes, offset, end)
    if (parser.outcome === Parsed.More) {
      if (isFirst) this.#sinceMs = this.#activeMs
      this.#timer.arm(this.#deadline(this.#activeMs))
      return end
    }
    this.#parser = null
    const request =
      parser.outcome === Parsed.Done ? openRequest(parser, this.#options, this.#wire.peer) : null
    if (request !== null) {
      this.#begin(request)
      return next
    }
    const { code, detail } = parser
    parser.abandon()
    this.#refuse(code, detail)
    return end
  }

  #begin(request: Http1Request): void {
    const last = request.bodyLength === 0
    this.#isFailed = false
    this.#hasServed = true
    if (last) this.#read = Read.Waiting
    else {
      this.#read = Read.Body
      this.#body ??= new BodyDecoder(this.#options)
      this.#body.begin(request.bodyLength < 0 ? Framing.Chunked : Framing.Length, request.bodyLength)
    }
    const stream = (this.#stream ??= new ServerStream(this.#wire, this))
    const { listener, timeouts } = this.#context
    const exchange = new Exchange(request, stream, this.#wire.peer, listener, this.#wire.now(), timeouts)
    stream.begin(exchange)
    this.#handler.onRequest(exchange, last)
    if (request.isExpecting) stream.continueHeld(exchange)
  }

  #readBody(bytes: Buffer, offset: number, end: number): number {
    const body = this.#body as BodyDecoder
    const event = body.read(bytes, offset, end)
    if (event === BodyEvent.Failed) {
      this.#failRequest('BAD_REQUEST', body.detail, true)
      return end
    }
    const { maxBodyBytes } = this.#options
    if (maxBodyBytes > 0 && body.total > maxBodyBytes) {
      this.#failRequest('BODY_TOO_LARGE', `the request body is longer than ${maxBodyBytes} bytes`, true)
      return end
    }
    const next = body.position
    const exchange = this.#exchange
    if (this.#read === Read.Drain || exchange === null) this.#drainBody(event, next - offset)
    else this.#passBody(exchange, body, event, bytes)
    return next
  }

  #passBody(exchange: Exchange, body: BodyDecoder, event: BodyEvent, bytes: Buffer): void {
    if (event === BodyEvent.Data) {
      if (body.isLast) this.#read = Read.Waiting
      this.#handler.onRequestBody(exchange, bytes, body.dataStart, body.dataEnd, body.isLast)
    } else if (event === BodyEvent.End) {
      this.#read = Read.Waiting
      this.#handler.onRequestBody(exchange, EMPTY, 0, 0, true)
    } else if (event === BodyEvent.Trailers) {
      this.#read = Read.Waiting
      const trailers = body.takeTrailers()
      this.#handler.onRequestTrailers(exchange, trailers)
      trailers.release()
    }
  }

  #drainBody(event: BodyEvent, length: number): void {
    const body = this.#body as BodyDecoder
    this.#dropped += length
    // Only a chunked body can be this long: the answer promised the connection before anybody knew.
    if (this.#dropped > LINGER_BYTES) this.#closeGently()
    else if (event >= BodyEvent.End || (event === BodyEvent.Data && body.isLast)) {
      body.abandon()
      this.#read = Read.Head
    }
  }

  #discard(length: number): void {
    this.#dropped += length
    if (this.#dropped > LINGER_BYTES) this.destroy()
  }

  // ─── What the stream asks for ───────────────────────────────────────────────────────────────────────────────

  canServeOn(request: Http1Request, isContinued: boolean): boolean {
    if (this.#read !== Read.Body) return this.#read === Read.Waiting
    const body = this.#body as BodyDecoder
    // Who waits for 100 may or may not send its body after a final answer.
    if (request.isExpecting && !isContinued && body.total === 0) return false
    return body.framing === Framing.Chunked || body.remaining <= MAX_DRAIN_BYTES
  }

  startTunnel(request: Http1Request): boolean {
    if (!request.isUpgrade || this.#read !== Read.Waiting) return false
    this.#read = Read.Tunnel
    return true
  }

  feedTunnel(): void {
    if (!this.#isBusy) this.#advance()
  }

  hold(isPaused: boolean): void {
    this.#gate.isPaused = isPaused
    this.#gate.update(this.#read)
  }

  finished(isKeepAlive: boolean): void {
    if (this.#read === Read.Closed) return
    this.#gate.isPaused = false
    this.#activeMs = this.#wire.now()
    if (!isKeepAlive || this.#read === Read.Discard || this.#read === Read.Tunnel) this.#closeGently()
    else if (this.#read === Read.Waiting) this.#read = Read.Head
    else {
      this.#read = Read.Drain
      this.#dropped = 0
    }
    if (this.isDraining) this.#timer.arm(this.#deadline(this.#activeMs))
    if (!this.#isBusy) this.#advance()
  }

  destroy(): void {
    if (this.#read === Read.Closed) return
    this.#read = Read.Closed
    this.#wire.destroy()
  }

  // ─── The end ────────────────────────────────────────────────────────────────────────────────────────────────

  drain(graceMs: number): void {
    if (this.isDraining) return
    this.isDraining = true
    this.#quietMs = Math.min(graceMs, DRAIN_QUIET_MS)
    // A request may be on its way: it is still answered when it arrives within the quiet time.
    this.#activeMs = this.#wire.now()
    this.#timer.arm(this.#deadline(this.#activeMs))
  }

  /** Answers a head that makes no exchange, and closes. */
  #refuse(code: ErrorCode, detail: string): void {
    const error = new GatewayError(code, detail)
    const status = writeRefusal(this.#wire, error)
    this.#handler.onProtocolError(error, this.#wire.peer, status)
    this.#closeGently()
  }

  /** Ends the request of the running exchange for a reason of its caller's; what follows is dropped. */
  #failRequest(code: ErrorCode, detail: string, canReply: boolean): void {
    this.#body?.abandon()
    const exchange = this.#exchange
    if (exchange === null) {
      this.#closeGently()
      return
    }
    this.#read = Read.Discard
    this.#dropped = 0
    this.#isFailed = true
    const canAnswer = canReply && (this.#stream as ServerStream).canReply
    this.#handler.onDownstreamFailed(exchange, new GatewayError(code, detail), canAnswer)
  }

  /** Sends FIN and reads on for a while: closing at once with unread input would reset the connection and take the answer along. */
  #closeGently(): void {
    if (this.#read === Read.Closed) return
    if (this.#isEnded) {
      this.#close()
      return
    }
    this.#read = Read.Discard
    this.#dropped = 0
    this.#gate.clear()
    this.#gate.isPaused = false
    this.#wire.end()
    this.#gate.update(this.#read)
    this.#sinceMs = this.#wire.now()
    this.#timer.arm(this.#deadline(this.#sinceMs))
  }

  #close(): void {
    if (this.#read === Read.Closed) return
    this.#read = Read.Closed
    this.#wire.close()
  }

  // ─── Time ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** When the connection is to be looked at again. */
  #deadline(now: number): number {
    const { headerTimeoutMs, idleTimeoutMs } = this.#options
    switch (this.#read) {
      case Read.Head:
        if (this.#parser !== null) return later(this.#sinceMs, headerTimeoutMs)
        if (this.isDraining) return this.#activeMs + this.#quietMs
        return later(this.#activeMs, this.#hasServed ? idleTimeoutMs : headerTimeoutMs)
      case Read.Body:
        return later(this.#gate.isPaused ? now : this.#activeMs, idleTimeoutMs)
      case Read.Drain:
        return later(this.#activeMs, idleTimeoutMs)
      case Read.Discard:
        return this.#exchange === null ? this.#sinceMs + LINGER_MS : later(now, idleTimeoutMs)
      case Read.Closed:
        return Infinity
      default:
        return later(now, idleTimeoutMs)
    }
  }

  onTimer(): void {
    this.#timer.fired()
    if (this.#read === Read.Closed) return
    const now = this.#wire.now()
    const deadline = this.#deadline(now)
    if (now >= deadline) this.#expire()
    else if (this.#exchange !== null && this.#timer.isStalled((this.#stream as ServerStream).written))
      this.destroy()
    this.#timer.arm(this.#deadline(now))
  }

  #expire(): void {
    if (this.#read === Read.Body) {
      this.#failRequest('REQUEST_TIMEOUT', 'the request body stopped', true)
      return
    }
    if (this.#parser === null) {
      this.#close()
      return
    }
    this.#parser.abandon()
    this.#parser = null
    this.#refuse('REQUEST_TIMEOUT', 'the request head took too long')
  }
}
