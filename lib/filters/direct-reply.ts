/** Answers in place of the business process, always in the same way. */
import type { Exchange } from '../core/exchange.ts'
import type { Filter, FilterDefinition } from '../core/filter.ts'
import type { Reply } from '../core/message.ts'
import { Verdict } from '../core/verdict.ts'
import { checkName } from './header-rules.ts'

/** Options of `direct-reply`. */
export const directReplySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    status: { type: 'integer', minimum: 200, maximum: 599, default: 200, description: 'HTTP status' },
    resultCode: {
      type: 'integer',
      minimum: 1000,
      maximum: 9999,
      description: 'Result code for Mmtp and operations; 1000 when the status is below 400, else 1001',
    },
    body: { type: 'string', description: 'Body as text; `text/plain` unless a header says otherwise' },
    json: { description: 'Body as any value, sent as JSON' },
    headers: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Headers of the answer',
    },
  },
} as const

interface Options {
  readonly status?: number
  readonly resultCode?: number
  readonly body?: string
  readonly json?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** The `direct-reply` filter. */
export const directReply: FilterDefinition<Options> = {
  schema: directReplySchema,
  create: (options, services): Filter => {
    const reply = prepare(options)
    return {
      name: services.name,
      onRoute(exchange: Exchange): Verdict {
        exchange.localReply = reply // made once: the same bytes serve every request
        return Verdict.Reply
      },
    }
  },
}

function prepare({ status = 200, resultCode, body, json, headers = {} }: Options): Reply {
  if (body !== undefined && json !== undefined) throw new Error('give "body" or "json", not both')
  const lines = Object.entries(headers).map(([name, value]) => [checkName(name, 'headers'), value] as const)
  for (const [name, value] of lines) {
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new Error(`headers.${name}: holds a character that a header cannot`)
  }
  const bytes = Buffer.from(json === undefined ? (body ?? '') : JSON.stringify(json))
  const type = json === undefined ? 'text/plain; charset=utf-8' : 'application/json'
  const hasType = lines.some(([name]) => name === 'content-type')
  return {
    status,
    resultCode: resultCode ?? (status < 400 ? 1000 : 1001),
    headers: hasType || bytes.length === 0 ? lines : [['content-type', type], ...lines],
    body: bytes,
  }
}
