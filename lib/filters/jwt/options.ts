/** Checks the options of `jwt`, and makes its issuers of them. */
import type { FilterServices } from '../../core/filter.ts'
import { parseDuration } from '../duration.ts'
import { keep } from '../kept.ts'
import { FileKeys, FixedKeys, type KeySource, RemoteKeys } from './key-source.ts'
import { fromPem, fromSecret, type JwtAlgorithm, readJwks, type VerifyKey } from './keys.ts'

/** One inline key, checked. */
interface KeyOptions {
  readonly kid?: string
  readonly algorithm: JwtAlgorithm
  readonly secret?: string
  readonly publicKey?: string
}

/** One issuer, checked. */
export interface IssuerOptions {
  readonly issuer: string
  readonly audience: string | readonly string[]
  readonly keys?: readonly KeyOptions[]
  readonly jwks?: object
  readonly jwksFile?: string
  readonly jwksUrl?: string
  readonly algorithm?: JwtAlgorithm
}

/** Options of `jwt`, checked. */
export interface JwtOptions {
  readonly issuers: readonly IssuerOptions[]
  readonly header?: string
  readonly cookie?: string
  readonly optional?: boolean
  readonly user?: string
  readonly claims?: Readonly<Record<string, string>>
  readonly skew?: string
  readonly maxAge?: string
  readonly startup?: 'refuse' | 'wait'
  readonly refresh?: string
  readonly staleAfter?: string
  readonly fetchTimeout?: string
  readonly maxTokens?: number
  readonly maxBytes?: number
}

/** A source of keys and how its user gives it back. */
export interface HeldSource {
  readonly source: KeySource
  release(): void
}

/** Opens where an issuer's keys come from. Throws an `Error` that names what is wrong and no secret. */
export function openSource(given: IssuerOptions, options: JwtOptions, services: FilterServices): HeldSource {
  const { keys, jwks, jwksFile, jwksUrl, algorithm = null } = given
  if ([keys, jwks, jwksFile, jwksUrl].filter((place) => place !== undefined).length !== 1) {
    throw new Error('give one of "keys", "jwks", "jwksFile" and "jwksUrl"')
  }
  if (keys !== undefined) return fixed(keys.map(inlineKey))
  if (jwks !== undefined) return fixed(publicKeys(jwks, algorithm))
  if (jwksFile !== undefined) {
    const path = services.resolvePath(jwksFile)
    return held(services, ['file', path, algorithm], () => new FileKeys(path, algorithm, services))
  }
  const remote = {
    url: jwksUrl as string,
    algorithm,
    refreshMs: Math.max(1000, parseDuration(options.refresh ?? '10m')),
    staleAfterMs: parseDuration(options.staleAfter ?? '24h'),
    timeoutMs: Math.max(1, parseDuration(options.fetchTimeout ?? '5s')),
  }
  return held(services, ['url', remote], () => new RemoteKeys(remote, services))
}

/** Shared by routes with options of their own, and kept when the configuration changes: no request waits for keys that are known. */
function held(services: FilterServices, key: unknown, make: () => KeySource): HeldSource {
  const { value, release } = keep(services.metrics, `jwt-keys ${JSON.stringify(key)}`, make)
  return { source: value, release }
}

function fixed(keys: readonly VerifyKey[]): HeldSource {
  return { source: new FixedKeys(keys), release: () => {} }
}

function inlineKey({ kid, algorithm, secret, publicKey }: KeyOptions, index: number): VerifyKey {
  try {
    if (algorithm.startsWith('HS')) {
      if (secret === undefined || publicKey !== undefined)
        throw new Error(`needs a "secret" for ${algorithm}`)
      return fromSecret(secret, algorithm, kid ?? null)
    }
    if (publicKey === undefined || secret !== undefined)
      throw new Error(`needs a "publicKey" for ${algorithm}`)
    return fromPem(publicKey, algorithm, kid ?? null)
  } catch (error) {
    throw new Error(`keys[${index}] ${(error as Error).message}`)
  }
}

/** In a configuration, which is shown by the admin port, a set holds public keys only, and each must be usable. */
function publicKeys(jwks: object, algorithm: JwtAlgorithm | null): VerifyKey[] {
  const entries = (jwks as { keys?: unknown }).keys
  const isPrivate = (key: unknown): boolean =>
    typeof key === 'object' && key !== null && ('d' in key || 'k' in key)
  if (Array.isArray(entries) && entries.some(isPrivate)) {
    throw new Error('jwks holds secrets; put them into "jwksFile" or into the "secret" of "keys"')
  }
  const { keys, skipped } = readJwks(jwks, algorithm, false)
  if (skipped.length > 0) throw new Error(`jwks: ${skipped.join('; ')}`)
  return keys
}
