/** Turns the configured filters and the routes' options into chains. Runs when a configuration is loaded. */
import type { Filter, FilterDefinition, FilterServices, FilterStats } from '../core/filter.ts'
import type { FilterReport } from '../core/inspect.ts'
import type { Logger } from '../core/services.ts'
import { Chain, type ChainEntry, type ChainOwner, ChainSet } from './chain.ts'
import { suggestion } from './suggest.ts'

/** One entry of the configured chain. */
export interface FilterSpec {
  /** Unique; routes and statistics use it. */
  readonly name: string
  /** As the configuration says: a built-in filter or a path. */
  readonly use: string
  readonly definition: FilterDefinition
  /** Without `use`, `name` and `enabled`. */
  readonly options: Readonly<Record<string, unknown>>
  /** False: absent until a route switches it on. */
  readonly enabled: boolean
  /** Absolute path of a user's module, null for a built-in filter. */
  readonly module: string | null
}

/** What one route says about filters: true and false switch, a mapping gives options over the chain's. */
export type RouteOverrides = Readonly<Record<string, boolean | Readonly<Record<string, unknown>>>>

/** One route that may have filter options. */
export interface RouteFilters {
  /** Undefined: messages call it by its position. */
  readonly name?: string | undefined
  /** Null or empty: the base chain. */
  readonly filters: RouteOverrides | null
}

/** One thing wrong with a filter's options. */
export interface OptionProblem {
  /** JSON Pointer within the options, `''` for the options as a whole. */
  readonly path: string
  readonly message: string
  /** What would be right, where the message does not say it. */
  readonly hint?: string
  /** The key is wrong, not its value. */
  readonly atKey?: boolean
}

/** Checks options against a filter's schema; gives every problem. */
export type OptionCheck = (
  schema: object | null,
  options: Readonly<Record<string, unknown>>,
) => readonly OptionProblem[]

/** One thing wrong, with the place it stands at. */
export interface FilterProblem extends OptionProblem {
  /** Position in the configured chain, -1 when it concerns a name that is not there. */
  readonly filterIndex: number
  readonly filter: string
  /** Position of the route whose options are wrong, -1 when it is the chain's. */
  readonly routeIndex: number
}

/** What {@link compileChains} needs. */
export interface CompileInput {
  readonly filters: readonly FilterSpec[]
  readonly routes: readonly RouteFilters[]
  readonly owner: ChainOwner
  /** Services by filter name. */
  readonly servicesFor: (name: string) => FilterServices
  /** Null when all options were checked already, on the chain and merged on each route. */
  readonly check: OptionCheck | null
  readonly log: Logger
  /** The set that is replaced, so that its filters' statistics go on; null at start. */
  readonly previous: ChainSet | null
}

/** Chains, or what is wrong with their configuration. */
export type CompileResult =
  | {
      readonly problems: readonly []
      readonly set: ChainSet
      /** By position of the route. */
      readonly chains: readonly Chain[]
    }
  | { readonly problems: readonly FilterProblem[]; readonly set: null; readonly chains: null }

