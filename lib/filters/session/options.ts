/** Options of `session`: their schema and their types. */
import { DURATION_PATTERN } from '../duration.ts'
import type { CookieOptions } from './carrier.ts'
import type { KeyText } from './keys.ts'
import type { LegacyFields } from './legacy.ts'
import type { TokenMode } from './token.ts'

const HEADER_PATTERN = '^[a-z0-9][a-z0-9._-]*$'
const COOKIE_PATTERN = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"

const duration = { type: 'string', pattern: DURATION_PATTERN }
const headerName = { type: 'string', pattern: HEADER_PATTERN }
const filePath = { type: 'string', minLength: 1 }

const keysSchema = {
  anyOf: [
    {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['id', 'secret'],
        properties: { id: { type: 'string' }, secret: { type: 'string' } },
      },
    },
    { type: 'object', additionalProperties: false, required: ['file'], properties: { file: filePath } },
  ],
  description: 'Keys, `{ id, secret }` each, or `{ file }`; the first one makes new tokens',
}

const cookieSchema = {
  anyOf: [
    { type: 'string', pattern: COOKIE_PATTERN },
    {
      type: 'object',
      additionalProperties: false,
      required: ['name'],
      properties: {
        name: { type: 'string', pattern: COOKIE_PATTERN },
        path: { type: 'string', pattern: '^/[!-:<-~]*$' },
        domain: { type: 'string', pattern: '^[A-Za-z0-9.-]+$' },
        secure: { type: 'boolean', default: true },
        httpOnly: { type: 'boolean', default: true },
        sameSite: { enum: ['Strict', 'Lax', 'None'], default: 'Lax' },
      },
    },
  ],
  description: 'Cookie that carries the token, and how it is set',
}

const storeSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    max: { type: 'integer', minimum: 1, maximum: 10_000_000, default: 100_000 },
    redis: {
      type: 'object',
      additionalProperties: false,
      properties: {
        host: { type: 'string', minLength: 1, default: '127.0.0.1' },
        port: { type: 'integer', minimum: 1, maximum: 65_535, default: 6379 },
        username: { type: 'string', minLength: 1 },
        password: { type: 'string', minLength: 1 },
        passwordFile: filePath,
        db: { type: 'integer', minimum: 0, default: 0 },
        tls: { type: 'boolean', default: false },
        prefix: { type: 'string' },
        format: { enum: ['sealed', 'json'], default: 'sealed' },
      },
    },
    http: {
      type: 'object',
      additionalProperties: false,
      required: ['url'],
      properties: {
        url: { type: 'string', pattern: '^https?://' },
        headers: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    timeout: { ...duration, default: '200ms' },
    cacheFor: { ...duration, default: '30s' },
    missFor: { ...duration, default: '2s' },
    touch: { ...duration, default: '5m' },
    maxPending: { type: 'integer', minimum: 1, maximum: 100_000, default: 1000 },
  },
  description: 'Callers hold an id, the session lives in this process, in `redis` or behind `http`',
}

const legacySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    cookie: { type: 'string', pattern: COOKIE_PATTERN },
    header: headerName,
    secret: { type: 'string' },
    secretFile: filePath,
    unsigned: { type: 'boolean', default: false },
    until: { type: 'string', minLength: 1 },
    rewrite: { type: 'boolean', default: true },
    fields: {
      type: 'object',
      additionalProperties: false,
      properties: {
        id: { type: 'string', minLength: 1, default: 'sessionId' },
        userId: { type: 'string', minLength: 1, default: 'userId' },
        loginAt: { type: 'string', minLength: 1, default: 'loginTime' },
        expiresAt: { type: 'string', minLength: 1, default: 'expireTime' },
      },
    },
    attributes: { type: 'object', additionalProperties: { type: 'string', minLength: 1 } },
  },
  description: 'Gzip of JSON, as it was before, is accepted and rewritten',
}

const realmSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    keys: keysSchema,
    mode: { enum: ['encrypt', 'sign'], default: 'encrypt' },
    cookie: cookieSchema,
    header: headerName,
    listeners: { type: 'array', minItems: 1, items: { type: 'string' } },
    protocols: { type: 'array', minItems: 1, items: { enum: ['http1', 'mmtp', 'bolt', 'dubbo'] } },
    life: { ...duration, default: '30m' },
    maxLife: { ...duration, default: '720h' },
    renewAfter: { type: 'number', minimum: 0, maximum: 1, default: 0.5 },
    skew: { ...duration, default: '30s' },
    cache: { type: 'integer', minimum: 0, maximum: 10_000_000, default: 10_000 },
    maxBytes: { type: 'integer', minimum: 100, maximum: 4000, default: 650 },
    revoked: filePath,
    store: storeSchema,
    legacy: legacySchema,
  },
}

const uidSchema = {
  anyOf: [
    headerName,
    {
      type: 'object',
      additionalProperties: false,
      properties: {
        http1: headerName,
        mmtp: headerName,
        bolt: { type: 'string', pattern: '^[!-~]+$' },
        dubbo: { type: 'string', pattern: '^[!-~]+$' },
      },
    },
  ],
  default: 'uid',
  description: 'Header that tells the business process the verified user, or one for each protocol',
}

/** JSON Schema of the options of `session`. */
export const sessionSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['realms'],
  properties: {
    realms: {
      type: 'object',
      minProperties: 1,
      additionalProperties: realmSchema,
      description: 'Name → realm: keys, carriers, store',
    },
    realm: {
      type: 'string',
      minLength: 1,
      description: 'The one realm that counts; else the first one whose token the request carries',
    },
    required: {
      type: 'boolean',
      default: true,
      description: 'Whether a request without a good session is refused, or passes as nobody',
    },
    uidHeader: uidSchema,
    headers: {
      type: 'object',
      additionalProperties: { type: 'string', minLength: 1 },
      propertyNames: { pattern: HEADER_PATTERN },
      description: 'Header of the forwarded request → attribute',
    },
    strip: { type: 'boolean', default: false, description: 'Does not forward the token' },
    grant: {
      ...headerName,
      description: 'Response header by which the business process begins and ends sessions',
    },
    message: {
      type: 'string',
      maxLength: 200,
      description: 'Text for the caller in place of the default one',
    },
  },
} as const

/** Options of a realm's store. */
export interface StoreOptions {
  readonly max?: number
  readonly redis?: {
    readonly host?: string
    readonly port?: number
    readonly username?: string
    readonly password?: string
    readonly passwordFile?: string
    readonly db?: number
    readonly tls?: boolean
    readonly prefix?: string
    readonly format?: 'sealed' | 'json'
  }
  readonly http?: { readonly url: string; readonly headers?: Readonly<Record<string, string>> }
  readonly timeout?: string
  readonly cacheFor?: string
  readonly missFor?: string
  readonly touch?: string
  readonly maxPending?: number
}

/** Options of a realm's legacy sessions. */
export interface LegacyOptions {
  readonly cookie?: string
  readonly header?: string
  readonly secret?: string
  readonly secretFile?: string
  readonly unsigned?: boolean
  readonly until?: string
  readonly rewrite?: boolean
  readonly fields?: LegacyFields
  readonly attributes?: Readonly<Record<string, string>>
}

/** Options of one realm. */
export interface RealmOptions {
  readonly keys?: readonly KeyText[] | { readonly file: string }
  readonly mode?: TokenMode
  readonly cookie?: string | CookieOptions
  readonly header?: string
  readonly listeners?: readonly string[]
  readonly protocols?: readonly string[]
  readonly life?: string
  readonly maxLife?: string
  readonly renewAfter?: number
  readonly skew?: string
  readonly cache?: number
  readonly maxBytes?: number
  readonly revoked?: string
  readonly store?: StoreOptions
  readonly legacy?: LegacyOptions
}

/** Options of `session`. */
export interface SessionOptions {
  readonly realms: Readonly<Record<string, RealmOptions>>
  readonly realm?: string
  readonly required?: boolean
  readonly uidHeader?: string | Readonly<Partial<Record<'http1' | 'mmtp' | 'bolt' | 'dubbo', string>>>
  readonly headers?: Readonly<Record<string, string>>
  readonly strip?: boolean
  readonly grant?: string
  readonly message?: string
}
