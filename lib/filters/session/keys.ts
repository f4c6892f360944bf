/** Keys of a realm: several at once, so that tokens of the old key are good while new ones are made with the new key. */
import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

const MIN_SECRET_BYTES = 32
const ID = /^[A-Za-z0-9._-]{1,16}$/
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/

/** A key as configurations write it. */
export interface KeyText {
  /** 1 to 16 characters; stands in the clear in each token. */
  readonly id: string
  /** At least 32 random bytes, base64. */
  readonly secret: string
}

/** One key, bound to a realm: the same secret gives other keys in another realm. Holds no secret that a dump of text would show. */
export class SessionKey {
  readonly id: string
  readonly idBytes: Buffer
  /** Derives the key of each encrypted token. */
  readonly encryption: KeyObject
  /** Authenticates signed tokens. */
  readonly signature: KeyObject
  /** Tells equal secrets of two realms apart from different ones. */
  readonly fingerprint: string

  /** `secret` is not kept. */
  constructor(id: string, secret: Buffer, realm: string) {
    this.id = id
    this.idBytes = Buffer.from(id, 'latin1')
    this.encryption = derive(secret, `meshgate session encrypt ${realm}`)
    this.signature = derive(secret, `meshgate session sign ${realm}`)
    this.fingerprint = createHash('sha256').update('meshgate fingerprint').update(secret).digest('base64')
  }
}

/** The keys of one realm at one time. Immutable; a changed file makes a new ring. */
export class KeyRing {
  readonly #keys: ReadonlyMap<string, SessionKey>
  readonly #first: SessionKey | null

  constructor(keys: readonly SessionKey[]) {
    this.#keys = new Map(keys.map((key) => [key.id, key]))
    this.#first = keys[0] ?? null
  }

  /** The key that new tokens are made with: the first one. Throws when the ring is empty. */
  get active(): SessionKey {
    if (this.#first === null) throw new Error('the realm has no key')
    return this.#first
  }

  /** Null for a key that is unknown or was taken away. */
  find(id: string): SessionKey | null {
    return this.#keys.get(id) ?? null
  }

  /** Whether one of the keys has the same secret as one of `other`. */
  shares(other: KeyRing): boolean {
    const known = new Set([...other.#keys.values()].map(({ fingerprint }) => fingerprint))
    return [...this.#keys.values()].some(({ fingerprint }) => known.has(fingerprint))
  }
}

/** Makes a ring of keys out of a configuration. Throws an `Error` that says which key is wrong and never shows a secret. */
export function makeKeyRing(keys: readonly KeyText[], realm: string): KeyRing {
  const ids = new Set<string>()
  return new KeyRing(
    keys.map(({ id, secret }, index) => {
      const where = `key ${index + 1}`
      if (!ID.test(id))
        throw new Error(`${where}: an id has 1 to 16 letters, digits, full stops, hyphens or underscores`)
      if (ids.has(id)) throw new Error(`${where}: the id "${id}" is given twice`)
      ids.add(id)
      return new SessionKey(id, decodeSecret(secret, where), realm)
    }),
  )
}

/**
 * Reads a key file: a line `ID SECRET` for each key, the one for new tokens first; `#` begins a comment. Throws like
 * {@link makeKeyRing}, and for a file without a key.
 */
export function parseKeyFile(text: string, realm: string): KeyRing {
  const keys: KeyText[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.replace(/#.*/, '').trim()
    if (content === '') continue
    const parts = content.split(/\s+/)
    if (parts.length !== 2)
      throw new Error(`line ${index + 1}: expected an id and a secret in base64, separated by a space`)
    keys.push({ id: parts[0], secret: parts[1] })
  }
  if (keys.length === 0) throw new Error('there is no key in the file')
  return makeKeyRing(keys, realm)
}

/** The bytes of a secret in base64. Throws an `Error` that does not show it. */
export function decodeSecret(text: string, where: string): Buffer {
  const bytes = BASE64.test(text) ? Buffer.from(text, 'base64') : null
  if (bytes === null || bytes.length < MIN_SECRET_BYTES) {
    throw new Error(
      `${where}: a secret is base64 of at least ${MIN_SECRET_BYTES} random bytes, as from "openssl rand -base64 32"`,
    )
  }
  return bytes
}

function derive(secret: Buffer, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', purpose, 32)))
}
