/** A dispatcher between a made-up caller and a made-up business process, with real chains. */
import type { Test } from 'tap'
import { poolUsage } from '../../lib/buffer/pools.ts'
import type { DownstreamStream, LocalReply, UpstreamStream } from '../../lib/core/codec.ts'
import type { GatewayError } from '../../lib/core/errors.ts'
import { Exchange, ExchangeState } from '../../lib/core/exchange.ts'
import type { Filter } from '../../lib/core/filter.ts'
import type { Headers, RequestHead, ResponseHead } from '../../lib/core/message.ts'
import type { Destination, Route } from '../../lib/core/route.ts'
import type { ScopeStats } from '../../lib/core/services.ts'
import { compileChains } from '../../lib/filters/compile.ts'
import type { ClusterFinder } from '../../lib/server/aim.ts'
import { Dispatcher } from '../../lib/server/dispatcher.ts'
import { Runtime } from '../../lib/server/runtime.ts'
import { makeStats, TEST_ROUTE } from '../../lib/testing-exchange.ts'
import { type TestRequest, TestRequestHead, TestResponseHead } from '../../lib/testing-messages.ts'
import { ManualClock, makeLogger } from '../../lib/testing-services.ts'
import { filterServices } from '../filters/support.ts'

const PEER = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 2 }

/** Notes what happens, and what must not. */
export interface Notes {
  readonly log: string[]
  readonly violations: string[]
}

/** A request head that counts its leases. */
export class RequestNotes extends TestRequestHead {
  override readonly bodyLength: number
  retained = 0
  released = 0

  constructor(request: TestRequest, bodyLength: number) {
    super(request)
    this.bodyLength = bodyLength
  }

  override retain(): void {
    this.retained++
  }

  override release(): void {
    this.released++
  }
}

/** A response head that counts its leases. */
export class ResponseNotes extends TestResponseHead {
  retained = 0
  released = 0

  override retain(): void {
    this.retained++
  }

  override release(): void {
    this.released++
  }
}

export function responseOf(status = 200): ResponseNotes {
  return new ResponseNotes(status, 'http', {}, Buffer.alloc(0))
}

/** The caller. */
export class FakeDownstream implements DownstreamStream {
  isWritable = true
  /** How far the response got. */
  phase: 'none' | 'body' | 'ended' | 'reset' = 'none'
  finished = 0
  body = ''
  status = 0
  isPaused = false
  onFinish: () => void = () => {}
  readonly notes: Notes

  constructor(notes: Notes) {
    this.notes = notes
  }

  sendInformational(response: ResponseHead): void {
    this.#expect('sendInformational', this.phase === 'none')
    this.notes.log.push(`down ${response.status}`)
  }

  sendResponse(response: ResponseHead, last: boolean): void {
    this.#expect('sendResponse', this.phase === 'none')
    this.phase = last ? 'ended' : 'body'
    this.status = response.status
    this.notes.log.push(`down head ${response.status}${last ? ' last' : ''}`)
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    this.#expect('sendBody', this.phase === 'body')
    this.body += bytes.latin1Slice(offset, end)
    if (last) this.phase = 'ended'
    this.notes.log.push(`down body ${describe(bytes, offset, end)}${last ? ' last' : ''}`)
  }

  sendTrailers(_trailers: Headers): void {
    this.#expect('sendTrailers', this.phase === 'body')
    this.phase = 'ended'
    this.notes.log.push('down trailers')
  }

  errorReply(error: GatewayError): LocalReply {
    return new TestResponseHead(500, 'http', { 'x-code': error.code }, Buffer.from(error.code))
  }

  localReply(status: number, _resultCode: number, body: Buffer): LocalReply {
    return new TestResponseHead(status, 'http', {}, body)
  }

  reset(error: GatewayError): void {
    // A tunnel whose answering half is over is still open the other way.
    this.#expect('reset', this.phase === 'body' || this.status === 101)
    this.phase = 'reset'
    this.notes.log.push(`down reset ${error.code}`)
  }

  pause(): void {
    this.#expect('pause', !this.isPaused)
    this.isPaused = true
    this.notes.log.push('down pause')
  }

  resume(): void {
    this.#expect('resume', this.isPaused)
    this.isPaused = false
    this.notes.log.push('down resume')
  }

  finish(): void {
    this.#expect('finish', true)
    this.finished++
    this.notes.log.push('down finish')
    this.onFinish()
  }

  #expect(what: string, isAllowed: boolean): void {
    if (this.finished > 0) this.notes.violations.push(`downstream.${what} after finish`)
    else if (!isAllowed)
      this.notes.violations.push(`downstream.${what} while ${this.phase}, paused ${this.isPaused}`)
  }
}

/** The business process's half of one attempt. */
export class FakeUpstream implements UpstreamStream {
  isWritable = true
  isReused = false
  phase: 'open' | 'body' | 'ended' | 'cancelled' | 'failed' = 'open'
  isAnswered = false
  isPaused = false
  body = ''
  path = ''
  /** Called inside a send: a codec may fail there. */
  onSend: () => void = () => {}
  readonly notes: Notes

