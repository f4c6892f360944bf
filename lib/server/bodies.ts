/** Bodies on their way: passed on at once, held until somebody can take them, or gathered for a filter. */
import { GatewayError } from '../core/errors.ts'
import { type Exchange, ExchangeState } from '../core/exchange.ts'
import type { Headers } from '../core/message.ts'
import type { Drive } from './drive.ts'
import { pauseRequest, pauseResponse, releaseStream, resumeRequest } from './flow.ts'
import { Hold } from './hold.ts'

/** Body bytes that are held for an exchange before their source is paused. */
const HOLD_BYTES = 64 * 1024
const NOTHING = Buffer.alloc(0)

/** Told what the last piece of a body means for the exchange. Implemented by the dispatcher. */
export interface BodyOwner {
  /** The request body is whole, in `exchange.requestBody`. */
  onRequestGathered(exchange: Exchange, drive: Drive): void
  /** The response body is whole, in `exchange.responseBody`. */
  onResponseGathered(exchange: Exchange, drive: Drive): void
  /** Both ends may be over: a direction ended on the wire. */
  onDirectionEnded(exchange: Exchange, drive: Drive): void
  fail(exchange: Exchange, error: GatewayError): void
}

/** See the file's head. */
export class Bodies {
  readonly #owner: BodyOwner

  constructor(owner: BodyOwner) {
    this.#owner = owner
  }

  /** A piece of the request's body. */
  request(exchange: Exchange, drive: Drive, bytes: Buffer, offset: number, end: number, last: boolean): void {
    exchange.requestBytes += end - offset
    if (last) exchange.requestEnded = true
    const { upstream } = exchange
    if (upstream === null || !drive.requestSent) {
      if (!drive.isLocal) this.#holdRequest(exchange, drive, bytes, offset, end)
      return
    }
    upstream.sendBody(bytes, offset, end, last)
    if (last) {
      releaseStream(exchange, drive)
      this.#owner.onDirectionEnded(exchange, drive)
    } else if (exchange.upstream === upstream && !upstream.isWritable) pauseRequest(exchange, drive)
  }

  /** Trailers end the request. They are held with its body, and dropped (RFC 9110 section 6.5.1) when that is gathered. */
  requestTrailers(exchange: Exchange, drive: Drive, trailers: Headers): void {
    exchange.requestEnded = true
    if (exchange.upstream !== null && drive.requestSent) {
      exchange.upstream.sendTrailers(trailers)
      releaseStream(exchange, drive)
    } else if (!drive.isLocal) {
      drive.requestHold ??= new Hold()
      drive.requestHold.end(trailers)
      this.#holdRequest(exchange, drive, NOTHING, 0, 0)
    }
  }

  /** A piece of the response's body. */
  response(
    exchange: Exchange,
    drive: Drive,
    bytes: Buffer,
    offset: number,
    end: number,
    last: boolean,
  ): void {
    if (last) drive.responseEnded = true
    releaseStream(exchange, drive)
    if (exchange.state !== ExchangeState.Responding) {
      this.#holdResponse(exchange, drive, bytes, offset, end)
      return
    }
    exchange.responseBytes += end - offset
    exchange.downstream.sendBody(bytes, offset, end, last)
    if (last) this.#owner.onDirectionEnded(exchange, drive)
    else if (!exchange.downstream.isWritable) pauseResponse(exchange, drive)
  }

  /** As {@link Bodies.requestTrailers}. */
  responseTrailers(exchange: Exchange, drive: Drive, trailers: Headers): void {
    drive.responseEnded = true
    releaseStream(exchange, drive)
    if (exchange.state !== ExchangeState.Responding) {
      drive.responseHold ??= new Hold()
      drive.responseHold.end(trailers)
      this.#holdResponse(exchange, drive, NOTHING, 0, 0)
      return
    }
    exchange.downstream.sendTrailers(trailers)
    this.#owner.onDirectionEnded(exchange, drive)
  }

  /** Begins to gather the request's body; `onRequestGathered` follows with its last byte. */
  gatherRequest(exchange: Exchange, drive: Drive): void {
    drive.gathersRequest = true
    const length = Math.max(exchange.request.bodyLength, drive.requestHold?.length ?? 0)
    if (length > drive.runtime.gatherLimit) this.#refuseRequest(exchange, drive)
    else if (exchange.requestEnded) this.#requestGathered(exchange, drive)
    // A hook that waited may have held the source back.
    else resumeRequest(exchange, drive)
  }

  /** Begins to gather the response's body; `onResponseGathered` follows with its last byte. */
  gatherResponse(exchange: Exchange, drive: Drive): void {
    drive.gathersResponse = true
    if (drive.responseEnded) this.#responseGathered(exchange, drive)
  }

  #holdRequest(exchange: Exchange, drive: Drive, bytes: Buffer, offset: number, end: number): void {
    drive.requestHold ??= new Hold()
    const hold = drive.requestHold
    if (!drive.gathersRequest) {
      hold.push(bytes, offset, end)
      if (hold.length >= HOLD_BYTES && !exchange.requestEnded) pauseRequest(exchange, drive)
    } else if (hold.length + end - offset > drive.runtime.gatherLimit) this.#refuseRequest(exchange, drive)
    else {
      hold.push(bytes, offset, end)
      if (exchange.requestEnded) this.#requestGathered(exchange, drive)
    }
  }

  #holdResponse(exchange: Exchange, drive: Drive, bytes: Buffer, offset: number, end: number): void {
    drive.responseHold ??= new Hold()
    const hold = drive.responseHold
    if (!drive.gathersResponse) {
      hold.push(bytes, offset, end)
      if (hold.length >= HOLD_BYTES && !drive.responseEnded) pauseResponse(exchange, drive)
    } else if (hold.length + end - offset > drive.runtime.gatherLimit) {
      this.#owner.fail(exchange, new GatewayError('UPSTREAM_PROTOCOL', tooLarge('response', drive)))
    } else {
      hold.push(bytes, offset, end)
      if (drive.responseEnded) this.#responseGathered(exchange, drive)
    }
  }

  #requestGathered(exchange: Exchange, drive: Drive): void {
    drive.gathersRequest = false
    exchange.requestBody = drive.requestHold?.take() ?? NOTHING
    this.#owner.onRequestGathered(exchange, drive)
  }

  #responseGathered(exchange: Exchange, drive: Drive): void {
    drive.gathersResponse = false
    exchange.responseBody = drive.responseHold?.take() ?? NOTHING
    this.#owner.onResponseGathered(exchange, drive)
  }

  #refuseRequest(exchange: Exchange, drive: Drive): void {
    drive.gathersRequest = false
    this.#owner.fail(exchange, new GatewayError('BODY_TOO_LARGE', tooLarge('request', drive)))
  }
}

function tooLarge(side: 'request' | 'response', drive: Drive): string {
  return `a filter gathers the ${side} body, which is above gather.limit (${drive.runtime.gatherLimit} bytes)`
}
