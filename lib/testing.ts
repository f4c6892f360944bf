/**
 * The test kit for filters, exported as `meshgate/testing`: runs one filter against made-up exchanges, through the
 * same option checks and the same chain as the gateway, without a network and on a clock that the test moves.
 */

import type { GatewayError } from './core/errors.ts'
import { Exchange, ExchangeState, type Refusal } from './core/exchange.ts'
import type { Filter, FilterDefinition, FilterFactory, FilterStats } from './core/filter.ts'
import type { Histogram, Logger, LogSink, Metrics } from './core/services.ts'
import { Verdict } from './core/verdict.ts'
import { checkFilterOptions } from './filter-options.ts'
import {
  type Chain,
  type ChainOutcome,
  type ChainOwner,
  type ChainPhase,
  Suspended,
} from './filters/chain.ts'
import { compileChains, type OptionProblem } from './filters/compile.ts'
import { makeServices, SlotRegistry } from './filters/services.ts'
import {
  answerOf,
  type ForwardedRequest,
  forwardedOf,
  localResponse,
  makeStats,
  type Responder,
  TEST_ROUTE,
} from './testing-exchange.ts'
import { TestDownstream, type TestRequest, TestRequestHead, toBytes } from './testing-messages.ts'
import { type LogRecord, ManualClock, makeLogger } from './testing-services.ts'

export type { ForwardedRequest, Responder } from './testing-exchange.ts'
export { PlainHeaders, type TestAnswer, type TestRequest } from './testing-messages.ts'
export { type LogRecord, ManualClock } from './testing-services.ts'

/** What became of one exchange. */
export interface Outcome {
  /** Who made the answer: the business process, the filter (reply or refusal), or the failure of a hook. */
  readonly answeredBy: 'upstream' | 'filter' | 'failure'
  /** HTTP status, the result code over Mmtp, Bolt's or Dubbo's status. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** What the filter refused, null when it did not. */
  readonly refusal: Refusal | null
  /** `FILTER_FAILED` with the filter's own error as `cause`, null when no hook failed. */
  readonly error: GatewayError | null
  /** The request as the business process sees it; null when it never got there. */
  readonly forwarded: ForwardedRequest | null
  readonly exchange: Exchange
}

/** What a test may say about the gateway around the filter. */
export interface KitSetup {
  /** The filter's name in the configuration; `filter` when left out. */
  readonly name?: string
  /** Absolute path of the filter's file, so that errors name the line in it. */
  readonly module?: string
  readonly node?: {
    readonly app?: string
    readonly cell?: string
    readonly labels?: Readonly<Record<string, string>>
  }
}

/** One filter under test. */
export interface FilterKit {
  readonly filter: Filter
  readonly stats: FilterStats
  readonly clock: ManualClock
  /** What the filter logged. */
  readonly logs: readonly LogRecord[]
  /** What it wrote to logs of lines, by path (`stdout` for none). */
  readonly lines: ReadonlyMap<string, readonly string[]>
  /** The value of a counter, by name and labels; 0 when it was never made. */
  counter(name: string, labels?: Readonly<Record<string, string>>): number
  /** Runs one exchange to its end. Move `clock` between the call and its `await` where the filter waits for time. */
  run(request?: TestRequest, respond?: Responder): Promise<Outcome>
  /** Ends every exchange that a hook holds up, as when its caller goes away; their `run` never settles. */
  endWaiting(): void
  /** Closes the filter, as a replaced chain does. */
  close(): void
}

/**
 * Makes a filter from its definition or factory and checks its options against its schema. Throws an `Error` with all that is
 * wrong with them.
 *
 * @example
 * const kit = testFilter(tenant, { header: 'x-tenant' })
 * const outcome = await kit.run({ path: '/', headers: { 'x-tenant': 'blue' } })
 * assert.equal(outcome.status, 200)
 */
export function testFilter<Options>(
  filter: FilterDefinition<Options> | FilterFactory<Options>,
  options: Options | Readonly<Record<string, unknown>> = {},
  setup: KitSetup = {},
): FilterKit {
  return new Kit(
    filter as FilterDefinition | FilterFactory,
    options as Readonly<Record<string, unknown>>,
    setup,
  )
}

type Resumed = (outcome: Verdict | GatewayError) => void

class Kit implements FilterKit, ChainOwner {
  readonly clock = new ManualClock()
  readonly logs: LogRecord[] = []
  readonly lines = new Map<string, string[]>()
  readonly filter: Filter
  readonly stats: FilterStats
  readonly #counters = new Map<string, { value: number }>()
  readonly #chain: Chain
  readonly #waiting = new Map<Exchange, Resumed>()