  constructor(notes: Notes) {
    this.notes = notes
  }

  sendRequest(request: RequestHead, last: boolean): void {
    this.#expect('sendRequest', this.phase === 'open')
    this.phase = last ? 'ended' : 'body'
    this.path = request.path
    this.notes.log.push(`up head ${request.method} ${request.path}${last ? ' last' : ''}`)
    this.onSend()
  }

  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void {
    this.#expect('sendBody', this.phase === 'body')
    this.body += bytes.latin1Slice(offset, end)
    if (last) this.phase = 'ended'
    this.notes.log.push(`up body ${describe(bytes, offset, end)}${last ? ' last' : ''}`)
    this.onSend()
  }

  sendTrailers(_trailers: Headers): void {
    this.#expect('sendTrailers', this.phase === 'body')
    this.phase = 'ended'
    this.notes.log.push('up trailers')
    this.onSend()
  }

  cancel(): void {
    if (this.phase === 'ended' && this.isAnswered)
      this.notes.violations.push('upstream.cancel when it was over')
    this.#expect('cancel', true)
    this.phase = 'cancelled'
    this.notes.log.push('up cancel')
  }

  pause(): void {
    this.#expect('pause', !this.isPaused)
    this.isPaused = true
    this.notes.log.push('up pause')
  }

  resume(): void {
    this.#expect('resume', this.isPaused)
    this.isPaused = false
    this.notes.log.push('up resume')
  }

  #expect(what: string, isAllowed: boolean): void {
    if (this.phase === 'cancelled' || this.phase === 'failed')
      this.notes.violations.push(`upstream.${what} after its end`)
    else if (!isAllowed)
      this.notes.violations.push(`upstream.${what} while ${this.phase}, paused ${this.isPaused}`)
  }
}

function describe(bytes: Buffer, offset: number, end: number): string {
  return end - offset > 20 ? `${end - offset} bytes` : JSON.stringify(bytes.latin1Slice(offset, end))
}

/** What `open` of the destination gives. */
export type OpenResult = FakeUpstream | GatewayError | null

/** What a rig is made of; everything may be left out. */
export interface RigSetup {
  readonly filters?: readonly Filter[]
  readonly route?: Partial<Route>
  readonly match?: (request: RequestHead) => Route | null
  readonly gatherLimit?: number
  readonly open?: (exchange: Exchange) => OpenResult
}

/** See the file's head. */
export class Rig implements Notes {
  readonly log: string[] = []
  readonly violations: string[] = []
  readonly clock = new ManualClock()
  readonly streams: FakeUpstream[] = []
  readonly failures: string[] = []
  readonly exchanges: Exchange[] = []
  readonly ends = new Map<Exchange, number>()
  readonly listenerStats = makeStats()
  readonly clusterStats = makeStats()
  readonly routeStats = makeStats()
  readonly dispatcher: Dispatcher
  readonly route: Route
  readonly findCluster: ClusterFinder
  runtime: Runtime
  /** Replaced by a test to say what the cluster gives; a new stream unless it does. */
  open: (exchange: Exchange) => OpenResult
  readonly #setup: RigSetup

  constructor(setup: RigSetup = {}) {
    this.#setup = setup
    this.open = setup.open ?? (() => this.stream())
    const source = { get: () => this.runtime }
    this.dispatcher = new Dispatcher(
      {
        get runtime() {
          return source.get()
        },
      },
      {
        timers: this.clock,
        now: () => this.clock.now(),
        onFailed: (_exchange, error) => void this.failures.push(error.code),
        onServiceFailed: (_exchange, detail) => void this.log.push(`service failed ${detail}`),
        onProtocolError: (error) => void this.log.push(`protocol error ${error.code}`),
      },
    )
    const destination: Destination = {
      name: 'cluster',
      stats: this.clusterStats,
      open: (exchange) => {
        this.log.push('open')
        return this.open(exchange)
      },
      abandon: () => void this.log.push('abandon'),
    }
    this.findCluster = (name) => (name === 'other' ? destination : null)
    this.route = { ...TEST_ROUTE, pick: () => destination, stats: this.routeStats, ...setup.route }
    this.runtime = this.makeRuntime(setup.filters ?? [])
  }

