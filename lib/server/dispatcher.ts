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
import { GatewayError, toGatewayError } from '../core/errors.ts'
import { type Exchange, ExchangeState, type ExchangeTimeouts } from '../core/exchange.ts'
import type { Headers, ResponseHead } from '../core/message.ts'
import type { Destination, Route } from '../core/route.ts'
import { Verdict } from '../core/verdict.ts'
import { type ChainOutcome, type ChainOwner, ChainPhase, Suspended } from '../filters/chain.ts'
import { aim } from './aim.ts'
import { Bodies, type BodyOwner } from './bodies.ts'
import { Deadlines } from './deadlines.ts'
import type { DispatcherServices } from './dispatcher-services.ts'
import { Drive, driveOf } from './drive.ts'
import { releaseStream, resumeRequest, resumeResponse, sendRequest, sendResponse } from './flow.ts'
import { localAnswer, redirectAnswer } from './local-answer.ts'
import { recordEnd, recordStart } from './record.ts'
import { mayRepeat } from './repeat.ts'
import { reportFailure } from './report.ts'
import type { RuntimeSource } from './runtime.ts'

/** See the file's head. One per gateway. */
export class Dispatcher
  implements DownstreamHandler, UpstreamHandler, ChainOwner, ExchangeTimeouts, BodyOwner
{
  /** Exchanges that are running. */
  live = 0
  /** Exchanges since start. */
  total = 0
  readonly #source: RuntimeSource
  readonly #services: DispatcherServices
  readonly #deadlines: Deadlines
  readonly #bodies = new Bodies(this)

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
    this.#bodies.request(exchange, driveOf(exchange), bytes, offset, end, last)
  }

  onRequestTrailers(exchange: Exchange, trailers: Headers): void {
    if (exchange.state === ExchangeState.Finished) return
    this.#bodies.requestTrailers(exchange, driveOf(exchange), trailers)
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
    drive.responseHookWaits = false
    try {
      if (error === null) this.#goOn(exchange, drive, phase, nextIndex, verdict)
      else if (isResponsePhase) this.#failResponse(exchange, drive, error)
      else this.fail(exchange, error)
    } catch (bug) {
      // Nobody stands above a promise: what is thrown here would end the process.
      this.fail(exchange, toGatewayError(bug))
    }
  }

  #goOn(exchange: Exchange, drive: Drive, phase: ChainPhase, nextIndex: number, verdict: Verdict): void {
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
      this.fail(exchange, toGatewayError(error))
      return
    }
    if (outcome === Suspended) {
      exchange.request.retain()
      this.#deadlines.awaitHook(exchange)
    } else if (outcome === Verdict.Reply) this.#answerLocally(exchange)
    else this.#route(exchange, drive)
  }

  #route(exchange: Exchange, drive: Drive): void {
    let route: Route | null
    try {
      route = drive.runtime.routes.match(exchange.request)
    } catch (error) {
      this.fail(exchange, toGatewayError(error))
      return
    }
    if (route === null) {
      this.fail(exchange, new GatewayError('NO_ROUTE'))
      return
    }
    exchange.route = route
    drive.chain = route.chain as Drive['chain']
    this.#deadlines.begin(exchange, route)
    if (drive.chain.needsRequestBody) this.#bodies.gatherRequest(exchange, drive)
    else this.#runRoute(exchange, drive, 0)
  }

  onRequestGathered(exchange: Exchange, drive: Drive): void {
    this.#runRoute(exchange, drive, 0)
  }

  #runRoute(exchange: Exchange, drive: Drive, from: number): void {
    let outcome: ChainOutcome
    try {
      outcome = drive.chain.runRoute(exchange, from)
    } catch (error) {
      this.fail(exchange, toGatewayError(error))
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
      this.#failResponse(exchange, drive, toGatewayError(error))
      return
    }
    if (outcome === Suspended) {
      drive.responseHookWaits = true
      exchange.response?.retain()
    } else if (outcome === Verdict.Reply && !drive.isLocal) this.#answerLocally(exchange)
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
    exchange.responseBody = null
    this.#sendResponse(exchange, drive)
  }

  // — upstream side ——————————————————————————————————————————————————————————————————————————————

  /** Does what the route says: redirect, or forward. */
  #act(exchange: Exchange, route: Route): void {
    let answer: LocalReply | null = null
    try {
      if (route.redirect === null) aim(exchange, route, driveOf(exchange).runtime.findCluster)
      else answer = redirectAnswer(exchange, route.redirect)
    } catch (error) {
      this.fail(exchange, toGatewayError(error))
      return
    }
    if (answer === null) this.#connect(exchange)
    else this.#answer(exchange, answer)
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
    sendRequest(exchange, drive, stream)
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
    releaseStream(exchange, drive)
    if (response.status === 101 && response.statusKind === 'http') {
      drive.isTunnel = true
      exchange.requestEnded = false
    } else if (drive.chain.needsResponseBody) {
      this.#bodies.gatherResponse(exchange, drive)
      return
    }
    this.#runResponse(exchange, drive, 0)
  }

  onResponseGathered(exchange: Exchange, drive: Drive): void {
    this.#runResponse(exchange, drive, 0)
  }

  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (exchange.state === ExchangeState.Finished) return
    this.#bodies.response(exchange, driveOf(exchange), bytes, offset, end, last)
  }

  onResponseTrailers(exchange: Exchange, trailers: Headers): void {
    if (exchange.state === ExchangeState.Finished) return
    this.#bodies.responseTrailers(exchange, driveOf(exchange), trailers)
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

  #answerLocally(exchange: Exchange): void {
    let answer: LocalReply
    try {
      answer = localAnswer(exchange)
    } catch (error) {
      this.fail(exchange, new GatewayError('FILTER_FAILED', 'the reply of a filter cannot be sent', error))
      return
    }
    this.#answer(exchange, answer)
  }

  /** Ends the exchange with a response of ours; the response hooks see it like any other. */
  #answer(exchange: Exchange, reply: LocalReply): void {
    const drive = driveOf(exchange)
    this.#dropUpstream(exchange)
    exchange.response?.release()
    exchange.response = reply
    exchange.responseBody = drive.chain.needsResponseBody ? reply.body : null
    exchange.state = ExchangeState.Answering
    drive.isLocal = true
    drive.isTunnel = false
    drive.responseEnded = true
    drive.gathersRequest = false
    drive.gathersResponse = false
    drive.requestHold?.clear()
    drive.responseHold?.clear()
    // A hook that waits with the response that this one replaces would go on in the middle of a second round.
    if (drive.responseHookWaits) this.#sendResponse(exchange, drive)
    else this.#runResponse(exchange, drive, 0)
  }

  #sendResponse(exchange: Exchange, drive: Drive): void {
    exchange.state = ExchangeState.Responding
    sendResponse(exchange, drive)
    if (drive.responseEnded) this.onDirectionEnded(exchange, drive)
    else if (drive.isResponsePaused && exchange.downstream.isWritable) resumeResponse(exchange, drive)
  }

  /** An exchange ends with its response; a tunnel when both sides have ended. */
  onDirectionEnded(exchange: Exchange, drive: Drive): void {
    // While hooks have the response it is not on its way yet; over is over.
    if (exchange.state !== ExchangeState.Responding || !drive.responseEnded) return
    if (exchange.requestEnded || !drive.isTunnel) this.#finish(exchange)
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
    reportFailure(exchange, this.#services)
    drive.requestHold?.clear()
    drive.responseHold?.clear()
    exchange.request.release()
    exchange.response?.release()
    drive.runtime.release()
    this.live--
    // Last: the codec may begin the connection's next exchange in this call.
    exchange.downstream.finish()
  }
}
