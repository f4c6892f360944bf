/** Sessions in Redis. The client is loaded and connects with the first request that needs it, never at the start. */
import { readFile } from 'node:fs/promises'
import type { Redis } from 'ioredis'
import type { Logger } from '../../core/services.ts'
import type { Session } from './payload.ts'
import type { SessionStore, SessionText } from './store.ts'

/** Where Redis is and how it is spoken to. */
export interface RedisPlace {
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string
  /** Resolved path of a file with the password. */
  readonly passwordFile?: string
  readonly db?: number
  readonly tls?: boolean
  /** What stands before the id in a key. */
  readonly prefix: string
  readonly timeoutMs: number
}

/** A store over one connection, which comes back by itself. Commands are never queued while it is away. */
export class RedisStore implements SessionStore {
  readonly kind = 'redis'
  readonly #place: RedisPlace
  readonly #text: SessionText
  readonly #log: Logger
  #client: Redis | null = null
  #connecting: Promise<Redis> | null = null
  #lastProblem = ''
  #isClosed = false

  constructor(place: RedisPlace, text: SessionText, log: Logger) {
    this.#place = place
    this.#text = text
    this.#log = log
  }

  async get(id: string): Promise<Session | null> {
    const client = this.#client ?? (await this.#connect())
    const text = await client.get(this.#place.prefix + id)
    return text === null ? null : this.#text.read(id, text)
  }

  async put(session: Session, ttlMs: number): Promise<void> {
    const client = this.#client ?? (await this.#connect())
    await client.set(this.#place.prefix + session.id, this.#text.write(session), 'PX', ttlMs)
  }

  async touch(session: Session, ttlMs: number): Promise<void> {
    const client = this.#client ?? (await this.#connect())
    if (!this.#text.isOwn) {
      await client.pexpire(this.#place.prefix + session.id, ttlMs)
      return
    }
    // XX: a session that was logged out meanwhile does not come back.
    await client.set(this.#place.prefix + session.id, this.#text.write(session), 'PX', ttlMs, 'XX')
  }

  async remove(id: string): Promise<void> {
    const client = this.#client ?? (await this.#connect())
    await client.del(this.#place.prefix + id)
  }

  close(): void {
    this.#isClosed = true
    this.#client?.disconnect()
    this.#client = null
  }

  #connect(): Promise<Redis> {
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null
    })
    return this.#connecting
  }

  async #open(): Promise<Redis> {
    const { host, port, username, password, passwordFile, db, tls, timeoutMs } = this.#place
    const secret = passwordFile === undefined ? password : (await readFile(passwordFile, 'utf8')).trim()
    const { Redis } = await import('ioredis')
    const client = new Redis({
      host: host ?? '127.0.0.1',
      port: port ?? 6379,
      ...(username === undefined ? {} : { username }),
      ...(secret === undefined ? {} : { password: secret }),
      db: db ?? 0,
      ...(tls === true ? { tls: {} } : {}),
      lazyConnect: true,
      // What cannot be asked now fails now: the request is not worth more.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      connectTimeout: Math.max(timeoutMs, 1000),
      socketTimeout: Math.max(timeoutMs * 4, 2000),
      retryStrategy: (attempt) => Math.min(100 * 2 ** Math.min(attempt, 6), 5000),
    })
    client.on('error', (error: Error) => this.#report(error))
    client.on('ready', () => this.#recover())
    if (this.#isClosed) throw new Error('the store is closed')
    try {
      await client.connect()
    } finally {
      // It goes on trying by itself, so it is kept even when this attempt failed.
      if (this.#isClosed) client.disconnect()
      else this.#client = client
    }
    return client
  }

  /** Once for each kind of problem. ioredis puts the command, and so a password, into its errors: only the first word goes out. */
  #report(error: Error & { code?: string }): void {
    const problem = error.code ?? /^[A-Z]{3,}\b/.exec(error.message)?.[0] ?? error.name
    if (problem === this.#lastProblem) return
    this.#lastProblem = problem
    this.#log.warn({ store: this.kind, problem }, 'the session store cannot be reached')
  }

  #recover(): void {
    if (this.#lastProblem !== '')
      this.#log.info({ store: this.kind }, 'the session store can be reached again')
    this.#lastProblem = ''
  }
}
