/** Compiles header rules (remove, set, add) to a function over an exchange's headers. */
import type { Exchange } from '../core/exchange.ts'
import type { Headers } from '../core/message.ts'
import { compileTemplate, type FieldContext, renderTemplate, type Template } from './fields.ts'

/** Options of one direction. */
export const headerRulesSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    remove: {
      type: 'array',
      items: {
        anyOf: [
          { type: 'string', minLength: 1 },
          {
            type: 'object',
            additionalProperties: false,
            required: ['name', 'value'],
            properties: {
              name: { type: 'string', minLength: 1, description: 'Name of the header' },
              value: { type: 'string', description: 'The value that it must have' },
            },
          },
        ],
      },
      description: 'Names to remove; `{ name, value }` removes only when the value is just that',
    },
    set: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Name → value; replaces what is there',
    },
    add: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Name → value; adds one more value',
    },
  },
} as const

/** What one direction may say. */
export interface HeaderRules {
  readonly remove?: readonly (string | { readonly name: string; readonly value: string })[]
  readonly set?: Readonly<Record<string, string>>
  readonly add?: Readonly<Record<string, string>>
}

/** Changes the headers of one message of an exchange; `isRpc` when it is one of Bolt or Dubbo. */
export type HeaderChange = (headers: Headers, exchange: Exchange, isRpc: boolean) => void

const HOP_BY_HOP = new Set(
  'connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade'.split(
    ' ',
  ),
)
const FRAMING = new Set(['content-length', 'host', 'expect'])
/** Names that carry what the gateway itself found out or demands; a rule that writes them would forge it. */
const GATEWAY = new Set(
  'operation-type uid shard target-cell origin-zone ldc-ver zone-hint mesh-percent result-status'.split(' '),
)
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** Compiles the rules; null when there are none. Removing comes first, then setting, then adding. Throws for a name or field that is refused. */
export function compileHeaderRules(
  rules: HeaderRules | undefined,
  where: string,
  context: FieldContext,
): HeaderChange | null {
  if (rules === undefined) return null
  const changes = [
    ...(rules.remove ?? []).map((rule) => compileRemove(rule, where)),
    ...Object.entries(rules.set ?? {}).map(([name, text]) => compileWrite('set', name, text, where, context)),
    ...Object.entries(rules.add ?? {}).map(([name, text]) => compileWrite('add', name, text, where, context)),
  ]
  if (changes.length === 0) return null
  if (changes.length === 1) return changes[0]
  return (headers, exchange, isRpc) => {
    for (let i = 0; i < changes.length; i++) changes[i](headers, exchange, isRpc)
  }
}

function compileRemove(rule: string | { name: string; value: string }, where: string): HeaderChange {
  const name = checkRuleName(typeof rule === 'string' ? rule : rule.name, `${where}.remove`)
  if (typeof rule === 'string') return (headers) => headers.remove(name)
  const { value } = rule
  return (headers) => {
    if (headers.get(name) === value) headers.remove(name)
  }
}

function compileWrite(
  verb: 'set' | 'add',
  rawName: string,
  text: string,
  where: string,
  context: FieldContext,
): HeaderChange {
  const name = checkRuleName(rawName, `${where}.${verb}`)
  const template = compileValue(text, `${where}.${verb}.${rawName}`, context)
  const { constant } = template
  const isRpcName = name.includes('_')
  if (constant !== null && rawName === name && !isRpcName) {
    return verb === 'set'
      ? (headers) => headers.set(name, constant)
      : (headers) => headers.add(name, constant)
  }
  return (headers, exchange, isRpc) => {
    if (isRpcName && !isRpc) return
    const value = constant ?? valueOf(template, exchange)
    if (value === null) return
    // HTTP and Mmtp have names in lower case only.
    const key = isRpc ? rawName : name
    if (verb === 'set') headers.set(key, value)
    else headers.add(key, value)
  }
}

function compileValue(text: string, where: string, context: FieldContext): Template {
  let template: Template
  try {
    template = compileTemplate(text, context)
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error })
  }
  if (template.literals.some((literal) => UNSAFE.test(literal))) {
    throw new Error(
      `${where}: a header value holds no CR, LF, NUL, other control characters or characters beyond Latin-1`,
    )
  }
  return template
}

/** Null when the value is one field that the exchange lacks: then the header is left alone. */
function valueOf(template: Template, exchange: Exchange): string | null {
  if (!template.isSingleField) return renderTemplate(template, exchange, safeValue)
  const value = template.fields[0](exchange)
  return value === null ? null : safeValue(value)
}

/** What a header value cannot hold. Beyond Latin-1 the low byte alone would be written, which may be a line feed. */
const UNSAFE = /[^\t\x20-\x7e\x80-\xff]/
const UNSAFE_ALL = /[^\t\x20-\x7e\x80-\xff]+/g

/** A field's value may come from a percent-decoded query: what a header cannot hold is percent-encoded, never a second header. */
function safeValue(value: string | null): string {
  if (value === null) return ''
  return UNSAFE.test(value) ? value.replace(UNSAFE_ALL, percentEncode) : value
}

function percentEncode(text: string): string {
  let encoded = ''
  for (const byte of Buffer.from(text, 'utf8'))
    encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return encoded
}

/** The name, which answers of any protocol may have, in lower case. Throws when it may not be written. */
export function checkName(name: string, where: string): string {
  if (name.includes('_')) {
    const reason = 'has an underscore, which many servers drop or confuse with "-"; write it with "-"'
    throw new Error(`${where}: header "${name}" ${reason}`)
  }
  return checkRuleName(name, where)
}

/** The name in lower case; with an underscore it is one of RPCs alone. Throws when rules may not touch it. */
function checkRuleName(name: string, where: string): string {
  const key = name.toLowerCase()
  const reason = refusal(key)
  if (reason !== null) throw new Error(`${where}: header "${name}" ${reason}`)
  return key
}

function refusal(key: string): string | null {
  if (!TOKEN.test(key)) return 'is no header name: letters, digits and hyphens only'
  if (HOP_BY_HOP.has(key)) return 'belongs to one hop and is not forwarded'
  if (key === 'host') return 'is changed by the route: rewrite: { host: … }'
  if (FRAMING.has(key)) return 'frames the message and is written by meshgate itself'
  if (GATEWAY.has(key) || key.startsWith('ldc-') || key.startsWith('x-ldc-'))
    return 'is written by meshgate itself'
  return null
}
