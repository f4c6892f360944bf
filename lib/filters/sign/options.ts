/** Options of `sign`. */
import { DURATION_PATTERN } from '../duration.ts'
import { ALGORITHM_NAMES, type SignEncoding } from './algorithms.ts'
import type { KeyOptions } from './keys.ts'

export const DEFAULT_MAX_NONCES = 100_000

/** What carries which part of a signature. */
export interface SignHeaders {
  readonly sign: string
  readonly ts: string
  readonly did: string
  readonly appId: string
  readonly workspaceId: string
}

const header = (what: string) => ({ type: 'string', pattern: '^[A-Za-z0-9._-]+$', description: what })

/** Options of `sign`. */
export const signSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    algorithm: {
      type: 'string',
      minLength: 1,
      default: 'hmac-sha256',
      description: `\`${ALGORITHM_NAMES.join('`, `')}\`, or the path of a module of your own`,
    },
    legacy: {
      type: 'boolean',
      default: false,
      description: 'Allows `sha256-salt` and `md5-salt`, which are weak',
    },
    keys: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['appId', 'secret'],
        properties: {
          appId: { type: 'string', minLength: 1, description: 'The app that signs' },
          workspaceId: {
            type: 'string',
            minLength: 1,
            description: 'Its workspace; every workspace without keys of its own when left out',
          },
          secret: { type: 'string', description: 'At least 16 bytes' },
          algorithm: {
            type: 'string',
            enum: [...ALGORITHM_NAMES],
            description: 'In place of the filter’s',
          },
        },
      },
      description: 'Keys by app and workspace; several of one are valid at once',
    },
    keysFile: {
      type: 'string',
      minLength: 1,
      description: 'JSON file with `{ "keys": [ … ] }`, read again whenever it changes',
    },
    window: {
      type: 'string',
      pattern: DURATION_PATTERN,
      default: '5m',
      description: 'How far a timestamp may be from now, in both directions',
    },
    replay: {
      type: 'boolean',
      default: true,
      description: 'Refuses a signature that was used already',
    },
    maxNonces: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000_000,
      default: DEFAULT_MAX_NONCES,
      description: 'Used signatures that are remembered',
    },
    strict: {
      type: 'boolean',
      default: false,
      description: 'When no more can be remembered: refuses instead of forgetting the oldest',
    },
    encoding: {
      type: 'string',
      enum: ['base64', 'hex'],
      default: 'base64',
      description: 'How signatures are written',
    },
    headers: {
      type: 'object',
      additionalProperties: false,
      properties: {
        sign: header('The signature'),
        ts: header('Milliseconds since 1970'),
        did: header('The device'),
        appId: header('The app'),
        workspaceId: header('The workspace'),
      },
      description: 'Names of headers in place of the protocol’s own',
    },
  },
} as const

/** Options of `sign`, checked. */
export interface SignOptions {
  readonly algorithm?: string
  readonly legacy?: boolean
  readonly keys?: readonly KeyOptions[]
  readonly keysFile?: string
  readonly window?: string
  readonly replay?: boolean
  readonly maxNonces?: number
  readonly strict?: boolean
  readonly encoding?: SignEncoding
  readonly headers?: Partial<SignHeaders>
}

const HTTP_NAMES: SignHeaders = {
  sign: 'sign',
  ts: 'ts',
  did: 'did',
  appId: 'appid',
  workspaceId: 'workspaceid',
}
const FRAMED_NAMES: SignHeaders = {
  sign: 'sign',
  ts: 'ts',
  did: 'did',
  appId: 'app-id',
  workspaceId: 'workspace-id',
}

/** The names over HTTP, and those over Mmtp and RPC protocols, in lower case. */
export function headerNames(own: Partial<SignHeaders> = {}): { http: SignHeaders; framed: SignHeaders } {
  const lower = Object.fromEntries(Object.entries(own).map(([part, name]) => [part, name.toLowerCase()]))
  return { http: { ...HTTP_NAMES, ...lower }, framed: { ...FRAMED_NAMES, ...lower } }
}
