/**
 * The filter chain as the dispatcher runs it: immutable arrays of the hooks that exist. Running a phase is one
 * loop without a promise, a closure or an object, unless a hook asks for one by waiting.
 */
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Filter, FilterStats, HookResult } from '../core/filter.ts'
import type { FilterReport } from '../core/inspect.ts'
import type { Logger } from '../core/services.ts'
import { Verdict } from '../core/verdict.ts'

/** What a phase gives when a hook waits: neither verdict; {@link ChainOwner.resume} follows. */
export const Suspended = 2
export type Suspended = typeof Suspended

/** The outcome of running a phase. */
export type ChainOutcome = Verdict | Suspended

/** The phases that may suspend. */
export const ChainPhase = { Request: 0, Route: 1, Response: 2 } as const
export type ChainPhase = (typeof ChainPhase)[keyof typeof ChainPhase]

/** Who runs chains: told when a hook that waited has its verdict. Implemented by the dispatcher. */
export interface ChainOwner {
  /**
   * A suspended hook settled. On `Verdict.Continue` the phase goes on with `run…(exchange, nextIndex)`; `error` is not null
   * when the hook failed. The exchange may be over by now: its state says so. Must not throw.
   */
  resume(
    exchange: Exchange,
    phase: ChainPhase,
    nextIndex: number,
    verdict: Verdict,
    error: GatewayError | null,
  ): void
}

/** A hook that may wait. */
export type Hook = (this: Filter, exchange: Exchange) => HookResult
type EndHook = (this: Filter, exchange: Exchange) => void

/** One filter in a chain. */
export interface ChainEntry {
  readonly filter: Filter
  readonly stats: FilterStats
}

/** The hooks of one phase, in the order they run: `hooks[i]` is called on `filters[i]`. */
interface Stage<H> {
  readonly hooks: readonly H[]
  readonly filters: readonly Filter[]
  readonly stats: readonly FilterStats[]
}

/** What {@link Chain} is made of. */
export interface ChainParts {
  readonly set: ChainSet
  readonly owner: ChainOwner
  readonly log: Logger
  /** In configured order. */
  readonly entries: readonly ChainEntry[]
  /** Filters that only end here: their `onRequest` ran in the base chain and the route switched them off. */
  readonly endOnly?: readonly ChainEntry[]
}

/** The compiled filters for the exchanges of some routes. Immutable. */
export class Chain {
  /** The set that this chain is replaced with; retained once for each running exchange. */
  readonly set: ChainSet
  /** True when a filter wants the whole request body before `runRoute`. */
  readonly needsRequestBody: boolean
  /** True when a filter wants the whole response body before `runResponse`. */
  readonly needsResponseBody: boolean
  readonly #owner: ChainOwner
  readonly #log: Logger
  readonly #request: Stage<Hook>
  readonly #route: Stage<Hook>
  readonly #response: Stage<Hook>
  readonly #end: Stage<EndHook>

  /** Made by `compileChains`. */
  constructor(parts: ChainParts) {
    const { entries } = parts
    const ending = entries.concat(parts.endOnly ?? [])
    this.set = parts.set
    this.#owner = parts.owner
    this.#log = parts.log
    this.needsRequestBody = entries.some(({ filter }) => wantsBody(filter, 'request'))
    this.needsResponseBody = entries.some(({ filter }) => wantsBody(filter, 'response'))
    this.#request = makeStage(entries, (filter) => filter.onRequest)
    this.#route = makeStage(entries, (filter) => filter.onRoute)
    this.#response = makeStage(entries.toReversed(), (filter) => filter.onResponse)
    this.#end = makeStage(ending, (filter) => filter.onEnd)
  }

  /** Runs `onRequest` hooks from position `from`. Throws `GatewayError` `FILTER_FAILED` when one throws. */
  runRequest(exchange: Exchange, from: number): ChainOutcome {
    return this.#run(this.#request, ChainPhase.Request, exchange, from)
  }

  /** Runs `onRoute` hooks from position `from`. Throws like {@link Chain.runRequest}. */
  runRoute(exchange: Exchange, from: number): ChainOutcome {
    return this.#run(this.#route, ChainPhase.Route, exchange, from)
  }

  /** Runs `onResponse` hooks, the last filter's first; `from` counts in that order. Throws like {@link Chain.runRequest}. */
  runResponse(exchange: Exchange, from: number): ChainOutcome {
    return this.#run(this.#response, ChainPhase.Response, exchange, from)
  }

  /** Runs every `onEnd` hook. Never throws: one that fails is counted and logged, the others still run. */
  runEnd(exchange: Exchange): void {
    this.#runEndFrom(exchange, 0)
  }

