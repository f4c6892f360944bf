/** Keeps the rules that serve: reads the file, follows its changes, and remembers the last good document on disk. */
import { readFileSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parse } from 'yaml'
import type { Clock, Logger, TimerEntry, Timers } from '../../core/services.ts'
import { type Admission, admit } from './admission.ts'
import type { LdcProblem } from './document.ts'
import { ZoneEngine } from './engine.ts'

const MAX_FILE_BYTES = 4 * 1024 * 1024

/** Reads YAML or JSON. Throws an `Error` with line and column for what is neither. */
export function parseRulesText(text: string): unknown {
  return parse(text, { prettyErrors: true, maxAliasCount: 100 })
}

/** Where the rules come from and go to. */
export interface RulesPlace {
  /** File of the rules; null when `inline` has them. */
  readonly file: string | null
  readonly inline: unknown
  /** File for the last good document; null to keep none. */
  readonly lastGoodFile: string | null
  readonly pollMs: number
  /** The pod's own cell. */
  readonly cell: string
}

/** What a store needs, and whom it tells. */
export interface StoreServices {
  readonly log: Logger
  readonly clock: Clock
  readonly timers: Timers
  /** A document was refused or could not be read, or such a state is over. */
  readonly onStale: (isStale: boolean) => void
}

/** The rules of one filter. */
export class RulesStore {
  /** Serves; replaced as a whole. Null only in a dry run, where there is no file. */
  engine: ZoneEngine | null = null
  readonly #place: RulesPlace
  readonly #services: StoreServices
  readonly #timer: TimerEntry
  #stamp = ''
  #isClosed = false
  /** The last write of the last good document. */
  #saved: Promise<void> = Promise.resolve()

  /** Loads the rules at once. Throws an `Error` when there are none that can serve, neither now nor from before. */
  constructor(place: RulesPlace, services: StoreServices) {
    this.#place = place
    this.#services = services
    this.#timer = { timerPrevious: null, timerNext: null, timerAt: 0, onTimer: () => void this.#poll() }
    this.#start()
    if (place.file !== null) services.timers.schedule(this.#timer, place.pollMs)
  }

  /** Reads the file again if it changed. Resolves when what it holds serves or was refused, and what serves is on disk. */
  async refresh(): Promise<void> {
    const { file } = this.#place
    if (file === null || this.#isClosed) return
    let text: string
    try {
      const stamp = stampOf(await stat(file))
      if (stamp === this.#stamp) return
      text = await readFile(file, 'utf8')
      if (this.#isClosed) return
      this.#stamp = stamp
    } catch (error) {
      // Said once, not at every look.
      if (this.#stamp !== '')
        this.#complain('cannot read the zone rules; the old ones go on serving', { err: error })
      this.#stamp = ''
      return
    }
    this.#takeText(text)
    await this.#saved
  }

  /** Nothing is read and no timer runs any more. */
  close(): void {
    this.#isClosed = true
    this.#services.timers.cancel(this.#timer)
  }

  #start(): void {
    const { file, inline, cell, lastGoodFile } = this.#place
    this.#restore()
    let value: unknown = inline
    if (file !== null) {
      try {
        this.#stamp = stampOf(statSync(file))
        value = readText(readFileSync(file, 'utf8'))
      } catch (error) {
        this.#startWithout(error as NodeJS.ErrnoException)
        return
      }
    }
    const admission = this.#admit(value, cell)
    if (admission.kind === 'refused' && this.engine === null) {
      throw new Error(`${file ?? 'rules'}: ${listProblems(admission.problems)}`)
    }
    this.#apply(admission, value, lastGoodFile)
  }

  /** The file cannot be read: the last good document serves, if there is one. */
  #startWithout(error: NodeJS.ErrnoException): void {
    const { file } = this.#place
    if (this.engine !== null) {
      this.#stamp = ''
      this.#complain('cannot read the zone rules; the last good ones serve', { err: error })
      return
    }
    // A path that nobody resolved belongs to a configuration that is only checked, maybe on another machine.
    if (error.code === 'ENOENT' && !(file as string).startsWith('/')) return
    throw new Error(`cannot read the zone rules ${file}, and there are no last good ones: ${error.message}`, {
      cause: error,
    })
  }

  #restore(): void {
    const { lastGoodFile, cell } = this.#place
    if (lastGoodFile === null) return
    let text: string
    try {
      text = readFileSync(lastGoodFile, 'utf8')
    } catch {
      return // there is none yet
    }
    try {
      const admission = this.#admit(JSON.parse(text), cell)
      if (admission.kind === 'accepted') this.engine = new ZoneEngine(admission.document)
      else if (admission.kind === 'refused') throw new Error(listProblems(admission.problems))
    } catch (error) {
      this.#services.log.warn({ file: lastGoodFile, err: error }, 'the last good zone rules cannot be used')
    }
  }

  async #poll(): Promise<void> {
    await this.refresh()
    if (!this.#isClosed) this.#services.timers.schedule(this.#timer, this.#place.pollMs)
  }

  #takeText(text: string): void {
    let value: unknown
    try {
      value = readText(text)
    } catch (error) {
      this.#complain('the zone rules cannot be read; the old ones go on serving', { err: error })
      return
    }
    this.#apply(this.#admit(value, this.#place.cell), value, this.#place.lastGoodFile)
  }

  #admit(value: unknown, cell: string): Admission {
    return admit(value, cell, this.engine?.document ?? null, this.#services.clock.wallNow())
  }

  #apply(admission: Admission, value: unknown, lastGoodFile: string | null): void {
    const { log, onStale } = this.#services
    if (admission.kind === 'refused') {
      this.#complain('the zone rules are refused; the old ones go on serving', {
        problems: admission.problems,
      })
      return
    }
    onStale(false)
    if (admission.kind === 'same') return
    this.engine = new ZoneEngine(admission.document)
    const { version } = admission.document
    log.info({ version, movedShards: admission.diff?.movedShards ?? 0 }, 'zone rules serve')
    if (lastGoodFile !== null) this.#saved = this.#saved.then(() => this.#save(lastGoodFile, value))
  }

  #complain(message: string, fields: object): void {
    const version = this.engine?.document.version ?? 0
    this.#services.log.error({ file: this.#place.file, version, ...fields }, message)
    this.#services.onStale(true)
  }

  /** Written beside and renamed, so that a crash leaves the old one or the new one. */
  async #save(file: string, value: unknown): Promise<void> {
    const draft = `${file}.${process.pid}.tmp`
    try {
      await mkdir(dirname(file), { recursive: true })
      await writeFile(draft, JSON.stringify(value))
      await rename(draft, file)
    } catch (error) {
      this.#services.log.warn({ file, err: error }, 'cannot keep the zone rules for the next start')
    }
  }
}

/** The problems as one text, a line each. */
export function listProblems(problems: readonly LdcProblem[]): string {
  return problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('\n')
}

function readText(text: string): unknown {
  if (text.length > MAX_FILE_BYTES) throw new Error(`the file is larger than ${MAX_FILE_BYTES} bytes`)
  return parseRulesText(text)
}

function stampOf({ mtimeMs, size, ino }: { mtimeMs: number; size: number; ino: number }): string {
  return `${mtimeMs} ${size} ${ino}`
}
