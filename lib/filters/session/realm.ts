/** One realm: its keys, its carrier, its caches and its store. Nothing of it is shared with another realm. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Exchange } from '../../core/exchange.ts'
import type { Headers } from '../../core/message.ts'
import { newSessionId } from './json.ts'
import { isLegacy, MAX_LEGACY_LENGTH, openLegacy } from './legacy.ts'
import type { Found } from './lookups.ts'
import type { Session } from './payload.ts'
import type { RealmParts } from './realm-parts.ts'
import { isSessionId } from './store.ts'
import { openSession, sealSession } from './token.ts'
import { type Fault, Verified } from './verified.ts'

/** A token up to this length is its own key in the cache; a longer one is known by its digest, so that memory is bounded. */
const MAX_KEY_LENGTH = 1024

/** Proves sessions of one realm, renews, begins and ends them. */
export class Realm {
  readonly name: string
  readonly #parts: RealmParts
  readonly #verified: LRUCache<string, Verified> | null
  /** Ids that the store does not know → wall-clock milliseconds until which it is not asked again. */
  readonly #unknown = new LRUCache<string, number>({ max: 10_000 })

  constructor(parts: RealmParts) {
    this.name = parts.name
    this.#parts = parts
    this.#verified = parts.cacheSize === 0 ? null : new LRUCache({ max: parts.cacheSize })
    // A key that was taken away must not live on in what it proved.
    parts.onKeysChanged(() => this.#verified?.clear())
  }

  /** Whether this realm counts for requests like this one. */
  admits({ listener, request }: Exchange): boolean {
    const { listeners, protocols } = this.#parts
    return (
      (listeners === null || listeners.has(listener.name)) &&
      (protocols === null || protocols.has(request.protocol))
    )
  }

  /** The token of a request, null when it carries none. */
  read(headers: Headers): string | null {
    const { carrier, legacy } = this.#parts
    const token = carrier.read(headers)
    return token !== null || legacy === null || legacy.carrier === null ? token : legacy.carrier.read(headers)
  }

  /** Proves a token. A promise only when a store has to be asked; it never rejects. */
  check(token: string, exchange: Exchange, now: number): Verified | Fault | Promise<Verified | Fault> {
    const key = token.length <= MAX_KEY_LENGTH ? token : digestOf(token)
    const known = this.#verified?.get(key)
    if (known !== undefined && known.freshUntil > now) {
      if (known.isLegacy && !this.#acceptsLegacy(exchange, now)) return 'malformed'
      return this.#judge(known, now)
    }
    if (isLegacy(token)) return this.#checkLegacy(token, key, exchange, now)
    return this.#parts.lookups === null ? this.#open(token, key, now) : this.#lookUp(token, now)
  }

  #open(token: string, key: string, now: number): Verified | Fault {
    const session = openSession(token, this.#parts.keys, this.name)
    return typeof session === 'string' ? session : this.#keep(key, this.#proven(session, false), now)
  }

  #checkLegacy(token: string, key: string, exchange: Exchange, now: number): Verified | Fault {
    const { legacy } = this.#parts
    if (legacy === null || token.length > MAX_LEGACY_LENGTH) return 'malformed'
    if (!this.#acceptsLegacy(exchange, now)) return 'malformed'
    const session = openLegacy(token, legacy.format)
    return typeof session === 'string' ? session : this.#keep(key, this.#proven(session, true), now)
  }

  #acceptsLegacy({ listener }: Exchange, now: number): boolean {
    const { legacy } = this.#parts
    if (legacy === null || now >= legacy.until) return false
    return legacy.format.secret !== null || listener.trusted
  }

  #lookUp(id: string, now: number): Verified | Fault | Promise<Verified | Fault> {
    if (!isSessionId(id)) return 'malformed'
    const unknownUntil = this.#unknown.get(id)
    if (unknownUntil !== undefined && unknownUntil > now) return 'unknown'
    const found = this.#parts.lookups?.find(id) ?? 'unavailable'
    if (!(found instanceof Promise)) return this.#settle(id, found)
    return found.then((answer) => this.#settle(id, answer))
  }

  #settle(id: string, found: Found): Verified | Fault {
    const now = this.#parts.clock.wallNow()
    if (found === 'unavailable') return found
    if (found === null) {
      this.#unknown.set(ownCopy(id), now + this.#parts.missMs)
      return 'unknown'
    }
    const proven = new Verified(found, now + this.#parts.cacheMs, found.issuedAt + this.#parts.touchMs, false)
    return this.#keep(id, proven, now)
  }

  #proven(session: Session, isOld: boolean): Verified {
    const { renewAfter, legacy } = this.#parts
    const renewAt = isOld
      ? (legacy?.rewrite ?? false)
        ? 0
        : Number.POSITIVE_INFINITY
      : session.issuedAt + (session.expiresAt - session.issuedAt) * renewAfter
    return new Verified(session, Number.POSITIVE_INFINITY, renewAt, isOld)
  }

