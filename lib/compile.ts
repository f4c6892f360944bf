/** Compiles an accepted configuration to the runtime that the dispatcher uses, in steps that never hold up the event loop for long. */
import { createRoute, pathResolver, routeProblems } from './assemble.ts'
import type { Config, FilterConfig } from './config/config.ts'
import { checkAgainst } from './config/schema-check.ts'
import type { Finding } from './config/problem.ts'
import type { FilterServices } from './core/filter.ts'
import type { Destination, MatchRule, Route } from './core/route.ts'
import type { ScopeStats } from './core/services.ts'
import type { Chain, ChainOwner, ChainSet } from './filters/chain.ts'
import { compileChains, type FilterProblem, type FilterSpec } from './filters/compile.ts'
import { FILTERS } from './filters/index.ts'
import { isModulePath } from './filters/user-module.ts'
import { RouteNames } from './route-names.ts'
import { RuleError } from './router/pattern.ts'
import { buildRouteTable } from './router/route-table.ts'
import { Runtime } from './server/runtime.ts'
import type { UserFilters } from './user-filters.ts'

/** What compiling needs from the gateway. */
export interface CompileContext {
  /** The configuration file, for relative paths. */
  readonly file: string
  readonly owner: ChainOwner
  readonly services: (name: string) => FilterServices
  readonly userFilters: UserFilters
  readonly previous: ChainSet | null
  cluster(name: string): Destination
  routeStats(name: string): ScopeStats
}

/** A runtime, or what is wrong. */
export interface CompileOutcome {
  /** Null when there are findings. */
  readonly runtime: Runtime | null
  readonly findings: readonly Finding[]
  /** Absolute paths of the users' modules in use. */
  readonly modules: ReadonlySet<string>
}

/** Finds the definitions of all filters, compiles their chains, then the routes. */
export async function compileRuntime(config: Config, context: CompileContext): Promise<CompileOutcome> {
  const { specs, findings } = await resolveFilters(config.filters, context)
  const modules = new Set(specs.flatMap((spec) => spec.module ?? []))
  if (findings.length > 0) return { runtime: null, findings, modules }
  const compiled = compileChains({
    filters: specs,
    routes: config.routes.map(({ name = '', filters }) => ({ name, filters })),
    owner: context.owner,
    servicesFor: context.services,
    log: context.services('chain').log,
    check: checkOptions,
    previous: context.previous,
  })
  if (compiled.set === null) {
    return {
      runtime: null,
      findings: compiled.problems.map((problem) => findingOf(problem, config)),
      modules,
    }
  }
  try {
    const routes = await buildRouteTable(routeEntries(config, compiled.chains, context))
    return { runtime: new Runtime(compiled.set.base, routes, config.gather.limit), findings: [], modules }
  } catch (error) {
    compiled.set.retire()
    if (!(error instanceof RuleError)) throw error
    return { runtime: null, findings: ruleFindings(config), modules }
  }
}

/** The loader knows only the built-in filters' schemas; those of users' modules are checked here. */
function checkOptions(schema: object | null, options: object): { path: string; message: string }[] {
  if (schema === null) return []
  return checkAgainst(schema, options, []).map(({ path, message }) => ({
    path: path.map(step => `/${step}`).join(''),
    message,
  }))
}

/** Every rule that cannot be compiled. Only asked for when there is one. */
function ruleFindings(config: Config): Finding[] {
  return config.routes.flatMap((route, index) =>
    routeProblems(route).map(({ key, message }) => ({ path: ['routes', index, ...key], message, hint: '' })),
  )
}

async function resolveFilters(
  filters: readonly FilterConfig[],
  context: CompileContext,
): Promise<{ specs: FilterSpec[]; findings: Finding[] }> {
  const resolve = pathResolver(context.file)
  const specs: FilterSpec[] = []
  const findings: Finding[] = []
  for (const [index, { name, use, options, enabled }] of filters.entries()) {
    const module = isModulePath(use) ? resolve(use) : null
    try {
      const definition = module === null ? FILTERS.get(use) : await context.userFilters.definition(module)
      if (definition === undefined) throw new Error(`there is no filter "${use}"`)
      specs.push({ name, use, definition, options, enabled, module })
    } catch (error) {
      findings.push({
        path: ['filters', index],
        message: (error as Error).message,
        hint: '',
        severity: 'error',
      })
    }
  }
  return { specs, findings }
}

function findingOf(problem: FilterProblem, config: Config): Finding {
  const isRoute = problem.routeIndex >= 0
  const base = isRoute
    ? ['routes', problem.routeIndex, 'filters', problem.filter]
    : ['filters', problem.filterIndex]
  const path = [...base, ...problem.path.split('/').slice(1)]
  const use = config.filters[problem.filterIndex]?.use ?? problem.filter
  return { path, message: `filter ${use}: ${problem.message}`, hint: '', severity: 'error' }
}

function* routeEntries(
  config: Config,
  chains: readonly Chain[],
  context: CompileContext,
): Generator<{ rule: MatchRule; target: Route; label: string }> {
  const parts = {
    fields: context.services('routes'),
    cluster: (name: string) => context.cluster(name),
    stats: (name: string) => context.routeStats(name),
  }
  const names = new RouteNames()
  for (const [index, route] of config.routes.entries()) {
    const name = names.nameOf(route)
    const target = createRoute(name, route, { ...parts, index, chain: chains[index] })
    yield { rule: route.match, target, label: name }
  }
}
