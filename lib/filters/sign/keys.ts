/** The keys that signatures are checked with, by app and workspace. */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { parseSecretJson } from '../followed-file.ts'
import {
  ALGORITHM_NAMES,
  type AlgorithmName,
  compileSigner,
  hasSm3,
  LEGACY_ALGORITHMS,
  type SignEncoding,
  type Signer,
} from './algorithms.ts'

/** One key as the configuration or a file gives it. */
export interface KeyOptions {
  readonly appId: string
  readonly workspaceId?: string
  readonly secret: string
  readonly algorithm?: AlgorithmName
}

/** One key, ready to use. */
export interface SignKey {
  /** Null when a user's algorithm is in force. */
  readonly signer: Signer | null
  /** For a user's algorithm; null otherwise. */
  readonly secret: KeyObject | null
}

/** What all keys of a filter have in common. */
export interface KeyRules {
  /** Of keys that name none; null for a user's algorithm. */
  readonly algorithm: AlgorithmName | null
  readonly allowLegacy: boolean
  readonly encoding: SignEncoding
}

const MIN_SECRET_BYTES = 16
const ANY_WORKSPACE = ''
const NO_KEYS: readonly SignKey[] = []

/** Keys by app and workspace. Several of one app and workspace are valid at once, so that a secret can be replaced without a gap. */
export class KeyRing {
  readonly #apps = new Map<string, Map<string, SignKey[]>>()
  size = 0

  /** Throws an `Error` that names the key's position and never its secret. */
  constructor(keys: readonly KeyOptions[], rules: KeyRules) {
    const owners = new Map<string, string>()
    keys.forEach((key, index) => {
      try {
        this.#add(key, rules, owners)
      } catch (error) {
        throw new Error(`keys[${index}] (app "${key.appId}"): ${(error as Error).message}`)
      }
    })
  }

  /** The keys of a workspace, or those of the app that name no workspace; empty when there are none. */
  find(appId: string, workspaceId: string): readonly SignKey[] {
    const app = this.#apps.get(appId)
    if (app === undefined) return NO_KEYS
    return app.get(workspaceId) ?? app.get(ANY_WORKSPACE) ?? NO_KEYS
  }

  #add(options: KeyOptions, rules: KeyRules, owners: Map<string, string>): void {
    const { appId, workspaceId = ANY_WORKSPACE } = options
    const secret = Buffer.from(options.secret, 'utf8')
    if (secret.length < MIN_SECRET_BYTES)
      throw new Error(`the secret has less than ${MIN_SECRET_BYTES} bytes`)
    const owner = JSON.stringify([appId, workspaceId])
    // The string to sign does not name the app: with a secret in common, one app could speak for the other.
    if ((owners.get(options.secret) ?? owner) !== owner) {
      throw new Error('the secret is that of another app or workspace too; each needs its own')
    }
    owners.set(options.secret, owner)
    const algorithm = options.algorithm ?? rules.algorithm
    if (algorithm !== null) checkAlgorithm(algorithm, rules.allowLegacy)
    const workspaces = this.#apps.get(appId) ?? new Map<string, SignKey[]>()
    this.#apps.set(appId, workspaces)
    const keys = workspaces.get(workspaceId) ?? []
    workspaces.set(workspaceId, keys)
    keys.push(
      algorithm === null
        ? { signer: null, secret: createSecretKey(secret) }
        : { signer: compileSigner(algorithm, secret, rules.encoding), secret: null },
    )
    this.size++
  }
}

/** Throws an `Error` when an algorithm may not or cannot be used. */
export function checkAlgorithm(algorithm: AlgorithmName, allowLegacy: boolean): void {
  if (LEGACY_ALGORITHMS.has(algorithm) && !allowLegacy) {
    throw new Error(`algorithm ${algorithm} is weak: say "legacy: true" to allow it, or use hmac-sha256`)
  }
  if (algorithm === 'sm3-salt' && !hasSm3()) throw new Error('algorithm sm3-salt: this runtime has no SM3')
}

/** Reads `{ "keys": [{ "appId", "workspaceId", "secret", "algorithm" }] }`. Throws an `Error` that never repeats the text. */
export function parseKeyFile(text: string): KeyOptions[] {
  const value = parseSecretJson(text) as { keys?: unknown } | null
  const keys = value?.keys
  if (!Array.isArray(keys)) throw new Error('must be an object with a list "keys"')
  keys.forEach(checkKey)
  return keys as KeyOptions[]
}

const KEY_FIELDS = new Set(['appId', 'workspaceId', 'secret', 'algorithm'])

function checkKey(key: unknown, index: number): void {
  const where = `keys[${index}]`
  if (typeof key !== 'object' || key === null) throw new Error(`${where} must be an object`)
  const { appId, workspaceId, secret, algorithm } = key as Record<string, unknown>
  if (typeof appId !== 'string' || appId === '') throw new Error(`${where}.appId must be a text`)
  if (typeof secret !== 'string') throw new Error(`${where}.secret must be a text`)
  if (workspaceId !== undefined && (typeof workspaceId !== 'string' || workspaceId === '')) {
    throw new Error(`${where}.workspaceId must be a text; leave it out for every workspace`)
  }
  if (algorithm !== undefined && !ALGORITHM_NAMES.includes(algorithm as AlgorithmName)) {
    throw new Error(`${where}.algorithm must be one of ${ALGORITHM_NAMES.join(', ')}`)
  }
  if (Object.keys(key).some((name) => !KEY_FIELDS.has(name))) {
    throw new Error(`${where} may have only ${[...KEY_FIELDS].join(', ')}`)
  }
}