  constructor(
    given: FilterDefinition | FilterFactory,
    options: Readonly<Record<string, unknown>>,
    setup: KitSetup,
  ) {
    const name = setup.name ?? 'filter'
    const definition: FilterDefinition = typeof given === 'function' ? { schema: null, create: given } : given
    let made: Filter | null = null
    const create: FilterDefinition['create'] = (checked, services) =>
      (made = definition.create(checked, services))
    const spec = {
      name,
      use: name,
      definition: { ...definition, create },
      options,
      enabled: true,
      module: setup.module ?? null,
    }
    const log = makeLogger(this.logs)
    const result = compileChains({
      filters: [spec],
      routes: [],
      owner: this,
      servicesFor: makeServices(this.#shared(log, setup), new SlotRegistry()),
      check: checkFilterOptions,
      log,
      previous: null,
    })
    if (result.set === null) throw new Error(result.problems.map(describeProblem).join('\n'))
    this.#chain = result.set.base
    this.filter = made as unknown as Filter
    this.stats = result.set.stats.get(name) as FilterStats
  }

  counter(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#counters.get(seriesKey(name, labels))?.value ?? 0
  }

  async run(request: TestRequest = {}, respond: Responder = {}): Promise<Outcome> {
    const exchange = makeTestExchange(request, this.clock)
    this.#chain.set.retain()
    try {
      return await this.#drive(exchange, request, respond)
    } finally {
      this.#end(exchange)
    }
  }

  endWaiting(): void {
    for (const exchange of this.#waiting.keys()) this.#end(exchange)
    this.#waiting.clear()
  }

  close(): void {
    this.#chain.set.retire()
  }

  resume(
    exchange: Exchange,
    _phase: ChainPhase,
    _next: number,
    verdict: Verdict,
    error: GatewayError | null,
  ): void {
    this.#waiting.get(exchange)?.(error ?? verdict)
    this.#waiting.delete(exchange)
  }

  #end(exchange: Exchange): void {
    exchange.endMs = this.clock.now()
    this.#chain.runEnd(exchange)
    exchange.state = ExchangeState.Finished
    this.#chain.set.release()
  }

  async #drive(exchange: Exchange, request: TestRequest, respond: Responder): Promise<Outcome> {
    const chain = this.#chain
    let verdict: Verdict | Promise<Verdict> = this.#phase(exchange, () => chain.runRequest(exchange, 0))
    if (typeof verdict !== 'number') verdict = await verdict
    if (verdict === Verdict.Continue) {
      exchange.route = TEST_ROUTE
      if (chain.needsRequestBody) exchange.requestBody = toBytes(request.body)
      verdict = this.#phase(exchange, () => chain.runRoute(exchange, 0))
      if (typeof verdict !== 'number') verdict = await verdict
    }
    const forwarded = verdict === Verdict.Continue ? forwardedOf(exchange, request) : null
    const made = forwarded === null ? localResponse(exchange) : answerOf(exchange, forwarded, respond)
    exchange.state = ExchangeState.Answering
    exchange.response = made
    exchange.responseMs = forwarded === null ? 0 : this.clock.now()
    if (chain.needsResponseBody) exchange.responseBody = made.body
    const isAnswered = exchange.error === null
    const last = await this.#phase(exchange, () => chain.runResponse(exchange, 0))
    const replaced = last === Verdict.Reply || (isAnswered && exchange.error !== null)
    const response = replaced ? localResponse(exchange) : made
    exchange.response = response
    const body = replaced ? response.body : (exchange.responseBody ?? made.body)
    exchange.responseBytes = body.length
    return {
      answeredBy:
        exchange.error !== null ? 'failure' : forwarded === null || replaced ? 'filter' : 'upstream',
      status: response.status,
      headers: response.headers.toObject(),
      body: body.toString(),
      refusal: exchange.refusal,
      error: exchange.error,
      forwarded,
      exchange,
    }
  }

  /** Runs one phase, without a turn of the loop unless a hook waits; a failed hook answers like the gateway does. */
  #phase(exchange: Exchange, run: () => ChainOutcome): Verdict | Promise<Verdict> {
    try {
      const outcome = run()
      return outcome === Suspended
        ? this.#settled(exchange).then((settled) => verdictOf(exchange, settled))
        : outcome
    } catch (error) {
      return verdictOf(exchange, error as GatewayError)
    }
  }

  #settled(exchange: Exchange): Promise<Verdict | GatewayError> {
    return new Promise((resolve) => this.#waiting.set(exchange, resolve))
  }

  #shared(log: Logger, setup: KitSetup): Parameters<typeof makeServices>[0] {
    return {
      log,
      metrics: this.#metrics(),
      clock: this.clock,
      timers: this.clock,
      node: {
        app: setup.node?.app ?? 'test',
        cell: setup.node?.cell ?? 'RZ01A',
        labels: setup.node?.labels ?? {},
      },
      resolvePath: (path) => path,
      openLog: (path) => this.#openLog(path ?? 'stdout'),
    }
  }

  #metrics(): Metrics {
    const histogram: Histogram = { record: () => {} }
    return {
      counter: (name, _help, labels = {}) => {
        const key = seriesKey(name, labels)
        const counter = this.#counters.get(key) ?? { value: 0 }
        this.#counters.set(key, counter)
        return counter
      },
      histogram: () => histogram,
      gauge: () => () => {},
    }
  }

  #openLog(path: string): LogSink {
    const lines: string[] = this.lines.get(path) ?? []
    this.lines.set(path, lines)
    return { write: (line) => void lines.push(line), close: () => {} }
  }
}

/** An exchange whose request is made up, for tests that call hooks themselves. */
export function makeTestExchange(request: TestRequest, clock: ManualClock): Exchange {
  const peer = {
    remoteAddress: request.clientIp ?? '192.0.2.1',
    remotePort: 40_000,
    localAddress: '',
    localPort: 0,
  }
  const listener = { name: 'test', stats: makeStats(), trusted: request.trusted ?? true }
  const head = new TestRequestHead(request)
  const timeouts = { onExchangeTimer: () => {} }
  const exchange = new Exchange(head, new TestDownstream(), peer, listener, clock.now(), timeouts)
  exchange.requestBytes = head.bodyLength
  exchange.requestEnded = true
  return exchange
}

function verdictOf(exchange: Exchange, outcome: Verdict | GatewayError): Verdict {
  if (typeof outcome === 'number') return outcome
  exchange.error = outcome
  return Verdict.Reply
}

function seriesKey(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort()])
}

function describeProblem({ path, message, hint = '' }: OptionProblem): string {
  const what = hint === '' ? message : `${message} — ${hint}`
  return path === '' ? what : `${path.slice(1).replaceAll('/', '.')}: ${what}`
}
