/** Sessions in this process: for one instance, for tests, and for what may be lost with it. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../core/services.ts'
import type { Session } from './payload.ts'
import type { SessionStore } from './store.ts'

interface Kept {
  readonly session: Session
  /** Wall-clock milliseconds. */
  readonly until: number
}

/** A bounded store: the session that was unused for longest goes first. */
export class MemoryStore implements SessionStore {
  readonly kind = 'memory'
  readonly #clock: Clock
  readonly #sessions: LRUCache<string, Kept>

  constructor(max: number, clock: Clock) {
    this.#clock = clock
    this.#sessions = new LRUCache({ max })
  }

  get(id: string): Session | null {
    const kept = this.#sessions.get(id)
    if (kept === undefined) return null
    if (kept.until > this.#clock.wallNow()) return kept.session
    this.#sessions.delete(id)
    return null
  }

  put(session: Session, ttlMs: number): void {
    this.#sessions.set(session.id, { session, until: this.#clock.wallNow() + ttlMs })
  }

  touch(session: Session, ttlMs: number): void {
    if (this.#sessions.has(session.id)) this.put(session, ttlMs)
  }

  remove(id: string): void {
    this.#sessions.delete(id)
  }

  close(): void {
    this.#sessions.clear()
  }
}
