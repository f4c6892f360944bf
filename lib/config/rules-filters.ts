/** Rules about the chain and about what routes say to it. */
import { basename } from 'node:path'
import type { FilterCatalog, FilterConfig } from './config.ts'
import type { Draft, DraftFilter, DraftRoute } from './draft.ts'
import type { ConfigPath, Finding } from './problem.ts'
import { checkAgainst } from './schema-check.ts'
import { suggest } from './suggest.ts'

const OWN_KEYS = new Set(['use', 'name', 'enabled'])
const NO_OPTIONS: Readonly<Record<string, unknown>> = Object.freeze({})

/** True when `use` is the path of a module, not the name of a built-in filter. */
export function isModulePath(use: string): boolean {
  return /^(\.{0,2}\/|[A-Za-z]:[\\/])/.test(use)
}

/** The spelled-out form of one entry of the chain. */
export function spellOutFilter(filter: DraftFilter): FilterConfig {
  if (typeof filter === 'string')
    return Object.freeze({ name: ownName(filter), use: filter, enabled: true, options: NO_OPTIONS })
  const options: Record<string, unknown> = {}
  for (const key in filter) if (!OWN_KEYS.has(key)) options[key] = filter[key]
  const use = filter.use as string
  return Object.freeze({
    name: (filter.name as string | undefined) ?? ownName(use),
    use,
    enabled: filter.enabled as boolean,
    options: Object.freeze(options),
  })
}

function ownName(use: string): string {
  return isModulePath(use) ? basename(use).replace(/\.[cm]?[jt]s$/, '') : use
}

/** Filters that exist, with names of their own and options that their schemas allow. Returns the chain by name. */
export function checkFilters(draft: Draft, catalog: FilterCatalog): ReadonlyMap<string, FilterConfig> {
  const chain = new Map<string, FilterConfig>()
  for (const { value, path } of draft.filters()) {
    const filter = spellOutFilter(value)
    const isShort = typeof value === 'string'
    const usePath = isShort ? path : [...path, 'use']
    if (chain.has(filter.name)) {
      const at = isShort || value.name === undefined ? usePath : [...path, 'name']
      draft.report(
        at,
        `the filter name ${JSON.stringify(filter.name)} is taken`,
        'give each its own: { use: …, name: … }',
      )
      continue
    }
    chain.set(filter.name, filter)
    if (!isKnown(filter, catalog)) {
      draft.report(
        usePath,
        `there is no filter ${JSON.stringify(filter.use)}`,
        unknownHint(filter.use, catalog),
      )
    } else checkChainOptions(draft, filter, path, catalog)
  }
  return chain
}

function isKnown(filter: FilterConfig, catalog: FilterCatalog): boolean {
  return catalog.has(filter.use) || isModulePath(filter.use)
}

function unknownHint(use: string, catalog: FilterCatalog): string {
  if (/\.[cm]?[jt]s$/.test(use)) return `the path of a module begins with "./": ./${use}`
  return suggest(use, [...catalog.keys()], 'filters')
}

function checkChainOptions(
  draft: Draft,
  filter: FilterConfig,
  path: ConfigPath,
  catalog: FilterCatalog,
): void {
  const schema = catalog.get(filter.use) ?? null
  if (schema === null) return
  const findings = checkAgainst(schema, filter.options, path)
  // A filter that only routes switch on may leave to them what its schema demands.
  if (filter.enabled) draft.findings.push(...findings)
  else draft.findings.push(...findings.filter((finding) => finding.path.length > path.length))
}

/** What one route says about filters: they must be in the chain, and the options together must be right. */
export function checkRouteFilters(
  draft: Draft,
  filters: NonNullable<DraftRoute['filters']>,
  path: ConfigPath,
  chain: ReadonlyMap<string, FilterConfig>,
  catalog: FilterCatalog,
): void {
  for (const name of Object.keys(filters)) {
    const filter = chain.get(name)
    if (filter === undefined) {
      const hint = catalog.has(name)
        ? `list it under "filters" first, { use: ${name}, enabled: false } if need be`
        : null
      const message = `the chain has no filter ${JSON.stringify(name)}`
      draft.reportKey(
        [...path, name],
        message,
        hint ?? suggest(name, [...chain.keys()], 'filters of the chain'),
      )
      continue
    }
    const override = filters[name]
    const schema = catalog.get(filter.use) ?? null
    if (schema === null || override === false || (override === true && filter.enabled)) continue
    checkOverride(
      draft,
      filter,
      override as true | Readonly<Record<string, unknown>>,
      [...path, name],
      schema,
    )
  }
}

/** Findings about keys that the chain gave were reported there. */
function checkOverride(
  draft: Draft,
  filter: FilterConfig,
  override: true | Readonly<Record<string, unknown>>,
  path: ConfigPath,
  schema: object,
): void {
  const own = override === true ? NO_OPTIONS : override
  const findings = checkAgainst(schema, { ...filter.options, ...own }, path)
  draft.findings.push(...findings.filter((finding) => isAbout(own, finding, path.length)))
}

function isAbout(own: Readonly<Record<string, unknown>>, finding: Finding, depth: number): boolean {
  return finding.path.length === depth || Object.hasOwn(own, String(finding.path[depth]))
}
