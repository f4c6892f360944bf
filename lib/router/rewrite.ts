/** Path rewriting, compiled from a route's `rewrite`. */
import { canonicalPath, canonicalRulePath, resolveDots } from './path.ts'
import { compilePattern, RuleError } from './pattern.ts'

/** How a route changes the path. At most one of `path`, `prefix` and `regex` is given; `replace` goes with `regex`. */
export interface PathRewrite {
  /** Replaces the whole path. */
  readonly path?: string | undefined
  /** Replaces what the rule's path matched: the prefix, or all of an exact path. */
  readonly prefix?: string | undefined
  /** Replaces the first thing the expression finds in the path, by `replace`. */
  readonly regex?: string | undefined
  /** Text for `regex`; `$1`, `$<name>` and `$&` stand for what was found. */
  readonly replace?: string | undefined
}

/**
 * Compiles a rewrite for a rule whose `match.path` is `rulePath`; null when it changes no path. The function is
 * called once a request, with the path as it is forwarded; its result begins with a slash and holds no dot
 * segments. Throws `RuleError`.
 */
export function compilePathRewrite(
  rewrite: PathRewrite,
  rulePath: string | undefined,
): ((path: string) => string) | null {
  const given = (['path', 'prefix', 'regex'] as const).filter((name) => rewrite[name] !== undefined)
  if (given.length > 1) throw new RuleError([], `${given.join(' and ')} exclude each other; give one of them`)
  if (rewrite.replace !== undefined && rewrite.regex === undefined) {
    throw new RuleError(['replace'], 'replace goes with regex only')
  }
  if (rewrite.path !== undefined) {
    const path = targetPath(rewrite.path, ['path'])
    return () => path
  }
  if (rewrite.prefix !== undefined) {
    return compilePrefixRewrite(targetPath(rewrite.prefix, ['prefix']), rulePath)
  }
  return rewrite.regex === undefined ? null : compileRegexRewrite(rewrite.regex, rewrite.replace)
}

/** Checks a path that a configuration gives as a destination and returns it. Throws `RuleError`. */
export function targetPath(path: string, key: readonly string[]): string {
  const isPath = path.startsWith('/') && !path.startsWith('//') && !/[?#\\\s]/.test(path)
  if (isPath && resolveDots(path) === path) return canonicalRulePath(path)
  throw new RuleError(
    key,
    `'${path}' is no path; it begins with one '/' and holds no query, space or dot segment`,
  )
}

function compilePrefixRewrite(replacement: string, rulePath: string | undefined): (path: string) => string {
  if (rulePath === undefined || !rulePath.startsWith('/')) {
    throw new RuleError(
      ['prefix'],
      'a prefix can be replaced only where match.path is one (it ends in /) or is exact; use regex here',
    )
  }
  const prefix = canonicalRulePath(rulePath)
  if (!prefix.endsWith('/')) return () => replacement
  const whole = replacement.endsWith('/') ? replacement : replacement + '/'
  const bare = replacement.length > 1 && replacement.endsWith('/') ? replacement.slice(0, -1) : replacement
  const bareLength = prefix.length - 1
  return (path) => {
    if (path.startsWith(prefix)) return whole + path.slice(prefix.length)
    const canonical = canonicalPath(path)
    if (canonical.startsWith(prefix)) return whole + canonical.slice(prefix.length)
    // The prefix without its last slash; anything else did not come through this rule.
    return canonical.length === bareLength && prefix.startsWith(canonical) ? bare : path
  }
}

function compileRegexRewrite(source: string, replacement: string | undefined): (path: string) => string {
  if (replacement === undefined)
    throw new RuleError(['replace'], 'regex needs replace, the text that comes in place of what it finds')
  const regex = compilePattern(source, false, ['regex'])
  return (path) => {
    const changed = path.replace(regex, replacement)
    if (changed === path) return path
    return resolveDots(changed.startsWith('/') ? changed : '/' + changed) ?? '/'
  }
}
