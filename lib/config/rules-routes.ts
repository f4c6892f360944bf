/** Rules about routes that a schema cannot say. Conflicts between routes are the router's to find. */

import type { ProtocolName } from '../core/message.ts'
import type { FilterCatalog, FilterConfig, RouteFilters } from './config.ts'
import type { Draft, DraftCluster, DraftRoute, Entry } from './draft.ts'
import type { ConfigPath } from './problem.ts'
import { checkRouteFilters } from './rules-filters.ts'
import { checkRpcMatch, checkRpcTarget, RPC_KEYS } from './rules-rpc.ts'
import { regexReason, show } from './schema-walk.ts'
import { suggest } from './suggest.ts'

/** The keys of `to` that only something forwarded has a use for. */
const FORWARDING_KEYS = ['operation', 'method', 'path', ...RPC_KEYS] as const

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

/** Everything about routes that other parts of the configuration decide. */
export function checkRoutes(
  draft: Draft,
  chain: ReadonlyMap<string, FilterConfig>,
  catalog: FilterCatalog,
): void {
  draft.reportDuplicateNames('routes', 'route')
  const clusters = new Set(draft.texts('clusters', 'name').filter((name) => name !== null))
  const hashed = new Set<string>()
  const protocols = new Map<string, ProtocolName>()
  for (const { value, has } of draft.entries<DraftCluster>('clusters')) {
    if (value.balancer === 'ring-hash') hashed.add(value.name)
    if (has('name') && has('protocol')) protocols.set(value.name, value.protocol)
  }
  for (const route of draft.entries<DraftRoute>('routes')) {
    const { value, path, has } = route
    if (has('match')) checkMatch(draft, value, path)
    if (has('to')) {
      checkTarget(draft, value, path, clusters, has('match'))
      checkHashKey(draft, value, path, hashed)
      checkRpcTarget(draft, route, protocols)
    }
    if (has('rewrite')) checkRewrite(draft, route)
    if (has('timeout') && has('perTryTimeout')) checkTimeouts(draft, value, path)
    if (has('filters'))
      checkRouteFilters(draft, value.filters as RouteFilters, [...path, 'filters'], chain, catalog)
  }
}

function checkMatch(draft: Draft, { match }: DraftRoute, path: ConfigPath): void {
  checkRpcMatch(draft, match, [...path, 'match'])
  if (match.path !== undefined) checkPath(draft, match.path, [...path, 'match', 'path'])
  if (match.headers !== undefined) {
    for (const name of Object.keys(match.headers)) {
      if (TOKEN.test(name)) continue
      draft.reportKey(
        [...path, 'match', 'headers', name],
        `${show(name)} is no header name`,
        'use letters, digits and "-"',
      )
    }
  }
  for (const section of ['headers', 'query', 'cookies'] as const) {
    const conditions = match[section]
    if (conditions !== undefined) checkRanges(draft, conditions, [...path, 'match', section])
  }
}

