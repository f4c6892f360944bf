/** Makes what a realm consists of out of its options: files are read and watched, the store is chosen, everything is checked. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { FilterServices } from '../../core/filter.ts'
import type { Clock, Counter } from '../../core/services.ts'
import { parseDuration } from '../duration.ts'
import { Carrier } from './carrier.ts'
import { HttpStore } from './http-store.ts'
import { parseSessionJson, sessionToJson } from './json.ts'
import { decodeSecret, KeyRing, makeKeyRing, parseKeyFile } from './keys.ts'
import type { LegacyFormat } from './legacy.ts'
import { Lookups } from './lookups.ts'
import { MemoryStore } from './memory-store.ts'
import type { LegacyOptions, RealmOptions, StoreOptions } from './options.ts'
import { RedisStore } from './redis-store.ts'
import { Revocations } from './revocations.ts'
import type { SessionStore, SessionText } from './store.ts'
import { openSession, sealSession, type TokenMode } from './token.ts'
import { canRead, WatchedFile } from './watched-file.ts'

/** How legacy sessions of a realm are treated. */
export interface LegacyParts {
  readonly format: LegacyFormat
  /** Where they travel, when not where new tokens do. */
  readonly carrier: Carrier | null
  /** Wall-clock milliseconds at which the migration is over. */
  readonly until: number
  readonly rewrite: boolean
}

const PROBLEM_LOG_MS = 10_000

/** What a realm consists of. Durations are milliseconds. */
export class RealmParts {
  readonly name: string
  readonly clock: Clock
  readonly carrier: Carrier
  readonly listeners: ReadonlySet<string> | null
  readonly protocols: ReadonlySet<string> | null
  readonly mode: TokenMode
  readonly lifeMs: number
  readonly maxLifeMs: number
  readonly renewAfter: number
  readonly skewMs: number
  readonly cacheSize: number
  readonly maxBytes: number
  readonly cacheMs: number
  readonly missMs: number
  readonly touchMs: number
  readonly revocations = new Revocations()
  readonly legacy: LegacyParts | null
  /** Null for tokens that hold all. */
  readonly store: SessionStore | null
  readonly lookups: Lookups | null
  #keys = new KeyRing([])
  #onKeysChanged: () => void = () => {}
  #loggedAt = Number.NEGATIVE_INFINITY
  readonly #services: FilterServices
  readonly #files: WatchedFile[] = []
  readonly #failures: Counter
  readonly #withdraw: () => void

