/** Checks the options of a filter against the filter's own schema, which may use all of JSON Schema. */
import { createRequire } from 'node:module'
import type { ConfigPath, Finding } from './problem.ts'
import { KNOWN_KEYWORDS, type SchemaNode, SchemaWalk } from './schema-walk.ts'

const load = createRequire(import.meta.url)
const plainness = new WeakMap<object, boolean>()

/** Every finding about `value`, which stands at `at`. Broken schemas are a programmer's fault and throw. */
export function checkAgainst(schema: object, value: unknown, at: ConfigPath): Finding[] {
  const walk = new SchemaWalk(at, false)
  walk.walk(schema as SchemaNode, value)
  if (isPlain(schema)) return walk.findings
  // Keywords that the walk ignores only ever refuse more, so its own findings stand and come first.
  return walk.findings.length > 0 ? walk.findings : checkFully(schema, value, at)
}

/** Whether the walk obeys every keyword of a schema. */
function isPlain(schema: object): boolean {
  let known = plainness.get(schema)
  if (known === undefined) plainness.set(schema, (known = usesKnownKeywords(schema as SchemaNode)))
  return known
}

function usesKnownKeywords(schema: SchemaNode): boolean {
  if (Object.keys(schema).some((key) => !KNOWN_KEYWORDS.has(key))) return false
  if (schema.items !== undefined && (typeof schema.items !== 'object' || Array.isArray(schema.items)))
    return false
  if ([schema.const, ...(schema.enum ?? [])].some((value) => typeof value === 'object' && value !== null))
    return false
  // Standard JSON Schema applies these beside `anyOf`, and every pattern that fits; the walk stops at the first.
  const isMixed =
    schema.anyOf !== undefined && (schema.type ?? schema.properties ?? schema.enum) !== undefined
  const patterns = Object.values(schema.patternProperties ?? {})
  if (isMixed || patterns.length > (schema.properties === undefined ? 1 : 0)) return false
  const { additionalProperties, items } = schema
  const parts = [...Object.values(schema.properties ?? {}), ...patterns, ...(schema.anyOf ?? [])]
  if (typeof additionalProperties === 'object') parts.push(additionalProperties)
  if (items !== undefined) parts.push(items)
  return parts.every((part) => typeof part === 'object' && usesKnownKeywords(part))
}

/** TypeBox knows the whole language; it is loaded only when a schema asks for it. */
function checkFully(schema: object, value: unknown, at: ConfigPath): Finding[] {
  const { Errors } = load('typebox/schema') as typeof import('typebox/schema')
  const [isValid, errors] = Errors(schema as Parameters<typeof Errors>[0], value as never)
  if (isValid) return []
  return errors.map((error) => ({
    path: [...at, ...fromPointer(error.instancePath, value)],
    message: error.message,
    hint: '',
  }))
}

/** The steps of a JSON Pointer into `value`, indexes as numbers. */
function fromPointer(pointer: string, value: unknown): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((raw) => {
      const step = raw.replaceAll('~1', '/').replaceAll('~0', '~')
      const isIndex = Array.isArray(value)
      value = (value as Record<string, unknown> | undefined)?.[step]
      return isIndex ? Number(step) : step
    })
}
