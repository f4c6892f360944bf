/** A configuration whose keys are checked but whose parts are not yet held against each other. */
import type { TypeDescriptions } from '../core/route.ts'
import type { Loaded } from './config.ts'
import type { ConfigPath, Finding, Severity } from './problem.ts'
import type { clusterSchema, listenerSchema } from './schema-network.ts'
import type { routeSchema } from './schema-routes.ts'

/** A listener as written, with defaults. */
export type DraftListener = Loaded<typeof listenerSchema>

/** A cluster as written, with defaults. */
export type DraftCluster = Omit<Loaded<typeof clusterSchema>, 'endpoints'> & {
  readonly endpoints: readonly (string | { readonly address: string; readonly weight: number })[]
}

/** A filter as written. */
export type DraftFilter = string | Readonly<Record<string, unknown>>

/** A route as written, with defaults. */
export type DraftRoute = Loaded<typeof routeSchema>

/** One mapping of a list. */
export interface Entry<Value> {
  readonly value: Value
  readonly path: ConfigPath
  /** True when a key is there and has no finding of its own, so that its type can be relied on. */
  has(key: string & keyof Value): boolean
}

/** The lists that rules look at. */
export type ListName = 'listeners' | 'clusters' | 'filters' | 'routes'

/**
 * The lists of a draft, for rules that report everything they can see although other parts are wrong: what has a
 * finding already is marked, and rules ask before they rely on it.
 */
export class Draft {
  readonly findings: Finding[] = []
  readonly #value: Readonly<Record<string, unknown>>
  /** `list/index` and `list/index/key` of what has findings. */
  readonly #unsound = new Set<string>()

  constructor(value: Readonly<Record<string, unknown>>, known: readonly Finding[]) {
    this.#value = value
    for (const { path } of known) {
      if (path.length >= 2) this.#unsound.add(`${path[0]}/${path[1]}`)
      if (path.length >= 3) this.#unsound.add(`${path[0]}/${path[1]}/${path[2]}`)
    }
  }

  /** The entries of a list that are mappings. */
  entries<Value>(list: ListName): Entry<Value>[] {
    const entries = this.#value[list]
    if (!Array.isArray(entries)) return []
    const result: Entry<Value>[] = []
    entries.forEach((value, index) => {
      if (!isMapping(value)) return
      const has = (key: string) => value[key] !== undefined && !this.#unsound.has(`${list}/${index}/${key}`)
      result.push({ value, path: [list, index], has })
    })
    return result
  }

  /** The filters of the chain that have no finding. */
  filters(): { readonly value: DraftFilter; readonly path: ConfigPath }[] {
    const entries = this.#value.filters
    if (!Array.isArray(entries)) return []
    return entries
      .map((value: DraftFilter, index) => ({ value, path: ['filters', index] as const }))
      .filter(({ path }) => !this.#unsound.has(path.join('/')))
  }

  /** The value of a text key of each entry, sound or not; null where there is none. */
  texts(list: ListName, key: string): (string | null)[] {
    const entries = this.#value[list]
    if (!Array.isArray(entries)) return []
    return entries.map((entry: Record<string, unknown> | null) => {
      const value = typeof entry === 'object' ? entry?.[key] : undefined
      return typeof value === 'string' ? value : null
    })
  }

  /** The descriptions of types, sound or not. */
  get types(): TypeDescriptions {
    const { types } = this.#value
    return isMapping(types) ? (types as TypeDescriptions) : {}
  }

  /** True when the description of a type has no finding. */
  isTypeSound(name: string): boolean {
    return isMapping(this.types[name]) && !this.#unsound.has(`types/${name}`)
  }

  /** The address of the admin port, null when there is none. */
  get adminAddress(): string | null {
    const admin = this.#value.admin as { readonly address?: unknown } | undefined
    return typeof admin?.address === 'string' ? admin.address : null
  }

  /** Adds a finding about a value. */
  report(path: ConfigPath, message: string, hint: string, severity: Severity = 'error'): void {
    this.findings.push({ path, message, hint, severity })
  }

  /** Adds a finding about a key. */
  reportKey(path: ConfigPath, message: string, hint: string): void {
    this.findings.push({ path, message, hint, atKey: true })
  }

  /** Reports each entry whose name an earlier one has. */
  reportDuplicateNames(list: Exclude<ListName, 'filters'>, what: string): void {
    const first = new Map<string, number>()
    this.texts(list, 'name').forEach((name, index) => {
      if (name === null) return
      const other = first.get(name)
      if (other === undefined) first.set(name, index)
      else {
        const message = `the name ${JSON.stringify(name)} is taken by ${list}[${other}]`
        this.report([list, index, 'name'], message, `give each ${what} a name of its own`)
      }
    })
  }
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