/** Compiles everything, or reports every problem and leaves nothing open. */
export function compileChains(input: CompileInput): CompileResult {
  const steps = chainSteps(input)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Routes between two steps: each may make filters of its own, a few microseconds apiece. */
const ROUTES_PER_STEP = 16

/** Does the work of {@link compileChains} in short steps. One that is not run to its end has to be closed with `return()`. */
export function* chainSteps(input: CompileInput): Generator<void, CompileResult> {
  const compiler = new Compiler(input)
  const chains: Chain[] = []
  let isThrough = false
  try {
    for (const route of input.routes) {
      chains.push(compiler.chainFor(route, chains.length))
      if (chains.length % ROUTES_PER_STEP === 0) yield
    }
    isThrough = compiler.problems.length === 0
  } finally {
    if (!isThrough) compiler.set.retire()
  }
  if (!isThrough) return { problems: compiler.problems, set: null, chains: null }
  return { problems: [], set: compiler.set, chains }
}

/** One configured filter on its way into chains. */
interface Row {
  readonly spec: FilterSpec
  readonly index: number
  readonly stats: FilterStats
  /** The chain's instance; null when it is off there or could not be made. */
  base: Filter | null
  /** The instance of all routes that switch a filter on without options; null before the first. */
  shared: Filter | null
}

class Compiler {
  readonly problems: FilterProblem[] = []
  readonly set: ChainSet
  readonly #input: CompileInput
  readonly #rows: Row[]
  readonly #names: string[]
  /** Chains without instances of their own, by which filters are on. */
  readonly #switched = new Map<string, Chain>()

  constructor(input: CompileInput) {
    this.#input = input
    this.#rows = input.filters.map((spec, index) => this.#makeRow(spec, index))
    this.#names = this.#rows.map((row) => row.spec.name)
    this.#reportDuplicates()
    const stats = new Map(this.#rows.map((row) => [row.spec.name, row.stats]))
    this.set = new ChainSet(
      (set) => this.#makeBase(set),
      stats,
      () => this.#rows.map(report),
      input.log,
    )
    for (const row of this.#rows) if (row.base !== null) this.set.own(row.base)
  }

  /** The chain of one route: the base chain unless the route changes something. */
  chainFor(route: RouteFilters, routeIndex: number): Chain {
    const overrides = route.filters
    if (overrides === null || Object.keys(overrides).length === 0) return this.set.base
    this.#reportUnknown(overrides, routeIndex)
    const entries: ChainEntry[] = []
    const endOnly: ChainEntry[] = []
    let key: string | null = ''
    for (const row of this.#rows) {
      const override = overrides[row.spec.name]
      const filter = this.#instanceFor(row, override, routeIndex)
      if (filter !== null) entries.push({ filter, stats: row.stats })
      else if (row.spec.enabled && row.base?.onRequest !== undefined) {
        endOnly.push({ filter: row.base, stats: row.stats })
      }
      if (typeof override === 'object') key = null
      if (key !== null) key += filter === null ? '0' : '1'
    }
    const known = key === null ? undefined : this.#switched.get(key)
    if (known !== undefined) return known
    this.#checkPlaces(entries, routeIndex)
    const { owner, log } = this.#input
    const chain = new Chain({ set: this.set, owner, log, entries, endOnly })
    if (key !== null) this.#switched.set(key, chain)
    return chain
  }

  #makeRow(spec: FilterSpec, index: number): Row {
    const stats = this.#input.previous?.stats.get(spec.name) ?? newStats(spec.name)
    const row: Row = { spec, index, stats, base: null, shared: null }
    if (spec.enabled) row.base = this.#create(row, spec.options, -1)
    return row
  }

  #makeBase(set: ChainSet): Chain {
    const entries: ChainEntry[] = []
    for (const { base, stats } of this.#rows) if (base !== null) entries.push({ filter: base, stats })
    this.#checkPlaces(entries, -1)
    return new Chain({ set, owner: this.#input.owner, log: this.#input.log, entries })
  }

  /** The instance that serves a route; null when the filter is off there. */
  #instanceFor(row: Row, override: RouteOverrides[string] | undefined, routeIndex: number): Filter | null {
    const { spec } = row
    if (override === undefined || override === spec.enabled) return row.spec.enabled ? row.base : null
    if (spec.enabled && row.base === null) return null
    if (this.#reportNoOverride(row, row.base, routeIndex)) return null
    if (override === false) return null
    const shared = override === true ? row.shared : null
    if (shared !== null) return shared
    const filter = this.#create(
      row,
      override === true ? spec.options : { ...spec.options, ...override },
      routeIndex,
    )
    if (filter === null) return null
    this.set.own(filter)
    if (this.#reportNoOverride(row, filter, routeIndex)) return null
    if (override === true) row.shared = filter
    return filter
  }

  /** Options on a route hold from `onRoute` on, so a filter that acts before has to say that it copes. */
  #reportNoOverride({ spec, index }: Row, filter: Filter | null, routeIndex: number): boolean {
    if (spec.definition.perRoute ?? filter?.onRequest === undefined) return false
    const reason =
      spec.definition.perRoute === false
        ? 'this filter has no options per route'
        : 'it acts in onRequest, before the route is known; "perRoute: true" in its definition says that it copes'
    const route = this.#routeName(routeIndex)
    this.#report(index, routeIndex, '', `route "${route}" cannot change it: ${reason}`)
    return true
  }

  #create(row: Row, options: Readonly<Record<string, unknown>>, routeIndex: number): Filter | null {
    const { spec, index } = row
    const found = this.#input.check?.(spec.definition.schema, options) ?? []
    const filter = spec.name
    for (const problem of found) this.problems.push({ ...problem, filterIndex: index, filter, routeIndex })
    if (found.length > 0) return null
    try {
      const filter = spec.definition.create(options as never, this.#input.servicesFor(spec.name))
      const fault = shapeFault(filter)
      if (fault === null) return filter
      this.#report(index, routeIndex, '', fault)
    } catch (error) {
      this.#report(index, routeIndex, '', describeThrown(error, spec.module))
    }
    return null
  }

  #checkPlaces(entries: readonly ChainEntry[], routeIndex: number): void {
    entries.forEach(({ filter, stats }, i) => {
      const wrong = misplaced(entries, filter, i)
      if (wrong === undefined) return
      const end = filter.place === 'first' ? 'beginning' : 'end'
      const index = this.#names.indexOf(stats.name)
      this.#report(
        index,
        routeIndex,
        '',
        `must stand at the ${end} of the chain; move it past "${wrong.stats.name}"`,
      )
    })
  }

  #reportDuplicates(): void {
    this.#names.forEach((name, index) => {
      if (this.#names.indexOf(name) === index) return
      this.#report(index, -1, '', `the name "${name}" is taken; give one of them another with "name"`)
    })
  }

  #reportUnknown(overrides: RouteOverrides, routeIndex: number): void {
    for (const name of Object.keys(overrides)) {
      if (this.#names.includes(name)) continue
      const hint = suggestion(name, this.#names)
      const message = `route "${this.#routeName(routeIndex)}" names a filter that is not in the chain${hint || '; list it under "filters" first'}`
      this.problems.push({ filterIndex: -1, filter: name, routeIndex, path: '', message })
    }
  }

  #routeName(index: number): string {
    return this.#input.routes[index].name ?? `routes[${index}]`
  }

  #report(filterIndex: number, routeIndex: number, path: string, message: string): void {
    const filter = this.#input.filters[filterIndex].name
    this.problems.push({ filterIndex, filter, routeIndex, path, message })
  }
}

