/** Where a realm's token travels: a cookie, a header, or both. */
import type { Exchange } from '../../core/exchange.ts'
import type { Headers } from '../../core/message.ts'

/** A cookie and how it is set. */
export interface CookieOptions {
  readonly name: string
  readonly path?: string
  readonly domain?: string
  readonly secure?: boolean
  readonly httpOnly?: boolean
  readonly sameSite?: 'Strict' | 'Lax' | 'None'
}

/** Reads tokens from requests and writes them to responses. */
export class Carrier {
  readonly cookie: string | null
  readonly header: string | null
  readonly #attributes: string

  constructor(cookie: CookieOptions | null, header: string | null) {
    this.cookie = cookie?.name ?? null
    this.header = header
    this.#attributes = cookie === null ? '' : attributesOf(cookie)
  }

  /** The token of a request, null when it has none. The header goes before the cookie, because browsers add cookies by themselves. */
  read(headers: Headers): string | null {
    if (this.header !== null) {
      const value = headers.get(this.header)
      if (value !== null && value !== '') return value
    }
    return this.cookie === null ? null : readCookie(headers.get('cookie'), this.cookie)
  }

  /** Hands a token to the caller: as a cookie over HTTP where the realm has one, else as the header. */
  write(exchange: Exchange, token: string, maxAgeMs: number): void {
    const headers = exchange.response?.headers
    if (headers === undefined) return
    if (this.#usesCookie(exchange)) {
      const maxAge = Math.max(0, Math.floor(maxAgeMs / 1000))
      headers.add('set-cookie', `${this.cookie}=${token}; Max-Age=${maxAge}${this.#attributes}`)
    } else if (this.header !== null) headers.set(this.header, token)
  }

  /** Takes the token away from the caller. */
  clear(exchange: Exchange): void {
    this.write(exchange, '', 0)
  }

  /** Removes the token from a request that is forwarded. */
  strip(headers: Headers): void {
    if (this.header !== null && headers.has(this.header)) headers.remove(this.header)
    if (this.cookie === null) return
    const header = headers.get('cookie')
    if (readCookie(header, this.cookie) === null) return
    const rest = withoutCookie(header as string, this.cookie)
    if (rest === '') headers.remove('cookie')
    else headers.set('cookie', rest)
  }

  #usesCookie({ request }: Exchange): boolean {
    if (this.cookie === null || request.protocol !== 'http1') return false
    return this.header === null || !request.headers.has(this.header)
  }
}

/** The value of one cookie, null when there is none. Looks at names only where one begins; takes no list of all cookies apart. */
export function readCookie(header: string | null, name: string): string | null {
  if (header === null) return null
  let at = header.indexOf(name)
  while (at !== -1) {
    const valueAt = at + name.length + 1
    if (header.charCodeAt(valueAt - 1) === EQUALS && beginsCookie(header, at)) {
      const end = header.indexOf(';', valueAt)
      const value = header.slice(valueAt, end === -1 ? header.length : end).trim()
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
    }
    at = header.indexOf(name, at + 1)
  }
  return null
}

const EQUALS = 0x3d
const SEMICOLON = 0x3b
const SPACE = 0x20

function beginsCookie(header: string, at: number): boolean {
  let i = at - 1
  while (i >= 0 && header.charCodeAt(i) === SPACE) i--
  return i < 0 || header.charCodeAt(i) === SEMICOLON
}

function withoutCookie(header: string, name: string): string {
  return header
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !part.startsWith(`${name}=`))
    .join('; ')
}

function attributesOf({ path, domain, secure, httpOnly, sameSite }: CookieOptions): string {
  let text = `; Path=${path ?? '/'}`
  if (domain !== undefined) text += `; Domain=${domain}`
  if (secure !== false) text += '; Secure'
  if (httpOnly !== false) text += '; HttpOnly'
  return `${text}; SameSite=${sameSite ?? 'Lax'}`
}