function checkPath(draft: Draft, pattern: string, at: ConfigPath): void {
  if (pattern.startsWith('~')) {
    const reason = regexFault(pattern.slice(1))
    if (reason !== null) draft.report(at, `${show(pattern.slice(1))} is no regular expression`, reason)
  } else if (pattern.startsWith('*')) {
    if (pattern !== '*')
      draft.report(
        at,
        `${show(pattern)} is not possible here`,
        'use "~" and a regular expression for wildcards',
      )
  } else if (/[?#]/.test(pattern)) {
    draft.report(at, 'a path holds no "?" or "#"', 'put conditions on the query under match.query')
  } else if (/[\s*]/.test(pattern)) {
    const hint = pattern.includes('*')
      ? 'end it in "/" for a prefix, or use "~" and a regular expression'
      : 'encode blanks as %20'
    draft.report(at, `${show(pattern)} would match only that very text`, hint, 'warning')
  }
}

type Conditions = NonNullable<DraftRoute['match']['headers']>

function checkRanges(draft: Draft, conditions: Conditions, at: ConfigPath): void {
  for (const name in conditions) {
    const { range } = conditions[name] as { readonly range?: readonly number[] }
    if (range === undefined || range[0] < range[1]) continue
    draft.report(
      [...at, name, 'range'],
      `the range [${range.join(', ')}] is empty`,
      'the first number is part of it, the second is not',
    )
  }
}

function checkTarget(
  draft: Draft,
  { to, match }: DraftRoute,
  path: ConfigPath,
  clusters: ReadonlySet<string>,
  isMatchSound: boolean,
): void {
  const at = [...path, 'to']
  const given = (['cluster', 'clusters', 'redirect'] as const).filter((key) => to[key] !== undefined)
  if (given.length !== 1) {
    const message =
      given.length === 0 ? 'the route leads nowhere' : `${given.join(' and ')} exclude each other`
    draft.report(at, message, 'give exactly one of cluster, clusters, redirect')
  }
  if (to.cluster !== undefined) checkCluster(draft, to.cluster, [...at, 'cluster'], clusters)
  to.clusters?.forEach(({ cluster }, index) => {
    checkCluster(draft, cluster, [...at, 'clusters', index, 'cluster'], clusters)
  })
  if (to.clusters?.every(({ weight }) => weight === 0)) {
    draft.report(
      [...at, 'clusters'],
      'all weights are 0, so no cluster gets a request',
      'give one of them a weight above 0',
    )
  }
  if (to.redirect === undefined) return
  for (const key of FORWARDING_KEYS) {
    if (to[key] !== undefined)
      draft.reportKey([...at, key], `a redirect has no use for ${key}`, 'leave it out')
  }
  checkRedirect(draft, to.redirect, isMatchSound ? match.path : null, [...at, 'redirect'])
}

/** The path of a route's match; null when it is wrong itself. */
type Pattern = string | null | undefined

function checkRedirect(
  draft: Draft,
  redirect: NonNullable<DraftRoute['to']['redirect']>,
  pattern: Pattern,
  at: ConfigPath,
): void {
  const { path, prefix, host, scheme } = redirect
  if (path !== undefined && prefix !== undefined) {
    draft.report(at, 'path and prefix exclude each other', 'give one of them')
  }
  if ((path ?? prefix ?? host ?? scheme) === undefined) {
    draft.report(at, 'the redirect leads back to where it came from', 'give path, prefix, host or scheme')
  }
  if (prefix !== undefined) checkPrefix(draft, pattern, [...at, 'prefix'])
}

function checkCluster(draft: Draft, name: string, at: ConfigPath, clusters: ReadonlySet<string>): void {
  if (clusters.has(name)) return
  draft.report(at, `there is no cluster ${JSON.stringify(name)}`, suggest(name, [...clusters], 'clusters'))
}

function checkRewrite(draft: Draft, { value, path, has }: Entry<DraftRoute>): void {
  const rewrite = value.rewrite as NonNullable<DraftRoute['rewrite']>
  const at = [...path, 'rewrite']
  if (has('to') && value.to.redirect !== undefined) {
    draft.reportKey(
      at,
      'a redirect forwards nothing that could be rewritten',
      'leave rewrite out; redirect has path, prefix and host',
    )
  }
  const given = (['path', 'prefix', 'regex'] as const).filter((key) => rewrite[key] !== undefined)
  if (given.length > 1) draft.report(at, `${given.join(' and ')} exclude each other`, 'give one of them')
  if ((rewrite.regex === undefined) !== (rewrite.replace === undefined)) {
    const [has, lacks] = rewrite.regex === undefined ? ['replace', 'regex'] : ['regex', 'replace']
    draft.report([...at, has], `${has} needs ${lacks}`, `add ${lacks}`)
  }
  if (rewrite.prefix !== undefined)
    checkPrefix(draft, has('match') ? value.match.path : null, [...at, 'prefix'])
}

/** A prefix is replaced where the path of the match is known: a prefix, or one exact path. */
function checkPrefix(draft: Draft, pattern: Pattern, at: ConfigPath): void {
  if (pattern === null || pattern?.startsWith('/')) return
  draft.report(
    at,
    'the route matches no prefix that could be replaced',
    'give match.path a prefix that ends in "/", or use path or regex',
  )
}

function checkTimeouts(draft: Draft, { timeout, perTryTimeout }: DraftRoute, path: ConfigPath): void {
  if (timeout === 0 || perTryTimeout <= timeout) return
  draft.report(
    [...path, 'perTryTimeout'],
    'one try may take longer than all together',
    'make it shorter than timeout',
    'warning',
  )
}

function checkHashKey(
  draft: Draft,
  { to, hashKey }: DraftRoute,
  path: ConfigPath,
  hashed: ReadonlySet<string>,
): void {
  if (hashKey !== undefined || hashed.size === 0) return
  const name = [to.cluster, ...(to.clusters ?? []).map(({ cluster }) => cluster)].find(
    (one) => one !== undefined && hashed.has(one),
  )
  if (name === undefined) return
  const message = `the cluster ${JSON.stringify(name)} balances by hash, and the route names no value to hash`
  draft.report(path, message, 'add hashKey, such as request.header.x-user', 'warning')
}

function regexFault(source: string): string | null {
  try {
    new RegExp(source)
    return null
  } catch (error) {
    return regexReason(error)
  }
}
