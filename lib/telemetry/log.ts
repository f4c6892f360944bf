/** The gateway's own log: JSON lines, secrets taken out, the level changeable while it runs. */
import { createRequire } from 'node:module'
import type { Logger as PinoLogger } from 'pino'
import type { Logger } from '../core/services.ts'
import { redact } from './redact.ts'

/** Levels of the log, from the most talkative to silence. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

type WritableLevel = Exclude<LogLevel, 'silent'>

/** Where the lines of a log go; pino's destinations and Node's writable streams are ones. */
export interface LogDestination {
  write(line: string): unknown
}

/** How a log is made. */
export interface LogOptions {
  readonly level?: LogLevel
  /** Fields of every line, e.g. app and cell. */
  readonly fields?: object
  /** stderr when left out. */
  readonly destination?: LogDestination
}

/** A {@link Logger} that its owner can also turn and close. */
export interface GatewayLogger extends Logger {
  readonly level: LogLevel
  /** Throws `RangeError` for a level that does not exist. */
  setLevel(level: string): void
  /** Loads what the first line would have to wait for. */
  prepare(): void
  /** Writes what is queued, at once and blocking; for the last line before the process ends. */
  flush(): void
}

/** Most that may wait for a slow stderr; lines past it are lost, the event loop is not. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024

/** Makes a log. pino is loaded with the first line that is written, because that takes as long as all the rest of the start. */
export function createLogger(options: LogOptions = {}): GatewayLogger {
  return new LazyLogger(options)
}

class LazyLogger implements GatewayLogger {
  readonly #options: LogOptions
  #rank: number
  #pino: PinoLogger | null = null
  #flush: (() => void) | null = null

  constructor(options: LogOptions) {
    this.#options = options
    this.#rank = rankOf(options.level ?? 'info')
  }

  get level(): LogLevel {
    return LOG_LEVELS[this.#rank]
  }

  setLevel(level: string): void {
    this.#rank = rankOf(level)
  }

  isLevelEnabled(level: string): boolean {
    const rank = LOG_LEVELS.indexOf(level as LogLevel)
    return rank >= this.#rank && level !== 'silent'
  }

  trace(fields: object, message: string): void {
    if (this.#rank <= 0) this.#write('trace', fields, message)
  }

  debug(fields: object, message: string): void {
    if (this.#rank <= 1) this.#write('debug', fields, message)
  }

  info(fields: object, message: string): void {
    if (this.#rank <= 2) this.#write('info', fields, message)
  }

  warn(fields: object, message: string): void {
    if (this.#rank <= 3) this.#write('warn', fields, message)
  }

  error(fields: object, message: string): void {
    if (this.#rank <= 4) this.#write('error', fields, message)
  }

  prepare(): void {
    this.#pino ??= this.#open()
  }

  flush(): void {
    this.#flush?.()
  }

  #write(level: WritableLevel, fields: object, message: string): void {
    this.#pino ??= this.#open()
    this.#pino[level](redact(fields) as object, message)
  }

  #open(): PinoLogger {
    // pino is a CommonJS module, so it can be had without a promise, which a log line could not wait for.
    const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino')
    const settings = {
      level: 'trace',
      base: this.#options.fields ?? null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
      // redact() has made plain objects of errors; pino's own serializer would rename them.
      serializers: { err: (error: unknown) => error },
    }
    const { destination } = this.#options
    if (destination !== undefined) return pino(settings, destination)
    const stderr = pino.destination({ fd: 2, sync: false, maxLength: MAX_QUEUED_BYTES })
    this.#flush = () => stderr.flushSync()
    return pino(settings, stderr)
  }
}

function rankOf(level: string): number {
  const rank = LOG_LEVELS.indexOf(level as LogLevel)
  if (rank === -1)
    throw new RangeError(`unknown log level "${level}"; the levels are ${LOG_LEVELS.join(', ')}`)
  return rank
}
