/** Loads a configuration: reads the text, checks everything, fills in defaults. */
import { createHash } from 'node:crypto'
import type { Config, FilterCatalog, RouteConfig } from './config.ts'
import { Draft, type DraftRoute } from './draft.ts'
import { comparePlaces, type Finding, type Problem } from './problem.ts'
import { checkFilters } from './rules-filters.ts'
import { checkClusters, checkListeners } from './rules-network.ts'
import { checkRoutes } from './rules-routes.ts'
import { checkTypes } from './rules-types.ts'
import { configSchema } from './schema.ts'
import { type SchemaNode, SchemaWalk } from './schema-walk.ts'
import { Source } from './source.ts'
import { spellOut, spellOutRoute } from './spell-out.ts'

/** What came of a text. */
export interface LoadResult {
  /** Deeply frozen; null when one of the problems is an error. */
  readonly config: Config | null
  /** In order of the file; a configuration that was accepted may still have warnings. */
  readonly problems: readonly Problem[]
  /** SHA-256 of the text, hex. */
  readonly checksum: string
}

/** Checks that need modules which this folder does not know, such as conflicts of routes or users' filters. */
export type ExtraChecks = (config: Config) => readonly Finding[] | Promise<readonly Finding[]>

/** SHA-256 of a text, hex. */
export function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Loads `text`. Finds every problem at once; never throws for what the text holds. */
export function loadConfig(text: string, catalog: FilterCatalog): LoadResult {
  return loadSource(new Source(text), text, catalog)
}

/** As {@link loadConfig}, and runs `extraChecks` on a configuration that has no errors. */
export async function checkConfig(
  text: string,
  catalog: FilterCatalog,
  extraChecks: ExtraChecks,
): Promise<LoadResult> {
  const source = new Source(text)
  const result = loadSource(source, text, catalog)
  if (result.config === null) return result
  const found = source.locate(await extraChecks(result.config))
  const problems = [...result.problems, ...found].sort(comparePlaces)
  return { ...result, config: hasErrors(problems) ? null : result.config, problems }
}

/** Gives findings about a loaded text their positions. */
export function locateFindings(text: string, findings: readonly Finding[]): Problem[] {
  return findings.length === 0 ? [] : new Source(text).locate(findings)
}

/** True when one of them refuses the configuration. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity === 'error')
}

/** A configuration without its routes, which are loaded some at a time. */
export interface RouteLoader {
  /** Everything else; it has no routes. */
  readonly base: Config
  /** The loaded form of some routes; null when there is anything to say about them, be it a warning. That names may be taken is not looked at. */
  load(routes: readonly unknown[]): readonly RouteConfig[] | null
}

/** Loads the parsed text `rest`, which has no routes; null when there is anything to say about it, be it a warning. */
export function loadRest(rest: object, catalog: FilterCatalog): RouteLoader | null {
  const { loaded, findings } = checkValue(rest, catalog)
  if (findings.length > 0) return null
  const chain = checkFilters(new Draft(loaded, []), catalog)
  const load = (value: readonly unknown[]): readonly RouteConfig[] | null => {
    const walk = new SchemaWalk(['routes'])
    const routes = walk.walk(configSchema.properties.routes as SchemaNode, value) as readonly DraftRoute[]
    if (walk.findings.length > 0) return null
    const draft = new Draft({ ...loaded, routes }, [])
    checkRoutes(draft, chain, catalog)
    return draft.findings.length > 0 ? null : routes.map(spellOutRoute)
  }
  return { base: spellOut(loaded), load }
}

function checkValue(
  value: unknown,
  catalog: FilterCatalog,
): { readonly loaded: Readonly<Record<string, unknown>>; readonly findings: readonly Finding[] } {
  const walk = new SchemaWalk()
  const loaded = walk.walk(configSchema as SchemaNode, value ?? {}) as Readonly<Record<string, unknown>>
  return { loaded, findings: [...walk.findings, ...checkRules(loaded, walk.findings, catalog)] }
}

function loadSource(source: Source, text: string, catalog: FilterCatalog): LoadResult {
  const checksum = checksumOf(text)
  const { value, problems } = source.read()
  if (problems.length > 0) return { config: null, problems, checksum }
  const { loaded, findings } = checkValue(value, catalog)
  const located = findings.length === 0 ? [] : source.locate(findings)
  return { config: hasErrors(located) ? null : spellOut(loaded), problems: located, checksum }
}

function checkRules(
  loaded: Readonly<Record<string, unknown>>,
  known: readonly Finding[],
  catalog: FilterCatalog,
): Finding[] {
  if (known.some(({ path, atKey }) => path.length === 0 && atKey !== true) && !isMapping(loaded)) return []
  const draft = new Draft(loaded, known)
  checkListeners(draft)
  checkClusters(draft)
  checkTypes(draft)
  checkRoutes(draft, checkFilters(draft, catalog), catalog)
  return draft.findings
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
