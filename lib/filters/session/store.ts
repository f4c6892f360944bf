/** Where sessions live that callers hold only the id of. */
import type { Session } from './payload.ts'

/**
 * A place for sessions, by id. Every method may fail when the place cannot be reached; its error says so without a
 * password or a session in it.
 */
export interface SessionStore {
  /** `memory`, `redis` or `http`: for logs and metrics. */
  readonly kind: string
  /** The session, null when there is none; at once when the store is in this process. */
  get(id: string): Session | null | Promise<Session | null>
  /** Keeps a session for `ttlMs`. */
  put(session: Session, ttlMs: number): void | Promise<void>
  /** Keeps a session for longer, unless it was removed meanwhile. */
  touch(session: Session, ttlMs: number): void | Promise<void>
  remove(id: string): void | Promise<void>
  close(): void
}

/** Turns sessions into what a store outside this process keeps, and back. */
export interface SessionText {
  /** False when other programs write what is in the store, and may have put more into it than is read here. */
  readonly isOwn: boolean
  write(session: Session): string
  /** Null when it is none of ours. */
  read(id: string, text: string): Session | null
}

/** An id that may be asked for: nothing that a store could take for syntax. */
const ID = /^[A-Za-z0-9._~-]{16,128}$/

/** Whether a text a caller sent can be the id of a session. Shorter ones could be guessed. */
export function isSessionId(text: string): boolean {
  return ID.test(text)
}
