/** Checks JSON Web Tokens and tells later filters and the business process whose they are. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { ErrorCode } from '../../core/errors.ts'
import type { Exchange, RefusalOptions } from '../../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices } from '../../core/filter.ts'
import type { Headers } from '../../core/message.ts'
import type { Clock, Counter } from '../../core/services.ts'
import { Verdict } from '../../core/verdict.ts'
import { parseDuration } from '../duration.ts'
import { readCookie } from '../fields.ts'
import { ClaimRules, type Identity } from './claims.ts'
import type { VerifyKey } from './keys.ts'
import { type HeldSource, type JwtOptions, openSource } from './options.ts'
import { DEFAULT_MAX_BYTES, DEFAULT_MAX_TOKENS, jwtSchema } from './schema.ts'
import { type Fault, type Issuer, type VerifyRules, verifyToken } from './verify.ts'

/** Why a request was refused beside what is wrong with a token. */
type Refused = Fault | 'absent' | 'too-long' | 'other-user'

interface Row {
  readonly code: ErrorCode
  readonly options: RefusalOptions
}

const row = (code: ErrorCode, message: string): Row => ({ code, options: { message } })

const REFUSALS: Readonly<Record<Refused, Row>> = {
  absent: row('SESSION_EXPIRED', 'the token is missing'),
  'too-long': row('SESSION_EXPIRED', 'the token is too long'),
  malformed: row('SESSION_EXPIRED', 'the token is malformed'),
  unsigned: row('SESSION_EXPIRED', 'the token is not signed'),
  issuer: row('SESSION_EXPIRED', 'the issuer of the token is unknown'),
  'unknown-key': row('SESSION_EXPIRED', 'the key of the token is unknown'),
  forged: row('SESSION_EXPIRED', 'the signature of the token is wrong'),
  expired: row('SESSION_EXPIRED', 'the token has expired'),
  'not-yet': row('SESSION_EXPIRED', 'the token is not valid yet'),
  audience: row('SESSION_EXPIRED', 'the token is for another audience'),
  claims: row('SESSION_EXPIRED', 'a claim of the token is missing or malformed'),
  'no-keys': row('AUTHORISATION_FAILED', 'the keys of the issuer are not available'),
  'other-user': row('ACCESS_DENIED', 'the token is of another user than the session'),
}
type Outcome = Refused | 'ok' | 'anonymous'
const OUTCOMES = ['ok', 'anonymous', ...(Object.keys(REFUSALS) as Refused[])] as const

/** The `jwt` filter. It waits only for tokens that it has not seen before. */
export const jwt: FilterDefinition<JwtOptions> = {
  schema: jwtSchema,
  create: (options, services) => new JwtFilter(options, services),
}

/** A token that was verified. */
interface Known {
  readonly identity: Identity
  readonly key: VerifyKey
  /** Wall-clock milliseconds from which on it is not believed. */
  readonly endMs: number
}

class JwtFilter implements Filter {
  readonly name: string
  readonly #clock: Clock
  readonly #header: string
  readonly #cookie: string | null
  readonly #isOptional: boolean
  readonly #maxBytes: number
  readonly #rules: VerifyRules
  readonly #claims: ClaimRules
  /** By the token's digest: a token itself is a secret and stays nowhere. */
  readonly #known: LRUCache<string, Known>
  readonly #sources: readonly HeldSource[]
  readonly #counters: Readonly<Record<Outcome, Counter>>

