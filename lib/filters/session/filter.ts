/** The hooks of `session`: finds the token, has it proven, tells the rest of the gateway who calls, and renews on the way back. */

import { type Exchange, ExchangeState, type RefusalOptions, type Slot } from '../../core/exchange.ts'
import type { Filter, FilterServices } from '../../core/filter.ts'
import type { Headers, ProtocolName } from '../../core/message.ts'
import type { Clock, Counter } from '../../core/services.ts'
import { Verdict } from '../../core/verdict.ts'
import { parseSessionJson } from './json.ts'
import type { SessionOptions } from './options.ts'
import type { Realm } from './realm.ts'
import { FAULTS, type Fault, type Verified } from './verified.ts'

const UNAVAILABLE: RefusalOptions = {
  retryAfterMs: 1000,
  message: 'sessions cannot be checked at the moment',
}

const WARN_MS = 10_000

/** What the answer has to know of the request. */
interface Seen {
  readonly realm: Realm
  /** Null when nobody was proven. */
  readonly verified: Verified | null
}

type Outcome = Fault | 'valid' | 'legacy'

/** One instance of the filter; the realms may be shared with others. */
export class SessionFilter implements Filter {
  readonly name: string
  readonly #realms: readonly Realm[]
  readonly #isRequired: boolean
  readonly #uidNames: Readonly<Record<ProtocolName, string>>
  readonly #headers: readonly (readonly [header: string, attribute: string])[]
  readonly #strips: boolean
  readonly #grant: string | null
  readonly #refusal: RefusalOptions | null
  readonly #clock: Clock
  readonly #log: FilterServices['log']
  readonly #slot: Slot<Seen>
  readonly #counters: ReadonlyMap<Realm, Readonly<Record<Outcome, Counter>>>
  readonly #onClose: () => void
  #warnedAt = Number.NEGATIVE_INFINITY

  /** `realms` are in the order of the options; `onClose` gives them back. */
  constructor(
    options: SessionOptions,
    realms: readonly Realm[],
    services: FilterServices,
    onClose: () => void,
  ) {
    this.name = services.name
    this.#realms = options.realm === undefined ? realms : realms.filter(({ name }) => name === options.realm)
    this.#isRequired = options.required ?? true
    this.#uidNames = uidNames(options.uidHeader)
    this.#headers = Object.entries(options.headers ?? {})
    this.#strips = options.strip ?? false
    this.#grant = options.grant ?? null
    this.#refusal = options.message === undefined ? null : { message: options.message }
    this.#clock = services.clock
    this.#log = services.log
    this.#slot = services.slot('seen')
    this.#counters = new Map(this.#realms.map((realm) => [realm, makeCounters(realm.name, services)]))
    this.#onClose = onClose
  }

