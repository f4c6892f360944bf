/** Writes a line for each exchange, or for a sample of them. */
import type { Exchange } from '../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices } from '../core/filter.ts'
import type { LogSink } from '../core/services.ts'
import { compileField, compileTemplate, type Field, NUMERIC_FIELDS, renderTemplate } from './fields.ts'
import { Sampler } from './sampler.ts'

/** Options of `access-log`. */
export const accessLogSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    path: {
      type: 'string',
      minLength: 1,
      description: 'File to append to, seen from the configuration file; stdout when left out',
    },
    format: {
      type: 'string',
      default: 'text',
      description: '`text`, `json`, `digest`, or a template with `${field}` in it',
    },
    fields: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'With `format: json`: key of the output → field; replaces the default ones',
    },
    sample: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      default: 1,
      description: 'Fraction of the exchanges that are logged',
    },
    always: {
      enum: ['none', 'errors'],
      default: 'none',
      description: '`errors` logs every exchange that failed, whatever `sample` says',
    },
  },
} as const

interface Options {
  readonly path?: string
  readonly format?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly sample?: number
  readonly always?: 'none' | 'errors'
}

type Format = (exchange: Exchange) => string

const TEXT =
  '[${start_time}] "${method} ${target} ${protocol}" ${status} ${flags} ${bytes_in} ${bytes_out} ${duration_ms} ${upstream_ms} ' +
  '"${client.ip}" "${request.header.user-agent}" "${trace_id}" "${authority}" "${endpoint}"'

// One line with a fixed order of columns, for tools that cut at commas.
const DIGEST =
  '${start_time},${client.ip},${endpoint},${result_code},${status},${duration_ms},${operation},${node.app},${request.header.appid},' +
  '${request.header.workspaceid},${flags},${protocol},${bytes_in},${bytes_out},${trace_id},${rpc_id},${node.cell},${upstream_ms}'

const JSON_FIELDS: Readonly<Record<string, string>> = {
  time: 'start_time',
  method: 'method',
  target: 'target',
  protocol: 'protocol',
  authority: 'authority',
  operation: 'operation',
  status: 'status',
  flags: 'flags',
  error: 'error',
  bytes_in: 'bytes_in',
  bytes_out: 'bytes_out',
  duration_ms: 'duration_ms',
  upstream_ms: 'upstream_ms',
  client: 'client.ip',
  listener: 'listener',
  route: 'route',
  cluster: 'cluster',
  endpoint: 'endpoint',
  attempts: 'attempts',
  trace_id: 'trace_id',
  rpc_id: 'rpc_id',
}

/** The `access-log` filter. */
export const accessLog: FilterDefinition<Options> = {
  schema: accessLogSchema,
  create: (options, services) => new AccessLog(options, services),
}

class AccessLog implements Filter {
  readonly name: string
  readonly #log: LogSink
  readonly #format: Format
  readonly #sampler: Sampler | null
  readonly #logsErrors: boolean

  constructor(options: Options, services: FilterServices) {
    this.name = services.name
    this.#format = compileFormat(options, services)
    this.#sampler = options.sample === undefined || options.sample === 1 ? null : new Sampler(options.sample)
    this.#logsErrors = options.always === 'errors'
    this.#log = services.openLog(options.path === undefined ? null : services.resolvePath(options.path))
  }

  onEnd(exchange: Exchange): void {
    if (this.#sampler === null || this.#sampler.take() || (this.#logsErrors && hasFailed(exchange))) {
      this.#log.write(this.#format(exchange))
    }
  }

  close(): void {
    this.#log.close()
  }
}

function compileFormat(options: Options, services: FilterServices): Format {
  const format = options.format ?? 'text'
  if (format === 'json') return compileJson(options.fields ?? JSON_FIELDS, services)
  if (options.fields !== undefined) throw new Error('"fields" goes with "format: json" only')
  if (format === 'text') return compileText(TEXT, escapeQuoted, services)
  if (format === 'digest') return compileText(DIGEST, escapeColumn, services)
  if (!format.includes('${')) {
    throw new Error(`format "${format}" is none of text, json, digest and has no \${field} in it`)
  }
  return compileText(format, escapeQuoted, services)
}

function compileText(
  text: string,
  escape: (value: string | null) => string,
  services: FilterServices,
): Format {
  const template = compileTemplate(text, services)
  return (exchange) => renderTemplate(template, exchange, escape)
}

function compileJson(fields: Readonly<Record<string, string>>, services: FilterServices): Format {
  const columns = Object.entries(fields).map(([key, name]) => ({
    key: `${JSON.stringify(key)}:`,
    read: compileField(name, services),
    isNumber: NUMERIC_FIELDS.has(name),
  }))
  return (exchange) => {
    let text = '{'
    for (const { key, read, isNumber } of columns) {
      const value = jsonValue(read, exchange, isNumber)
      if (value !== null) text += (text.length === 1 ? '' : ',') + key + value
    }
    return `${text}}`
  }
}

function jsonValue(read: Field, exchange: Exchange, isNumber: boolean): string | null {
  const value = read(exchange)
  if (value === null) return null
  // `result_code` may come from a header that a business process wrote.
  return isNumber && DECIMAL.test(value) ? value : JSON.stringify(value)
}

const DECIMAL = /^(0|[1-9][0-9]{0,14})$/

/** What could end a line or a quoted value early, or move a terminal's cursor. */
const UNSAFE = /["\\\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const UNSAFE_ALL = new RegExp(UNSAFE, 'g')

function escapeQuoted(value: string | null): string {
  if (value === null) return '-'
  return UNSAFE.test(value) ? value.replace(UNSAFE_ALL, escapeCharacter) : value
}

function escapeColumn(value: string | null): string {
  const text = escapeQuoted(value)
  return text.includes(',') ? text.replaceAll(',', '\\x2c') : text
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`
  const code = character.charCodeAt(0)
  return code > 0xff ? `\\u${code.toString(16)}` : `\\x${code.toString(16).padStart(2, '0')}`
}

const RESULT_SUCCESS = 1000

function hasFailed({ error, refusal, response }: Exchange): boolean {
  if (error !== null || refusal !== null || response === null) return true
  return response.isFailure || (response.statusKind === 'result' && response.status !== RESULT_SUCCESS)
}
