/** Turns a `MatchRule` into what the table and the search for conflicts work with. */
import type { MatchRule } from '../core/route.ts'
import { type Condition, compileCondition, condition, Source, Test } from './condition.ts'
import { normalizeHost } from './host.ts'
import { canonicalRulePath, isDivisive, resolveDots } from './path.ts'
import { compilePattern, fixedStart, RuleError } from './pattern.ts'

/** Which index a rule belongs to, and how its text is compared there. */
export const TextKind = { None: 0, Exact: 1, Start: 2, Regex: 3 } as const
export type TextKind = (typeof TextKind)[keyof typeof TextKind]

/** One rule, checked and compiled. */
export interface CompiledRule {
  /** Normalised hosts; `['*']` when the rule names none. */
  readonly hosts: readonly string[]
  readonly isOperation: boolean
  readonly kind: TextKind
  /** The exact path or operation, the prefix, or the fixed start of the expression. */
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

/** Longest path or operation a rule may hold. */
export const MAX_TEXT_LENGTH = 2_048

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Z]+$/

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
  const isOperation = rule.operation !== undefined
  const path = rule.path === undefined ? NO_TEXT : attempt(problems, NO_TEXT, () => compilePath(rule.path!))
  const operation = isOperation
    ? attempt(problems, NO_TEXT, () => compileOperation(rule.operation!))
    : NO_TEXT
  const methods = attempt(problems, null, () => compileMethods(rule.method))
  const conditions = isOperation && path.kind !== TextKind.None ? [pathCondition(path)] : []
  collect(conditions, Source.Header, 'headers', rule.headers, problems)
  collect(conditions, Source.Query, 'query', rule.query, problems)
  collect(conditions, Source.Cookie, 'cookies', rule.cookies, problems)
  return {
    hosts: attempt(problems, ['*'], () => compileHosts(rule.host)),
    isOperation,
    ...(isOperation ? operation : path),
    methods,
    conditions: conditions.length === 0 ? null : conditions,
    count: conditions.length + (methods === null ? 0 : 1),
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

function compileOperation(operation: string): TextRule {
  const key = ['operation']
  if (operation.length > MAX_TEXT_LENGTH) {
    throw new RuleError(
      key,
      `the operation has ${operation.length} characters; at most ${MAX_TEXT_LENGTH} are allowed`,
    )
  }
  const isStart = operation === '*' || operation.endsWith('.*')
  const text = isStart ? operation.slice(0, -1) : operation
  if (operation === '' || /[*\s]/.test(text)) {
    throw new RuleError(
      key,
      `operation '${operation}' is neither a name such as 'a.b.c' nor everything below one, 'a.b.*'`,
    )
  }
  return { kind: isStart ? TextKind.Start : TextKind.Exact, text, regex: null, pattern: '' }
}

function compileMethods(method: MatchRule['method']): readonly string[] | null {
  if (method === undefined) return null
  const methods = typeof method === 'string' ? [method] : method
  if (methods.length === 0)
    throw new RuleError(
      ['method'],
      'the list of methods is empty, so nothing can match; leave it out to match any',
    )
  const upper = [...new Set(methods.map((name) => name.toUpperCase()))]
  const bad = upper.find((name) => !METHOD.test(name))
  if (bad !== undefined) throw new RuleError(['method'], `'${bad}' is no method`)
  return upper
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
