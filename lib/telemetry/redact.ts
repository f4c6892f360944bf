/** Takes secrets out of what is logged or shown. */

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]'

const SECRET_WORDS = new Set([
  'apikey',
  'authorization',
  'cookie',
  'cookies',
  'credential',
  'credentials',
  'jwt',
  'passphrase',
  'passwd',
  'password',
  'secret',
  'secrets',
  'session',
  'sessionid',
  'sid',
  'sign',
  'signature',
  'token',
])
const SECRET_PAIRS = new Set(['api key', 'private key', 'access key', 'signing key'])
const MAX_DEPTH = 12
// Field names come from code and repeat; the bound is for maps whose keys come from callers.
const MAX_VERDICTS = 1000
const verdicts = new Map<string, boolean>()

/**
 * Whether a key names a secret: one of its words is `token`, `cookie`, `sign` … in any case and spelling
 * (`x-session-id`, `accessToken`, `Set-Cookie`); `assign` and `tokens` do not.
 */
export function isSecretName(name: string): boolean {
  const known = verdicts.get(name)
  if (known !== undefined) return known
  const words = name
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
  const isSecret = words.some(
    (word, index) => SECRET_WORDS.has(word) || SECRET_PAIRS.has(`${words[index - 1] ?? ''} ${word}`),
  )
  if (verdicts.size < MAX_VERDICTS) verdicts.set(name, isSecret)
  return isSecret
}

/**
 * A copy of a value in which every secret is replaced: the strings and numbers under a secret name, however deep, and the
 * second half of a `[name, value]` pair. Errors keep their code, message and stack. The value itself is not changed.
 */
export function redact(value: unknown): unknown {
  return copy(value, false, 0, [])
}

function copy(value: unknown, isSecret: boolean, depth: number, path: object[]): unknown {
  if (value === null || typeof value !== 'object') return isSecret && hides(value) ? REDACTED : value
  if (path.includes(value)) return '[circular]'
  if (depth >= MAX_DEPTH) return '[too deep]'
  path.push(value)
  const result = copyObject(value, isSecret, depth + 1, path)
  path.pop()
  return result
}

function copyObject(value: object, isSecret: boolean, depth: number, path: object[]): unknown {
  if (ArrayBuffer.isView(value)) return isSecret ? REDACTED : `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return copyArray(value, isSecret, depth, path)
  if (value instanceof Error) return copyError(value, isSecret, depth, path)
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return copy(value.toJSON(), isSecret, depth, path)
  }
  const result: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value)) {
    // defineProperty, because a key may be `__proto__`.
    Object.defineProperty(result, key, {
      value: copy(part, isSecret || isSecretName(key), depth, path),
      enumerable: true,
    })
  }
  return result
}

function copyArray(items: unknown[], isSecret: boolean, depth: number, path: object[]): unknown[] {
  const [name, second] = items
  if (items.length === 2 && typeof name === 'string' && typeof second === 'string' && isSecretName(name)) {
    return [name, REDACTED]
  }
  return items.map((item) => copy(item, isSecret, depth, path))
}

function copyError(error: Error, isSecret: boolean, depth: number, path: object[]): unknown {
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: copy(error.cause, isSecret, depth, path) }),
  }
}

function hides(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
}
