/** Where an issuer's keys come from: the configuration, a file, or a URL that is asked in the background. */
import type { FilterServices } from '../../core/filter.ts'
import type { TimerEntry } from '../../core/services.ts'
import { FollowedFile, parseSecretJson } from '../followed-file.ts'
import { type JwtAlgorithm, readJwks, replaceKeys, type VerifyKey } from './keys.ts'

/** Keys, as they are now. */
export interface KeySource {
  /** Empty while there are none. */
  keysAt(now: number): readonly VerifyKey[]
  /** Settles when the first attempt to get keys is over; null when it is. */
  readonly firstAttempt: Promise<void> | null
  /** A token named a key that is not there: perhaps there are newer ones. Never waits. */
  onUnknownKey(): void
  close(): void
}

const NO_KEYS: readonly VerifyKey[] = []

/** Keys of the configuration. */
export class FixedKeys implements KeySource {
  readonly firstAttempt = null
  readonly #keys: readonly VerifyKey[]

  constructor(keys: readonly VerifyKey[]) {
    this.#keys = keys
  }

  keysAt(): readonly VerifyKey[] {
    return this.#keys
  }

  onUnknownKey(): void {}
  close(): void {}
}

/** Keys of a file, taken up anew whenever it changes. */
export class FileKeys implements KeySource {
  readonly firstAttempt = null
  readonly #file: FollowedFile
  #keys: readonly VerifyKey[] = NO_KEYS

  /** Throws an `Error` when the file is there and holds no keys. */
  constructor(path: string, algorithm: JwtAlgorithm | null, services: FilterServices) {
    this.#file = new FollowedFile(path, services, (text) => {
      const { keys, skipped } = readJwks(parseSecretJson(text), algorithm, true)
      this.#keys = replaceKeys(this.#keys, keys)
      if (skipped.length > 0)
        services.log.warn({ filter: services.name, file: path, skipped }, 'keys left out')
    })
  }

  keysAt(): readonly VerifyKey[] {
    return this.#keys
  }

  onUnknownKey(): void {}

  close(): void {
    this.#file.close()
  }
}

/** How a URL is asked. */
export interface RemoteOptions {
  readonly url: string
  readonly algorithm: JwtAlgorithm | null
  readonly refreshMs: number
  readonly staleAfterMs: number
  readonly timeoutMs: number
}

const MAX_BYTES = 256 * 1024
const FIRST_RETRY_MS = 1000
/** Between two fetches that tokens with unknown keys ask for: anybody can make such a token. */
const COOLDOWN_MS = 30_000

/** Keys of a URL. It is asked at once, again before they grow old, and after a failure at growing intervals. */
export class RemoteKeys implements KeySource, TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  firstAttempt: Promise<void> | null
  readonly #options: RemoteOptions
  readonly #services: FilterServices
  readonly #closing = new AbortController()
  readonly #endFirstAttempt: () => void
  /** The URL without its query, for the log. */
  readonly #shownUrl: string
  #keys: readonly VerifyKey[] = NO_KEYS
  #fetchedAt = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #isAsking = false

  /** Nothing is sent before the timers run. Throws an `Error` for a URL that must not be used. */
  constructor(options: RemoteOptions, services: FilterServices) {
    this.#options = options
    this.#services = services
    this.#shownUrl = checkUrl(options.url)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.firstAttempt = promise
    this.#endFirstAttempt = resolve
    services.timers.schedule(this, 0)
  }

  keysAt(now: number): readonly VerifyKey[] {
    return now - this.#fetchedAt <= this.#options.staleAfterMs ? this.#keys : NO_KEYS
  }

  onUnknownKey(): void {
    if (this.#isAsking || this.#services.clock.now() - this.#askedAt < COOLDOWN_MS) return
    this.#services.timers.schedule(this, 0)
  }

  close(): void {
    this.#closing.abort()
    this.#services.timers.cancel(this)
    this.#endFirstAttempt()
  }

  onTimer(): void {
    void this.refresh()
  }

  /** Asks now; settles when what came of it holds. */
  async refresh(): Promise<void> {
    if (this.#isAsking || this.#closing.signal.aborted) return
    this.#isAsking = true
    this.#askedAt = this.#services.clock.now()
    try {
      this.#take(await this.#fetch())
    } catch (error) {
      this.#onFailure(error as Error)
    }
    this.#isAsking = false
    this.firstAttempt = null
    this.#endFirstAttempt()
    if (!this.#closing.signal.aborted) this.#services.timers.schedule(this, this.#delayMs())
  }

  #delayMs(): number {
    const { refreshMs } = this.#options
    return this.#failures === 0 ? refreshMs : Math.min(refreshMs, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
  }

  async #fetch(): Promise<string> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#options.timeoutMs)])
    const response = await fetch(this.#options.url, {
      signal,
      redirect: 'error',
      headers: { accept: 'application/json' },
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`the answer has status ${response.status}`)
    }
    return readBounded(response)
  }

  #take(text: string): void {
    const { keys, skipped } = readJwks(parseSecretJson(text), this.#options.algorithm, false)
    if (this.#closing.signal.aborted) return
    this.#keys = replaceKeys(this.#keys, keys)
    this.#fetchedAt = this.#services.clock.now()
    this.#failures = 0
    const fields = { filter: this.#services.name, url: this.#shownUrl, keys: keys.length, skipped }
    this.#services.log.info(fields, 'keys fetched')
  }

  #onFailure(error: Error): void {
    if (this.#closing.signal.aborted) return
    this.#failures++
    const { code } = (error.cause ?? {}) as { code?: string }
    const reason = code ?? error.message
    const fields = { filter: this.#services.name, url: this.#shownUrl, reason, failures: this.#failures }
    const kept = this.#keys.length === 0 ? 'there are none yet' : 'those that are known serve on'
    this.#services.log.warn(fields, `keys cannot be fetched, ${kept}`)
  }
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Throws an `Error` for anything but https, or http on this machine; gives the URL without its query. */
function checkUrl(text: string): string {
  if (!URL.canParse(text)) throw new Error('jwksUrl: is no URL')
  const { protocol, hostname, origin, pathname, username, password } = new URL(text)
  if (username !== '' || password !== '') throw new Error('jwksUrl: must hold no user and no password')
  if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.has(hostname))) {
    throw new Error(
      'jwksUrl: must begin with https:// (http:// only for this machine): who can change the answer can make tokens',
    )
  }
  return origin + pathname
}

async function readBounded(response: Response): Promise<string> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of response.body ?? []) {
    length += piece.length
    if (length > MAX_BYTES) throw new Error(`the answer has more than ${MAX_BYTES} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}
