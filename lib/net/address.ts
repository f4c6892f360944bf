/** Addresses of listeners and endpoints in the form that the configuration uses. */

/** `host:port`, or the path of a Unix socket. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/**
 * Reads `127.0.0.1:80`, `[::1]:80`, `name:80`, `:80` (all interfaces) or `unix:/path`. Throws an `Error` that says
 * what would be right.
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (path === '') throw new Error('a Unix address needs a path, as in unix:/run/app.sock')
    return { kind: 'unix', path }
  }
  const found = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]*)):(\d{1,5})$/.exec(text)
  if (found === null)
    throw new Error(`${JSON.stringify(text)} is no address: use host:port, [ipv6]:port or unix:/path`)
  const port = Number(found[3])
  if (port > 65_535) throw new Error(`port ${port} is above 65535`)
  return { kind: 'tcp', host: found[1] ?? found[2] ?? '', port }
}

/** The address as the configuration would write it. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return formatHostPort(address.host, address.port)
}

/** `host:port`, with brackets around IPv6. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
