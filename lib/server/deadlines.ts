/** How long an exchange may take: for its response head, for one attempt, and between two pieces of a body. */
import { GatewayError } from '../core/errors.ts'
import { type Exchange, ExchangeState } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Timers } from '../core/services.ts'
import { driveOf } from './drive.ts'

/** A body that flows but makes no progress for this long is cut off. */
const STREAM_IDLE_MS = 300_000
/** A hook that waits longer fails its exchange; once a route is known its timeout holds. */
const HOOK_WAIT_MS = 60_000

/** What a timer found. */
export type Overdue =
  | null
  /** Ends this attempt; another one may follow. */
  | { readonly scope: 'attempt'; readonly error: GatewayError }
  | { readonly scope: 'exchange'; readonly error: GatewayError }

/** Keeps one timer per exchange. It is not moved when the response begins: from then on it watches progress. */
export class Deadlines {
  readonly #timers: Timers
  readonly #now: () => number

  constructor(timers: Timers, now: () => number) {
    this.#timers = timers
    this.#now = now
  }

  /** A request hook waits, and no route is known. */
  awaitHook(exchange: Exchange): void {
    this.#timers.schedule(exchange, HOOK_WAIT_MS)
  }

  /** The route is known: its timeout holds, or the caller's budget where that is shorter. */
  begin(exchange: Exchange, route: Route): void {
    const { budgetMs } = exchange.request
    let limitMs = route.timeoutMs
    if (budgetMs > 0 && (limitMs === 0 || budgetMs < limitMs)) limitMs = budgetMs
    if (limitMs === 0) {
      this.#timers.schedule(exchange, STREAM_IDLE_MS)
      return
    }
    exchange.deadlineMs = exchange.startMs + limitMs
    this.#timers.schedule(exchange, exchange.deadlineMs - this.#now())
  }

  /** An attempt begins. */
  beginTry(exchange: Exchange, perTryMs: number): void {
    if (perTryMs === 0) return
    const leftMs = exchange.deadlineMs === 0 ? perTryMs : exchange.deadlineMs - this.#now()
    this.#timers.schedule(exchange, Math.min(perTryMs, leftMs))
  }

  end(exchange: Exchange): void {
    this.#timers.cancel(exchange)
  }

  /** The timer went off: which limit is passed? When none is, the timer goes on. */
  check(exchange: Exchange): Overdue {
    const overdue = exchange.state === ExchangeState.Responding ? stalled(exchange) : this.#late(exchange)
    if (overdue === null) this.#timers.schedule(exchange, this.#nextLook(exchange))
    return overdue
  }

  #nextLook(exchange: Exchange): number {
    const isBegun = exchange.state === ExchangeState.Responding
    if (isBegun || exchange.deadlineMs === 0) return STREAM_IDLE_MS
    return exchange.deadlineMs - this.#now()
  }

  #late(exchange: Exchange): Overdue {
    const { route, deadlineMs } = exchange
    if (route === null) {
      const detail = `a request hook waits for over ${HOOK_WAIT_MS} ms`
      return { scope: 'exchange', error: new GatewayError('FILTER_FAILED', detail) }
    }
    if (deadlineMs !== 0 && this.#now() >= deadlineMs) {
      const { budgetMs } = exchange.request
      const isBudget = budgetMs > 0 && (route.timeoutMs === 0 || budgetMs < route.timeoutMs)
      return {
        scope: 'exchange',
        error: new GatewayError(isBudget ? 'DEADLINE_EXCEEDED' : 'UPSTREAM_TIMEOUT'),
      }
    }
    if (route.perTryTimeoutMs === 0 || exchange.state !== ExchangeState.Awaiting) return null
    return { scope: 'attempt', error: new GatewayError('UPSTREAM_TIMEOUT', 'perTryTimeout') }
  }
}

function stalled(exchange: Exchange): Overdue {
  const drive = driveOf(exchange)
  const progress = exchange.requestBytes + exchange.responseBytes
  if (drive.progress !== progress) {
    drive.progress = progress
    return null
  }
  return {
    scope: 'exchange',
    error: new GatewayError('UPSTREAM_TIMEOUT', `no progress within ${STREAM_IDLE_MS} ms`),
  }
}
