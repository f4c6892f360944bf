/** Takes tokens apart and has jose verify them. */
import type * as Jose from 'jose'
import type { Claims } from './claims.ts'
import type { KeySource } from './key-source.ts'
import { algorithmNamed, candidates, type VerifyKey } from './keys.ts'

/** Why a token is not believed; the label `outcome` of `meshgate_jwt_total`. */
export type Fault =
  | 'malformed'
  | 'unsigned'
  | 'issuer'
  | 'no-keys'
  | 'unknown-key'
  | 'forged'
  | 'expired'
  | 'not-yet'
  | 'audience'
  | 'claims'

/** An issuer whose tokens are believed. */
export interface Issuer {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly source: KeySource
}

/** What verifying takes beside the token. */
export interface VerifyRules {
  readonly issuers: ReadonlyMap<string, Issuer>
  readonly skewMs: number
  /** Since `iat`; 0 for any age. */
  readonly maxAgeMs: number
  /** Whether a token waits for its issuer's first keys. */
  readonly waitsForKeys: boolean
  readonly clock: { now(): number; wallNow(): number }
}

/** A token that is good. */
export interface Verified {
  readonly claims: Claims
  readonly key: VerifyKey
  /** Wall-clock milliseconds from which on it is not. */
  readonly endMs: number
}

/** Loaded with the first token: it is no part of the start. */
let jose: Promise<typeof Jose> | null = null

/** Verifies one token. Rejects for what no token should cause. */
export async function verifyToken(token: string, rules: VerifyRules): Promise<Verified | Fault> {
  const parts = readParts(token)
  if (parts === null) return 'malformed'
  const { header, claims } = parts
  if (typeof header.alg === 'string' && header.alg.toLowerCase() === 'none') return 'unsigned'
  const algorithm = algorithmNamed(header.alg)
  if (algorithm === null) return 'malformed'
  const issuer = typeof claims.iss === 'string' ? rules.issuers.get(claims.iss) : undefined
  if (issuer === undefined) return 'issuer'
  const { source } = issuer
  if (rules.waitsForKeys && source.firstAttempt !== null) await source.firstAttempt
  const keys = source.keysAt(rules.clock.now())
  if (keys.length === 0) return 'no-keys'
  const able = candidates(keys, algorithm, typeof header.kid === 'string' ? header.kid : null)
  if (able.length === 0) {
    source.onUnknownKey()
    return 'unknown-key'
  }
  let fault: Fault = 'forged'
  for (const key of able) {
    const outcome = await verifyWith(token, String(header.alg), key, issuer, rules)
    if (typeof outcome !== 'string') return outcome
    fault = outcome
    if (fault !== 'forged') return fault
  }
  return fault
}

async function verifyWith(
  token: string,
  algorithm: string,
  key: VerifyKey,
  { issuer, audiences }: Issuer,
  rules: VerifyRules,
): Promise<Verified | Fault> {
  jose ??= import('jose')
  const { jwtVerify } = await jose
  const now = rules.clock.wallNow()
  try {
    const { payload } = await jwtVerify(token, key.key, {
      algorithms: [algorithm],
      issuer,
      ...(audiences.length > 0 ? { audience: [...audiences] } : {}),
      clockTolerance: rules.skewMs / 1000,
      currentDate: new Date(now),
      requiredClaims: ['exp', ...(rules.maxAgeMs > 0 ? ['iat'] : [])],
    })
    return judgeAge(payload, key, now, rules)
  } catch (error) {
    return faultOf(error)
  }
}

function judgeAge(claims: Claims, key: VerifyKey, now: number, rules: VerifyRules): Verified | Fault {
  const { exp, iat } = claims as { exp: number; iat?: number }
  let endMs = exp * 1000 + rules.skewMs
  if (iat !== undefined) {
    if (typeof iat !== 'number') return 'claims'
    if (iat * 1000 > now + rules.skewMs) return 'not-yet'
    if (rules.maxAgeMs > 0) endMs = Math.min(endMs, iat * 1000 + rules.maxAgeMs + rules.skewMs)
  }
  return endMs <= now ? 'expired' : { claims, key, endMs }
}

function faultOf(error: unknown): Fault {
  const { code, claim } = error as { code?: string; claim?: string }
  switch (code) {
    case 'ERR_JWT_EXPIRED':
      return 'expired'
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return 'forged'
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      if (claim === 'nbf') return 'not-yet'
      if (claim === 'aud') return 'audience'
      return claim === 'iss' ? 'issuer' : 'claims'
    default:
      return 'malformed'
  }
}

interface Parts {
  readonly header: Claims
  readonly claims: Claims
}

/** Header and claims of a token, not believed yet; null when it has not the form of one. */
function readParts(token: string): Parts | null {
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first <= 0 || second === -1 || token.includes('.', second + 1)) return null
  const header = readObject(token.slice(0, first))
  const claims = readObject(token.slice(first + 1, second))
  return header === null || claims === null ? null : { header, claims }
}

function readObject(part: string): Claims | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null
  } catch {
    return null
  }
}