  // One `try` around the loop costs nothing, and `.call` on parallel arrays beats both bound hooks and method
  // loads: perf/micro/filter-chain.ts.
  #run(stage: Stage<Hook>, phase: ChainPhase, exchange: Exchange, from: number): ChainOutcome {
    const { hooks, filters } = stage
    let i = from
    try {
      for (; i < hooks.length; i++) {
        const result = hooks[i].call(filters[i], exchange)
        if (result === undefined || result === Verdict.Continue) continue
        if (isThenable(result)) return this.#suspend(result, stage, phase, exchange, i)
        return checkVerdict(result, exchange, stage.stats[i])
      }
      return Verdict.Continue
    } catch (error) {
      throw failure(stage.stats[i], error)
    }
  }

  #suspend(
    result: PromiseLike<unknown>,
    stage: Stage<Hook>,
    phase: ChainPhase,
    exchange: Exchange,
    index: number,
  ): Suspended {
    const stats = stage.stats[index]
    stats.suspensions++
    const settle = (value: unknown): void => {
      let verdict: Verdict
      try {
        verdict = checkVerdict(value, exchange, stats)
      } catch (error) {
        fail(error)
        return
      }
      this.#owner.resume(exchange, phase, index + 1, verdict, null)
    }
    const fail = (error: unknown): void => {
      this.#owner.resume(exchange, phase, index + 1, Verdict.Continue, failure(stats, error))
    }
    result.then(settle, fail)
    return Suspended
  }

  #runEndFrom(exchange: Exchange, from: number): void {
    const { hooks, filters } = this.#end
    let i = from
    try {
      for (; i < hooks.length; i++) {
        const result: unknown = hooks[i].call(filters[i], exchange)
        if (result !== undefined) this.#watchEnd(result, i)
      }
    } catch (error) {
      this.#endFailed(i, error)
      this.#runEndFrom(exchange, i + 1)
    }
  }

  /** An `async` onEnd cannot hold up the exchange, but its failure must not end the process either. */
  #watchEnd(result: unknown, index: number): void {
    if (isThenable(result)) result.then(undefined, (error: unknown) => this.#endFailed(index, error))
  }

  #endFailed(index: number, error: unknown): void {
    const stats = this.#end.stats[index]
    stats.failures++
    this.#log.error({ filter: stats.name, err: error }, 'onEnd of a filter failed')
  }
}

/**
 * All chains of one configuration. They are replaced together; `close` of their filters is called when the set is
 * retired and the last exchange that began on it is over.
 */
export class ChainSet {
  /** The chain before a route is known, and of every route without options of its own. */
  readonly base: Chain
  /** By name, so that the next set can go on counting. */
  readonly stats: ReadonlyMap<string, FilterStats>
  readonly #reports: () => FilterReport[]
  readonly #instances: Filter[] = []
  readonly #log: Logger
  #live = 0
  #isRetired = false
  #isClosed = false

  /** Made by `compileChains`; `makeBase` gets the unfinished set for the chain to point at. */
  constructor(
    makeBase: (set: ChainSet) => Chain,
    stats: ReadonlyMap<string, FilterStats>,
    reports: () => FilterReport[],
    log: Logger,
  ) {
    this.stats = stats
    this.#reports = reports
    this.#log = log
    this.base = makeBase(this)
  }

  /** Exchanges that run on this set. */
  get live(): number {
    return this.#live
  }

  /** Takes over an instance: it is closed with the set. */
  own(filter: Filter): void {
    this.#instances.push(filter)
  }

  /** Called when an exchange begins. */
  retain(): void {
    this.#live++
  }

  /** Called when an exchange is over, after `runEnd`. */
  release(): void {
    if (this.#live === 0) throw new Error('ChainSet.release without retain')
    this.#live--
    if (this.#isRetired && this.#live === 0) this.#close()
  }

  /** The set was replaced, or refused before it served: closes now or with the last exchange. */
  retire(): void {
    this.#isRetired = true
    if (this.#live === 0) this.#close()
  }

  /** What the admin port shows, in configured order. */
  reports(): FilterReport[] {
    return this.#reports()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const filter of this.#instances) {
      try {
        filter.close?.()
      } catch (error) {
        this.#log.error({ filter: filter.name, err: error }, 'close of a filter failed')
      }
    }
  }
}

function wantsBody(filter: Filter, side: 'request' | 'response'): boolean {
  return filter.needsBody === side || filter.needsBody === 'both'
}

function makeStage<H>(entries: readonly ChainEntry[], hookOf: (filter: Filter) => H | undefined): Stage<H> {
  const present = entries.filter(({ filter }) => typeof hookOf(filter) === 'function')
  return {
    hooks: present.map(({ filter }) => hookOf(filter) as H),
    filters: present.map(({ filter }) => filter),
    stats: present.map(({ stats }) => stats),
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

/** Refuses what a hook written in a hurry may return, because a silent `Continue` could open a gate. */
function checkVerdict(value: unknown, exchange: Exchange, stats: FilterStats): Verdict {
  if (value === undefined || value === Verdict.Continue) return Verdict.Continue
  if (value !== Verdict.Reply) {
    throw new TypeError(
      `a hook returned ${describe(value)}; it returns nothing, exchange.reply(…), exchange.refuse(…) or a promise of these`,
    )
  }
  if (exchange.localReply === null && exchange.refusal === null) {
    throw new TypeError(
      'a hook returned Verdict.Reply without calling exchange.reply(…) or exchange.refuse(…)',
    )
  }
  stats.replies++
  return Verdict.Reply
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

function failure(stats: FilterStats, cause: unknown): GatewayError {
  stats.failures++
  return new GatewayError('FILTER_FAILED', stats.name, cause)
}