  onRoute(exchange: Exchange): Verdict | Promise<Verdict> {
    const { headers } = exchange.request
    let admitted: Realm | null = null
    for (const realm of this.#realms) {
      if (!realm.admits(exchange)) continue
      admitted ??= realm
      const token = realm.read(headers)
      if (token === null) continue
      const checked = realm.check(token, exchange, this.#clock.wallNow())
      if (!(checked instanceof Promise)) return this.#settle(exchange, realm, checked)
      return checked.then((outcome) => this.#settle(exchange, realm, outcome))
    }
    return this.#settle(exchange, admitted, 'missing')
  }

  #settle(exchange: Exchange, realm: Realm | null, checked: Verified | Fault): Verdict {
    if (exchange.state === ExchangeState.Finished) return Verdict.Continue // the caller went away meanwhile
    if (typeof checked === 'string' || realm === null) return this.#refuse(exchange, realm, checked as Fault)
    this.#count(realm, checked.isLegacy ? 'legacy' : 'valid')
    const { session, principal } = checked
    exchange.userId = session.userId
    exchange.principal = principal
    if (this.#grant !== null || checked.renewAt <= this.#clock.wallNow())
      exchange.set(this.#slot, { realm, verified: checked })
    this.#writeHeaders(exchange, session.userId, principal)
    if (this.#strips) realm.strip(exchange.request.headers)
    return Verdict.Continue
  }

  #refuse(exchange: Exchange, realm: Realm | null, fault: Fault): Verdict {
    if (realm !== null) this.#count(realm, fault)
    if (this.#isRequired) {
      return fault === 'unavailable'
        ? exchange.refuse('OVERLOADED', UNAVAILABLE)
        : exchange.refuse('SESSION_EXPIRED', this.#refusal)
    }
    if (this.#grant !== null && realm !== null) exchange.set(this.#slot, { realm, verified: null })
    this.#writeHeaders(exchange, null, null)
    if (this.#strips) for (const each of this.#realms) each.strip(exchange.request.headers)
    return Verdict.Continue
  }

  /** What the caller says about itself goes, whether something takes its place or not. */
  #writeHeaders(
    { request }: Exchange,
    userId: string | null,
    principal: Readonly<Record<string, string>> | null,
  ): void {
    const { headers } = request
    write(headers, this.#uidNames[request.protocol], userId)
    for (const [header, attribute] of this.#headers) write(headers, header, principal?.[attribute] ?? null)
  }

  onResponse(exchange: Exchange): void | Promise<void> {
    const seen = exchange.get(this.#slot)
    const grant = this.#takeGrant(exchange)
    if (seen === undefined || exchange.response === null) return undefined
    if (grant !== null) return this.#applyGrant(exchange, seen, grant)
    const { realm, verified } = seen
    const now = this.#clock.wallNow()
    if (verified === null || verified.renewAt > now) return undefined
    return this.#hand(exchange, realm, () => realm.renew(verified, now))
  }

  /** What the business process, and nobody else, says about the session; it is not for the caller. */
  #takeGrant({ response, localReply, refusal, error }: Exchange): string | null {
    if (this.#grant === null || response === null) return null
    const grant = response.headers.get(this.#grant)
    if (grant === null) return null
    response.headers.remove(this.#grant)
    return localReply === null && refusal === null && error === null ? grant : null
  }

  #applyGrant(exchange: Exchange, { realm, verified }: Seen, grant: string): void | Promise<void> {
    if (grant === 'end') {
      if (verified !== null) realm.end(verified)
      realm.write(exchange, null)
      return undefined
    }
    const now = this.#clock.wallNow()
    const session = parseSessionJson(decodeGrant(grant), { id: null, now, lifeMs: realm.lifeMs })
    if (session === null) {
      this.#warn(realm, 'the granted session is malformed')
      return undefined
    }
    return this.#hand(exchange, realm, () => realm.begin(session, now))
  }

  #hand(
    exchange: Exchange,
    realm: Realm,
    make: () => string | null | Promise<string | null>,
  ): void | Promise<void> {
    const give = (token: string | null): void => {
      if (token !== null && exchange.state !== ExchangeState.Finished) realm.write(exchange, token)
    }
    try {
      const made = make()
      return made instanceof Promise ? made.then(give) : give(made)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#warn(realm, error.message)
      return undefined
    }
  }

  /** At most one line in ten seconds: what happens with one request may happen with each. */
  #warn(realm: Realm, problem: string): void {
    const now = this.#clock.now()
    if (now - this.#warnedAt < WARN_MS) return
    this.#warnedAt = now
    this.#log.warn({ filter: this.name, realm: realm.name, problem }, 'a session cannot be made')
  }

  #count(realm: Realm, outcome: Outcome): void {
    const counters = this.#counters.get(realm)
    if (counters !== undefined) counters[outcome].value++
  }

  close(): void {
    this.#onClose()
  }
}

function uidNames(given: SessionOptions['uidHeader']): Record<ProtocolName, string> {
  const all = typeof given === 'string' ? given : 'uid'
  const names = { http1: all, mmtp: all, bolt: all, dubbo: all }
  return typeof given === 'object' ? { ...names, ...given } : names
}

function makeCounters(realm: string, { metrics, name }: FilterServices): Record<Outcome, Counter> {
  const outcomes: Outcome[] = ['valid', 'legacy', ...FAULTS]
  const entries = outcomes.map((outcome) => [
    outcome,
    metrics.counter('meshgate_sessions_checked_total', 'Sessions that were checked, by outcome', {
      filter: name,
      realm,
      outcome,
    }),
  ])
  return Object.fromEntries(entries) as Record<Outcome, Counter>
}

function write(headers: Headers, name: string, value: string | null): void {
  if (value !== null) headers.set(name, safe(value))
  else if (headers.has(name)) headers.remove(name)
}

const UNSAFE = /[^\x20-\x7e]/

/** Attributes are any text: what a header cannot hold makes the whole value percent-encoded. */
function safe(value: string): string {
  return UNSAFE.test(value) ? encodeURIComponent(value.toWellFormed()) : value
}

function decodeGrant(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a percent sign of the JSON itself
  }
}
