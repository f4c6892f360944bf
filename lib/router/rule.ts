/** Turns a `MatchRule` into what the table and the search for conflicts work with. */
import type { MatchRule } from '../core/route.ts'
import { type Condition, compileCondition, condition, oneOf, Source, Test } from './condition.ts'
import { normalizeHost } from './host.ts'
import { canonicalRulePath, isDivisive, resolveDots } from './path.ts'
import { compilePattern, fixedStart, RuleError } from './pattern.ts'

/** How the text of a rule is compared. */
export const TextKind = { None: 0, Exact: 1, Start: 2, Regex: 3 } as const
export type TextKind = (typeof TextKind)[keyof typeof TextKind]

/** The index that holds a rule. A rule without a text belongs to none, and is marked as one for paths. */
export const Index = { Path: 0, Operation: 1, Service: 2 } as const
export type Index = (typeof Index)[keyof typeof Index]

/** One rule, checked and compiled. */
export interface CompiledRule {
  /** Normalised hosts; `['*']` when the rule names none. */
  readonly hosts: readonly string[]
  readonly index: Index
  readonly kind: TextKind
  /** The exact path, operation or service, the prefix, or the fixed start of the expression. */
  readonly text: string
  readonly regex: RegExp | null
  /** The expression as it was written, `''` when there is none. */
  readonly pattern: string
  /** Null for any method. */
  readonly methods: readonly string[] | null
  /** Null when there are none. */
  readonly conditions: readonly Condition[] | null
  /** How many conditions the rule has, the method among them. */
  readonly count: number
}

/** Longest path, operation or service a rule may hold. */
export const MAX_TEXT_LENGTH = 2_048

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Z]+$/
const JAVA_METHOD = /^[\p{L}_$][\p{L}\p{N}_$]*$/u

/** Compiles a rule; throws `RuleError` for the first thing that is wrong with it. */
export function compileRule(rule: MatchRule): CompiledRule {
  const problems: RuleError[] = []
  const compiled = compile(rule, problems)
  if (problems.length > 0) throw problems[0]
  return compiled
}

/** Everything that is wrong with a rule; empty when it can be compiled. */
export function ruleProblems(rule: MatchRule): RuleError[] {
  const problems: RuleError[] = []
  compile(rule, problems)
  return problems
}

interface TextRule {
  readonly kind: TextKind
  readonly text: string
  readonly regex: RegExp | null
  readonly pattern: string
}

const NO_TEXT: TextRule = { kind: TextKind.None, text: '', regex: null, pattern: '' }

function compile(rule: MatchRule, problems: RuleError[]): CompiledRule {
  const index = indexOf(rule)
  const path = rule.path === undefined ? NO_TEXT : attempt(problems, NO_TEXT, () => compilePath(rule.path!))
  const name = index === Index.Path ? NO_TEXT : attempt(problems, NO_TEXT, () => compileName(rule, index))
  const methods = attempt(problems, null, () => compileMethods(rule.method, index))
  const conditions = index === Index.Operation && path.kind !== TextKind.None ? [pathCondition(path)] : []
  collectRpc(conditions, rule, problems)
  collect(conditions, Source.Header, 'headers', rule.headers, problems)
  collect(conditions, Source.Query, 'query', rule.query, problems)
  collect(conditions, Source.Cookie, 'cookies', rule.cookies, problems)
  return {
    hosts: attempt(problems, ['*'], () => compileHosts(rule.host)),
    index,
    ...(index === Index.Path ? path : name),
    methods,
    conditions: conditions.length === 0 ? null : conditions,
    count: conditions.length + (methods === null ? 0 : 1),
  }
}

function indexOf({ service, operation }: MatchRule): Index {
  if (service !== undefined) return Index.Service
  return operation === undefined ? Index.Path : Index.Operation
}

/** What an RPC has none of. */
const NOT_IN_RPC = ['path', 'host', 'operation', 'query', 'cookies'] as const

/** Conditions on what an RPC says of itself, the one that is cheapest to read first. */
function collectRpc(into: Condition[], rule: MatchRule, problems: RuleError[]): void {
  const { service, version, group, app } = rule
  if (service === undefined) {
    const key = (['version', 'group', 'app'] as const).find((each) => rule[each] !== undefined)
    if (key !== undefined) problems.push(new RuleError([key], `${key} is for RPCs and needs service`))
    return
  }
  for (const key of NOT_IN_RPC) {
    if (rule[key] !== undefined)
      problems.push(new RuleError([key], `an RPC, which service asks for, has no ${key}`))
  }
  if (version !== undefined) into.push(condition(Source.Version, '', Test.Exact, version))
  if (group !== undefined) into.push(condition(Source.Group, '', Test.Exact, group))
  if (app === undefined) return
  const apps = typeof app === 'string' ? [app] : app
  if (apps.length > 0) into.push(oneOf(Source.App, apps))
  else {
    const message = 'the list of applications is empty, so nothing can match; leave it out to match any'
    problems.push(new RuleError(['app'], message))
  }
}

function attempt<T>(problems: RuleError[], fallback: T, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    problems.push(error)
    return fallback
  }
}

