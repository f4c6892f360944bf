/** How a signature is computed from the string to sign and a key's secret. */
import { createHmac, createSecretKey, getHashes, hash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Headers } from '../../core/message.ts'

/** Names of the built-in algorithms. */
export const ALGORITHM_NAMES = ['hmac-sha256', 'sha256-salt', 'md5-salt', 'sm3-salt'] as const
export type AlgorithmName = (typeof ALGORITHM_NAMES)[number]

/** Allowed with `legacy: true` only: a salted hash is no MAC, and collisions of MD5 can be made. */
export const LEGACY_ALGORITHMS: ReadonlySet<string> = new Set(['sha256-salt', 'md5-salt'])

/** How a signature is written. */
export type SignEncoding = 'base64' | 'hex'

/** What a user's algorithm is given. Nothing of it may be kept or changed. */
export interface SignedMessage {
  /** The string that the built-in algorithms sign. */
  readonly text: string
  /** What is called: the operation, `METHOD target` of a plain request, `service:version:group.method` of an RPC. */
  readonly target: string
  readonly ts: string
  readonly did: string
  readonly appId: string
  readonly workspaceId: string
  /** The whole body, as it came. */
  readonly body: Buffer
  readonly headers: Headers
  readonly secret: Buffer
}

/**
 * A user's algorithm, the default export of a module: gives the signature that the caller should have sent, which is compared
 * in constant time; or says itself whether `signature` is right (for keys of two halves).
 */
export type CustomAlgorithm = (message: SignedMessage, signature: string) => string | boolean

/** Computes the signature of a string with one secret. */
export type Signer = (text: string) => string

/** Whether this runtime has SM3; builds against other libraries may lack it. */
export function hasSm3(hashes: readonly string[] = getHashes()): boolean {
  return hashes.includes('sm3')
}

/** Makes the signer of one key. The secret is kept as bytes only, so that it never shows among the strings of a heap snapshot. */
export function compileSigner(algorithm: AlgorithmName, secret: Buffer, encoding: SignEncoding): Signer {
  switch (algorithm) {
    case 'hmac-sha256':
      return hmacSha256(secret, encoding)
    case 'sha256-salt':
      return salted('sha256', secret, encoding)
    case 'md5-salt':
      return salted('md5', secret, encoding)
    case 'sm3-salt':
      return salted('sm3', secret, encoding)
  }
}

const BLOCK = 64
const DIGEST = 32
const ROOM = 1024

/**
 * HMAC (RFC 2104) by two one-shot hashes: 2.1 µs where `createHmac`, which makes a stream object each time, takes
 * 3.4 (perf/micro/sign.ts). The two buffers keep the key's pads and are written behind them; nothing here waits, so one pair
 * serves every request.
 */
function hmacSha256(secret: Buffer, encoding: SignEncoding): Signer {
  const key = secret.length > BLOCK ? hash('sha256', secret, 'buffer') : secret
  const inner = Buffer.alloc(BLOCK + ROOM, 0)
  const outer = Buffer.alloc(BLOCK + DIGEST, 0)
  for (let i = 0; i < BLOCK; i++) {
    const byte = i < key.length ? key[i] : 0
    inner[i] = byte ^ 0x36
    outer[i] = byte ^ 0x5c
  }
  const keyObject = createSecretKey(secret)
  return (text) => {
    // A UTF-16 unit gives three bytes at most.
    if (text.length * 3 > ROOM) return createHmac('sha256', keyObject).update(text).digest(encoding)
    const length = inner.write(text, BLOCK, 'utf8')
    outer.write(hash('sha256', inner.subarray(0, BLOCK + length), 'latin1'), BLOCK, 'latin1')
    return hash('sha256', outer, encoding)
  }
}

/** The secret comes last: a hash of secret and text could be extended by whoever saw one. */
function salted(algorithm: 'sha256' | 'md5' | 'sm3', secret: Buffer, encoding: SignEncoding): Signer {
  return (text) => hash(algorithm, Buffer.concat([Buffer.from(`${text}\n`), secret]), encoding)
}

const requireModule = createRequire(import.meta.url)

/** Loads a user's algorithm. Node keeps a module for as long as the process lives. Throws an `Error` that names the file. */
export function loadAlgorithm(path: string): CustomAlgorithm {
  let exported: { default?: unknown }
  try {
    exported = requireModule(path) as { default?: unknown }
  } catch (error) {
    throw new Error(`algorithm: ${path}: ${(error as Error).message.split('\n')[0]}`)
  }
  if (typeof exported.default !== 'function') {
    throw new Error(
      `algorithm: ${path}: its default export must be a function (message, signature) => string`,
    )
  }
  return exported.default as CustomAlgorithm
}