  /** Throws an `Error` that says what is wrong with the options. */
  constructor(name: string, options: RealmOptions, services: FilterServices) {
    this.name = name
    this.#services = services
    this.clock = services.clock
    this.carrier = makeCarrier(options)
    this.listeners = options.listeners === undefined ? null : new Set(options.listeners)
    this.protocols = options.protocols === undefined ? null : new Set(options.protocols)
    this.mode = options.mode ?? 'encrypt'
    this.lifeMs = parseDuration(options.life ?? '30m')
    this.maxLifeMs = parseDuration(options.maxLife ?? '720h')
    if (this.lifeMs < 1000 || this.maxLifeMs < this.lifeMs)
      throw new Error('life is at least 1s, and maxLife no shorter than life')
    this.renewAfter = options.renewAfter ?? 0.5
    this.skewMs = parseDuration(options.skew ?? '30s')
    this.cacheSize = options.cache ?? 10_000
    this.maxBytes = options.maxBytes ?? 650
    this.cacheMs = parseDuration(options.store?.cacheFor ?? '30s')
    this.missMs = parseDuration(options.store?.missFor ?? '2s')
    this.touchMs = parseDuration(options.store?.touch ?? '5m')
    this.#failures = services.metrics.counter(
      'meshgate_session_store_failures_total',
      'Questions and orders that a session store did not answer',
      { filter: services.name, realm: name },
    )
    this.legacy = options.legacy === undefined ? null : makeLegacy(options.legacy, services)
    this.#watchFiles(options)
    this.store = options.store === undefined ? null : this.#makeStore(options.store)
    this.lookups = this.store === null ? null : this.#makeLookups(this.store, options.store ?? {})
    this.#withdraw = services.metrics.gauge(
      'meshgate_session_store_open',
      'Whether a session store is not asked because it failed too often',
      { filter: services.name, realm: name },
      () => (this.lookups?.isOpen === true ? 1 : 0),
    )
  }

  get keys(): KeyRing {
    return this.#keys
  }

  /** `listener` is called when the keys were exchanged. */
  onKeysChanged(listener: () => void): void {
    this.#onKeysChanged = listener
  }

  /** Gives the store an order that no request waits for. */
  inBackground(order: () => void | Promise<void>): void {
    void this.attempt(order)
  }

  /** Gives the store an order. True when it was carried out; a promise only when the store is outside this process. Never rejects or throws. */
  attempt(order: () => void | Promise<void>): boolean | Promise<boolean> {
    if (this.lookups?.isOpen === true) return false
    try {
      const outcome = order()
      if (outcome === undefined) return true
      return outcome.then(
        () => true,
        (error: unknown) => this.#fail(error instanceof Error ? error.name : 'unknown'),
      )
    } catch (error) {
      return this.#fail(error instanceof Error ? error.name : 'unknown')
    }
  }

  close(): void {
    this.#withdraw()
    for (const file of this.#files) file.close()
    this.store?.close()
  }

  #fail(problem: string): false {
    this.#failures.value++
    const now = this.clock.now()
    if (now - this.#loggedAt >= PROBLEM_LOG_MS) {
      this.#loggedAt = now
      const { log, name: filter } = this.#services
      log.warn({ filter, realm: this.name, store: this.store?.kind, problem }, 'the session store failed')
    }
    return false
  }

  #watchFiles({ keys, revoked, store }: RealmOptions): void {
    if (keys === undefined) {
      if (needsKeys(store)) throw new Error('the realm needs keys: a list of { id, secret }, or { file }')
    } else if ('file' in keys) this.#watch(keys.file, 'keys', (text) => this.#takeKeys(text))
    else this.#keys = makeKeyRing(keys, this.name)
    if (revoked !== undefined) this.#watch(revoked, 'revoked', (text) => this.revocations.take(text))
  }

  #takeKeys(text: string): void {
    this.#keys = parseKeyFile(text, this.name)
    this.#onKeysChanged()
  }

  #watch(file: string, what: string, take: (text: string) => void): void {
    const { log, metrics, name: filter, timers, resolvePath } = this.#services
    const resolved = resolvePath(file)
    if (!canRead(resolved)) return
    const labels = { filter, realm: this.name, file: what }
    const help = 'Changed files of sessions that were read, by outcome'
    const taken = metrics.counter('meshgate_session_reloads_total', help, { ...labels, outcome: 'taken' })
    const refused = metrics.counter('meshgate_session_reloads_total', help, { ...labels, outcome: 'refused' })
    const onReload = (error: Error | null): void => {
      if (error === null) {
        taken.value++
        log.info({ ...labels, path: resolved }, 'a changed file of sessions was read')
      } else {
        refused.value++
        const problem = error.message
        log.error(
          { ...labels, path: resolved, problem },
          'a changed file is wrong; what was read before holds',
        )
      }
    }
    this.#files.push(new WatchedFile(resolved, { take, onReload }, timers))
  }

  #makeStore({ max, redis, http, timeout }: StoreOptions): SessionStore {
    const { clock, log, resolvePath } = this.#services
    const timeoutMs = parseDuration(timeout ?? '200ms')
    if (redis !== undefined && http !== undefined) throw new Error('a store is redis or http, not both')
    if (http !== undefined) {
      const place = { ...http, headers: http.headers ?? {}, realm: this.name, timeoutMs, lifeMs: this.lifeMs }
      return new HttpStore(place, () => clock.wallNow())
    }
    if (redis === undefined) return new MemoryStore(max ?? 100_000, clock)
    const { format, passwordFile, ...rest } = redis
    const place = { ...rest, prefix: redis.prefix ?? `session:${this.name}:`, timeoutMs }
    const text = format === 'json' ? this.#jsonText() : this.#sealedText()
    return new RedisStore(
      passwordFile === undefined ? place : { ...place, passwordFile: resolvePath(passwordFile) },
      text,
      log,
    )
  }

  #makeLookups(store: SessionStore, { timeout, maxPending }: StoreOptions): Lookups {
    const limits = { timeoutMs: parseDuration(timeout ?? '200ms'), maxPending: maxPending ?? 1000 }
    return new Lookups(store, limits, this.#services, (problem) => void this.#fail(problem))
  }

  /** Sealed like a token and bound to its id: who can write to the store still cannot make a session, or give one another id. */
  #sealedText(): SessionText {
    return {
      isOwn: true,
      write: (session) => sealSession(session, this.#keys, this.name, this.mode, session.id),
      read: (id, text) => {
        const session = openSession(text, this.#keys, this.name, id)
        return typeof session === 'string' || session.id !== id ? null : session
      },
    }
  }

  #jsonText(): SessionText {
    return {
      isOwn: false,
      write: sessionToJson,
      read: (id, text) => parseSessionJson(text, { id, now: this.clock.wallNow(), lifeMs: this.lifeMs }),
    }
  }
}

function needsKeys(store: StoreOptions | undefined): boolean {
  return store === undefined || (store.redis !== undefined && store.redis.format !== 'json')
}

function makeCarrier({ cookie, header }: RealmOptions): Carrier {
  const options = typeof cookie === 'string' ? { name: cookie } : (cookie ?? null)
  if (options?.sameSite === 'None' && options.secure === false)
    throw new Error('cookie: browsers refuse sameSite None without secure')
  return new Carrier(options, header ?? (options === null ? 'session' : null))
}

function makeLegacy(options: LegacyOptions, services: FilterServices): LegacyParts {
  const { secret, secretFile, unsigned, cookie, header, until } = options
  const given = [secret !== undefined, secretFile !== undefined, unsigned === true].filter(Boolean)
  if (given.length !== 1)
    throw new Error(
      'legacy: give one of secret, secretFile, or unsigned: true where trusted listeners alone are called by who checked the session',
    )
  const end = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until)
  if (Number.isNaN(end)) throw new Error(`legacy.until: "${until}" is no date; write 2027-01-31`)
  const hasOwn = cookie !== undefined || header !== undefined
  return {
    format: {
      secret: legacySecret(secret, secretFile, services),
      fields: options.fields ?? {},
      attributes: options.attributes ?? {},
    },
    carrier: hasOwn ? new Carrier(cookie === undefined ? null : { name: cookie }, header ?? null) : null,
    until: end,
    rewrite: options.rewrite ?? true,
  }
}

function legacySecret(
  text: string | undefined,
  file: string | undefined,
  { resolvePath }: FilterServices,
): Buffer | null {
  if (text !== undefined) return decodeSecret(text, 'legacy.secret')
  if (file === undefined) return null
  const resolved = resolvePath(file)
  // A check of a configuration opens no file: a secret that nothing matches stands in.
  if (!canRead(resolved)) return randomBytes(32)
  return decodeSecret(readFileSync(resolved, 'utf8').trim(), `legacy.secretFile ${resolved}`)
}
