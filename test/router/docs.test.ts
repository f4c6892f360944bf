import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '../../lib/config/load.ts'
import type { MatchRule } from '../../lib/core/route.ts'
import { findConflicts } from '../../lib/router/conflicts.ts'
import { compileRedirect, type RedirectRule } from '../../lib/router/redirect.ts'
import { compilePathRewrite, type PathRewrite } from '../../lib/router/rewrite.ts'
import { ruleProblems } from '../../lib/router/rule.ts'

interface DocumentedRoute {
  readonly name?: string
  readonly match: MatchRule
  readonly to?: {
    readonly redirect?: RedirectRule
    readonly cluster?: string
    readonly clusters?: readonly { readonly cluster: string }[]
    readonly service?: string
  }
  readonly rewrite?: PathRewrite
}

const page = readFileSync(new URL('../../docs/routing.md', import.meta.url), 'utf8')
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => parse(text!))
const lists = examples
  .filter((example) => example.types === undefined)
  .map((example): DocumentedRoute[] => {
    return Array.isArray(example) ? example : (example.routes ?? [example])
  })

t.test('every example in docs/routing.md compiles', async (t) => {
  t.ok(lists.length >= 7)
  for (const { match, to, rewrite } of lists.flat()) {
    t.same(ruleProblems(match), [], JSON.stringify(match))
    if (rewrite !== undefined) t.ok(compilePathRewrite(rewrite, match.path))
    if (to?.redirect !== undefined) t.ok(compileRedirect(to.redirect, match.path))
  }
})

t.test(
  'every example in docs/routing.md is accepted as a configuration, with the types beside it',
  async (t) => {
    const { types } = examples.find((example) => example.types !== undefined)
    for (const route of lists.flat()) {
      const { match, to } = route
      if (to === undefined) continue
      const names = [to.cluster, ...(to.clusters ?? []).map(({ cluster }) => cluster)].filter(Boolean)
      const protocol = (match.service ?? to.service) === undefined ? 'http1' : 'bolt'
      const config = {
        listeners: [{ name: 'in', protocol: 'auto', address: ':1' }],
        clusters: names.map((name) => ({ name, protocol, endpoints: ['127.0.0.1:1'] })),
        routes: [route],
        types,
      }
      t.same(loadConfig(JSON.stringify(config), new Map()).problems, [], JSON.stringify(route))
    }
  },
)

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
