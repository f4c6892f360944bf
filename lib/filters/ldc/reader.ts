/** Reads values out of a parsed document and gathers what is wrong with them, each with its path. */
import { suggestion } from '../suggest.ts'
import type { LdcProblem } from './document.ts'

type Mapping = Readonly<Record<string, unknown>>

/** One value of a document and where it stands. A value that is wrong is reported and read as its default. */
export class Reader {
  readonly value: unknown
  readonly path: string
  readonly problems: LdcProblem[]

  constructor(value: unknown, path: string, problems: LdcProblem[]) {
    this.value = value
    this.path = path
    this.problems = problems
  }

  /** True when the document says something here. */
  get isGiven(): boolean {
    return this.value !== undefined && this.value !== null
  }

  report(message: string): void {
    this.problems.push({ path: this.path, message })
  }

  /** The value of one key, which need not be there. */
  at(key: string): Reader {
    const inner = isMapping(this.value) && Object.hasOwn(this.value, key) ? this.value[key] : undefined
    return new Reader(inner, this.path === '' ? key : `${this.path}.${key}`, this.problems)
  }

  /** Reports keys that nobody reads, and a value that is no mapping. */
  keys(known: readonly string[]): this {
    if (!this.isGiven) return this
    if (!isMapping(this.value)) this.report(`must be a mapping, is ${describe(this.value)}`)
    else {
      for (const key of Object.keys(this.value)) {
        if (!known.includes(key)) this.at(key).report(`there is no such key${suggestion(key, known)}`)
      }
    }
    return this
  }

  /** The entries of a mapping whose keys are names. */
  entries(): [name: string, value: Reader][] {
    if (!this.isGiven) return []
    if (!isMapping(this.value)) {
      this.report(`must be a mapping, is ${describe(this.value)}`)
      return []
    }
    return Object.keys(this.value).map((name) => [name, this.at(name)])
  }

  /** The elements of a list; empty when it is not there. */
  items(): Reader[] {
    if (!this.isGiven) return []
    if (!Array.isArray(this.value)) {
      this.report(`must be a list, is ${describe(this.value)}`)
      return []
    }
    return this.value.map((item, index) => new Reader(item, `${this.path}[${index}]`, this.problems))
  }

  text(fallback: string): string {
    if (!this.isGiven) return fallback
    if (typeof this.value === 'string' && this.value !== '') return this.value
    this.report(`must be a text, is ${describe(this.value)}`)
    return fallback
  }

  /** A text that has to be there. */
  requiredText(): string {
    if (!this.isGiven) this.report('is missing')
    return this.text('')
  }

  texts(): string[] {
    return this.items().map((item) => item.text(''))
  }

  flag(fallback: boolean): boolean {
    if (!this.isGiven) return fallback
    if (typeof this.value === 'boolean') return this.value
    this.report(`must be true or false, is ${describe(this.value)}`)
    return fallback
  }

  /** A whole number within bounds, both included. */
  integer(fallback: number, min: number, max: number): number {
    if (!this.isGiven) return fallback
    const { value } = this
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
    this.report(`must be a whole number from ${min} to ${max}, is ${describe(value)}`)
    return fallback
  }

  choice<T extends string>(fallback: T, choices: readonly T[]): T {
    if (!this.isGiven) return fallback
    if (choices.includes(this.value as T)) return this.value as T
    this.report(`must be one of ${choices.join(', ')}, is ${describe(this.value)}`)
    return fallback
  }
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const MAX_SHOWN = 40

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (isMapping(value)) return 'a mapping'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
