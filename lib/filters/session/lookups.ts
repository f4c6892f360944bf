/** Asks a store on behalf of requests: one question for each id at a time, none for longer than its time, none at all while the store is dead. */
import type { Clock, TimerEntry, Timers } from '../../core/services.ts'
import type { Session } from './payload.ts'
import type { SessionStore } from './store.ts'

/** Failures in a row that open the circuit. */
const FAILURES_TO_OPEN = 5
const OPEN_MS = 1000

/** Bounds of questions. */
export interface LookupLimits {
  readonly timeoutMs: number
  /** Questions at once; more are refused. */
  readonly maxPending: number
}

/** What a question gives: a session, null for none, `unavailable` when the store cannot tell. */
export type Found = Session | null | 'unavailable'

/**
 * Questions to one store. The circuit is *closed* while the store answers; *open* for a second after five failures in
 * a row: nothing is asked; then *half-open*: one question goes through and decides.
 */
export class Lookups {
  readonly #store: SessionStore
  readonly #limits: LookupLimits
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #onFailure: (problem: string) => void
  readonly #pending = new Map<string, Promise<Found>>()
  #failures = 0
  #openUntil = 0
  #isProbing = false

  /** `onFailure` is told of each failure, in words without secrets. */
  constructor(
    store: SessionStore,
    limits: LookupLimits,
    services: { clock: Clock; timers: Timers },
    onFailure: (problem: string) => void,
  ) {
    this.#store = store
    this.#limits = limits
    this.#clock = services.clock
    this.#timers = services.timers
    this.#onFailure = onFailure
  }

  /** Questions under way. */
  get pending(): number {
    return this.#pending.size
  }

  /** True while nothing is asked because the store failed too often. */
  get isOpen(): boolean {
    return this.#failures >= FAILURES_TO_OPEN && (this.#isProbing || this.#clock.now() < this.#openUntil)
  }

  /** Asks for a session. At once when the store is in this process, or nothing may be asked; never rejects. */
  find(id: string): Found | Promise<Found> {
    const asked = this.#pending.get(id)
    if (asked !== undefined) return asked
    if (this.isOpen || this.#pending.size >= this.#limits.maxPending) return 'unavailable'
    const answer = this.#ask(id)
    if (!(answer instanceof Promise)) return answer
    if (this.#failures >= FAILURES_TO_OPEN) this.#isProbing = true
    const question = new Question(answer, this.#timers, this.#limits.timeoutMs).outcome.then((found) => {
      this.#pending.delete(id)
      return this.#settle(found)
    })
    this.#pending.set(id, question)
    return question
  }

  #ask(id: string): Session | null | Promise<Session | null> {
    try {
      return this.#store.get(id)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #settle(found: Session | null | Problem): Found {
    this.#isProbing = false
    if (!(found instanceof Problem)) {
      this.#failures = 0
      return found
    }
    this.#failures++
    if (this.#failures >= FAILURES_TO_OPEN) this.#openUntil = this.#clock.now() + OPEN_MS
    this.#onFailure(found.text)
    return 'unavailable'
  }
}

/** Why a question had no answer. */
class Problem {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** One question with its time. */
class Question implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly outcome: Promise<Session | null | Problem>
  #resolve: (outcome: Session | null | Problem) => void = () => {}

  constructor(answer: Promise<Session | null>, timers: Timers, timeoutMs: number) {
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve
    })
    timers.schedule(this, timeoutMs)
    answer.then(
      (session) => {
        timers.cancel(this)
        this.#resolve(session)
      },
      (error: unknown) => {
        timers.cancel(this)
        this.#resolve(new Problem(describe(error)))
      },
    )
  }

  onTimer(): void {
    this.#resolve(new Problem('timeout'))
  }
}

/** A word for the log. What an error of a client says may hold its command, so only codes and names go out. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as Error & { code?: unknown }
  return typeof code === 'string' ? code : error.name
}
