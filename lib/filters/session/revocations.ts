/** Sessions that are no good any more, though they have not expired. */
import { LRUCache } from 'lru-cache'
import { timeOf } from './json.ts'
import type { Session } from './payload.ts'

/** Logouts that this process remembers for self-contained tokens. */
const MAX_LOGOUTS = 100_000

/**
 * A list out of a file, and the logouts that went through this process. A line of the file is `session ID`, or `user ID TIME`: every
 * session of that user that began before the time (ISO 8601, or seconds since 1970). `#` begins a comment.
 */
export class Revocations {
  #sessions: ReadonlySet<string> = new Set()
  #users: ReadonlyMap<string, number> = new Map()
  readonly #logouts = new LRUCache<string, true>({ max: MAX_LOGOUTS })

  /** Replaces the list. Throws an `Error` with the line that is wrong; the old list holds on then. */
  take(text: string): void {
    const sessions = new Set<string>()
    const users = new Map<string, number>()
    for (const [index, line] of text.split('\n').entries()) {
      const content = line.replace(/#.*/, '').trim()
      if (content === '') continue
      const [kind, id, time, ...rest] = content.split(/\s+/)
      const notBefore = time === undefined ? null : timeOf(time)
      if (kind === 'session' && id !== undefined && time === undefined) sessions.add(id)
      else if (kind === 'user' && id !== undefined && notBefore !== null && rest.length === 0)
        users.set(id, Math.max(users.get(id) ?? 0, notBefore))
      else throw new Error(`line ${index + 1}: expected "session ID" or "user ID TIME"`)
    }
    this.#sessions = sessions
    this.#users = users
  }

  /** Ends one session in this process. */
  logout(id: string): void {
    this.#logouts.set(id, true)
  }

  /** Asked for every request, also of verified tokens. */
  has(session: Session): boolean {
    if (this.#sessions.size > 0 && this.#sessions.has(session.id)) return true
    if (this.#logouts.size > 0 && this.#logouts.has(session.id)) return true
    if (this.#users.size === 0) return false
    const notBefore = this.#users.get(session.userId)
    return notBefore !== undefined && session.loginAt < notBefore
  }
}