const HOOKS = ['onRequest', 'onRoute', 'onResponse', 'onEnd'] as const

function newStats(name: string): FilterStats {
  return { name, replies: 0, failures: 0, suspensions: 0 }
}

function report(row: Row): FilterReport {
  const { name, use, module } = row.spec
  const { replies, failures, suspensions } = row.stats
  const filter = row.base ?? row.shared
  const hooks = HOOKS.filter((hook) => filter?.[hook] !== undefined)
  return { name, use, hooks, replies, failures, suspensions, module, refused: null }
}

/** The neighbour that a filter which demands an end of the chain stands on the wrong side of. */
function misplaced(entries: readonly ChainEntry[], { place }: Filter, index: number): ChainEntry | undefined {
  if (place === 'first') return entries.slice(0, index).find((other) => other.filter.place !== 'first')
  if (place === 'last') return entries.slice(index + 1).find((other) => other.filter.place !== 'last')
  return undefined
}

function shapeFault(filter: unknown): string | null {
  if (filter instanceof Promise) return 'its factory is async; it must return the filter itself'
  if (typeof filter !== 'object' || filter === null) {
    return `its factory returned ${String(filter)}; it must return an object with hooks`
  }
  const hooks = filter as Record<string, unknown>
  const wrong = HOOKS.find((hook) => hooks[hook] !== undefined && typeof hooks[hook] !== 'function')
  if (wrong !== undefined) return `its ${wrong} is no function`
  return HOOKS.some((hook) => hooks[hook] !== undefined)
    ? null
    : `it has none of the hooks ${HOOKS.join(', ')}`
}

/** The message, and for a user's module the line that threw. */
function describeThrown(error: unknown, module: string | null): string {
  const message = messageOf(error)
  if (module === null || !(error instanceof Error) || error.stack === undefined) return message
  const frame = error.stack.split('\n').find((line) => line.includes(module))
  const position = frame === undefined ? null : /:(\d+):(\d+)\)?$/.exec(frame)
  return position === null ? `${module}: ${message}` : `${module}:${position[1]}:${position[2]}: ${message}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
