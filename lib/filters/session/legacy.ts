/** The format of before: gzip of JSON, base64, about 7 KB. Read during a migration, never written. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { parseObject, textOf, timeOf } from './json.ts'
import { makeAttributes, type Session } from './payload.ts'

/** How the JSON is read: paths are names joined by full stops. */
export interface LegacyFields {
  readonly id?: string
  readonly userId?: string
  readonly loginAt?: string
  readonly expiresAt?: string
}

/** How legacy sessions are read. */
export interface LegacyFormat {
  /** Key of the HMAC-SHA256 behind the text; null when there is none, and who forwards the request has checked the session. */
  readonly secret: Buffer | null
  readonly fields: LegacyFields
  /** Attribute → path. */
  readonly attributes: Readonly<Record<string, string>>
}

/** No legacy session is longer. */
export const MAX_LEGACY_LENGTH = 16_384
/** What it may unpack to: a few bytes of gzip can hold a gigabyte. */
const MAX_JSON_BYTES = 131_072

/** Gzip's first bytes in base64. */
const GZIP = 'H4sI'
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/

/** Whether a text looks like a legacy session; a token of ours never does. */
export function isLegacy(text: string): boolean {
  return text.startsWith(GZIP)
}

/**
 * Reads `BASE64(GZIP(JSON))`, and, when there is a secret, `.BASE64URL(HMAC)` behind it, taken over the base64. `malformed` also when the user,
 * the login time or the expiry is missing.
 */
export function openLegacy(text: string, format: LegacyFormat): Session | 'malformed' | 'forged' {
  if (text.length > MAX_LEGACY_LENGTH) return 'malformed'
  const plain = text.includes('%') ? unescapeCookie(text) : text
  const cut = plain.indexOf('.')
  const body = cut === -1 ? plain : plain.slice(0, cut)
  if (!BASE64.test(body)) return 'malformed'
  if (format.secret !== null && !isSigned(body, plain.slice(body.length + 1), format.secret)) return 'forged'
  const json = unzip(body)
  return json === null ? 'malformed' : (toSession(json, body, format) ?? 'malformed')
}

function unescapeCookie(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return '' // a lone percent sign: fails the next check
  }
}

function isSigned(body: string, mac: string, secret: Buffer): boolean {
  const expected = createHmac('sha256', secret).update(body).digest()
  const given = Buffer.from(mac, 'base64url')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function unzip(body: string): Record<string, unknown> | null {
  try {
    const bytes = gunzipSync(Buffer.from(body, 'base64'), { maxOutputLength: MAX_JSON_BYTES })
    return parseObject(bytes.toString())
  } catch {
    return null // not gzip, cut short, or too large
  }
}

function toSession(json: Record<string, unknown>, body: string, { fields, attributes }: LegacyFormat) {
  const userId = textOf(at(json, fields.userId ?? 'userId'))
  const loginAt = timeOf(at(json, fields.loginAt ?? 'loginTime'))
  const expiresAt = timeOf(at(json, fields.expiresAt ?? 'expireTime'))
  if (userId === null || userId === '' || loginAt === null || expiresAt === null) return null
  const kept = makeAttributes()
  for (const [name, path] of Object.entries(attributes)) {
    const value = textOf(at(json, path))
    if (value !== null) kept[name] = value
  }
  const id = textOf(at(json, fields.id ?? 'sessionId')) || digestOf(body)
  return { id, userId, loginAt, issuedAt: loginAt, expiresAt, attributes: kept }
}

function at(json: Record<string, unknown>, path: string): unknown {
  let value: unknown = json
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** The same legacy session always gets the same id, whichever instance rewrites it. */
function digestOf(body: string): string {
  return createHash('sha256').update(body).digest().subarray(0, 16).toString('base64url')
}
