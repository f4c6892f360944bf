/** Takes secrets out of a configuration before it is shown. Stricter than what logs do: here a `key` is a key to something. */

/** What stands in the place of a secret; the logs say it alike. */
const HIDDEN = '[redacted]'

const SECRET_WORDS =
  /^(?:api-?keys?|auth|authorization|cookies?|credentials?|jwt|keys?|pass|passphrase|passwd|password|private|pwd|salts?|secrets?|session|sessions|sign|signature|tokens?)$/

// A number under one of these is a secret; under the others it is a limit, such as `maxKeys`.
const NUMBER_WORDS = /^(?:passphrase|passwd|password|pwd|salts?|secrets?|token)$/

// Keys of our own schema that only sound like secrets.
const HARMLESS = new Set(['hashKey', 'key'])

/**
 * A copy in which what stands under a key that sounds like a secret (one of its words is `secret`, `password`,
 * `token`, `key`, `salt` …) is hidden, however deep it lies. A bare `key` that names a field of a request
 * (`request.header.x-user`) is shown.
 */
export function redactConfig(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redactConfig)
  if (typeof value !== 'object' || value === null) return value
  const result: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value)) {
    const isHidden =
      hasWord(key, typeof part === 'number' ? NUMBER_WORDS : SECRET_WORDS) && !isFieldName(key, part)
    result[key] = isHidden ? hide(part) : redactConfig(part)
  }
  return result
}

/** Whether what stands under a key is a secret, going by the key. */
export function isSecretKey(key: string): boolean {
  return !HARMLESS.has(key) && hasWord(key, SECRET_WORDS)
}

function hasWord(key: string, pattern: RegExp): boolean {
  const words = key
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
  return words.some((word) => pattern.test(word))
}

function isFieldName(key: string, value: unknown): boolean {
  return (
    HARMLESS.has(key) &&
    typeof value === 'string' &&
    /^(?:request|response|peer|route|operation|client)\b[\w.-]*$/.test(value)
  )
}

function hide(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hide)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, hide(part)]))
  }
  return value === null || typeof value === 'boolean' ? value : HIDDEN
}
