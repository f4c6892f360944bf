/** Schema of the options of `jwt`: what the configuration needs before the filter itself is loaded. */
import { DURATION_PATTERN } from '../duration.ts'
import { JWT_ALGORITHMS } from './keys.ts'

/** Verified tokens that are remembered. */
export const DEFAULT_MAX_TOKENS = 10_000
/** Longest token that is looked at, in bytes. */
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
