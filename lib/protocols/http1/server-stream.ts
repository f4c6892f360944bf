/** The output of an accepted connection: what the exchange that runs on it answers to. */
import type { DownstreamStream, LocalReply, Wire } from '../../core/codec.ts'
import type { GatewayError } from '../../core/errors.ts'
import { type Exchange, ExchangeState } from '../../core/exchange.ts'
import type { Headers, ResponseHead } from '../../core/message.ts'
import { BodyWriter } from './body-writer.ts'
import { CONTINUE, ConnectionLine, Framing } from './constants.ts'
import { errorReply, localReply } from './replies.ts'
import type { Http1Request } from './request.ts'
import { writeResponseHead } from './response-encoder.ts'
import { planResponse } from './response-plan.ts'

/** How much of the running exchange's response went out. */
const Reply = { None: 0, Started: 1, Done: 2 } as const
type Reply = (typeof Reply)[keyof typeof Reply]

/** What the stream needs of its connection. */
export interface StreamConnection {
  readonly isDraining: boolean
  /** Whether the next request can be found behind the running one. `isContinued` when its caller was told to send the body. */
  canServeOn(request: Http1Request, isContinued: boolean): boolean
  /** Turns the input into a tunnel; false when the request does not allow it. */
  startTunnel(request: Http1Request): boolean
  /** Passes on what arrived behind the request that opened the tunnel. */
  feedTunnel(): void
  /** Holds the input back or lets it come. */
  hold(isPaused: boolean): void
  /** The exchange is over; its response is complete. */
  finished(isKeepAlive: boolean): void
  /** Closes at once. */
  destroy(): void
}

/** See {@link DownstreamStream}. One object serves all exchanges of a connection, one after the other. */
export class ServerStream implements DownstreamStream {
  readonly #wire: Wire
  readonly #connection: StreamConnection
  readonly #writer = new BodyWriter()
  #reply: Reply = Reply.None
  #isKeepAlive = true
  #isContinued = false
  /** The running exchange, null between two. */
  exchange: Exchange | null = null
  /** Bytes of bodies written so far, to tell a slow caller from a stalled one. */
  written = 0

  constructor(wire: Wire, connection: StreamConnection) {
    this.#wire = wire
    this.#connection = connection
  }

  /** The next exchange answers here. */
  begin(exchange: Exchange): void {
    this.exchange = exchange
    this.#reply = Reply.None
    this.#isContinued = false
    this.#isKeepAlive = (exchange.request as Http1Request).isKeepAlive
  }

  get isWritable(): boolean {
    return this.#wire.isWritable
  }

  /** True while an error could still be answered. */
  get canReply(): boolean {
    return this.#reply === Reply.None
  }

  sendInformational(response: ResponseHead): void {
    if (this.exchange === null || this.#reply !== Reply.None) return
    const request = this.exchange.request as Http1Request
    if (request.minor === 0 || response.status === 101) return
    if (response.status === 100) {
      // Only who asked for it gets one, and once.
      if (!request.isExpecting || this.#isContinued) return
      this.#isContinued = true
    }
    writeResponseHead(this.#wire, response, response.status, Framing.None, 0, ConnectionLine.None, 0)
  }

  /** Asks for the body of a request that waits for it, in a filter that gathers it or may take its time: no business process will. */
  continueHeld(exchange: Exchange): void {
    if (this.exchange !== exchange || this.#reply !== Reply.None || this.#isContinued) return
    if (exchange.state !== ExchangeState.Filtering) return
    this.#isContinued = true
    this.#wire.write(CONTINUE, 0, CONTINUE.length)
  }

  sendResponse(response: ResponseHead, last: boolean): void {
    const exchange = this.exchange
    if (exchange === null || this.#reply !== Reply.None) return
    const request = exchange.request as Http1Request
    const plan = planResponse(exchange, response, last, request.minor)
    this.#reply = Reply.Started
    if (plan.status === 101) {
      this.#switchProtocols(request, response)
      return
    }
    const connection = this.#connection
    if (
      plan.framing === Framing.Close ||
      connection.isDraining ||
      !connection.canServeOn(request, this.#isContinued)
    ) {
      this.#isKeepAlive = false
    }
    let line: ConnectionLine = ConnectionLine.None
    if (!this.#isKeepAlive) line = ConnectionLine.Close
    else if (request.minor === 0) line = ConnectionLine.KeepAlive
    this.#writer.begin(plan.framing, plan.length)
    writeResponseHead(this.#wire, response, plan.status, plan.framing, plan.length, line, plan.resultStatus)
    if (last) this.#reply = Reply.Done
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (this.exchange === null || this.#reply !== Reply.Started) return
    this.written += end - offset
    if (!this.#writer.write(this.#wire, bytes, offset, end, last)) this.#connection.destroy()
    else if (last) this.#endReply()
  }

  sendTrailers(trailers: Headers): void {
    if (this.exchange === null || this.#reply !== Reply.Started) return
    if (!this.#writer.end(this.#wire, trailers)) this.#connection.destroy()
    else this.#endReply()
  }

  errorReply(error: GatewayError): LocalReply {
    return errorReply(error, this.#isOperation)
  }

  localReply(status: number, resultCode: number, body: Buffer): LocalReply {
    return localReply(status, resultCode, body, this.#isOperation)
  }

  reset(_error: GatewayError): void {
    if (this.exchange === null) return
    this.exchange = null
    this.#connection.destroy()
  }

  pause(): void {
    if (this.exchange !== null) this.#connection.hold(true)
  }

  resume(): void {
    if (this.exchange !== null) this.#connection.hold(false)
  }

  finish(): void {
    if (this.exchange === null) return
    this.exchange = null
    // Neither half an answer nor none can be followed by another one.
    if (this.#reply === Reply.Done) this.#connection.finished(this.#isKeepAlive)
    else this.#connection.destroy()
  }

  get #isOperation(): boolean {
    return this.exchange !== null && this.exchange.request.operation !== ''
  }

  #endReply(): void {
    this.#reply = Reply.Done
    if (this.#writer.framing === Framing.Tunnel) this.#wire.end()
  }

  /** After 101 both directions carry bytes of another protocol until they are closed. */
  #switchProtocols(request: Http1Request, response: ResponseHead): void {
    this.#isKeepAlive = false
    if (!this.#connection.startTunnel(request)) {
      this.#connection.destroy()
      return
    }
    this.#writer.begin(Framing.Tunnel, 0)
    writeResponseHead(this.#wire, response, 101, Framing.None, 0, ConnectionLine.Upgrade, 0)
    this.#connection.feedTunnel()
  }
}
