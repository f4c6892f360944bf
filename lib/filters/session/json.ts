/** Sessions as JSON: what a session service, a login in the business process or another program's Redis records say. */
import { randomBytes } from 'node:crypto'
import { makeAttributes, type Session } from './payload.ts'

/** What stands for what the JSON leaves out. */
export interface SessionDefaults {
  /** The session's id; null makes one. */
  readonly id: string | null
  readonly now: number
  readonly lifeMs: number
}

/**
 * Reads `{ "userId", "loginAt"?, "expiresAt"?, "attributes"? }`; times are ISO 8601, or numbers of seconds or milliseconds since 1970.
 * Null when it is not that. An id in it is not looked at: the one that was asked for counts.
 */
export function parseSessionJson(text: string, { id, now, lifeMs }: SessionDefaults): Session | null {
  const value = parseObject(text)
  if (value === null) return null
  const userId = textOf(value.userId)
  const loginAt = value.loginAt === undefined ? now : timeOf(value.loginAt)
  const expiresAt = value.expiresAt === undefined ? now + lifeMs : timeOf(value.expiresAt)
  if (userId === null || userId === '' || loginAt === null || expiresAt === null) return null
  const attributes = makeAttributes()
  for (const [name, given] of Object.entries(objectOf(value.attributes) ?? {})) {
    const attribute = textOf(given)
    if (attribute !== null) attributes[name] = attribute
  }
  return { id: id ?? newSessionId(), userId, loginAt, issuedAt: now, expiresAt, attributes }
}

/** A session as {@link parseSessionJson} reads it. */
export function sessionToJson({ userId, loginAt, expiresAt, attributes }: Session): string {
  return JSON.stringify({ userId, loginAt, expiresAt, attributes })
}

/** 128 random bits in base64url. */
export function newSessionId(): string {
  return randomBytes(16).toString('base64url')
}

/** A JSON object; null for anything else. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    return objectOf(JSON.parse(text))
  } catch {
    return null // no JSON at all
  }
}

/** Text and numbers as text; null for anything else. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}

/** Below this a number of the year 1973 and later counts seconds. */
const SECONDS_BELOW = 100_000_000_000

/** Milliseconds since 1970; null for what is no time. */
export function timeOf(value: unknown): number | null {
  if (typeof value === 'string' && !/^\d+$/.test(value)) {
    const parsed = Date.parse(value)
    return Number.isNaN(parsed) ? null : parsed
  }
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) return null
  return number < SECONDS_BELOW ? number * 1000 : number
}

function objectOf(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}
