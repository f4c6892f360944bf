/** A small file that is read at the start and again whenever it has changed, off the request path. */
import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { TimerEntry, Timers } from '../../core/services.ts'

const POLL_MS = 2000

/** What happens to what the file says. */
export interface FileReader {
  /** Takes the file's text. Throws an `Error` when it is no good: what was taken before holds on. */
  take(text: string): void
  /** The changed file was taken (null), or why not. Reported once for each change. */
  onReload(error: Error | null): void
}

/**
 * Compares time and place of the file on a coarse timer: that survives editors that save by renaming, and the
 * links that Kubernetes exchanges. A file that cannot be read for a while counts as unchanged.
 */
export class WatchedFile implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly #file: string
  readonly #reader: FileReader
  readonly #timers: Timers
  #stamp = ''
  #isClosed = false

  /** Reads the file and begins to watch. Throws an `Error` that names it when it cannot be read or is refused. */
  constructor(file: string, reader: FileReader, timers: Timers) {
    this.#file = file
    this.#reader = reader
    this.#timers = timers
    try {
      reader.take(readFileSync(file, 'utf8'))
    } catch (error) {
      throw new Error(`${file}: ${(error as Error).message}`, { cause: error })
    }
    timers.schedule(this, POLL_MS)
  }

  onTimer(): void {
    void this.check().finally(() => {
      if (!this.#isClosed) this.#timers.schedule(this, POLL_MS)
    })
  }

  /** Reads the file when it has changed since the last look. Never rejects. */
  async check(): Promise<void> {
    const stamp = await stampOf(this.#file)
    if (stamp === null || stamp === this.#stamp || this.#isClosed) return
    const text = await readFile(this.#file, 'utf8').catch(() => null)
    if (text === null || this.#isClosed) return
    const isFirst = this.#stamp === ''
    this.#stamp = stamp
    try {
      this.#reader.take(text)
      if (!isFirst) this.#reader.onReload(null)
    } catch (error) {
      this.#reader.onReload(error as Error)
    }
  }

  /** Stops watching. */
  close(): void {
    this.#isClosed = true
    this.#timers.cancel(this)
  }
}

async function stampOf(file: string): Promise<string | null> {
  try {
    const { mtimeNs, size, ino } = await stat(file, { bigint: true })
    return `${mtimeNs} ${size} ${ino}`
  } catch {
    return null // gone for a moment, as when it is replaced
  }
}

/** Whether files can be read at all: a check of a configuration hands back paths as they stand and opens nothing. */
export function canRead(file: string): boolean {
  return path.isAbsolute(file)
}