  constructor(options: JwtOptions, services: FilterServices) {
    const { header = 'authorization', cookie = null, optional = false, user = 'sub', claims = {} } = options
    const { skew = '30s', maxAge = '0', startup = 'refuse', maxBytes = DEFAULT_MAX_BYTES } = options
    this.name = services.name
    this.#clock = services.clock
    this.#header = header.toLowerCase()
    this.#cookie = cookie
    this.#isOptional = optional
    this.#maxBytes = maxBytes
    this.#claims = new ClaimRules({ userClaim: user === '' ? null : user, headers: claims })
    this.#known = new LRUCache({ max: options.maxTokens ?? DEFAULT_MAX_TOKENS })
    this.#counters = countersOf(services)
    const { issuers, sources } = openIssuers(options, services)
    this.#sources = sources
    this.#rules = {
      issuers,
      skewMs: parseDuration(skew),
      maxAgeMs: parseDuration(maxAge),
      waitsForKeys: startup === 'wait',
      clock: services.clock,
    }
  }

  onRoute(exchange: Exchange): Verdict | Promise<Verdict> {
    const token = this.#tokenOf(exchange.request.headers)
    if (token === null)
      return this.#isOptional ? this.#passAnonymous(exchange) : this.#refuse(exchange, 'absent')
    if (token.length > this.#maxBytes) return this.#refuse(exchange, 'too-long')
    const digest = hash('sha256', token, 'base64')
    const known = this.#known.get(digest)
    if (known !== undefined) {
      if (known.key.isLive && known.endMs > this.#clock.wallNow())
        return this.#admit(exchange, known.identity)
      this.#known.delete(digest)
    }
    return this.#verify(exchange, token, digest)
  }

  close(): void {
    for (const source of this.#sources) source.release()
    this.#known.clear()
  }

  async #verify(exchange: Exchange, token: string, digest: string): Promise<Verdict> {
    const outcome = await verifyToken(token, this.#rules)
    if (typeof outcome === 'string') return this.#refuse(exchange, outcome)
    const identity = this.#claims.read(outcome.claims)
    if (identity === null) return this.#refuse(exchange, 'claims')
    this.#known.set(digest, { identity, key: outcome.key, endMs: outcome.endMs })
    return this.#admit(exchange, identity)
  }

  #admit(exchange: Exchange, identity: Identity): Verdict {
    const { userId, principal } = identity
    if (userId !== '' && exchange.userId !== '' && exchange.userId !== userId) {
      return this.#refuse(exchange, 'other-user')
    }
    if (userId !== '') exchange.userId = userId
    exchange.principal = principal
    const { headers } = exchange.request
    this.#claims.strip(headers)
    this.#claims.write(headers, identity)
    this.#counters.ok.value++
    return Verdict.Continue
  }

  #passAnonymous(exchange: Exchange): Verdict {
    this.#claims.strip(exchange.request.headers)
    this.#counters.anonymous.value++
    return Verdict.Continue
  }

  /** What the caller wrote in the place of claims goes here too: in shadow mode the request goes on. */
  #refuse(exchange: Exchange, why: Refused): Verdict {
    this.#claims.strip(exchange.request.headers)
    this.#counters[why].value++
    const { code, options } = REFUSALS[why]
    return exchange.refuse(code, options)
  }

  #tokenOf(headers: Headers): string | null {
    const value = headers.get(this.#header)
    if (value !== null && value !== '') {
      if (this.#header !== 'authorization') return value
      // Another scheme is none of ours: perhaps there is a cookie.
      if (isBearer(value)) return value.slice(BEARER_LENGTH).trim()
    }
    return this.#cookie === null ? null : readCookie(headers.get('cookie'), this.#cookie)
  }
}

const BEARER_LENGTH = 'bearer '.length

/** Without a regular expression, which would keep the text it saw last: a token. */
function isBearer(value: string): boolean {
  return value.slice(0, BEARER_LENGTH).toLowerCase() === 'bearer '
}

function openIssuers(
  options: JwtOptions,
  services: FilterServices,
): { issuers: ReadonlyMap<string, Issuer>; sources: readonly HeldSource[] } {
  const issuers = new Map<string, Issuer>()
  const sources: HeldSource[] = []
  options.issuers.forEach((given, index) => {
    try {
      if (issuers.has(given.issuer)) throw new Error(`issuer "${given.issuer}" stands there twice`)
      const held = openSource(given, options, services)
      sources.push(held)
      const { issuer, audience } = given
      const audiences = typeof audience === 'string' ? [audience] : audience
      issuers.set(issuer, { issuer, audiences, source: held.source })
    } catch (error) {
      for (const source of sources) source.release()
      throw new Error(`issuers[${index}]: ${(error as Error).message}`)
    }
  })
  return { issuers, sources }
}

function countersOf({ metrics, name }: FilterServices): Readonly<Record<Outcome, Counter>> {
  const make = (outcome: Outcome): Counter =>
    metrics.counter('meshgate_jwt_total', 'Requests by what a jwt filter found', { filter: name, outcome })
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, make(outcome)])) as Record<Outcome, Counter>
}
