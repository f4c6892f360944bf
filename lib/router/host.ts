/** Which of a table's hosts a request means. */
import { RuleError } from './pattern.ts'

/** The scope of rules that name no host. */
export const ANY_HOST = 0

const HOST =
  /^(?:\*|\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)?(?::[0-9]{1,5})?$/
const IPV6 = /^\[[0-9a-f:.]+\](?::[0-9]{1,5})?$/

/** A host rule in its one spelling: lower case, no dot at the end, `*` for any. Throws `RuleError`. */
export function normalizeHost(host: string, key: readonly string[]): string {
  const lower = host.toLowerCase().replace(/\.(?=$|:[0-9]+$)/, '')
  const isName = HOST.test(lower) && !/^(?:$|:|\*[^.:]|\*\.(?:$|:))/.test(lower)
  if (isName || IPV6.test(lower)) return lower
  throw new RuleError(key, `'${host}' is no host; write a name, '*.name' or '*', with or without ':port'`)
}

/** Where the port begins (its colon) in an authority; its length when there is none. */
export function portStart(authority: string): number {
  const colon = authority.lastIndexOf(':')
  return colon < 0 || authority.indexOf(']', colon) >= 0 ? authority.length : colon
}

/**
 * Numbers the hosts that rules name and finds those that a request's authority falls under, the most specific
 * first: the exact name with its port, the name, the longest `*.suffix` with its port, without …, `*:port`, any.
 */
export class HostIndex {
  /** Exact names as they are, `*.suffix` as `.suffix`, `*:80` as `:80`. */
  readonly #scopes = new Map<string, number>()
  #longestSuffix = 0
  #hasAnyPort = false
  /** What the last {@link HostIndex.find} found; valid are as many as it returned. */
  readonly found: number[] = [ANY_HOST]

  /** False while every rule is for any host. */
  get isUsed(): boolean {
    return this.#scopes.size > 0
  }

  /** The scope of a normalised host, numbered in order of appearance. */
  add(host: string): number {
    if (host === '*') return ANY_HOST
    const key = host.startsWith('*') ? host.slice(1) : host
    let scope = this.#scopes.get(key)
    if (scope === undefined) {
      scope = this.#scopes.size + 1
      this.#scopes.set(key, scope)
      if (key[0] === '.') this.#longestSuffix = Math.max(this.#longestSuffix, key.length)
      if (key[0] === ':') this.#hasAnyPort = true
    }
    return scope
  }

  /** Fills {@link HostIndex.found} for an authority in lower case and returns how many scopes apply. */
  find(authority: string): number {
    this.#count = 0
    const colon = portStart(authority)
    const hasDot = colon > 0 && authority.charCodeAt(colon - 1) === 46
    const port = colon === authority.length ? '' : authority.slice(colon)
    const name = port === '' && !hasDot ? authority : authority.slice(0, hasDot ? colon - 1 : colon)
    if (port !== '') this.#take(hasDot ? name + port : authority)
    this.#take(name)
    if (this.#longestSuffix > 0) this.#takeSuffixes(name, port)
    if (this.#hasAnyPort && port !== '') this.#take(port)
    this.found[this.#count++] = ANY_HOST
    return this.#count
  }

  #count = 0

  #take(key: string): void {
    const scope = this.#scopes.get(key)
    if (scope !== undefined) this.found[this.#count++] = scope
  }

  #takeSuffixes(name: string, port: string): void {
    let dot = name.indexOf('.', Math.max(1, name.length - this.#longestSuffix))
    while (dot > 0) {
      const suffix = name.slice(dot)
      if (port !== '') this.#take(suffix + port)
      this.#take(suffix)
      dot = name.indexOf('.', dot + 1)
    }
  }
}
