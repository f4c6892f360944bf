/**
 * Keeps web pages out. A page in the operator's browser can reach the loopback interface, so the admin port answers only
 * requests that name it by an address of its own (DNS rebinding names it by the attacker's domain), and lets no other site
 * change anything or read along (cross-site requests).
 */
import { isIPv4 } from 'node:net'
import { AdminError } from './endpoint.ts'

/** What the guard looks at. */
export interface GuardedRequest {
  readonly method: string
  readonly headers: {
    readonly host?: string | undefined
    readonly origin?: string | undefined
    readonly 'sec-fetch-site'?: string | string[] | undefined
    readonly 'sec-fetch-mode'?: string | string[] | undefined
  }
  /** The address the connection came to, undefined on a Unix socket. */
  readonly localAddress: string | undefined
  /** Host name from the configuration, null on a Unix socket. */
  readonly boundHost: string | null
}

/** Throws an {@link AdminError} 403 for a request that another site may have caused. */
export function guard(request: GuardedRequest): void {
  checkHost(request)
  checkFetchMetadata(request)
  checkOrigin(request)
}

/** The port is left out of it: `ssh -L 9000:127.0.0.1:15000` is a fine way to come here. */
function checkHost({ headers, localAddress, boundHost }: GuardedRequest): void {
  if (boundHost === null) return
  const name = hostName(headers.host ?? '')
  if (isLoopback(name) || name === boundHost.toLowerCase() || name === plainAddress(localAddress)) return
  throw new AdminError(
    403,
    'WRONG_HOST',
    `the admin port is not called "${name}"; name it localhost or by the address it listens on`,
  )
}

/** https://www.w3.org/TR/fetch-metadata: every current browser says where a request comes from. A link that is followed may come from anywhere. */
function checkFetchMetadata({ method, headers }: GuardedRequest): void {
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return
  if (method === 'GET' && headers['sec-fetch-mode'] === 'navigate') return
  throw new AdminError(403, 'CROSS_ORIGIN', 'the admin port takes no requests from other sites')
}

function checkOrigin({ method, headers }: GuardedRequest): void {
  const { origin, host } = headers
  if (origin === undefined || method === 'GET' || method === 'HEAD') return
  if (URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()) return
  throw new AdminError(403, 'CROSS_ORIGIN', `the admin port takes no changes from "${origin}"`)
}

/** `[::1]:15000` is `::1`; `LOCALHOST.:1` is `localhost`. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d*)?$/.exec(host)
  if (bracketed !== null) return bracketed[1].toLowerCase()
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'))
}

/** Without the prefix that an IPv4 address gets on a socket that serves both families. */
function plainAddress(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:(?=\d+\.)/, '')
}
