/** What is wrong with routes that only the router can tell. */
import { hasPathRewrite } from './assemble.ts'
import type { RouteConfig } from './config/config.ts'
import type { ConfigPath, Finding } from './config/problem.ts'
import { compileField } from './filters/fields.ts'
import { makeInertServices } from './filters/services.ts'
import { RuleError } from './router/pattern.ts'
import { compileRedirect } from './router/redirect.ts'
import { compilePathRewrite } from './router/rewrite.ts'
import { ruleProblems } from './router/rule.ts'

/** Every rule, rewrite, redirect and hash key that cannot be compiled. */
export function findRouteProblems(routes: readonly RouteConfig[]): Finding[] {
  return routes.flatMap((route, index) => problemsOf(route, ['routes', index]))
}

const FIELD_CONTEXT = makeInertServices({ app: '', cell: '', labels: {} })('routes')

function problemsOf({ match, rewrite, to, hashKey }: RouteConfig, at: ConfigPath): Finding[] {
  const findings = ruleProblems(match).map((error) => findingOf(error, [...at, 'match']))
  const attempt = (key: ConfigPath, compile: () => unknown): void => {
    try {
      compile()
    } catch (error) {
      findings.push(findingOf(error as Error, [...at, ...key]))
    }
  }
  const { redirect } = to
  if (rewrite !== undefined && hasPathRewrite(rewrite))
    attempt(['rewrite'], () => compilePathRewrite(rewrite, match.path))
  if (redirect !== null) attempt(['to', 'redirect'], () => compileRedirect(redirect, match.path))
  if (hashKey !== undefined) attempt(['hashKey'], () => compileField(hashKey, FIELD_CONTEXT))
  return findings
}

function findingOf(error: Error, at: ConfigPath): Finding {
  const key = error instanceof RuleError ? error.key : []
  return { path: [...at, ...key], message: error.message, hint: '' }
}
