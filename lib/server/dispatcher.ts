/**
 * Drives every exchange from its head to its end: the only file that knows the order. The way of a request is
 * drawn in docs/life-of-a-request.md.
 */
import type {
  DownstreamHandler,
  LocalReply,
  PeerInfo,
  UpstreamHandler,
  UpstreamStream,
} from '../core/codec.ts'
import { GatewayError } from '../core/errors.ts'
import { type Exchange, ExchangeState, type ExchangeTimeouts } from '../core/exchange.ts'
import type { Headers, ResponseHead } from '../core/message.ts'
import type { Destination, Route } from '../core/route.ts'
import type { Timers } from '../core/services.ts'
import { Verdict } from '../core/verdict.ts'
import { type ChainOutcome, type ChainOwner, ChainPhase, Suspended } from '../filters/chain.ts'
import { Deadlines } from './deadlines.ts'
import { Drive, driveOf } from './drive.ts'
import {
  holdRequest,
  holdResponse,
  pauseRequest,
  pauseResponse,
  resumeRequest,
  resumeResponse,
  sendHeld,
} from './flow.ts'
import { localAnswer, redirectAnswer } from './local-answer.ts'
import { recordEnd, recordStart } from './record.ts'
import { mayRepeat } from './repeat.ts'
import type { RuntimeSource } from './runtime.ts'

const NOTHING = Buffer.alloc(0)

/** What the dispatcher needs from the gateway. */
export interface DispatcherServices {
  readonly timers: Timers
  now(): number
  /** Called once for each exchange that meshgate itself failed, when it ends. */
  onFailed(exchange: Exchange, error: GatewayError): void
  /** A connection was refused or closed without an exchange. */
  onProtocolError(error: GatewayError, peer: PeerInfo, status: number): void
  /** An exchange ended; `live` is how many are left. */
  onIdle(): void
}

/** See the file's head. One per gateway. */
export class Dispatcher implements DownstreamHandler, UpstreamHandler, ChainOwner, ExchangeTimeouts {
  /** Exchanges that are running. */
  live = 0
  /** Exchanges since start. */
  total = 0
  readonly #source: RuntimeSource
  readonly #services: DispatcherServices
  readonly #deadlines: Deadlines

  constructor(source: RuntimeSource, services: DispatcherServices) {
    this.#source = source
    this.#services = services
    this.#deadlines = new Deadlines(services.timers, () => services.now())
  }

  // — request side ———————————————————————————————————————————————————————————————————————————————

  onRequest(exchange: Exchange, last: boolean): void {
    const drive = new Drive(this.#source.runtime)
    exchange.drive = drive
    exchange.requestEnded = last
    drive.runtime.live++
    this.live++
    this.total++
    recordStart(exchange)
    this.#runRequest(exchange, drive, 0)
  }

  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (exchange.state === ExchangeState.Finished) return
    const drive = driveOf(exchange)
    exchange.requestBytes += end - offset
    if (last) exchange.requestEnded = true
    const upstream = exchange.upstream
    if (upstream !== null && drive.requestSent) {
      upstream.sendBody(bytes, offset, end, last)
      if (!last && !upstream.isWritable) pauseRequest(exchange, drive)
      if (last && drive.isTunnel && drive.responseEnded) this.#finish(exchange)
      return
    }
    if (!drive.isLocal) this.#holdRequest(exchange, drive, bytes, offset, end)
  }

  onRequestTrailers(exchange: Exchange, trailers: Headers): void {
    if (exchange.state === ExchangeState.Finished) return
    exchange.requestEnded = true
    const drive = driveOf(exchange)
    if (exchange.upstream !== null && drive.requestSent) exchange.upstream.sendTrailers(trailers)
    // Trailers of a body that is still held are dropped: RFC 9110 section 6.5.1 allows it, keeping them would need their bytes.
    else this.#holdRequest(exchange, drive, NOTHING, 0, 0)
  }

  onDownstreamDrain(exchange: Exchange): void {
    if (exchange.state === ExchangeState.Finished) return
    resumeResponse(exchange, driveOf(exchange))
  }

  onDownstreamFailed(exchange: Exchange, error: GatewayError, canReply: boolean): void {
    if (exchange.state === ExchangeState.Finished) return
    if (canReply) {
      this.fail(exchange, error)
      return
    }
    exchange.error ??= error
    this.#finish(exchange)
  }

  onProtocolError(error: GatewayError, peer: PeerInfo, status: number): void {
    this.#services.onProtocolError(error, peer, status)
  }

  // — chain ——————————————————————————————————————————————————————————————————————————————————————

