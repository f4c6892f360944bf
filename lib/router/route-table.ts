/** The table that finds the route of a request. What wins, and why, is in docs/routing.md. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RequestHead } from '../core/message.ts'
import type { MatchRule } from '../core/route.ts'
import { type Candidate, Candidates } from './candidates.ts'
import { ANY_HOST, HostIndex } from './host.ts'
import { pathReadings, resolveDots } from './path.ts'
import { type CompiledRule, compileRule, Index, TextKind } from './rule.ts'
import { TextIndex } from './text-index.ts'

/** One route as the table takes it. */
export interface RouteEntry<T> {
  readonly rule: MatchRule
  readonly target: T
  /** The route's name in messages. */
  readonly label: string
}

/** What {@link RouteTable.explain} found: why there is a target, or why there is none. */
export interface MatchReport<T> {
  readonly target: T | null
  readonly label: string
  /** `climbs`: the path is invalid; `divisive`: servers may read the path in ways that lead to different routes. */
  readonly outcome: 'matched' | 'none' | 'climbs' | 'divisive'
}

/** Longest stretch for which {@link buildRouteTable} keeps the event loop, in milliseconds. */
const STRETCH_MS = 4
const ROUTES_PER_STEP = 16

interface Parts<T> {
  readonly size: number
  readonly hosts: HostIndex
  readonly paths: TextIndex<Candidates<T>>
  /** Null when no rule names an operation. */
  readonly operations: TextIndex<Candidates<T>> | null
  /** Null when no rule names a service. */
  readonly services: TextIndex<Candidates<T>> | null
  /** By host scope: rules with neither path nor operation nor service. */
  readonly others: readonly (Candidates<T> | undefined)[]
}

/** An immutable set of routes. Made by {@link RouteTableBuilder}. */
export class RouteTable<T> {
  /** How many routes there are. */
  readonly size: number
  readonly #hosts: HostIndex
  readonly #paths: TextIndex<Candidates<T>>
  readonly #operations: TextIndex<Candidates<T>> | null
  readonly #services: TextIndex<Candidates<T>> | null
  readonly #others: readonly (Candidates<T> | undefined)[]
  readonly #hasHosts: boolean

  constructor(parts: Parts<T>) {
    this.size = parts.size
    this.#hosts = parts.hosts
    this.#paths = parts.paths
    this.#operations = parts.operations
    this.#services = parts.services
    this.#others = parts.others
    this.#hasHosts = parts.hosts.isUsed
  }

  /**
   * The target of the most specific route that matches, null when there is none or the path is invalid. Called
   * once a request; synchronous. Dot segments are resolved, and then `request.path` is assigned, so that what was matched is
   * what is forwarded; no other path is touched. Headers are read only when a route at the request's place asks for them.
   */
  match(request: RequestHead): T | null {
    const rpc = this.#services === null ? null : this.#lookUpService(this.#services, request)
    if (rpc !== null) return rpc.target
    const candidate = this.#paths.scanPath(request.path)
      ? this.#lookUp(request, request.path)
      : this.#matchOdd(request)
    return candidate === null ? null : candidate.target
  }

  /** As {@link RouteTable.match}, with the reason. Leaves the request alone. Not for the hot path. */
  explain(request: RequestHead): MatchReport<T> {
    const rpc = this.#services === null ? null : this.#lookUpService(this.#services, request)
    if (rpc !== null) return { target: rpc.target, label: rpc.label, outcome: 'matched' }
    const readings = this.#paths.scanPath(request.path) ? [request.path] : readingsOf(request.path)
    if (readings === null) return { target: null, label: '', outcome: 'climbs' }
    const candidates = readings.map((path) => this.#read(request, path))
    const first = candidates[0]!
    if (candidates.some((each) => each?.order !== first?.order)) {
      return { target: null, label: '', outcome: 'divisive' }
    }
    if (first === null) return { target: null, label: '', outcome: 'none' }
    return { target: first.target, label: first.label, outcome: 'matched' }
  }

  /** A path that is not plain: every way to read it must lead to the same route. */
  #matchOdd(request: RequestHead): Candidate<T> | null {
    const resolved = resolveDots(request.path)
    const readings = resolved === null ? null : pathReadings(resolved)
    if (resolved === null || readings === null) return null
    if (resolved !== request.path) request.path = resolved
    const found = this.#read(request, readings[0]!)
    for (let i = 1; i < readings.length && found !== null; i++) {
      const other = this.#read(request, readings[i]!)
      if (other === null || other.order !== found.order) return null
    }
    return found
  }

