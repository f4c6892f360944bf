/**
 * Checks a value against a schema and builds its loaded form in the same pass: defaults filled in, marked units
 * turned into numbers, everything frozen. It interprets the keywords that {@link KNOWN_KEYWORDS} lists; that keeps
 * a start fast (a schema compiler costs tens of milliseconds to load) and lets each message say what would be right.
 * `schema-check.ts` covers the rest of JSON Schema for filters that need it.
 */

import type { ConfigPath, Finding } from './problem.ts'
import { isSecretKey } from './redact.ts'
import { suggest } from './suggest.ts'
import { parseDuration, parseSize, UNIT_HINTS, type Unit } from './units.ts'

/** The part of JSON Schema that is interpreted here, with our own three keywords. */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly unit?: Unit
  readonly hint?: string
  readonly defaultNote?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly SchemaNode[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: boolean | SchemaNode
  readonly required?: readonly string[]
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly items?: SchemaNode
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

/** Keywords that {@link SchemaWalk} obeys, or that carry no rule. */
export const KNOWN_KEYWORDS: ReadonlySet<string> = new Set([
  ...[
    'type',
    'default',
    'unit',
    'hint',
    'defaultNote',
    'enum',
    'const',
    'anyOf',
    'properties',
    'patternProperties',
  ],
  ...['additionalProperties', 'required', 'minProperties', 'maxProperties', 'items', 'minItems', 'maxItems'],
  ...['minLength', 'maxLength', 'pattern', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  ...['$schema', '$id', '$comment', 'title', 'description', 'examples', 'deprecated'],
])

type Mapping = Readonly<Record<string, unknown>>

const MAX_SHOWN = 40
const regexes = new Map<string, RegExp>()

/** One pass over one value. Findings gather in `findings`; a value with findings has no useful loaded form. */
export class SchemaWalk {
  findings: Finding[] = []
  readonly #path: (string | number)[]
  /** Switched off for options that are handed on as they were written. */
  readonly #fills: boolean

  /** `at` is where the value stands in the configuration; `fills` applies defaults and units. */
  constructor(at: ConfigPath = [], fills = true) {
    this.#path = [...at]
    this.#fills = fills
  }

  /** Checks `value` and returns its loaded form. */
  walk(schema: SchemaNode, value: unknown): unknown {
    if (schema.unit !== undefined && this.#fills) return this.#walkUnit(schema, schema.unit, value)
    if (schema.anyOf !== undefined) return this.#walkChoice(schema, schema.anyOf, value)
    if (!this.#checkType(schema, value) || !this.#checkValues(schema, value)) return value
    if (typeof value === 'string') this.#checkText(schema, value)
    else if (typeof value === 'number') this.#checkNumber(schema, value)
    else if (Array.isArray(value)) return this.#walkArray(schema, value)
    else if (typeof value === 'object' && value !== null) return this.#walkMapping(schema, value as Mapping)
    return value
  }

  /** Whether the value must not appear in a message. */
  get #isSecret(): boolean {
    const key = this.#path.findLast((part) => typeof part === 'string')
    return key !== undefined && isSecretKey(key)
  }

  #show(value: unknown): string {
    return this.#isSecret ? 'this value' : show(value)
  }

  #report(message: string, hint: string): void {
    this.findings.push({ path: [...this.#path], message, hint })
  }

  #reportKey(key: string, message: string, hint: string): void {
    this.findings.push({ path: [...this.#path, key], message, hint, atKey: true })
  }

  #walkUnit(schema: SchemaNode, unit: Unit, value: unknown): unknown {
    const parsed = unit === 'duration' ? parseDuration(value) : parseSize(value)
    if (parsed === null) {
      this.#report(`${this.#show(value)} is no ${unit}`, UNIT_HINTS[unit])
      return value
    }
    this.#checkNumber(schema, parsed)
    return parsed
  }

  /** Takes the first branch that fits; when none does, reports what the branch for this kind of value says. */
  #walkChoice(schema: SchemaNode, branches: readonly SchemaNode[], value: unknown): unknown {
    const outer = this.findings
    const failed: { branch: SchemaNode; findings: Finding[] }[] = []
    for (const branch of branches) {
      this.findings = []
      const loaded = this.walk(branch, value)
      if (this.findings.length === 0) {
        this.findings = outer
        return loaded
      }
      failed.push({ branch, findings: this.findings })
    }
    this.findings = outer
    const fitting = failed.filter(({ branch }) => hasType(branch, value) && branch.const === undefined)
    if (fitting.length === 1) outer.push(...fitting[0].findings)
    else {
      const isBareText = isScalar(value) && branches.some(({ type }) => type === 'string')
      const hint = isBareText
        ? this.#isSecret
          ? 'put it in quotes'
          : `put it in quotes: "${value}"`
        : (schema.hint ?? `write ${alternatives(branches)}`)
      this.#report(`${this.#show(value)} has none of the allowed forms`, hint)
    }
    return value
  }

  #checkType(schema: SchemaNode, value: unknown): boolean {
    if (hasType(schema, value)) return true
    const isSecret = this.#isSecret
    const found = isSecret ? 'this value' : kindOf(value)
    const hint = isSecret && isScalar(value) ? 'put it in quotes' : typeHint(schema, value)
    this.#report(`${expected(schema)} is needed here, not ${found}`, hint)
    return false
  }

  #checkValues(schema: SchemaNode, value: unknown): boolean {
    if (schema.const !== undefined && value !== schema.const) {
      this.#report(`${this.#show(value)} is not possible here`, `write ${JSON.stringify(schema.const)}`)
      return false
    }
    if (schema.enum === undefined || schema.enum.includes(value)) return true
    const choices = schema.enum.map(String)
    this.#report(
      `${this.#show(value)} is not possible here`,
      schema.hint ?? suggest(String(value), choices, 'one of'),
    )
    return false
  }

  #checkText(schema: SchemaNode, value: string): void {
    if (schema.minLength !== undefined && value.length < schema.minLength) {
      const message = value === '' ? 'the text is empty' : `the text is shorter than ${schema.minLength}`
      this.#report(message, schema.hint ?? (schema.minLength === 1 ? 'write something' : 'write more'))
    } else if (schema.maxLength !== undefined && value.length > schema.maxLength) {
      this.#report(`the text is longer than ${schema.maxLength}`, schema.hint ?? 'write less')
    } else if (schema.pattern !== undefined && !regexOf(schema.pattern).test(value)) {
      this.#report(
        `${this.#show(value)} is not possible here`,
        schema.hint ?? `it must match ${schema.pattern}`,
      )
    } else if (schema.format === 'regex') this.#checkRegex(value)
  }

  #checkRegex(value: string): void {
    try {
      new RegExp(value)
    } catch (error) {
      this.#report(`${this.#show(value)} is no regular expression`, regexReason(error))
    }
  }

  #checkNumber(schema: SchemaNode, value: number): void {
    const {
      minimum = -Infinity,
      maximum = Infinity,
      exclusiveMinimum = -Infinity,
      exclusiveMaximum = Infinity,
    } = schema
    if (value < minimum) this.#report(`${value} is too small`, `write at least ${minimum}`)
    else if (value > maximum) this.#report(`${value} is too large`, `write at most ${maximum}`)
    else if (value <= exclusiveMinimum)
      this.#report(`${value} is too small`, `write more than ${exclusiveMinimum}`)
    else if (value >= exclusiveMaximum)
      this.#report(`${value} is too large`, `write less than ${exclusiveMaximum}`)
  }

  #walkArray(schema: SchemaNode, value: readonly unknown[]): unknown {
    const { minItems = 0, maxItems = Infinity, items } = schema
    if (value.length < minItems) {
      const message = value.length === 0 ? 'the list is empty' : `the list has fewer than ${minItems} entries`
      this.#report(message, schema.hint ?? `give at least ${minItems}`)
    } else if (value.length > maxItems) {
      this.#report(`the list has more than ${maxItems} entries`, schema.hint ?? `give at most ${maxItems}`)
    }
    const result: unknown[] = []
    for (let i = 0; i < value.length; i++) {
      this.#path.push(i)
      result.push(items === undefined ? value[i] : this.walk(items, value[i]))
      this.#path.pop()
    }
    return Object.freeze(result)
  }

  #walkMapping(schema: SchemaNode, value: Mapping): unknown {
    const properties = schema.properties ?? {}
    const result: Record<string, unknown> = {}
    let size = 0
    for (const key in value) {
      size++
      const part = this.#schemaOfKey(schema, properties, key)
      if (part === null) continue
      this.#path.push(key)
      result[key] = this.walk(part, value[key])
      this.#path.pop()
    }
    this.#checkMappingSize(schema, size)
    this.#checkRequired(schema, value)
    if (this.#fills) this.#fillDefaults(properties, value, result)
    return Object.freeze(result)
  }

  /** The schema of one key's value; null after reporting that the key has no place here. */
  #schemaOfKey(
    schema: SchemaNode,
    properties: Readonly<Record<string, SchemaNode>>,
    key: string,
  ): SchemaNode | null {
    if (Object.hasOwn(properties, key)) return properties[key]
    for (const pattern in schema.patternProperties) {
      if (regexOf(pattern).test(key)) return schema.patternProperties[pattern]
    }
    const { additionalProperties = true } = schema
    if (key === '__proto__') this.#reportKey(key, 'the key "__proto__" is not possible', 'take another name')
    else if (additionalProperties === true) return ANYTHING
    else if (additionalProperties !== false) return additionalProperties
    else
      this.#reportKey(
        key,
        `unknown key ${JSON.stringify(key)}`,
        suggest(key, knownKeys(properties), 'keys here'),
      )
    return null
  }

  #checkMappingSize(schema: SchemaNode, size: number): void {
    const { minProperties = 0, maxProperties = Infinity } = schema
    if (size < minProperties)
      this.#report('the mapping has too few keys', schema.hint ?? `give at least ${minProperties}`)
    if (size > maxProperties)
      this.#report('the mapping has too many keys', schema.hint ?? `give at most ${maxProperties}`)
  }

  #checkRequired(schema: SchemaNode, value: Mapping): void {
    if (schema.required === undefined) return
    for (const key of schema.required) {
      if (Object.hasOwn(value, key)) continue
      const what = schema.properties?.[key]?.description
      this.#report(
        `the key ${JSON.stringify(key)} is missing`,
        what === undefined ? `add ${key}` : `add ${key}: ${lowerFirst(what)}`,
      )
    }
  }

  #fillDefaults(
    properties: Readonly<Record<string, SchemaNode>>,
    value: Mapping,
    result: Record<string, unknown>,
  ): void {
    for (const key in properties) {
      const part = properties[key]
      if (part.default === undefined || Object.hasOwn(value, key)) continue
      result[key] = this.walk(part, part.default)
    }
  }
}

