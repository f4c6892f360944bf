/**
 * Named values of an exchange, for log formats, header values and rate-limit keys. A name is compiled once, at
 * load, to a function that reads it; what a request lacks is null.
 */
import { ERRORS } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { FilterServices } from '../core/filter.ts'
import { suggest } from './suggest.ts'

/** Reads one value of an exchange; null when there is none. */
export type Field = (exchange: Exchange) => string | null

/** What fields read beside the exchange. `FilterServices` is one. */
export type FieldContext = Pick<FilterServices, 'clock' | 'node'>

type FieldMaker = (context: FieldContext) => Field

/** Every field without an argument. `docs/filters.md` has a row for each. */
const FIELDS: Readonly<Record<string, FieldMaker>> = {
  method:
    () =>
    ({ request }) =>
      request.method,
  path:
    () =>
    ({ request }) =>
      orNull(request.path),
  query:
    () =>
    ({ request }) =>
      orNull(request.query),
  target: () => target,
  authority:
    () =>
    ({ request }) =>
      orNull(request.authority),
  operation:
    () =>
    ({ request }) =>
      orNull(request.operation),
  'request.service':
    () =>
    ({ request }) =>
      orNull(request.service),
  'request.version':
    () =>
    ({ request }) =>
      orNull(request.version),
  'request.group':
    () =>
    ({ request }) =>
      orNull(request.group),
  'request.app':
    () =>
    ({ request }) =>
      orNull(request.app),
  protocol:
    () =>
    ({ request }) =>
      request.protocol,
  status:
    () =>
    ({ response }) =>
      response === null ? null : String(response.status),
  result_code: () => resultCode,
  flags: () => flags,
  error: () => errorCode,
  error_detail:
    () =>
    ({ error, response }) =>
      orNull(error?.detail ?? response?.failureDetail ?? ''),
  duration_ms:
    ({ clock }) =>
    ({ startMs, endMs }) =>
      milliseconds((endMs || clock.now()) - startMs),
  upstream_ms:
    () =>
    ({ startMs, responseMs }) =>
      responseMs === 0 ? null : milliseconds(responseMs - startMs),
  bytes_in: () => (exchange) => String(exchange.requestBytes),
  bytes_out: () => (exchange) => String(exchange.responseBytes),
  time:
    ({ clock }) =>
    () =>
      isoTime(clock.wallNow()),
  start_time:
    ({ clock }) =>
    ({ startMs }) =>
      isoTime(clock.wallNow() - (clock.now() - startMs)),
  route: () => (exchange) => exchange.route?.name ?? null,
  cluster: () => (exchange) => exchange.destination?.name ?? null,
  endpoint: () => (exchange) => orNull(exchange.endpoint),
  attempts: () => (exchange) => String(exchange.attempts),
  listener: () => (exchange) => exchange.listener.name,
  trace_id: () => (exchange) => orNull(exchange.traceId),
  rpc_id: () => (exchange) => orNull(exchange.rpcId),
  span_id: () => (exchange) => orNull(exchange.spanId),
  'client.ip': () => (exchange) => orNull(exchange.peer.remoteAddress),
  'client.port': () => (exchange) => String(exchange.peer.remotePort),
  'node.app': ({ node }) => constant(node.app),
  'node.cell': ({ node }) => constant(node.cell),
}

/** Fields that take the rest of their name as an argument. */
const FAMILIES: Readonly<Record<string, (argument: string, context: FieldContext) => Field>> = {
  'request.header.': (name) => {
    const key = name.toLowerCase()
    return ({ request }) => request.headers.get(key)
  },
  'response.header.': (name) => {
    const key = name.toLowerCase()
    return ({ response }) => response?.headers.get(key) ?? null
  },
  'cookie.': (name) => (exchange) => readCookie(exchange.request.headers.get('cookie'), name),
  'query.': (name) => (exchange) => readQuery(exchange.request.query, name),
  'node.label.': (name, { node }) => constant(node.labels[name] ?? ''),
}

/** The names of all fields; those that take an argument end in a full stop. */
export const FIELD_NAMES: readonly string[] = [...Object.keys(FIELDS), ...Object.keys(FAMILIES)]

/** Fields whose values are numbers. */
export const NUMERIC_FIELDS: ReadonlySet<string> = new Set(
  'status result_code duration_ms upstream_ms bytes_in bytes_out attempts client.port'.split(' '),
)

