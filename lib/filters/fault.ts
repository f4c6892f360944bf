/** Delays and aborts a share of the requests, to see how callers bear it. */
import type { Exchange, Slot } from '../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices, HookResult } from '../core/filter.ts'
import type { Counter, TimerEntry, Timers } from '../core/services.ts'
import { Verdict } from '../core/verdict.ts'
import { DURATION_PATTERN, parseDuration } from './duration.ts'
import { Sampler } from './sampler.ts'

const percent = {
  type: 'number',
  minimum: 0,
  maximum: 100,
  default: 100,
  description: 'Share of the requests, in percent',
} as const

/** Options of `fault`. */
export const faultSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    delay: {
      type: 'object',
      additionalProperties: false,
      required: ['for'],
      description: 'Holds requests back before they go on',
      properties: {
        for: {
          type: 'string',
          pattern: DURATION_PATTERN,
          hint: 'write 250ms, 3s or 1m',
          description: 'How long, e.g. `200ms`',
        },
        percent,
      },
    },
    abort: {
      type: 'object',
      additionalProperties: false,
      description: 'Answers in place of the business process, after the delay if there is one',
      properties: {
        status: {
          type: 'integer',
          minimum: 200,
          maximum: 599,
          description: 'HTTP status; that of `FAULT_INJECTED` when left out',
        },
        resultCode: {
          type: 'integer',
          minimum: 1000,
          maximum: 9999,
          description: 'Result code; that of `FAULT_INJECTED` when left out',
        },
        percent,
      },
    },
    header: {
      type: 'string',
      minLength: 1,
      description: 'Only requests with this header; `name: value` asks for the value too',
    },
  },
} as const

interface Options {
  readonly delay?: { readonly for: string; readonly percent?: number }
  readonly abort?: { readonly status?: number; readonly resultCode?: number; readonly percent?: number }
  readonly header?: string
}

/** The `fault` filter. */
export const fault: FilterDefinition<Options> = {
  schema: faultSchema,
  create: (options, services) => new Fault(options, services),
}

const DEFAULT_STATUS = 500
const DEFAULT_RESULT_CODE = 5000

class Fault implements Filter {
  readonly name: string
  readonly #applies: ((exchange: Exchange) => boolean) | null
  readonly #delays: Sampler
  readonly #delayMs: number
  readonly #aborts: Sampler
  readonly #abort: NonNullable<Options['abort']>
  readonly #timers: Timers
  readonly #slot: Slot<Delay>
  readonly #delayed: Counter
  readonly #aborted: Counter

  constructor(options: Options, services: FilterServices) {
    if (options.delay === undefined && options.abort === undefined) {
      throw new Error('give "delay", "abort" or both, e.g. { delay: { for: 200ms, percent: 10 } }')
    }
    this.name = services.name
    this.#applies = options.header === undefined ? null : compileCondition(options.header)
    this.#delays = new Sampler(options.delay === undefined ? 0 : (options.delay.percent ?? 100) / 100)
    this.#delayMs = options.delay === undefined ? 0 : parseDuration(options.delay.for)
    this.#aborts = new Sampler(options.abort === undefined ? 0 : (options.abort.percent ?? 100) / 100)
    this.#abort = options.abort ?? {}
    this.#timers = services.timers
    this.#slot = services.slot('delay')
    this.#delayed = faultCounter(services, 'delay')
    this.#aborted = faultCounter(services, 'abort')
  }

  onRoute(exchange: Exchange): HookResult {
    if (this.#applies !== null && !this.#applies(exchange)) return Verdict.Continue
    return this.#delays.take() ? this.#delayThenAbort(exchange) : this.#abortOrContinue(exchange)
  }

  onEnd(exchange: Exchange): void {
    const delay = exchange.get(this.#slot)
    if (delay !== undefined) this.#timers.cancel(delay)
  }

  #delayThenAbort(exchange: Exchange): Promise<Verdict> {
    this.#delayed.value++
    exchange.flag = 'DI'
    return new Promise((resolve) => {
      const delay = new Delay(() => resolve(this.#abortOrContinue(exchange)))
      exchange.set(this.#slot, delay)
      this.#timers.schedule(delay, this.#delayMs)
    })
  }

  #abortOrContinue(exchange: Exchange): Verdict {
    if (!this.#aborts.take()) return Verdict.Continue
    this.#aborted.value++
    const { status, resultCode } = this.#abort
    if (status === undefined && resultCode === undefined) return exchange.refuse('FAULT_INJECTED')
    exchange.flag = 'FI'
    return exchange.reply(status ?? DEFAULT_STATUS, '', null, resultCode ?? DEFAULT_RESULT_CODE)
  }
}

/** One request's wait. */
class Delay implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly onTimer: () => void

  constructor(onTimer: () => void) {
    this.onTimer = onTimer
  }
}

function faultCounter({ metrics, name }: FilterServices, kind: string): Counter {
  return metrics.counter(
    'meshgate_faults_injected_total',
    'Requests that a fault filter delayed or aborted',
    {
      filter: name,
      kind,
    },
  )
}

function compileCondition(text: string): (exchange: Exchange) => boolean {
  const cut = text.indexOf(':')
  const name = (cut === -1 ? text : text.slice(0, cut)).trim().toLowerCase()
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) throw new Error(`header: "${name}" is no header name`)
  if (cut === -1) return ({ request }) => request.headers.has(name)
  const value = text.slice(cut + 1).trim()
  return ({ request }) => request.headers.get(name) === value
}
