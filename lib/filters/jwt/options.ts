/** Options of `jwt`. */
import type { FilterServices } from '../../core/filter.ts'
import { DURATION_PATTERN, parseDuration } from '../duration.ts'
import { keep } from '../kept.ts'
import { FileKeys, FixedKeys, type KeySource, RemoteKeys } from './key-source.ts'
import { fromPem, fromSecret, JWT_ALGORITHMS, type JwtAlgorithm, readJwks, type VerifyKey } from './keys.ts'

export const DEFAULT_MAX_TOKENS = 10_000
export const DEFAULT_MAX_BYTES = 8192

const algorithm = { type: 'string', enum: [...JWT_ALGORITHMS] }
const duration = (byDefault: string, description: string) => ({
  type: 'string',
  pattern: DURATION_PATTERN,
  default: byDefault,
  description,
})

const keySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['algorithm'],
  properties: {
    kid: { type: 'string', minLength: 1, description: 'Id of the key; serves every token when left out' },
    algorithm: { ...algorithm, description: 'The one algorithm of this key' },
    secret: { type: 'string', description: 'For HS256, HS384 and HS512: 32, 48 or 64 bytes at least' },
    publicKey: { type: 'string', description: 'For all others, in PEM' },
  },
} as const

const issuerSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['issuer', 'audience'],
  properties: {
    issuer: { type: 'string', minLength: 1, description: 'The claim `iss`' },
    audience: {
      anyOf: [
        { type: 'string', minLength: 1 },
        { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
      ],
      description: 'One of these must be in the claim `aud`',
    },
    keys: { type: 'array', minItems: 1, items: keySchema, description: 'Keys, each with its algorithm' },
    jwks: { type: 'object', description: 'A JSON Web Key Set with public keys' },
    jwksFile: {
      type: 'string',
      minLength: 1,
      description: 'File with a key set, read again when it changes',
    },
    jwksUrl: { type: 'string', minLength: 1, description: 'URL of a key set, asked in the background' },
    algorithm: { ...algorithm, description: 'Of keys in a set that name none' },
  },
} as const

/** Options of `jwt`. */
export const jwtSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['issuers'],
  properties: {
    issuers: {
      type: 'array',
      minItems: 1,
      items: issuerSchema,
      description: 'Whose tokens are believed, for whom, and their keys',
    },
    header: {
      type: 'string',
      pattern: '^[A-Za-z0-9._-]+$',
      default: 'authorization',
      description: 'Header with the token, behind `Bearer` in `authorization`',
    },
    cookie: {
      type: 'string',
      minLength: 1,
      description: 'Cookie with the token, where the header is absent',
    },
    optional: {
      type: 'boolean',
      default: false,
      description: 'Lets requests without a token pass, as nobody',
    },
    user: {
      type: 'string',
      default: 'sub',
      description: 'Claim that names the user; an empty text for none',
    },
    claims: {
      type: 'object',
      additionalProperties: { type: 'string', minLength: 1 },
      description: 'Header for the business process → claim',
    },
    skew: duration('30s', 'What clocks may differ by'),
    maxAge: {
      type: 'string',
      pattern: DURATION_PATTERN,
      description: 'Refuses tokens issued longer ago, whatever they say',
    },
    startup: {
      type: 'string',
      enum: ['refuse', 'wait'],
      default: 'refuse',
      description: 'What requests do before the first answer of a `jwksUrl`',
    },
    refresh: duration('10m', 'How often a `jwksUrl` is asked'),
    staleAfter: duration('24h', 'How long keys of a `jwksUrl` that does not answer are used'),
    fetchTimeout: duration('5s', 'How long a `jwksUrl` may take'),
    maxTokens: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000_000,
      default: DEFAULT_MAX_TOKENS,
      description: 'Verified tokens that are remembered until they expire',
    },
    maxBytes: {
      type: 'integer',
      minimum: 64,
      maximum: 65_536,
      default: DEFAULT_MAX_BYTES,
      description: 'Longest token that is looked at',
    },
  },
} as const

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