  #keep(key: string, verified: Verified, now: number): Verified | Fault {
    const judged = this.#judge(verified, now)
    // A header is one string: a part of it would keep all of it.
    if (typeof judged !== 'string') this.#verified?.set(ownCopy(key), verified)
    return judged
  }

  #judge(verified: Verified, now: number): Verified | Fault {
    const { session } = verified
    const { skewMs, maxLifeMs, revocations } = this.#parts
    if (session.expiresAt + skewMs <= now || session.loginAt + maxLifeMs <= now) return 'expired'
    if (session.issuedAt - skewMs > now || session.loginAt - skewMs > now) return 'early'
    return revocations.has(session) ? 'revoked' : verified
  }

  /**
   * Makes a session last longer: a new token, or a word to the store. The token that the caller gets, null when it is to keep
   * what it has; a promise only where a legacy session moves into a store outside this process.
   */
  renew(verified: Verified, now: number): string | null | Promise<string | null> {
    const { store, lifeMs, maxLifeMs } = this.#parts
    if (verified.renewal !== null) return verified.renewal
    const { session } = verified
    const expiresAt = Math.min(now + lifeMs, session.loginAt + maxLifeMs)
    if (expiresAt <= session.expiresAt && !verified.isLegacy) {
      verified.renewAt = Number.POSITIVE_INFINITY // its last stretch
      return null
    }
    const next: Session = { ...session, issuedAt: now, expiresAt }
    if (store === null) {
      verified.renewal = this.#seal(next)
      return verified.renewal
    }
    if (verified.isLegacy) return this.#move(verified, next, now)
    verified.session = next
    verified.renewAt = now + this.#parts.touchMs
    this.#parts.inBackground(() => store.touch(next, expiresAt - now))
    return next.id
  }

  #move(verified: Verified, session: Session, now: number): string | null | Promise<string | null> {
    // The id of before may be known to others or short: in a store the id is all that a caller has to show.
    const moved = { ...session, id: newSessionId() }
    const kept = this.#put(moved, now)
    const finish = (isKept: boolean): string | null => {
      if (isKept) verified.renewal = moved.id
      return isKept ? moved.id : null
    }
    return kept instanceof Promise ? kept.then(finish) : finish(kept)
  }

  /** Begins a session, for no longer than the realm's life at first. The token for the caller, null when the store did not take it. Throws `RangeError` when it is too large. */
  begin(given: Session, now: number): string | null | Promise<string | null> {
    const session = { ...given, expiresAt: Math.min(given.expiresAt, now + this.#parts.lifeMs) }
    if (this.#parts.store === null) return this.#seal(session)
    const kept = this.#put(session, now)
    if (!(kept instanceof Promise)) return kept ? session.id : null
    return kept.then((isKept) => (isKept ? session.id : null))
  }

  /** Ends a session: in the store, and in this process at once. */
  end({ session }: Verified): void {
    const { store, revocations } = this.#parts
    revocations.logout(session.id)
    if (store !== null) this.#parts.inBackground(() => store.remove(session.id))
  }

  /** Milliseconds that a token made now is good for. */
  get lifeMs(): number {
    return this.#parts.lifeMs
  }

  /** Hands a token to the caller, or takes it away with null. */
  write(exchange: Exchange, token: string | null): void {
    const { carrier, legacy, lifeMs } = this.#parts
    if (token === null) carrier.clear(exchange)
    else carrier.write(exchange, token, lifeMs)
    const old = legacy?.carrier ?? null
    if (old !== null && old.read(exchange.request.headers) !== null) old.clear(exchange)
  }

  /** Takes the token out of a request that is forwarded. */
  strip(headers: Headers): void {
    this.#parts.carrier.strip(headers)
    this.#parts.legacy?.carrier?.strip(headers)
  }

  /** Stops watching files and closes the store. */
  close(): void {
    this.#parts.close()
  }

  #put(session: Session, now: number): boolean | Promise<boolean> {
    const { store } = this.#parts
    const put = () => store?.put(session, session.expiresAt - now)
    this.#unknown.delete(session.id)
    return this.#parts.attempt(put)
  }

  #seal(session: Session): string {
    const token = sealSession(session, this.#parts.keys, this.name, this.#parts.mode)
    if (token.length > this.#parts.maxBytes) {
      throw new RangeError(
        `a session of realm ${this.name} has ${token.length} bytes, more than maxBytes ${this.#parts.maxBytes}; give it fewer attributes`,
      )
    }
    return token
  }
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64')
}

function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
