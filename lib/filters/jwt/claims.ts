/** What is taken from a verified token: the user, the principal, headers for the business process. */
import type { Headers } from '../../core/message.ts'
import { checkName } from '../header-rules.ts'

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>

/** What a token says, made once when it was verified and shared by all requests that bear it. */
export interface Identity {
  /** `''` when no claim names one. */
  readonly userId: string
  readonly principal: Readonly<Record<string, string>>
  /** By position of the header; null for a claim that the token lacks. */
  readonly values: readonly (string | null)[]
}

/** What a configuration wants of the claims. */
export interface ClaimOptions {
  /** Claim that names the user; null for none. */
  readonly userClaim: string | null
  /** Header → claim; a full stop leads into an object. */
  readonly headers: Readonly<Record<string, string>>
}

/** Reads claims and writes them into headers. */
export class ClaimRules {
  readonly #userClaim: string | null
  readonly #names: readonly string[]
  /** Also with `_` for `-`, which many servers take for the same name. */
  readonly #stripped: readonly string[]
  readonly #claims: readonly string[]

  /** Throws an `Error` for a header that may not be written. */
  constructor({ userClaim, headers }: ClaimOptions) {
    this.#userClaim = userClaim
    this.#names = Object.keys(headers).map((name) => checkName(name, 'claims'))
    this.#stripped = this.#names.flatMap((name) =>
      name.includes('-') ? [name, name.replaceAll('-', '_')] : [name],
    )
    this.#claims = Object.values(headers)
  }

  /** Null when the user's claim is no text and no whole number that is exact. */
  read(claims: Claims): Identity | null {
    let userId = ''
    if (this.#userClaim !== null) {
      const value = claimAt(claims, this.#userClaim)
      userId = typeof value === 'string' || Number.isSafeInteger(value) ? String(value) : ''
      if (userId === '') return null
    }
    const principal: Record<string, string> = Object.create(null)
    for (const [name, value] of Object.entries(claims)) {
      const text = listText(value)
      if (text !== null) principal[name] = text
    }
    const values = this.#claims.map((name) => headerValue(claimAt(claims, name)))
    return { userId, principal: Object.freeze(principal), values }
  }

  /** Takes out what the caller itself wrote under these names. */
  strip(headers: Headers): void {
    for (let i = 0; i < this.#stripped.length; i++) headers.remove(this.#stripped[i])
  }

  /** Writes an identity; {@link ClaimRules.strip} comes before. */
  write(headers: Headers, { values }: Identity): void {
    for (let i = 0; i < this.#names.length; i++) {
      const value = values[i]
      if (value !== null) headers.set(this.#names[i], value)
    }
  }
}

/** A claim by its full name, which may hold full stops (`https://example.com/role`), else by path. */
function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Claims)[step]
  }
  return value
}

/** Texts, numbers and switches, and lists of them with spaces between; null for all else. */
function listText(value: unknown): string | null {
  if (Array.isArray(value)) {
    const texts = value.map(scalarText)
    return texts.includes(null) ? null : texts.join(' ')
  }
  return scalarText(value)
}

function scalarText(value: unknown): string | null {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}

/** Printable ASCII without spaces at its ends. */
const PLAIN = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/

/** Objects as JSON. A text that a header cannot hold, or that has a "%" in it, is percent-encoded: decoding always gives it back. */
function headerValue(value: unknown): string | null {
  if (value === undefined || value === null) return null
  const text = listText(value) ?? JSON.stringify(value)
  return PLAIN.test(text) && !text.includes('%') ? text : encodeURIComponent(text.toWellFormed())
}
