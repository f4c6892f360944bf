/** Conditions on headers, query parameters, cookies and what an RPC says of itself. */
import type { RequestHead } from '../core/message.ts'
import type { ValueRule } from '../core/route.ts'
import { compilePattern, RuleError } from './pattern.ts'
import { cookieValue, queryValue } from './values.ts'

/** Where a condition reads its value. `path` serves the path of a rule that also names an operation. */
export const Source = { Header: 0, Query: 1, Cookie: 2, Path: 3, Version: 4, Group: 5, App: 6 } as const
export type Source = (typeof Source)[keyof typeof Source]

/** How a condition compares. */
export const Test = { Exact: 0, Prefix: 1, Regex: 2, Present: 3, Absent: 4, Range: 5, OneOf: 6 } as const
export type Test = (typeof Test)[keyof typeof Test]

/** One compiled condition. `text` is the value, prefix or expression, of several values their list; `''` where the test needs none. */
export interface Condition {
  readonly source: Source
  readonly name: string
  readonly test: Test
  readonly text: string
  readonly regex: RegExp | null
  /** What {@link Test.OneOf} compares with. */
  readonly values: readonly string[] | null
  readonly from: number
  readonly to: number
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const INTEGER = /^-?[0-9]{1,15}$/
const FORMS = 'exact, prefix, regex, present or range'

/** Makes a condition. */
export function condition(
  source: Source,
  name: string,
  test: Test,
  text: string,
  regex: RegExp | null = null,
): Condition {
  return { source, name, test, text, regex, values: null, from: 0, to: 0 }
}

/** Makes a condition that one of several values fulfils; with one value it is an exact one. Order does not matter. */
export function oneOf(source: Source, values: readonly string[]): Condition {
  const sorted = [...new Set(values)].sort()
  if (sorted.length === 1) return condition(source, '', Test.Exact, sorted[0] as string)
  return { ...condition(source, '', Test.OneOf, JSON.stringify(sorted)), values: sorted }
}

/** The values of which one must be there; null for a test that compares otherwise. */
export function exactValues({ test, text, values }: Condition): readonly string[] | null {
  return test === Test.Exact ? [text] : values
}

/** Compiles one entry of `headers`, `query` or `cookies`; throws `RuleError`, with `key` as its place. */
export function compileCondition(
  source: Source,
  name: string,
  rule: string | ValueRule,
  key: readonly string[],
): Condition {
  if (name === '' || (source !== Source.Query && !TOKEN.test(name))) {
    throw new RuleError(
      key,
      `'${name}' is no name a ${source === Source.Header ? 'header' : 'value'} can have`,
    )
  }
  const named = source === Source.Header ? name.toLowerCase() : name
  if (typeof rule === 'string') return condition(source, named, Test.Exact, rule)
  const forms = Object.entries(rule).filter(([, value]) => value !== undefined)
  if (forms.length !== 1) {
    throw new RuleError(
      key,
      `exactly one of ${FORMS} is expected, not ${forms.length === 0 ? 'none' : forms.length}`,
    )
  }
  if (rule.exact !== undefined) return condition(source, named, Test.Exact, rule.exact)
  if (rule.prefix !== undefined) return condition(source, named, Test.Prefix, rule.prefix)
  if (rule.present !== undefined)
    return condition(source, named, rule.present ? Test.Present : Test.Absent, '')
  if (rule.regex !== undefined) {
    const regex = compilePattern(rule.regex, true, [...key, 'regex'])
    return condition(source, named, Test.Regex, rule.regex, regex)
  }
  if (rule.range === undefined) throw new RuleError(key, `'${forms[0]![0]}' is no test; ${FORMS} is expected`)
  const [from, to] = rule.range
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from >= to) {
    throw new RuleError(
      [...key, 'range'],
      `[${from}, ${to}] holds no integer; [from, to) with from < to is expected`,
    )
  }
  return { source, name: named, test: Test.Range, text: '', regex: null, values: null, from, to }
}

/** Reads what a condition of this source and name looks at; null when absent. `path` is the path as it is matched. */
export function readValue(source: Source, name: string, request: RequestHead, path: string): string | null {
  switch (source) {
    case Source.Header:
      return request.headers.get(name)
    case Source.Query:
      return request.query === '' ? null : queryValue(request.query, name)
    case Source.Cookie: {
      const header = request.headers.get('cookie')
      return header === null ? null : cookieValue(header, name)
    }
    case Source.Path:
      return path
    case Source.Version:
      return request.version
    case Source.Group:
      return request.group
    case Source.App:
      return request.app
  }
}

/** True when the condition holds for a value; null is an absent one. */
export function holds(condition: Condition, value: string | null): boolean {
  if (value === null) return condition.test === Test.Absent
  switch (condition.test) {
    case Test.Exact:
      return value === condition.text
    case Test.Prefix:
      return value.startsWith(condition.text)
    case Test.Regex:
      return condition.regex!.test(value)
    case Test.Present:
      return true
    case Test.Absent:
      return false
    case Test.Range: {
      if (!INTEGER.test(value)) return false
      const number = Number(value)
      return number >= condition.from && number < condition.to
    }
    case Test.OneOf:
      return condition.values!.includes(value)
  }
}
