/** Checks login sessions. */
import { hash } from 'node:crypto'
import type { FilterDefinition, FilterServices } from '../../core/filter.ts'
import type { Clock } from '../../core/services.ts'
import { SessionFilter } from './filter.ts'
import { type RealmOptions, type SessionOptions, sessionSchema } from './options.ts'
import { Realm } from './realm.ts'
import { RealmParts } from './realm-parts.ts'

/** The `session` filter. Refuses with `SESSION_EXPIRED`: 401 over HTTP, result code 2000. */
export const session: FilterDefinition<SessionOptions> = {
  schema: sessionSchema,
  create: (options, services) => {
    checkCarriers(options)
    const taken: SharedRealm[] = []
    try {
      for (const [name, realm] of Object.entries(options.realms)) taken.push(acquire(name, realm, services))
      checkSecrets(taken)
      const realms = taken.map((shared) => shared.realm)
      return new SessionFilter(options, realms, services, () => release(taken))
    } catch (error) {
      release(taken)
      throw error
    }
  },
}

/** A realm and how many instances of the filter use it. */
interface SharedRealm {
  readonly key: string
  readonly realms: Map<string, SharedRealm>
  readonly realm: Realm
  readonly parts: RealmParts
  users: number
}

/**
 * Realms of one gateway, which has one clock, by a digest of their options. Instances that routes and new configurations make share the
 * realm whose options did not change: its sessions, caches and connection live on.
 */
const SHARED = new WeakMap<Clock, Map<string, SharedRealm>>()

function acquire(name: string, options: RealmOptions, services: FilterServices): SharedRealm {
  const realms = SHARED.get(services.clock) ?? new Map<string, SharedRealm>()
  SHARED.set(services.clock, realms)
  // A digest, because the options may hold secrets.
  const key = hash('sha256', JSON.stringify([services.name, name, options]), 'base64')
  let shared = realms.get(key)
  if (shared === undefined) {
    const parts = makeParts(name, options, services)
    shared = { key, realms, realm: new Realm(parts), parts, users: 0 }
    realms.set(key, shared)
  }
  shared.users++
  return shared
}

function makeParts(name: string, options: RealmOptions, services: FilterServices): RealmParts {
  try {
    return new RealmParts(name, options, services)
  } catch (error) {
    throw new Error(`realms.${name}: ${(error as Error).message}`, { cause: error })
  }
}

function release(taken: SharedRealm[]): void {
  for (const shared of taken.splice(0)) {
    shared.users--
    if (shared.users > 0) continue
    shared.realms.delete(shared.key)
    shared.realm.close()
  }
}

function checkCarriers({ realms, realm, grant }: SessionOptions): void {
  const names = Object.keys(realms)
  if (realm !== undefined && !names.includes(realm))
    throw new Error(`realm: there is no realm "${realm}"; the realms are ${names.join(', ')}`)
  for (const [name, { store, legacy }] of Object.entries(realms)) {
    if (store?.http === undefined) continue
    if (grant !== undefined || (legacy !== undefined && legacy.rewrite !== false))
      throw new Error(
        `realms.${name}: a session service keeps its sessions itself: no grant, and legacy with rewrite: false`,
      )
  }
  if (realm !== undefined) return
  for (const [index, name] of names.entries()) {
    const other = names.slice(0, index).find((earlier) => clash(realms[earlier], realms[name]))
    if (other !== undefined)
      throw new Error(
        `realms.${name}: has the same cookie or header as ${other}; give them different ones, other listeners or protocols, or name the realm on the routes`,
      )
  }
}

function clash(a: RealmOptions, b: RealmOptions): boolean {
  if (!overlap(a.listeners, b.listeners) || !overlap(a.protocols, b.protocols)) return false
  const [first, second] = [carriersOf(a), carriersOf(b)]
  return first.some((carrier) => second.includes(carrier))
}

function overlap(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === undefined || b === undefined || a.some((name) => b.includes(name))
}

function carriersOf({ cookie, header }: RealmOptions): string[] {
  const carriers: string[] = []
  if (cookie !== undefined) carriers.push(`cookie ${typeof cookie === 'string' ? cookie : cookie.name}`)
  if (header !== undefined || cookie === undefined) carriers.push(`header ${header ?? 'session'}`)
  return carriers
}

function checkSecrets(taken: readonly SharedRealm[]): void {
  for (const [index, { parts }] of taken.entries()) {
    const other = taken.slice(0, index).find((earlier) => earlier.parts.keys.shares(parts.keys))
    if (other !== undefined)
      throw new Error(
        `realms.${parts.name}: has a key of realm ${other.parts.name}; realms have separate keys`,
      )
  }
}
