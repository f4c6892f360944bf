/**
 * Sessions as tokens: a session's record, encrypted (AES-256-GCM) or only signed (HMAC-SHA256), base64url.
 *
 *     kind 0x11   | length of key id | key id | salt (16) | ciphertext | tag (16) |
 *     kind 0x12   | length of key id | key id | record    | HMAC (32)             |
 *
 * The high half of the kind is the version of the structure. Kind, key id, realm and purpose are authenticated with it.
 * An encrypted token has a key and nonce of its own, derived from a random salt: so many tokens may be made with one
 * key that a nonce of 12 random bytes would come twice.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { KeyRing } from './keys.ts'
import { decodeSession, encodeSession, type Session } from './payload.ts'

/** How tokens are protected; both are read, whichever is written. */
export type TokenMode = 'encrypt' | 'sign'

/** Why a token is no good: `malformed` is none of ours, `forged` fails its check, `unknown-key` names a key that is not there. */
export type TokenFault = 'malformed' | 'forged' | 'unknown-key'

const ENCRYPTED_1 = 0x11
const SIGNED_1 = 0x12
const SALT_BYTES = 16
const TAG_BYTES = 16
const MAC_BYTES = 32

/** Tokens longer than this are not looked at. */
export const MAX_TOKEN_LENGTH = 4096

/**
 * Makes the token of a session with the first key of the ring. `realm` and `purpose` have to be given again to open
 * it: the purpose is `''` for a token that callers hold, or the id of the session in a store.
 */
export function sealSession(
  session: Session,
  keys: KeyRing,
  realm: string,
  mode: TokenMode = 'encrypt',
  purpose = '',
): string {
  const key = keys.active
  const kind = mode === 'encrypt' ? ENCRYPTED_1 : SIGNED_1
  const head = Buffer.concat([Buffer.from([kind, key.idBytes.length]), key.idBytes])
  const bound = boundTo(head, realm, purpose)
  const record = encodeSession(session)
  if (mode === 'sign') {
    const mac = createHmac('sha256', key.signature).update(bound).update(record).digest()
    return Buffer.concat([head, record, mac]).toString('base64url')
  }
  const salt = randomBytes(SALT_BYTES)
  const own = ownKey(key.encryption, salt)
  const cipher = createCipheriv('aes-256-gcm', own.subarray(0, 32), own.subarray(32, 44))
  cipher.setAAD(bound)
  const sealed = [head, salt, cipher.update(record), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(sealed).toString('base64url')
}

/** Opens a token, or says why not. Does not look at its times. */
export function openSession(token: string, keys: KeyRing, realm: string, purpose = ''): Session | TokenFault {
  if (token.length > MAX_TOKEN_LENGTH) return 'malformed'
  const bytes = Buffer.from(token, 'base64url')
  // Node skips what is no base64url and drops odd bits: one token would have many spellings, each of them with a place in the cache.
  if (bytes.toString('base64url') !== token) return 'malformed'
  const kind = bytes[0]
  if (kind !== ENCRYPTED_1 && kind !== SIGNED_1) return 'malformed'
  const headEnd = 2 + bytes[1]
  const least = kind === ENCRYPTED_1 ? SALT_BYTES + TAG_BYTES : MAC_BYTES
  if (bytes.length <= headEnd + least) return 'malformed'
  const key = keys.find(bytes.toString('latin1', 2, headEnd))
  if (key === null) return 'unknown-key'
  const bound = boundTo(bytes.subarray(0, headEnd), realm, purpose)
  const record =
    kind === ENCRYPTED_1
      ? decrypt(bytes, headEnd, key.encryption, bound)
      : verify(bytes, headEnd, key.signature, bound)
  if (record === null) return 'forged'
  return decodeSession(record) ?? 'malformed'
}

/** The id of the key that a token names, null when it is no token. For people who look for a key. */
export function keyIdOf(token: string): string | null {
  const bytes = Buffer.from(token, 'base64url')
  if (bytes[0] !== ENCRYPTED_1 && bytes[0] !== SIGNED_1) return null
  return bytes.length < 2 + bytes[1] ? null : bytes.toString('latin1', 2, 2 + bytes[1])
}

function decrypt(bytes: Buffer, offset: number, key: KeyObject, bound: Buffer): Buffer | null {
  const start = offset + SALT_BYTES
  const end = bytes.length - TAG_BYTES
  const own = ownKey(key, bytes.subarray(offset, start))
  const decipher = createDecipheriv('aes-256-gcm', own.subarray(0, 32), own.subarray(32, 44), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(bound)
  decipher.setAuthTag(bytes.subarray(end))
  const record = decipher.update(bytes.subarray(start, end))
  try {
    decipher.final() // GCM is a stream: all of the record came out of update
    return record
  } catch {
    return null // the tag is wrong: not made with this key, for this realm, or changed since
  }
}

function verify(bytes: Buffer, offset: number, key: KeyObject, bound: Buffer): Buffer | null {
  const end = bytes.length - MAC_BYTES
  const record = bytes.subarray(offset, end)
  const mac = createHmac('sha256', key).update(bound).update(record).digest()
  return timingSafeEqual(mac, bytes.subarray(end)) ? record : null
}

function ownKey(key: KeyObject, salt: Buffer): Buffer {
  return createHmac('sha512', key).update(salt).digest()
}

/** What is authenticated beside the record. The lengths keep realm and purpose from running into one another. */
function boundTo(head: Buffer, realm: string, purpose: string): Buffer {
  return Buffer.from(
    `meshgate session\n${head.toString('latin1')}\n${realm.length}:${realm}${purpose.length}:${purpose}`,
  )
}
