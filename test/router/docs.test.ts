import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import type { MatchRule } from '../../lib/core/route.ts'
import { findConflicts } from '../../lib/router/conflicts.ts'
import { compileRedirect, type RedirectRule } from '../../lib/router/redirect.ts'
import { compilePathRewrite, type PathRewrite } from '../../lib/router/rewrite.ts'
import { ruleProblems } from '../../lib/router/rule.ts'

interface DocumentedRoute {
  readonly name?: string
  readonly match: MatchRule
  readonly to?: { readonly redirect?: RedirectRule }
  readonly rewrite?: PathRewrite
}

const page = readFileSync(new URL('../../docs/routing.md', import.meta.url), 'utf8')
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => parse(text!))
const lists = examples.map((example): DocumentedRoute[] => {
  return Array.isArray(example) ? example : (example.routes ?? [{ match: example.match }])
})

t.test('every example in docs/routing.md compiles', async (t) => {
  t.ok(lists.length >= 7)
  for (const { match, to, rewrite } of lists.flat()) {
    t.same(ruleProblems(match), [], JSON.stringify(match))
    if (rewrite !== undefined) t.ok(compilePathRewrite(rewrite, match.path))
    if (to?.redirect !== undefined) t.ok(compileRedirect(to.redirect, match.path))
  }
})

t.test('the example of conflicts has those that it says it has', async (t) => {
  const routes = lists.find((list) => list[0]?.name === 'beta')!
  const found = findConflicts(routes.map(({ match, name }) => ({ rule: match, label: name! })))
  t.same(
    found.map(({ index, otherIndex, kind }) => [index, otherIndex, kind]),
    [
      [1, 0, 'ambiguous'],
      [2, 0, 'shadowed'],
    ],
  )
})

t.test('the rule of precedence takes exactly three lines', async (t) => {
  const section = page.split('## Which route wins')[1]!.split('## What can be matched')[0]!
  t.same(section.match(/^\d\. /gm), ['1. ', '2. ', '3. '])
})
