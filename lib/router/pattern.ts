/** Regular expressions of routes: compiled once, bounded, with what an index wants to know about them. */
import { setFlagsFromString } from 'node:v8'

/** Longest regular expression a route may hold. */
export const MAX_PATTERN_LENGTH = 1_024

/** A rule, rewrite or redirect that cannot be compiled. `key` says where in it, e.g. `['headers', 'x-a', 'regex']`. */
export class RuleError extends Error {
  readonly key: readonly string[]

  constructor(key: readonly string[], message: string) {
    super(message)
    this.name = 'RuleError'
    this.key = key
  }
}

let isGuarded = false

/**
 * Makes V8 leave its backtracking engine for its linear one after 20,000 backtracks, so that an expression
 * such as `(a+)+` costs microseconds where it would cost minutes. Process-wide; done when the first pattern
 * is compiled. Expressions with a lookaround stay on the backtracking engine: see {@link compilePattern}.
 */
export function guardBacktracking(): void {
  if (isGuarded) return
  isGuarded = true
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
  setFlagsFromString('--regexp-backtracks-before-fallback=20000')
}

/**
 * Compiles an expression from a configuration. With `whole` it must match the whole text. Throws
 * {@link RuleError} for one that is malformed, longer than {@link MAX_PATTERN_LENGTH}, refers back (`\1`), or
 * repeats a repetition under a lookaround, which could take time exponential in the text.
 */
export function compilePattern(source: string, whole: boolean, key: readonly string[]): RegExp {
  guardBacktracking()
  if (source.length > MAX_PATTERN_LENGTH) {
    const length = `${source.length} characters`
    throw new RuleError(
      key,
      `the regular expression has ${length}; at most ${MAX_PATTERN_LENGTH} are allowed`,
    )
  }
  const shape = inspectPattern(source)
  if (shape.hasBackreference) {
    throw new RuleError(
      key,
      `the regular expression ${source} refers back to a group, which can take exponential time; write the text out`,
    )
  }
  if (shape.hasLookaround && shape.hasNestedRepeat) {
    throw new RuleError(
      key,
      `the regular expression ${source} repeats a repetition beside a lookaround, which can take exponential time; use one or the other`,
    )
  }
  try {
    return new RegExp(whole ? `^(?:${source})$` : source)
  } catch (error) {
    const reason = (error as Error).message.replace(/^Invalid regular expression: /, '')
    throw new RuleError(key, `not a regular expression: ${reason}`)
  }
}

interface PatternShape {
  hasBackreference: boolean
  hasLookaround: boolean
  /** A group that holds `*`, `+` or `{n,}` is itself repeated without bound. */
  hasNestedRepeat: boolean
  /** `|` outside of every group. */
  hasTopAlternative: boolean
}

function inspectPattern(source: string): PatternShape {
  const shape = {
    hasBackreference: false,
    hasLookaround: false,
    hasNestedRepeat: false,
    hasTopAlternative: false,
  }
  const repeats = [false]
  for (let i = 0; i < source.length; i++) {
    const c = source[i]
    if (c === '\\') {
      i++
      if (/[1-9k]/.test(source[i] ?? '')) shape.hasBackreference = true
    } else if (c === '[') {
      i = classEnd(source, i)
    } else if (c === '(') {
      repeats.push(false)
      if (/^\(\?<?[=!]/.test(source.slice(i, i + 4))) shape.hasLookaround = true
    } else if (c === ')') {
      const inner = repeats.pop() ?? false
      if (inner && isUnbounded(source, i + 1)) shape.hasNestedRepeat = true
      if (repeats.length === 0) repeats.push(false)
      if (inner) repeats[repeats.length - 1] = true
    } else if (c === '|') {
      if (repeats.length === 1) shape.hasTopAlternative = true
    } else if (isUnbounded(source, i)) {
      repeats[repeats.length - 1] = true
    }
  }
  return shape
}

function classEnd(source: string, start: number): number {
  for (let i = start + 1; i < source.length; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === ']') return i
  }
  return source.length
}

function isUnbounded(source: string, at: number): boolean {
  const c = source[at]
  return c === '*' || c === '+' || (c === '{' && /^\{\d*,\}/.test(source.slice(at, at + 12)))
}

/**
 * The text with which everything begins that the expression (over a whole text) can match; `''` when there is
 * none that is easy to see. A table indexes an expression by it.
 */
export function fixedStart(source: string): string {
  if (inspectPattern(source).hasTopAlternative) return ''
  let text = ''
  let at = source[0] === '^' ? 1 : 0
  while (at < source.length) {
    let c = source[at]!
    let length = 1
    if (c === '\\') {
      c = source[at + 1] ?? ''
      length = 2
      if (c === '' || /[0-9A-Za-z]/.test(c)) break
    } else if ('^$.*+?()[]{}|'.includes(c)) {
      break
    }
    const next = source[at + length]
    if (next === '*' || next === '?' || next === '{') break
    text += c
    at += length
  }
  return text
}

/** True when the expression matches every text that begins with its {@link fixedStart}. */
export function matchesAllBelow(source: string): boolean {
  const start = fixedStart(source)
  const rest = source.replace(/^\^/, '').replace(/\\([^0-9A-Za-z])/g, '$1')
  return rest.startsWith(start) && /^\.\*\$?$/.test(rest.slice(start.length))
}