  resume(
    exchange: Exchange,
    phase: ChainPhase,
    nextIndex: number,
    verdict: Verdict,
    error: GatewayError | null,
  ): void {
    if (exchange.state === ExchangeState.Finished) return
    const drive = driveOf(exchange)
    // The exchange went on without this hook: a timeout or the caller's fault has answered it meanwhile.
    const isResponsePhase = phase === ChainPhase.Response
    if (isResponsePhase !== (exchange.state === ExchangeState.Answering)) return
    if (error !== null) {
      if (isResponsePhase) this.#failResponse(exchange, drive, error)
      else this.fail(exchange, error)
      return
    }
    if (verdict === Verdict.Reply && !drive.isLocal) {
      this.#answerLocally(exchange)
      return
    }
    if (phase === ChainPhase.Request) this.#runRequest(exchange, drive, nextIndex)
    else if (phase === ChainPhase.Route) this.#runRoute(exchange, drive, nextIndex)
    else this.#runResponse(exchange, drive, nextIndex)
  }

  #runRequest(exchange: Exchange, drive: Drive, from: number): void {
    let outcome: ChainOutcome
    try {
      outcome = drive.chain.runRequest(exchange, from)
    } catch (error) {
      this.fail(exchange, asGatewayError(error))
      return
    }
    if (outcome === Suspended) {
      exchange.request.retain()
      this.#deadlines.awaitHook(exchange)
    } else if (outcome === Verdict.Reply) this.#answerLocally(exchange)
    else this.#route(exchange, drive)
  }

  #route(exchange: Exchange, drive: Drive): void {
    const route = drive.runtime.routes.match(exchange.request)
    if (route === null) {
      this.fail(exchange, new GatewayError('NO_ROUTE'))
      return
    }
    exchange.route = route
    drive.chain = route.chain as Drive['chain']
    this.#deadlines.begin(exchange, route)
    if (drive.chain.needsRequestBody && !exchange.requestEnded) {
      drive.gathersRequest = true
      if (exchange.request.bodyLength > drive.runtime.gatherLimit) this.#refuseGathering(exchange, drive)
      return
    }
    if (drive.chain.needsRequestBody) exchange.requestBody = drive.requestHold?.take() ?? NOTHING
    this.#runRoute(exchange, drive, 0)
  }

  #runRoute(exchange: Exchange, drive: Drive, from: number): void {
    let outcome: ChainOutcome
    try {
      outcome = drive.chain.runRoute(exchange, from)
    } catch (error) {
      this.fail(exchange, asGatewayError(error))
      return
    }
    if (outcome === Suspended) exchange.request.retain()
    else if (outcome === Verdict.Reply) this.#answerLocally(exchange)
    else this.#act(exchange, exchange.route as Route)
  }

  #runResponse(exchange: Exchange, drive: Drive, from: number): void {
    let outcome: ChainOutcome
    try {
      outcome = drive.chain.runResponse(exchange, from)
    } catch (error) {
      this.#failResponse(exchange, drive, asGatewayError(error))
      return
    }
    if (outcome === Suspended) exchange.response?.retain()
    else if (outcome === Verdict.Reply && !drive.isLocal) this.#answerLocally(exchange)
    else this.#sendResponse(exchange, drive)
  }

  /** A response hook failed: once that makes an error of ours; on that error's own way out the hooks are left out. */
  #failResponse(exchange: Exchange, drive: Drive, error: GatewayError): void {
    if (!drive.isLocal) {
      this.fail(exchange, error)
      return
    }
    exchange.error = error
    exchange.response = exchange.downstream.errorReply(error)
    this.#sendResponse(exchange, drive)
  }

  // — upstream side ——————————————————————————————————————————————————————————————————————————————

  /** Does what the route says: redirect, or forward. */
  #act(exchange: Exchange, route: Route): void {
    if (route.redirect !== null) {
      this.#answer(exchange, redirectAnswer(exchange, route.redirect))
      return
    }
    const { request } = exchange
    if (route.rewritePath !== null) request.path = route.rewritePath(request.path)
    if (route.rewriteAuthority !== null) request.authority = route.rewriteAuthority
    if (route.hashKey !== null) exchange.hashKey = route.hashKey(exchange)
    const destination = (route.pick as (exchange: Exchange) => Destination)(exchange)
    exchange.destination = destination
    destination.stats.requests++
    destination.stats.active++
    this.#connect(exchange)
  }

  /** One attempt: asks the cluster for a stream. */
  #connect(exchange: Exchange): void {
    exchange.attempts++
    exchange.state = ExchangeState.Connecting
    const result = (exchange.destination as Destination).open(exchange)
    if (result === null) return
    if (result instanceof GatewayError) this.#upstreamFailed(exchange, result, false)
    else this.onUpstreamReady(exchange, result)
  }

  onUpstreamReady(exchange: Exchange, stream: UpstreamStream): void {
    if (exchange.state !== ExchangeState.Connecting) {
      stream.cancel()
      return
    }
    const drive = driveOf(exchange)
    exchange.upstream = stream
    exchange.state = ExchangeState.Awaiting
    this.#deadlines.beginTry(exchange, (exchange.route as Route).perTryTimeoutMs)
    drive.requestSent = true
    const body = exchange.requestBody
    if (body !== null) {
      stream.sendRequest(exchange.request, body.length === 0)
      if (body.length > 0 && exchange.upstream === stream) stream.sendBody(body, 0, body.length, true)
      return
    }
    const hold = drive.requestHold
    const isWhole = exchange.requestEnded
    stream.sendRequest(exchange.request, isWhole && (hold === null || hold.length === 0))
    if (hold !== null && exchange.upstream === stream) sendHeld(stream, hold, isWhole)
    if (exchange.upstream === stream && stream.isWritable) resumeRequest(exchange, drive)
  }

  onInformational(exchange: Exchange, response: ResponseHead): void {
    if (exchange.state === ExchangeState.Awaiting) exchange.downstream.sendInformational(response)
  }

  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void {
    if (exchange.state !== ExchangeState.Awaiting) return
    const drive = driveOf(exchange)
    exchange.response = response
    exchange.responseMs = this.#services.now()
    exchange.state = ExchangeState.Answering
    drive.responseEnded = last
    if (response.status === 101 && response.statusKind === 'http') {
      drive.isTunnel = true
      exchange.requestEnded = false
    } else if (drive.chain.needsResponseBody) {
      if (last) exchange.responseBody = NOTHING
      else {
        drive.gathersResponse = true
        return
      }
    }
    this.#runResponse(exchange, drive, 0)
  }

  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (exchange.state === ExchangeState.Finished) return
    const drive = driveOf(exchange)
    if (last) drive.responseEnded = true
    if (exchange.state === ExchangeState.Responding) {
      exchange.responseBytes += end - offset
      exchange.downstream.sendBody(bytes, offset, end, last)
      if (last) this.#responseComplete(exchange, drive)
      else if (!exchange.downstream.isWritable) pauseResponse(exchange, drive)
      return
    }
    this.#holdResponse(exchange, drive, bytes, offset, end)
  }

  onResponseTrailers(exchange: Exchange, trailers: Headers): void {
    if (exchange.state === ExchangeState.Finished) return
    const drive = driveOf(exchange)
    drive.responseEnded = true
    if (exchange.state === ExchangeState.Responding) {
      exchange.downstream.sendTrailers(trailers)
      this.#responseComplete(exchange, drive)
    } else this.#holdResponse(exchange, drive, NOTHING, 0, 0)
  }

  onUpstreamDrain(exchange: Exchange): void {
    if (exchange.state === ExchangeState.Finished) return
    resumeRequest(exchange, driveOf(exchange))
  }

  onUpstreamFailed(exchange: Exchange, error: GatewayError): void {
    if (exchange.state === ExchangeState.Finished) return
    const wasReused = exchange.upstream?.isReused ?? false
    exchange.upstream = null
    // A response that is complete but still with its hooks needs no upstream any more.
    if (exchange.state === ExchangeState.Answering && driveOf(exchange).responseEnded) return
    this.#upstreamFailed(exchange, error, wasReused)
  }

  #upstreamFailed(exchange: Exchange, error: GatewayError, wasReused: boolean): void {
    const drive = driveOf(exchange)
    if (!mayRepeat(exchange, drive, error, wasReused)) {
      this.fail(exchange, error)
      return
    }
    drive.requestSent = false
    this.#connect(exchange)
  }

  // — answers ————————————————————————————————————————————————————————————————————————————————————

  #answerLocally(exchange: Exchange): void {
    this.#answer(exchange, localAnswer(exchange))
  }

  /** Ends the exchange with a response of ours; the response hooks see it like any other. */
  #answer(exchange: Exchange, reply: LocalReply): void {
    const drive = driveOf(exchange)
    this.#dropUpstream(exchange)
    exchange.response?.release()
    exchange.response = reply
    exchange.responseBody = null
    exchange.state = ExchangeState.Answering
    drive.isLocal = true
    drive.responseEnded = true
    drive.gathersResponse = false
    drive.requestHold?.clear()
    drive.responseHold?.clear()
    this.#runResponse(exchange, drive, 0)
  }

  #sendResponse(exchange: Exchange, drive: Drive): void {
    const response = exchange.response as ResponseHead
    const { downstream } = exchange
    exchange.state = ExchangeState.Responding
    const body = drive.isLocal ? (response as LocalReply).body : exchange.responseBody
    if (body !== null) {
      downstream.sendResponse(response, body.length === 0)
      exchange.responseBytes += body.length
      if (body.length > 0) downstream.sendBody(body, 0, body.length, true)
      this.#responseComplete(exchange, drive)
      return
    }
    const hold = drive.responseHold
    const isWhole = drive.responseEnded
    downstream.sendResponse(response, isWhole && (hold === null || hold.length === 0))
    if (hold !== null) {
      exchange.responseBytes += hold.length
      sendHeld(downstream, hold, isWhole)
    }
    if (isWhole) this.#responseComplete(exchange, drive)
    else if (downstream.isWritable) resumeResponse(exchange, drive)
  }

  #responseComplete(exchange: Exchange, drive: Drive): void {
    // A tunnel ends when both sides have ended; anything else with its response.
    if (drive.isTunnel && !exchange.requestEnded) return
    this.#finish(exchange)
  }

  // — bodies that have to wait ———————————————————————————————————————————————————————————————————

  #holdRequest(exchange: Exchange, drive: Drive, bytes: Buffer, offset: number, end: number): void {
    if (!holdRequest(exchange, drive, bytes, offset, end)) this.#refuseGathering(exchange, drive)
    else if (drive.gathersRequest && exchange.requestEnded) {
      drive.gathersRequest = false
      exchange.requestBody = drive.requestHold?.take() ?? NOTHING
      this.#runRoute(exchange, drive, 0)
    }
  }

  #refuseGathering(exchange: Exchange, drive: Drive): void {
    drive.gathersRequest = false
    this.fail(exchange, new GatewayError('BODY_TOO_LARGE', gatherDetail('request', drive)))
  }

  #holdResponse(exchange: Exchange, drive: Drive, bytes: Buffer, offset: number, end: number): void {
    if (!holdResponse(exchange, drive, bytes, offset, end)) {
      this.fail(exchange, new GatewayError('UPSTREAM_PROTOCOL', gatherDetail('response', drive)))
    } else if (drive.gathersResponse && drive.responseEnded) {
      drive.gathersResponse = false
      exchange.responseBody = drive.responseHold?.take() ?? NOTHING
      this.#runResponse(exchange, drive, 0)
    }
  }

  onExchangeTimer(exchange: Exchange): void {
    if (exchange.state === ExchangeState.Finished) return
    const overdue = this.#deadlines.check(exchange)
    if (overdue === null) return
    if (overdue.scope === 'exchange') {
      this.fail(exchange, overdue.error)
      return
    }
    this.#dropUpstream(exchange)
    this.#upstreamFailed(exchange, overdue.error, false)
  }

  // — the two ends —————————————————————————————————————————————————————————————————————————————

  /** Every failure comes here. Before the response began it becomes an answer in the caller's protocol, later the response is cut off. */
  fail(exchange: Exchange, error: GatewayError): void {
    if (exchange.state === ExchangeState.Finished) return
    exchange.error = error
    if (exchange.state !== ExchangeState.Responding) {
      this.#answer(exchange, exchange.downstream.errorReply(error))
      return
    }
    exchange.downstream.reset(error)
    this.#finish(exchange)
  }

  #dropUpstream(exchange: Exchange): void {
    const { upstream } = exchange
    exchange.upstream = null
    if (upstream !== null) upstream.cancel()
    else if (exchange.state === ExchangeState.Connecting) exchange.destination?.abandon(exchange)
  }

  /** Exactly once per exchange. */
  #finish(exchange: Exchange): void {
    const drive = driveOf(exchange)
    const isComplete = drive.responseEnded && exchange.requestEnded
    if (!isComplete || exchange.upstream === null) this.#dropUpstream(exchange)
    exchange.upstream = null
    exchange.state = ExchangeState.Finished
    exchange.endMs = this.#services.now()
    this.#deadlines.end(exchange)
    drive.chain.runEnd(exchange)
    recordEnd(exchange)
    if (exchange.error !== null) this.#services.onFailed(exchange, exchange.error)
    drive.requestHold?.clear()
    drive.responseHold?.clear()
    exchange.request.release()
    exchange.response?.release()
    drive.runtime.release()
    this.live--
    if (this.live === 0) this.#services.onIdle()
    // Last: the codec may begin the connection's next exchange in this call.
    exchange.downstream.finish()
  }
}

function asGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('INTERNAL', '', error)
}

function gatherDetail(side: 'request' | 'response', drive: Drive): string {
  return `a filter gathers the ${side} body, which is above gather.limit (${drive.runtime.gatherLimit} bytes)`
}
