/** What a session says, and its bytes: a msgpackr record whose structure is fixed here, so that no name travels with it. */
import { Packr } from 'msgpackr'

/** One login session. Times are wall-clock milliseconds, kept to whole seconds. */
export interface Session {
  /** Names the session for revocation, and in a store; unguessable. */
  readonly id: string
  readonly userId: string
  /** When the user logged in; renewals leave it alone. */
  readonly loginAt: number
  /** When this token, or this copy in a store, was made. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** Facts about the user. The names of {@link KNOWN_ATTRIBUTES} cost one byte, others their length. */
  readonly attributes: Readonly<Record<string, string>>
}

/** Attributes that have a place of their own in version 1 of the structure. The order is part of the format. */
export const KNOWN_ATTRIBUTES = [
  'login-id',
  'nick',
  'device',
  'channel',
  'level',
  'roles',
  'tenant',
  'locale',
] as const

/** Fields of version 1. A change of any kind is a new version: a record holds values only, in this order. */
const STRUCTURE_1 = ['id', 'user', 'login', 'issued', 'expires', ...KNOWN_ATTRIBUTES, 'extra']

/** The first byte of a record with the first structure. */
const RECORD_1 = 0x40

// msgpackr adds its own notes to the array of structures, and would add structures that it meets: `extra` is a plain
// list, so that it never meets another.
const packr = new Packr({
  structures: [[...STRUCTURE_1]],
  useRecords: true,
  encodeUndefinedAsNil: true,
  moreTypes: false,
})

/** Encodes a session by version 1 of the structure. The bytes are the caller's. */
export function encodeSession(session: Session): Buffer {
  const { attributes } = session
  const record: Record<string, unknown> = {
    id: session.id,
    user: session.userId,
    login: toSeconds(session.loginAt),
    issued: toSeconds(session.issuedAt),
    expires: toSeconds(session.expiresAt),
  }
  for (const name of KNOWN_ATTRIBUTES) record[name] = attributes[name] ?? null
  const extra: string[] = []
  for (const [name, value] of Object.entries(attributes)) {
    if (!KNOWN.has(name)) extra.push(name, value)
  }
  record.extra = extra.length === 0 ? null : extra
  return packr.pack(record)
}

const KNOWN: ReadonlySet<string> = new Set(KNOWN_ATTRIBUTES)

/** Decodes what {@link encodeSession} made; null for anything else. For bytes whose origin is proven: what they hold is believed. */
export function decodeSession(bytes: Uint8Array): Session | null {
  if (bytes[0] !== RECORD_1) return null
  let record: Record<string, unknown>
  try {
    record = packr.unpack(bytes)
  } catch {
    return null // cut short or followed by more: no session
  }
  return toSession(record)
}

function toSession(record: Record<string, unknown>): Session | null {
  const { id, user, login, issued, expires } = record
  if (typeof id !== 'string' || id === '' || typeof user !== 'string' || user === '') return null
  if (typeof login !== 'number' || typeof issued !== 'number' || typeof expires !== 'number') return null
  const attributes = makeAttributes()
  for (const name of KNOWN_ATTRIBUTES) {
    const value = record[name]
    if (typeof value === 'string') attributes[name] = value
  }
  const extra = record.extra ?? []
  if (!Array.isArray(extra)) return null
  for (let i = 0; i + 1 < extra.length; i += 2) attributes[String(extra[i])] = String(extra[i + 1])
  return {
    id,
    userId: user,
    loginAt: login * 1000,
    issuedAt: issued * 1000,
    expiresAt: expires * 1000,
    attributes,
  }
}

/** An empty mapping without a prototype: no name of an attribute is special. */
export function makeAttributes(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000)
}