  #read(request: RequestHead, path: string): Candidate<T> | null {
    this.#paths.scanPath(path)
    return this.#lookUp(request, path)
  }

  /** An RPC has neither host nor path, so that rules for these are not asked. */
  #lookUpService(services: TextIndex<Candidates<T>>, request: RequestHead): Candidate<T> | null {
    const { service } = request
    if (service === '') return null
    services.scanName(service)
    return search(services, ANY_HOST, request, service, '')
  }

  /** Looks for the route of a request whose path was scanned just before. */
  #lookUp(request: RequestHead, path: string): Candidate<T> | null {
    const hosts = this.#hosts
    const scopes = this.#hasHosts ? hosts.find(request.authority) : 1
    if (this.#operations !== null && request.operation !== '') {
      this.#operations.scanName(request.operation)
      for (let i = 0; i < scopes; i++) {
        const found = search(this.#operations, hosts.found[i]!, request, request.operation, path)
        if (found !== null) return found
      }
    }
    for (let i = 0; i < scopes; i++) {
      const scope = hosts.found[i]!
      const found = search(this.#paths, scope, request, path, path)
      if (found !== null) return found
      const other = this.#others[scope]?.find(request, path, path)
      if (other !== undefined && other !== null) return other
    }
    return null
  }
}

function readingsOf(path: string): string[] | null {
  const resolved = resolveDots(path)
  return resolved === null ? null : pathReadings(resolved)
}

/** Exact first, then the longest start that has a route which holds. */
function search<T>(
  index: TextIndex<Candidates<T>>,
  scope: number,
  request: RequestHead,
  text: string,
  path: string,
): Candidate<T> | null {
  const exact = index.findExact(scope)
  if (exact !== null) {
    const found = exact.find(request, text, path)
    if (found !== null) return found
  }
  for (let i = index.starts - 1; i >= 0; i--) {
    const found = index.findStart(scope, i)?.find(request, text, path)
    if (found !== undefined && found !== null) return found
  }
  return null
}

/** Collects routes, a few microseconds each, so that many can be added over several turns of the event loop. */
export class RouteTableBuilder<T> {
  readonly #hosts = new HostIndex()
  readonly #paths = new TextIndex<Candidates<T>>('/')
  readonly #operations = new TextIndex<Candidates<T>>('.')
  readonly #services = new TextIndex<Candidates<T>>('.')
  readonly #others: (Candidates<T> | undefined)[] = []
  readonly #unsealed: Candidates<T>[] = []
  readonly #make = () => {
    const made = new Candidates<T>()
    this.#unsealed.push(made)
    return made
  }
  #size = 0
  #hasOperations = false
  #hasServices = false
  #isBuilt = false

  /** Adds the next route of the file. Throws `RuleError` for a rule that cannot be compiled, and then it is not added. */
  add(rule: MatchRule, target: T, label: string): void {
    if (this.#isBuilt) throw new Error('the table is built; a further route needs a new builder')
    const compiled = compileRule(rule)
    const order = this.#size++
    if (compiled.index === Index.Operation) this.#hasOperations = true
    if (compiled.index === Index.Service) this.#hasServices = true
    const { methods, conditions, regex, count } = compiled
    for (const host of compiled.hosts) {
      const place = this.#place(this.#hosts.add(host), compiled)
      place.add({ target, label, order, count, methods, regex, conditions, rank: 0 })
    }
  }

  /** Finishes the table in one go: about 10 ms for 30,000 routes. The builder is of no use afterwards. */
  build(): RouteTable<T> {
    for (const _ of this.steps()) {
      // Each step is short; here they simply follow one another.
    }
    return this.#finish()
  }

  /** Does the work of {@link RouteTableBuilder.build} in short steps; call `build` when it is through. */
  *steps(): Generator<void> {
    this.#isBuilt = true
    for (let next = this.#unsealed.pop(); next !== undefined; next = this.#unsealed.pop()) {
      next.seal()
      if (this.#unsealed.length % ROUTES_PER_STEP === 0) yield
    }
  }

  #finish(): RouteTable<T> {
    return new RouteTable({
      size: this.#size,
      hosts: this.#hosts,
      paths: this.#paths,
      operations: this.#hasOperations ? this.#operations : null,
      services: this.#hasServices ? this.#services : null,
      others: this.#others,
    })
  }

  #place(scope: number, rule: CompiledRule): Candidates<T> {
    const index = [this.#paths, this.#operations, this.#services][rule.index]!
    switch (rule.kind) {
      case TextKind.None:
        return (this.#others[scope] ??= this.#make())
      case TextKind.Exact:
        return index.exact(scope, rule.text, this.#make)
      case TextKind.Start:
        return index.start(scope, rule.text, this.#make, false)
      case TextKind.Regex:
        return index.start(scope, rule.text, this.#make, true)
    }
  }
}

/**
 * Builds a table; `rest` is asked every few routes for a pause to wait for. Without it the event loop is kept for a few milliseconds at
 * a time. Rejects with the first `RuleError`.
 */
export async function buildRouteTable<T>(
  entries: Iterable<RouteEntry<T>>,
  rest: () => Promise<void> | null = restNow(),
): Promise<RouteTable<T>> {
  const builder = new RouteTableBuilder<T>()
  let count = 0
  for (const { rule, target, label } of entries) {
    builder.add(rule, target, label)
    if (++count % ROUTES_PER_STEP === 0) await (rest() ?? undefined)
  }
  for (const _ of builder.steps()) await (rest() ?? undefined)
  return builder.build()
}

function restNow(): () => Promise<void> | null {
  let startedAt = performance.now()
  return () => {
    if (performance.now() - startedAt < STRETCH_MS) return null
    return nextTurn().then(() => {
      startedAt = performance.now()
    })
  }
}