function collect(
  into: Condition[],
  source: Source,
  group: 'headers' | 'query' | 'cookies',
  rules: MatchRule['headers'],
  problems: RuleError[],
): void {
  if (rules === undefined) return
  for (const name of Object.keys(rules)) {
    const key = [group, name]
    const made = attempt(problems, null, () => compileCondition(source, name, rules[name]!, key))
    if (made === null) continue
    if (into.some((each) => each.source === source && each.name === made.name)) {
      problems.push(
        new RuleError(key, `${group} names '${made.name}' twice; names differ in more than their case`),
      )
    }
    into.push(made)
  }
}

function compilePath(path: string): TextRule {
  const key = ['path']
  if (path.startsWith('~')) return compilePathPattern(path.slice(1), key)
  if (path === '*') return { kind: TextKind.Exact, text: path, regex: null, pattern: '' }
  if (!path.startsWith('/')) {
    throw new RuleError(key, `path '${path}' begins with neither '/' nor '~'; did you mean '/${path}'?`)
  }
  if (path.length > MAX_TEXT_LENGTH) {
    throw new RuleError(key, `the path has ${path.length} characters; at most ${MAX_TEXT_LENGTH} are allowed`)
  }
  if (/[?#]/.test(path)) {
    throw new RuleError(
      key,
      `path '${path}' holds a query or fragment; put query conditions under match.query`,
    )
  }
  if (resolveDots(path) !== path) {
    throw new RuleError(
      key,
      `path '${path}' can never match: '.' and '..' are resolved before routes are looked at`,
    )
  }
  if (isDivisive(path)) {
    throw new RuleError(
      key,
      `path '${path}' holds '//', ';', '\\' or an escaped slash, which servers read differently; use a regular expression that matches each reading`,
    )
  }
  const kind = path.endsWith('/') ? TextKind.Start : TextKind.Exact
  return { kind, text: canonicalRulePath(path), regex: null, pattern: '' }
}

function compilePathPattern(pattern: string, key: readonly string[]): TextRule {
  const regex = compilePattern(pattern, true, key)
  const text = fixedStart(pattern)
  if (text !== '' && !text.startsWith('/')) {
    throw new RuleError(
      key,
      `the regular expression ${pattern} can never match: it is over the whole path, which begins with '/'`,
    )
  }
  // Every path begins with a slash, so an expression without a fixed start has at least this one.
  return { kind: TextKind.Regex, text: text === '' ? '/' : text, regex, pattern }
}

/** Operations and services are dotted names. */
function compileName(rule: MatchRule, index: Index): TextRule {
  const what = index === Index.Operation ? 'operation' : 'service'
  const key = [what]
  const name = rule[what] as string
  if (name.length > MAX_TEXT_LENGTH) {
    throw new RuleError(
      key,
      `the ${what} has ${name.length} characters; at most ${MAX_TEXT_LENGTH} are allowed`,
    )
  }
  const isStart = name === '*' || name.endsWith('.*')
  const text = isStart ? name.slice(0, -1) : name
  if (name === '' || /[*\s]/.test(text)) {
    throw new RuleError(
      key,
      `${what} '${name}' is neither a name such as 'a.b.c' nor everything below one, 'a.b.*'`,
    )
  }
  if (index === Index.Service && text.includes(':')) {
    throw new RuleError(key, `service '${name}' holds ':'; version and group have keys of their own`)
  }
  return { kind: isStart ? TextKind.Start : TextKind.Exact, text, regex: null, pattern: '' }
}

/** HTTP's methods in upper case, those of services as they are. */
function compileMethods(method: MatchRule['method'], index: Index): readonly string[] | null {
  if (method === undefined) return null
  const methods = typeof method === 'string' ? [method] : method
  if (methods.length === 0)
    throw new RuleError(
      ['method'],
      'the list of methods is empty, so nothing can match; leave it out to match any',
    )
  const isJava = index === Index.Service
  const names = [...new Set(isJava ? methods : methods.map((name) => name.toUpperCase()))]
  const bad = names.find((name) => !(isJava ? JAVA_METHOD : METHOD).test(name))
  if (bad !== undefined) throw new RuleError(['method'], `'${bad}' is no method`)
  return names
}

function compileHosts(host: MatchRule['host']): readonly string[] {
  if (host === undefined) return ['*']
  const hosts = typeof host === 'string' ? [host] : host
  if (hosts.length === 0)
    throw new RuleError(
      ['host'],
      'the list of hosts is empty, so nothing can match; leave it out to match any',
    )
  return [...new Set(hosts.map((name) => normalizeHost(name, ['host'])))]
}

/** The path of an operation rule, compared like any other condition. */
function pathCondition(path: TextRule): Condition {
  if (path.kind === TextKind.Regex) return condition(Source.Path, '', Test.Regex, path.pattern, path.regex)
  if (path.kind === TextKind.Exact) return condition(Source.Path, '', Test.Exact, path.text)
  const bare = path.text.slice(0, -1).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return condition(Source.Path, '', Test.Regex, path.text, new RegExp(`^${bare}(?:/[^]*)?$`))
}
