/** From the configured filters to what `compileChains` takes, and from its problems to findings. */
import { pathResolver } from './assemble.ts'
import type { Config, FilterCatalog, FilterConfig } from './config/config.ts'
import type { Finding } from './config/problem.ts'
import type { FilterDefinition, FilterServices } from './core/filter.ts'
import { checkFilterOptions, stepsOf } from './filter-options.ts'
import type { ChainOwner, ChainSet } from './filters/chain.ts'
import { type CompileInput, compileChains, type FilterProblem, type FilterSpec } from './filters/compile.ts'
import { FILTERS, loadFilters } from './filters/index.ts'
import { makeInertServices } from './filters/services.ts'
import { isModulePath, loadUserModule } from './filters/user-module.ts'

/** The options' schemas of the built-in filters, for the loader. */
export const CATALOG: FilterCatalog = new Map([...FILTERS].map(([name, { schema }]) => [name, schema]))

/** Gives the definition in a user's module; throws an `Error` that says why there is none. */
export type ModuleLoader = (path: string) => FilterDefinition | Promise<FilterDefinition>

/** The filters of a configuration with their definitions. */
export interface ResolvedFilters {
  /** As many as configured, in their order. */
  readonly specs: readonly FilterSpec[]
  /** Modules that cannot be loaded. */
  readonly findings: readonly Finding[]
}

/** Stands for a module that cannot be loaded, so that the problems of the others show as well. */
const ABSENT: FilterDefinition = {
  schema: null,
  perRoute: true,
  create: (_options, { name }) => ({ name, onEnd() {} }),
}

/** Finds the definition of every filter. */
export async function resolveFilters(
  filters: readonly FilterConfig[],
  file: string,
  load: ModuleLoader,
): Promise<ResolvedFilters> {
  await loadFilters(filters.map(({ use }) => use))
  const resolve = pathResolver(file)
  const specs: FilterSpec[] = []
  const findings: Finding[] = []
  for (const [index, { name, use, options, enabled }] of filters.entries()) {
    const module = isModulePath(use) ? resolve(use) : null
    let definition: FilterDefinition
    try {
      definition = module === null ? builtIn(use) : await load(module)
    } catch (error) {
      findings.push({ path: ['filters', index, 'use'], message: (error as Error).message, hint: '' })
      definition = ABSENT
    }
    specs.push({ name, use, definition, options, enabled, module })
  }
  return { specs, findings }
}

function builtIn(use: string): FilterDefinition {
  const definition = FILTERS.get(use)
  if (definition === undefined) throw new Error(`there is no filter "${use}"`)
  return definition
}

/** What compiling chains needs beside the filters. */
export interface ChainContext {
  readonly owner: ChainOwner
  readonly services: (name: string) => FilterServices
  /** The set that is replaced, null when there is none. */
  readonly previous: ChainSet | null
}

/** The input of `compileChains` for a configuration. */
export function chainInput(
  config: Config,
  specs: readonly FilterSpec[],
  context: ChainContext,
): CompileInput {
  const moduleSchemas = new Set(specs.map(({ module, definition }) => module !== null && definition.schema))
  return {
    filters: specs,
    routes: config.routes,
    owner: context.owner,
    servicesFor: context.services,
    log: context.services('chain').log,
    // The loader knows the schemas of the built-in filters and has checked theirs.
    check: (schema, options) => (moduleSchemas.has(schema) ? checkFilterOptions(schema, options) : []),
    previous: context.previous,
  }
}

/** Where in the configuration a problem of the chains stands. */
export function filterFinding(problem: FilterProblem, config: Config): Finding {
  const { routeIndex, filterIndex, filter, message, hint = '', atKey = false } = problem
  const base = routeIndex >= 0 ? ['routes', routeIndex, 'filters', filter] : ['filters', filterIndex]
  const steps = stepsOf(problem)
  const use = config.filters[filterIndex]?.use ?? filter
  const isNamed = steps.length > 0 || isModulePath(use)
  return { path: [...base, ...steps], message: isNamed ? message : `${use}: ${message}`, hint, atKey }
}

/** What is wrong with the filters of a configuration. Makes every one of them, with services that do nothing. */
export async function findFilterProblems(config: Config, file: string): Promise<Finding[]> {
  const { specs, findings } = await resolveFilters(config.filters, file, async (path) => {
    const { definition, refused } = await loadUserModule(path)
    if (definition === null) throw new Error(refused)
    return definition
  })
  const owner: ChainOwner = { resume() {} }
  const services = makeInertServices(config.node)
  const { problems, set } = compileChains(chainInput(config, specs, { owner, services, previous: null }))
  set?.retire()
  return [...findings, ...problems.map((problem) => filterFinding(problem, config))]
}