  makeRuntime(filters: readonly Filter[]): Runtime {
    const counter: Filter = {
      name: 'counter',
      onEnd: (exchange) => void this.ends.set(exchange, (this.ends.get(exchange) ?? 0) + 1),
    }
    const result = compileChains({
      filters: [...filters, counter].map((filter) => ({
        name: filter.name,
        use: filter.name,
        definition: { schema: null, create: () => filter },
        options: {},
        enabled: true,
        module: null,
      })),
      routes: [],
      owner: this.dispatcher,
      servicesFor: (name) => filterServices(name),
      check: null,
      log: makeLogger([]),
      previous: null,
    })
    if (result.set === null) throw new Error(JSON.stringify(result.problems))
    const chain = result.set.base
    const route = { ...this.route, chain }
    return new Runtime(
      chain,
      { match: this.#setup.match ?? (() => route) },
      this.#setup.gatherLimit ?? 1_000_000,
      this.findCluster,
    )
  }

  /** A stream that the destination may give. */
  stream(): FakeUpstream {
    const stream = new FakeUpstream(this)
    this.streams.push(stream)
    return stream
  }

  get up(): FakeUpstream {
    return this.streams.at(-1) as FakeUpstream
  }

  /** A request arrives. `bodyLength` null means that no body follows. */
  request(given: TestRequest = {}, bodyLength: number | null = null): Call {
    const request = new RequestNotes(given, bodyLength ?? 0)
    const downstream = new FakeDownstream(this)
    const listener: { name: string; stats: ScopeStats; trusted: boolean } = {
      name: 'in',
      stats: this.listenerStats,
      trusted: false,
    }
    const exchange = new Exchange(request, downstream, PEER, listener, this.clock.now(), this.dispatcher)
    this.exchanges.push(exchange)
    this.dispatcher.onRequest(exchange, bodyLength === null)
    return new Call(this, exchange, request, downstream)
  }

  /** What is wrong when everything should be over; empty when nothing is. */
  faults(): string[] {
    const faults = [...this.violations]
    const expect = (holds: boolean, what: string): void => {
      if (!holds) faults.push(what)
    }
    expect(this.dispatcher.live === 0, `${this.dispatcher.live} exchanges live`)
    expect(this.runtime.live === 0, `${this.runtime.live} exchanges live on the runtime`)
    expect(this.clock.pending === 0, `${this.clock.pending} timers wait`)
    expect(poolUsage().leased === 0, `${poolUsage().leased} leases are out`)
    expect(
      this.listenerStats.active === 0 && this.clusterStats.active === 0,
      'something is counted as active',
    )
    expect(this.dispatcher.total === this.exchanges.length, 'not every exchange is counted')
    for (const exchange of this.exchanges) {
      expect(exchange.state === ExchangeState.Finished, `state ${exchange.state}`)
      expect((exchange.downstream as FakeDownstream).finished === 1, 'finish was not called once')
      expect(this.ends.get(exchange) === 1, `onEnd was called ${this.ends.get(exchange) ?? 0} times`)
      expect((exchange.request as RequestNotes).released === 1, 'the request was not released once')
      expect(exchange.upstream === null, 'the stream is still held')
    }
    for (const stream of this.streams) {
      const isOver = stream.phase === 'cancelled' || stream.phase === 'failed' || stream.isAnswered
      expect(isOver, `a stream is left ${stream.phase}`)
    }
    return faults
  }

  /** Fails the test unless everything is over. */
  verify(t: Test): void {
    t.same(this.faults(), [], 'everything is over and no contract was broken')
  }
}

/** One exchange with both ends of it. */
export class Call {
  readonly rig: Rig
  readonly exchange: Exchange
  readonly request: RequestNotes
  readonly down: FakeDownstream

  constructor(rig: Rig, exchange: Exchange, request: RequestNotes, down: FakeDownstream) {
    this.rig = rig
    this.exchange = exchange
    this.request = request
    this.down = down
  }

  get isOver(): boolean {
    return this.exchange.state === ExchangeState.Finished
  }

  /** A piece of the request's body arrives. */
  body(text: string | Buffer, last = false): void {
    const bytes = Buffer.from(text as string)
    this.rig.dispatcher.onRequestBody(this.exchange, bytes, 0, bytes.length, last)
    bytes.fill(0)
  }

  trailers(): void {
    this.rig.dispatcher.onRequestTrailers(this.exchange, this.request.headers)
  }

  /** The caller fails. */
  fail(error: GatewayError, canReply = false): void {
    this.rig.dispatcher.onDownstreamFailed(this.exchange, error, canReply)
  }

  drain(): void {
    this.down.isWritable = true
    this.rig.dispatcher.onDownstreamDrain(this.exchange)
  }

  /** The business process answers. */
  respond(status = 200, last = true): ResponseNotes {
    const response = responseOf(status)
    if (last) this.#answered()
    this.rig.dispatcher.onResponse(this.exchange, response, last)
    if (!this.isOver) response.retain()
    return response
  }

  respondBody(text: string | Buffer, last = false): void {
    const bytes = Buffer.from(text as string)
    if (last) this.#answered()
    this.rig.dispatcher.onResponseBody(this.exchange, bytes, 0, bytes.length, last)
    bytes.fill(0)
  }

  respondTrailers(): void {
    this.#answered()
    this.rig.dispatcher.onResponseTrailers(this.exchange, this.request.headers)
  }

  /** The stream dies. */
  upstreamFails(error: GatewayError): void {
    const stream = this.exchange.upstream as FakeUpstream | null
    if (stream !== null) stream.phase = 'failed'
    this.rig.dispatcher.onUpstreamFailed(this.exchange, error)
  }

  #answered(): void {
    const stream = this.exchange.upstream as FakeUpstream | null
    if (stream !== null) stream.isAnswered = true
  }
}

/** A hook result that the test settles. */
export function deferred<T = void>(): {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
} {
  return Promise.withResolvers<T>()
}

/** Lets every promise that is settled run its reactions. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
