/** The checks of a configuration that need the router and users' modules; `config` knows neither. */
import { dirname, resolve } from 'node:path'
import type { Config, FilterCatalog, FilterConfig, RouteConfig } from '../config/config.ts'
import type { ConfigPath, Finding } from '../config/problem.ts'
import { checkAgainst } from '../config/schema-check.ts'
import { FILTERS } from '../filters/index.ts'
import { isModulePath, loadUserModule } from '../filters/user-module.ts'
import { RouteNames } from '../route-names.ts'
import { findConflicts } from '../router/conflicts.ts'
import { RuleError } from '../router/pattern.ts'
import { compileRedirect } from '../router/redirect.ts'
import { compilePathRewrite } from '../router/rewrite.ts'
import { ruleProblems } from '../router/rule.ts'

/** The built-in filters with their schemas. */
export function filterCatalog(): FilterCatalog {
  return new Map([...FILTERS].map(([name, { schema }]) => [name, schema]))
}

/** Everything about routes that only the router can tell: rules that do not compile, and those that get in each other's way. */
export function checkRouting(routes: readonly RouteConfig[]): Finding[] {
  const findings: Finding[] = []
  const names = new RouteNames()
  const rules = routes.map((route, index) => {
    checkRoute(findings, route, ['routes', index])
    return { rule: route.match, label: names.nameOf(route) }
  })
  for (const { index, message } of findConflicts(rules)) {
    findings.push({ path: ['routes', index, 'match'], message, hint: '', severity: 'warning' })
  }
  return findings
}

/** Loads every user's module that the chain names, and checks the options against the schemas that they bring. */
export async function checkUserFilters(config: Config, file: string): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [index, filter] of config.filters.entries()) {
    if (!isModulePath(filter.use)) continue
    const { definition, refused } = await loadUserModule(resolve(dirname(file), filter.use))
    if (definition === null) findings.push({ path: ['filters', index, 'use'], message: refused, hint: '' })
    else if (definition.schema !== null)
      findings.push(...checkUserOptions(config, filter, index, definition.schema))
  }
  return findings
}

function checkUserOptions(config: Config, filter: FilterConfig, index: number, schema: object): Finding[] {
  const findings = filter.enabled ? checkAgainst(schema, filter.options, ['filters', index]) : []
  config.routes.forEach((route, routeIndex) => {
    const override = route.filters?.[filter.name]
    if (override === undefined || typeof override === 'boolean') return
    findings.push(
      ...checkAgainst(schema, { ...filter.options, ...override }, [
        'routes',
        routeIndex,
        'filters',
        filter.name,
      ]),
    )
  })
  return findings
}

function checkRoute(findings: Finding[], { match, rewrite, to }: RouteConfig, at: ConfigPath): void {
  for (const error of ruleProblems(match)) findings.push(fromRule(error, [...at, 'match']))
  if (rewrite !== undefined && (rewrite.path ?? rewrite.prefix ?? rewrite.regex) !== undefined) {
    attempt(findings, [...at, 'rewrite'], () => compilePathRewrite(rewrite, match.path))
  }
  const { redirect } = to
  if (redirect !== null)
    attempt(findings, [...at, 'to', 'redirect'], () => compileRedirect(redirect, match.path))
}

function attempt(findings: Finding[], at: ConfigPath, compile: () => unknown): void {
  try {
    compile()
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    findings.push(fromRule(error, at))
  }
}

function fromRule(error: RuleError, at: ConfigPath): Finding {
  return { path: [...at, ...error.key], message: error.message, hint: '' }
}