const ANYTHING: SchemaNode = {}

function knownKeys(properties: Readonly<Record<string, SchemaNode>>): string[] {
  return Object.keys(properties).filter((key) => !key.startsWith('$'))
}

function regexOf(pattern: string): RegExp {
  let regex = regexes.get(pattern)
  if (regex === undefined) regexes.set(pattern, (regex = new RegExp(pattern, 'u')))
  return regex
}

/** Why a regular expression was refused, without the expression. */
export function regexReason(error: unknown): string {
  const { message } = error as Error
  return message.slice(message.lastIndexOf(': ') + 2).toLowerCase()
}

function hasType(schema: SchemaNode, value: unknown): boolean {
  const { type } = schema
  if (type === undefined) return true
  return typeof type === 'string' ? isType(type, value) : type.some((one) => isType(one, value))
}

function isType(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    default:
      return typeof value === type
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'a text',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
}

function expected(schema: SchemaNode): string {
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? [])
  return types.map((type) => TYPE_WORDS[type] ?? type).join(' or ')
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return `${typeof value === 'string' ? 'the text' : typeof value === 'number' ? 'the number' : 'the value'} ${show(value)}`
}

/** What a text looks like when its quotes were forgotten. */
function isScalar(value: unknown): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean'
}

function typeHint(schema: SchemaNode, value: unknown): string {
  if (schema.type === 'string' && isScalar(value)) return `put it in quotes: "${String(value)}"`
  if (schema.type === 'array' && value !== null) return 'write a list: [ … ], or lines that begin with "- "'
  if (schema.hint !== undefined) return schema.hint
  return schema.description === undefined ? '' : lowerFirst(schema.description)
}

function alternatives(branches: readonly SchemaNode[]): string {
  return branches
    .map((branch) =>
      branch.const === undefined ? (branch.description ?? expected(branch)) : JSON.stringify(branch.const),
    )
    .join(' or ')
}

function lowerFirst(text: string): string {
  const sentence = text.split(/[.;](?:\s|$)/)[0]
  return /^[A-Z][a-z]/.test(sentence) ? sentence[0].toLowerCase() + sentence.slice(1) : sentence
}

/** A value for a message, shortened. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
