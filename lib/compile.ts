/** Compiles an accepted configuration to the runtime that the dispatcher uses, in steps that never hold up the event loop for long. */
import { createRoute } from './assemble.ts'
import type { Config } from './config/config.ts'
import type { Finding } from './config/problem.ts'
import type { Turns } from './config/turns.ts'
import type { FilterDefinition } from './core/filter.ts'
import type { ProtocolName } from './core/message.ts'
import type { Destination, MatchRule, Route } from './core/route.ts'
import type { ScopeStats } from './core/services.ts'
import { type ChainContext, chainInput, filterFinding, resolveFilters } from './filter-specs.ts'
import type { Chain } from './filters/chain.ts'
import { chainSteps, type FilterProblem, type FilterSpec } from './filters/compile.ts'
import { RouteNames } from './route-names.ts'
import { buildRouteTable } from './router/route-table.ts'
import { Runtime } from './server/runtime.ts'
import type { UserFilters } from './user-filters.ts'

/** What compiling needs from the gateway. */
export interface CompileContext extends ChainContext {
  /** The configuration file, for relative paths. */
  readonly file: string
  readonly userFilters: UserFilters
  /** When to rest. */
  readonly turns: Turns
  cluster(name: string): Destination
  routeStats(name: string): ScopeStats
  /** Null for a route that had no request yet. */
  usedRouteStats(name: string): ScopeStats | null
}

/** A configuration ready to serve. */
export interface Compiled {
  readonly runtime: Runtime
  /** By position of the route. */
  readonly routeNames: readonly string[]
  /** Users' modules by absolute path, in the versions that were used. */
  readonly modules: ReadonlyMap<string, FilterDefinition>
  /** Modules whose newest version could not be used, so that the serving one was: path → why. */
  readonly refused: ReadonlyMap<string, string>
}

/** A configuration ready to serve, or all that is wrong with it. */
export type CompileOutcome = Compiled | { readonly runtime: null; readonly findings: readonly Finding[] }

/**
 * Finds the definitions of all filters, compiles their chains, then the routes. When the newest version of a user's
 * module is at fault, the one that serves is used in its place.
 */
export async function compileRuntime(config: Config, context: CompileContext): Promise<CompileOutcome> {
  const { userFilters } = context
  const { specs, findings } = await resolveFilters(config.filters, context.file, (path) =>
    userFilters.newest(path),
  )
  const first = await compileWith(specs, config, context, findings)
  if (first.runtime !== null) return { ...first, refused: new Map() }
  const refused = faultyModules(first.problems, specs, userFilters)
  if (refused.size > 0) {
    const second = await compileWith(withServing(specs, refused, userFilters), config, context, findings)
    if (second.runtime !== null) return { ...second, refused }
  }
  return { runtime: null, findings: first.findings }
}

type Attempt =
  | Omit<Compiled, 'refused'>
  | {
      readonly runtime: null
      readonly findings: readonly Finding[]
      readonly problems: readonly FilterProblem[]
    }

async function compileWith(
  specs: readonly FilterSpec[],
  config: Config,
  context: CompileContext,
  known: readonly Finding[],
): Promise<Attempt> {
  const { set, chains, problems } = await inTurns(
    chainSteps(chainInput(config, specs, context)),
    context.turns,
  )
  if (set === null || known.length > 0) {
    set?.retire()
    const found = problems.map((problem) => filterFinding(problem, config))
    return { runtime: null, findings: [...known, ...found, ...(await routeFindings(config))], problems }
  }
  const routeNames: string[] = []
  try {
    const routes = await buildRouteTable(routeEntries(config, chains, routeNames, context), () =>
      context.turns.rest(),
    )
    const clusters = new Map(config.clusters.map(({ name }) => [name, context.cluster(name)]))
    const findCluster = (name: string) => clusters.get(name) ?? null
    const runtime = new Runtime(set.base, routes, config.gather.limit, findCluster)
    const modules = new Map(
      specs.flatMap((spec) => (spec.module === null ? [] : [[spec.module, spec.definition]])),
    )
    return { runtime, routeNames, modules }
  } catch (error) {
    set.retire()
    const findings = await routeFindings(config)
    if (findings.length === 0) throw error
    return { runtime: null, findings, problems: [] }
  }
}

/** Loaded only when something is wrong. */
async function routeFindings(config: Config): Promise<Finding[]> {
  const { findRouteProblems } = await import('./route-problems.ts')
  return findRouteProblems(config)
}

/** The modules that problems are about and that have another version to fall back to, each with its first problem. */
function faultyModules(
  problems: readonly FilterProblem[],
  specs: readonly FilterSpec[],
  userFilters: UserFilters,
): Map<string, string> {
  const faulty = new Map<string, string>()
  for (const { filterIndex, path, message, hint = '' } of problems) {
    const { module = null, definition } = specs[filterIndex] ?? {}
    if (module === null || faulty.has(module)) continue
    const serving = userFilters.serving(module)
    if (serving === null || serving === definition) continue
    const what = hint === '' ? message : `${message} — ${hint}`
    const where = path === '' ? '' : `${path.slice(1).replaceAll('/', '.')}: `
    faulty.set(module, what.startsWith(module) ? what : `${module}: ${where}${what}`)
  }
  return faulty
}

function withServing(
  specs: readonly FilterSpec[],
  faulty: ReadonlyMap<string, string>,
  userFilters: UserFilters,
): FilterSpec[] {
  return specs.map((spec) => {
    if (spec.module === null || !faulty.has(spec.module)) return spec
    return { ...spec, definition: userFilters.serving(spec.module) ?? spec.definition }
  })
}

function* routeEntries(
  config: Config,
  chains: readonly Chain[],
  routeNames: string[],
  context: CompileContext,
): Generator<{ rule: MatchRule; target: Route; label: string }> {
  const protocols = new Map(config.clusters.map(({ name, protocol }) => [name, protocol]))
  const parts = {
    types: config.types,
    protocol: (cluster: string) => protocols.get(cluster) as ProtocolName,
    fields: context.services('routes'),
    cluster: (name: string) => context.cluster(name),
    stats: (name: string) => context.routeStats(name),
    usedStats: (name: string) => context.usedRouteStats(name),
  }
  const names = new RouteNames()
  for (const [index, route] of config.routes.entries()) {
    const name = names.nameOf(route)
    routeNames.push(name)
    const target = createRoute(name, route, { ...parts, index, chain: chains[index] })
    yield { rule: route.match, target, label: name }
  }
}

async function inTurns<T>(steps: Generator<void, T>, turns: Turns): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    const pause = turns.rest()
    if (pause !== null) await pause
  }
}