/** Compiles one name. Throws an `Error` that names the nearest field when there is no such one. */
export function compileField(name: string, context: FieldContext): Field {
  if (Object.hasOwn(FIELDS, name)) return FIELDS[name](context)
  for (const [prefix, make] of Object.entries(FAMILIES)) {
    if (!name.startsWith(prefix)) continue
    if (name.length === prefix.length) throw new Error(`field "${name}" lacks a name after the full stop`)
    return make(name.slice(prefix.length), context)
  }
  throw new Error(`there is no field "${name}"${fieldHint(name)}`)
}

function fieldHint(name: string): string {
  const cut = name.lastIndexOf('.') + 1
  const family = cut === 0 ? null : suggest(name.slice(0, cut), Object.keys(FAMILIES))
  const near = suggest(name, Object.keys(FIELDS)) ?? (family === null ? null : family + name.slice(cut))
  return near === null ? '; docs/filters.md lists the fields' : `; did you mean "${near}"?`
}

/** A text with `${field}` in it, compiled. */
export interface Template {
  /** The whole text when it has no field, else null. */
  readonly constant: string | null
  /** True when it is one field and nothing else. */
  readonly isSingleField: boolean
  /** `literals[0] fields[0] literals[1] … fields[n-1] literals[n]`. */
  readonly literals: readonly string[]
  readonly fields: readonly Field[]
  readonly fieldNames: readonly string[]
}

/** Compiles a text; `$${` stands for a literal `${`. Throws like {@link compileField}, and for an unclosed field. */
export function compileTemplate(text: string, context: FieldContext): Template {
  const literals: string[] = []
  const fieldNames: string[] = []
  let literal = ''
  let position = 0
  while (true) {
    const start = text.indexOf('${', position)
    if (start === -1) break
    if (text[start - 1] === '$' && start > position) {
      literal += `${text.slice(position, start - 1)}\${`
      position = start + 2
      continue
    }
    const end = text.indexOf('}', start)
    if (end === -1) throw new Error(`"${text.slice(start)}" lacks its closing brace`)
    literals.push(literal + text.slice(position, start))
    fieldNames.push(text.slice(start + 2, end).trim())
    literal = ''
    position = end + 1
  }
  literals.push(literal + text.slice(position))
  return {
    constant: fieldNames.length === 0 ? literals[0] : null,
    isSingleField: fieldNames.length === 1 && literals[0] === '' && literals[1] === '',
    literals,
    fields: fieldNames.map((name) => compileField(name, context)),
    fieldNames,
  }
}

/** Fills a template in. `fix` is given each value, null for what is absent, and gives the text that stands for it. */
export function renderTemplate(
  template: Template,
  exchange: Exchange,
  fix: (value: string | null) => string,
): string {
  const { literals, fields } = template
  let text = literals[0]
  for (let i = 0; i < fields.length; i++) text += fix(fields[i](exchange)) + literals[i + 1]
  return text
}

/** The flag of the failure or refusal, or one that a filter set; null when all went well. */
export function flags({ error, refusal, flag }: Exchange): string | null {
  if (error !== null) return error.flag
  return refusal === null ? orNull(flag) : ERRORS[refusal.code].flag
}

/** The value of one cookie, null when absent. */
export function readCookie(header: string | null, name: string): string | null {
  if (header === null) return null
  for (const part of header.split(';')) {
    const cut = part.indexOf('=')
    if (cut === -1 || part.slice(0, cut).trim() !== name) continue
    const value = part.slice(cut + 1).trim()
    return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
  }
  return null
}

/** The first value of one query parameter, decoded; null when absent. */
export function readQuery(query: string, name: string): string | null {
  if (query === '') return null
  for (const part of query.split('&')) {
    const cut = part.indexOf('=')
    const key = cut === -1 ? part : part.slice(0, cut)
    if (key === name || decodePart(key) === name) return cut === -1 ? '' : decodePart(part.slice(cut + 1))
  }
  return null
}

function decodePart(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced // not UTF-8: the text as it came says more than nothing
  }
}

function target({ request }: Exchange): string | null {
  if (request.operation !== '') return request.operation
  if (request.service !== '') return `${request.service}.${request.method}`
  return request.query === '' ? orNull(request.path) : `${request.path}?${request.query}`
}

function resultCode({ response }: Exchange): string | null {
  if (response === null) return null
  switch (response.statusKind) {
    case 'result':
      return String(response.status)
    case 'http':
      return response.headers.get('result-status')
    default:
      return null
  }
}

function errorCode({ error, refusal }: Exchange): string | null {
  return error?.code ?? refusal?.code ?? null
}

function orNull(text: string): string | null {
  return text === '' ? null : text
}

function constant(text: string): Field {
  const value = orNull(text)
  return () => value
}

function milliseconds(value: number): string {
  return String(Math.round(value))
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
