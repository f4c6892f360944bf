/** Addresses as the configuration writes them. */

/** Where to listen or to connect. */
export interface Address {
  /** Host name or IP address without brackets; `''` means every interface, and is empty for a Unix socket. */
  readonly host: string
  /** 0 for a Unix socket, and on a listener for “any free port”. */
  readonly port: number
  /** Path of a Unix socket, null for TCP. */
  readonly path: string | null
}

// The kernel's limit of sockaddr_un, less the closing NUL.
const MAX_UNIX_PATH_BYTES = 107
const HOST = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/

/**
 * Reads `host:port`, `[::1]:port`, `:port` (every interface) or `unix:/path`. Returns the reason as a text when
 * it is none of them.
 */
export function parseAddress(text: string): Address | string {
  if (text.startsWith('unix:')) return parseUnixPath(text.slice(5))
  const colon = text.lastIndexOf(':')
  if (colon === -1) return 'the port is missing'
  const portText = text.slice(colon + 1)
  if (!/^\d{1,5}$/.test(portText) || Number(portText) > 65_535)
    return `${JSON.stringify(portText)} is no port`
  const host = parseHost(text.slice(0, colon))
  return host === null
    ? `${JSON.stringify(text.slice(0, colon))} is no host name or IP address`
    : { host, port: Number(portText), path: null }
}

/** The one way to write an address, for comparing and for labels. */
export function formatAddress(address: Address): string {
  if (address.path !== null) return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** True when two listeners could not both be bound: same socket path, or same port on hosts that overlap. */
export function isSameBinding(a: Address, b: Address): boolean {
  if (a.path !== null || b.path !== null) return a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  return a.host === b.host || isEveryInterface(a.host) || isEveryInterface(b.host)
}

function isEveryInterface(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::'
}

function parseUnixPath(path: string): Address | string {
  if (path === '') return 'the path of the Unix socket is missing'
  if (path.includes('\0')) return 'the path of the Unix socket holds a NUL'
  const length = Buffer.byteLength(path)
  if (length > MAX_UNIX_PATH_BYTES)
    return `the path of the Unix socket has ${length} bytes, at most ${MAX_UNIX_PATH_BYTES} are possible`
  return { host: '', port: 0, path }
}

function parseHost(host: string): string | null {
  if (host === '') return ''
  if (host.startsWith('[') && host.endsWith(']')) {
    const inner = host.slice(1, -1)
    return /^[0-9A-Fa-f:.]+(?:%[\w.-]+)?$/.test(inner) && inner.includes(':') ? inner.toLowerCase() : null
  }
  if (/^[\d.]+$/.test(host) && !isIPv4(host)) return null
  return HOST.test(host) && host.length <= 253 ? host.toLowerCase() : null
}

function isIPv4(host: string): boolean {
  const parts = host.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}
