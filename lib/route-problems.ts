/** What is wrong with routes that only the router can tell. */
import { compileCall, hasPathRewrite } from './assemble.ts'
import type { Config, RouteConfig } from './config/config.ts'
import type { ConfigPath, Finding } from './config/problem.ts'
import type { TypeDescriptions } from './core/route.ts'
import { compileField } from './filters/fields.ts'
import { makeInertServices } from './filters/services.ts'
import { loadProtocols } from './protocols/index.ts'
import { RuleError } from './router/pattern.ts'
import { compileRedirect } from './router/redirect.ts'
import { compilePathRewrite } from './router/rewrite.ts'
import { ruleProblems } from './router/rule.ts'

/** Every type, rule, rewrite, redirect, call and hash key that cannot be compiled. */
export async function findRouteProblems(config: Config): Promise<Finding[]> {
  const protocols = new Map(config.clusters.map(({ name, protocol }) => [name, protocol]))
  const found = await typeFindings(config.types)
  for (const [index, route] of config.routes.entries()) {
    const at = ['routes', index]
    found.push(...problemsOf(route, at))
    const { call, clusters } = route.to
    const protocol = protocols.get(clusters[0]?.cluster ?? '')
    if (call === null || protocol === undefined) continue
    await loadProtocols([protocol])
    found.push(...attempt([...at, 'to'], () => compileCall(call, protocol, config.types)))
  }
  return found
}

/** What the configuration's own rules cannot tell of `types`: expressions that no Java type is written as. */
async function typeFindings(types: TypeDescriptions): Promise<Finding[]> {
  if (Object.keys(types).length === 0) return []
  const { typeProblems } = await import('./protocols/hessian/type-table.ts')
  return typeProblems(types).map(({ path, message }) => ({ path: ['types', ...path], message, hint: '' }))
}

const FIELD_CONTEXT = makeInertServices({ app: '', cell: '', labels: {} })('routes')

function problemsOf({ match, rewrite, to, hashKey }: RouteConfig, at: ConfigPath): Finding[] {
  const findings = ruleProblems(match).map((error) => findingOf(error, [...at, 'match']))
  const { redirect } = to
  if (rewrite !== undefined && hasPathRewrite(rewrite))
    findings.push(...attempt([...at, 'rewrite'], () => compilePathRewrite(rewrite, match.path)))
  if (redirect !== null)
    findings.push(...attempt([...at, 'to', 'redirect'], () => compileRedirect(redirect, match.path)))
  if (hashKey !== undefined)
    findings.push(...attempt([...at, 'hashKey'], () => compileField(hashKey, FIELD_CONTEXT)))
  return findings
}

function attempt(at: ConfigPath, compile: () => unknown): Finding[] {
  try {
    compile()
    return []
  } catch (error) {
    return [findingOf(error as Error, at)]
  }
}

function findingOf(error: Error, at: ConfigPath): Finding {
  const key = error instanceof RuleError ? error.key : []
  return { path: [...at, ...key], message: error.message, hint: '' }
}
