/** Redirects, compiled from a route's `redirect`. */
import type { Exchange } from '../core/exchange.ts'
import type { RequestHead } from '../core/message.ts'
import type { RedirectAction } from '../core/route.ts'
import { normalizeHost, portStart } from './host.ts'
import { RuleError } from './pattern.ts'
import { compilePathRewrite, type PathRewrite } from './rewrite.ts'

/** What a redirect changes; the rest of the address stays. At most one of `path`, `prefix` and `regex` is given. */
export interface RedirectRule extends PathRewrite {
  /** 301, 302, 303, 307 or 308; 302 when absent. */
  readonly status?: number | undefined
  readonly scheme?: 'http' | 'https' | undefined
  /** Name, with a port where it is not the scheme's own. */
  readonly host?: string | undefined
  /** Leaves out the query, which is kept otherwise. */
  readonly stripQuery?: boolean | undefined
}

const STATUSES: readonly number[] = [301, 302, 303, 307, 308]

/**
 * Compiles a redirect for a rule whose `match.path` is `rulePath`. Throws `RuleError`. Without `scheme` and `host` the `Location` is
 * a path; with `host` alone it keeps the scheme (`//host/…`).
 */
export function compileRedirect(rule: RedirectRule, rulePath: string | undefined): RedirectAction {
  const status = rule.status ?? 302
  if (!STATUSES.includes(status)) {
    throw new RuleError(['status'], `${status} is no redirect; one of ${STATUSES.join(', ')} is expected`)
  }
  const scheme = rule.scheme as string | undefined
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw new RuleError(['scheme'], `'${scheme}' is no scheme; http or https is expected`)
  }
  const rewrite = compilePathRewrite(rule, rulePath)
  if (rewrite === null && scheme === undefined && rule.host === undefined) {
    throw new RuleError(
      [],
      'the redirect leads back to where it came from; give scheme, host, path or prefix',
    )
  }
  const locate = locator(scheme, rule.host, rewrite, rule.stripQuery !== true)
  return {
    status: status as RedirectAction['status'],
    location: (exchange: Exchange) => locate(exchange.request),
  }
}

function locator(
  scheme: string | undefined,
  host: string | undefined,
  rewrite: ((path: string) => string) | null,
  keepsQuery: boolean,
): (request: RequestHead) => string {
  const target = host === undefined ? null : targetHost(host)
  const start = scheme === undefined ? '//' : `${scheme}://`
  return (request) => {
    const from = request.path.startsWith('/') ? request.path : '/'
    const path = safePath(rewrite === null ? from : rewrite(from))
    const rest = keepsQuery && request.query !== '' ? `${path}?${printable(request.query)}` : path
    if (target !== null) return start + target + rest
    if (scheme === undefined || request.authority === '') return rest
    // Another scheme has another port; who wants one that is not its own gives `host`.
    return start + request.authority.slice(0, portStart(request.authority)) + rest
  }
}

function targetHost(host: string): string {
  const name = normalizeHost(host, ['host'])
  if (name.includes('*'))
    throw new RuleError(['host'], `'${host}' is a pattern; a redirect leads to one host`)
  return name
}

/** A path that a browser cannot take for `//host`, with nothing in it that could end the header. */
function safePath(path: string): string {
  return printable(path.replace(/^[/\\]{2,}/, '/'))
}

function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/gu, (c) => {
    const code = c.codePointAt(0)!
    // Up to 255 it is a byte as it came.
    if (code > 255) return encodeURIComponent(c.toWellFormed())
    return '%' + code.toString(16).toUpperCase().padStart(2, '0')
  })
}
