/** A small file that a filter reads at once and again whenever its text has changed, without watching it from the request path. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { FilterServices } from '../core/filter.ts'
import type { TimerEntry } from '../core/services.ts'

const POLL_MS = 2000
const MAX_BYTES = 1024 * 1024

/**
 * Follows a file. `accept` is called with its text, in the constructor when the file is there, later whenever another text
 * stands in it. It throws an `Error` for a text that is no good: in the constructor that refuses the configuration, later it is
 * logged and what was accepted before stays. A file that is not there is logged once and looked for again.
 *
 * It is read by path every two seconds, so it survives editors that save by renaming and the links behind a mounted Secret. Of
 * the text only a digest is kept.
 */
export class FollowedFile implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly path: string
  readonly #services: Pick<FilterServices, 'log' | 'timers' | 'name'>
  readonly #accept: (text: string) => void
  #digest = ''
  /** What was logged last, so that a file that stays wrong is told once. */
  #problem = ''
  #isClosed = false

  constructor(
    path: string,
    services: Pick<FilterServices, 'log' | 'timers' | 'name'>,
    accept: (text: string) => void,
  ) {
    this.path = path
    this.#services = services
    this.#accept = accept
    this.#readNow()
    services.timers.schedule(this, POLL_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#services.timers.cancel(this)
  }

  onTimer(): void {
    void this.check()
  }

  /** Looks at the file now; settles when what came of it holds. */
  async check(): Promise<void> {
    try {
      const bytes = await readFile(this.path)
      if (this.#isClosed) return
      this.#take(bytes)
    } catch (error) {
      this.#tell(error as Error)
    }
    if (!this.#isClosed) this.#services.timers.schedule(this, POLL_MS)
  }

  #readNow(): void {
    let bytes: Buffer
    try {
      bytes = readFileSync(this.path)
    } catch (error) {
      this.#tell(error as Error)
      return
    }
    this.#take(bytes)
  }

  #take(bytes: Buffer): void {
    if (bytes.length > MAX_BYTES) throw new Error(`${this.path}: is larger than ${MAX_BYTES} bytes`)
    const digest = hash('sha256', bytes, 'base64')
    if (digest === this.#digest) return
    const isFirst = this.#digest === ''
    this.#digest = digest // also of a text that is refused: it is told once
    this.#acceptText(bytes.toString('utf8'))
    this.#problem = ''
    if (!isFirst) this.#services.log.info({ filter: this.#services.name, file: this.path }, 'file taken up')
  }

  #acceptText(text: string): void {
    try {
      this.#accept(text)
    } catch (error) {
      throw new Error(`${this.path}: ${(error as Error).message}`)
    }
  }

  #tell(error: Error): void {
    if (this.#isClosed || error.message === this.#problem) return
    this.#problem = error.message
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'there is no such file; it is looked for again'
        : error.message
    const fields = { filter: this.#services.name, file: this.path, reason }
    this.#services.log.error(fields, 'file not taken up, what was read before holds')
  }
}

/** Parses JSON without repeating any of it in the error: it may hold secrets. */
export function parseSecretJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('is no JSON')
  }
}
