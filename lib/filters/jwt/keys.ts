/** Keys that verify tokens: each has one algorithm, which its type must fit. */
import { createPublicKey, createSecretKey, hash, type KeyObject } from 'node:crypto'

/** Algorithms of JWS that are known. `none` is not among them. */
export const JWT_ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number]

/** One key. */
export interface VerifyKey {
  /** Null: serves tokens whatever key they name. */
  readonly kid: string | null
  readonly algorithm: JwtAlgorithm
  readonly key: KeyObject
  /** Tells whether a key of a newer set is the same one. */
  readonly digest: string
  /** False once its set was replaced by one without it: what it verified counts no more. */
  isLive: boolean
}

/** A JSON Web Key, as it came. */
export type Jwk = Readonly<Record<string, unknown>>

/** The name of an algorithm as the keys have it; Ed25519 has two. Null for one that is not known. */
export function algorithmNamed(name: unknown): JwtAlgorithm | null {
  if (name === 'Ed25519') return 'EdDSA'
  return (JWT_ALGORITHMS as readonly unknown[]).includes(name) ? (name as JwtAlgorithm) : null
}

const DEFAULTS: Readonly<Record<string, JwtAlgorithm>> = {
  RSA: 'RS256',
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
}

/**
 * Makes a key of a JWK; the private half of a pair is dropped. Its algorithm is its own `alg`, else `algorithm`, else what its type
 * gives. Throws an `Error` that says what is wrong and repeats nothing of the key.
 */
export function fromJwk(jwk: Jwk, algorithm: JwtAlgorithm | null): VerifyKey {
  const { kty, crv, alg, kid, use, key_ops: operations } = jwk
  if (use !== undefined && use !== 'sig') throw new Error('is not for signatures ("use")')
  if (Array.isArray(operations) && !operations.includes('verify')) {
    throw new Error('is not for verifying ("key_ops")')
  }
  const named = alg === undefined ? algorithm : algorithmNamed(alg)
  if (alg !== undefined && named === null) throw new Error('has an "alg" that is not known')
  const fixed = named ?? DEFAULTS[String(crv ?? kty)]
  if (fixed === undefined) throw new Error('needs an "alg"')
  return finish(kty === 'oct' ? secretOf(jwk) : publicOf(jwk), fixed, typeof kid === 'string' ? kid : null)
}

/** Makes a key of a secret text. Throws like {@link fromJwk}. */
export function fromSecret(secret: string, algorithm: JwtAlgorithm, kid: string | null): VerifyKey {
  return finish(createSecretKey(Buffer.from(secret, 'utf8')), algorithm, kid)
}

/** Makes a key of a PEM text (SPKI, PKCS#1 or a certificate). Throws like {@link fromJwk}. */
export function fromPem(pem: string, algorithm: JwtAlgorithm, kid: string | null): VerifyKey {
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    throw new Error('has a "publicKey" that is no public key in PEM')
  }
  return finish(key, algorithm, kid)
}

function secretOf({ k }: Jwk): KeyObject {
  if (typeof k !== 'string') throw new Error('lacks its "k"')
  return createSecretKey(Buffer.from(k, 'base64url'))
}

function publicOf(jwk: Jwk): KeyObject {
  try {
    return createPublicKey({ key: jwk as never, format: 'jwk' })
  } catch {
    throw new Error('is no public key that this runtime knows')
  }
}

function finish(key: KeyObject, algorithm: JwtAlgorithm, kid: string | null): VerifyKey {
  const fault = faultOf(key, algorithm)
  if (fault !== null) throw new Error(fault)
  const bytes = key.type === 'secret' ? key.export() : (key.export({ format: 'der', type: 'spki' }) as Buffer)
  const digest = `${algorithm} ${kid ?? ''} ${hash('sha256', bytes, 'base64')}`
  return { kid, algorithm, key, digest, isLive: true }
}

const CURVES: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}
const MIN_RSA_BITS = 2048

/** Why a key cannot have this algorithm, null when it can. A public key with an HMAC is the classic confusion. */
function faultOf(key: KeyObject, algorithm: JwtAlgorithm): string | null {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (algorithm.startsWith('HS')) {
    if (key.type !== 'secret') return `is a public key, which ${algorithm} cannot use`
    const least = Number(algorithm.slice(2)) / 8
    return (key.symmetricKeySize ?? 0) < least
      ? `has less than the ${least} bytes that ${algorithm} needs`
      : null
  }
  if (key.type === 'secret') return `is a secret, which ${algorithm} cannot use`
  if (algorithm === 'EdDSA') return type === 'ed25519' ? null : 'is not of Ed25519'
  const curve = CURVES[algorithm]
  if (curve !== undefined) return details?.namedCurve === curve ? null : `is not on the curve of ${algorithm}`
  if (type !== 'rsa') return `is no RSA key, which ${algorithm} needs`
  return (details?.modulusLength ?? 0) < MIN_RSA_BITS ? `has less than ${MIN_RSA_BITS} bits` : null
}

const MAX_KEYS = 100

/** What became of a JSON Web Key Set. */
export interface ReadKeys {
  readonly keys: VerifyKey[]
  /** Why others were left out, by position. */
  readonly skipped: readonly string[]
}

/**
 * Reads a key set. Keys that cannot be used are left out, because a set holds keys for other purposes too. Secrets are taken from a
 * file of ours only: who publishes one has given it away. Throws an `Error` when none is left.
 */
export function readJwks(value: unknown, algorithm: JwtAlgorithm | null, allowSecrets: boolean): ReadKeys {
  const entries = (value as { keys?: unknown } | null)?.keys
  if (!Array.isArray(entries)) throw new Error('is no key set: it must be an object with a list "keys"')
  if (entries.length > MAX_KEYS) throw new Error(`has more than ${MAX_KEYS} keys`)
  const keys: VerifyKey[] = []
  const skipped: string[] = []
  entries.forEach((jwk: unknown, index) => {
    try {
      if (typeof jwk !== 'object' || jwk === null) throw new Error('is no object')
      if ((jwk as Jwk).kty === 'oct' && !allowSecrets) throw new Error('is a secret that others can read')
      keys.push(fromJwk(jwk as Jwk, algorithm))
    } catch (error) {
      skipped.push(`keys[${index}] ${(error as Error).message}`)
    }
  })
  if (keys.length === 0)
    throw new Error(`has no key that can be used${skipped.map((s) => `; ${s}`).join('')}`)
  return { keys, skipped }
}

/** The new keys, where one that was there before stays the same object; those that are gone are marked. */
export function replaceKeys(old: readonly VerifyKey[], fresh: readonly VerifyKey[]): VerifyKey[] {
  const known = new Map(old.map((key) => [key.digest, key]))
  const kept = fresh.map((key) => known.get(key.digest) ?? key)
  for (const key of old) if (!kept.includes(key)) key.isLive = false
  return kept
}

const MAX_CANDIDATES = 4

/** The keys that may have signed a token with this algorithm and key id, four at most. */
export function candidates(
  keys: readonly VerifyKey[],
  algorithm: JwtAlgorithm,
  kid: string | null,
): VerifyKey[] {
  const fits = keys.filter(
    (key) => key.algorithm === algorithm && (kid === null || key.kid === null || key.kid === kid),
  )
  return fits.length > MAX_CANDIDATES ? fits.slice(0, MAX_CANDIDATES) : fits
}
