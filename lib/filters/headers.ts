/** Adds, sets and removes headers of the request and of the response. */
import type { Exchange } from '../core/exchange.ts'
import type { Filter, FilterDefinition } from '../core/filter.ts'
import { compileHeaderRules, type HeaderRules, headerRulesSchema } from './header-rules.ts'

/** Options of `headers`. */
export const headersSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    request: { ...headerRulesSchema, description: 'What happens to the request’s headers' },
    response: { ...headerRulesSchema, description: 'What happens to the response’s headers' },
  },
} as const

interface Options {
  readonly request?: HeaderRules
  readonly response?: HeaderRules
}

/** The `headers` filter. It acts once the route is known, so that routes may have rules of their own. */
export const headers: FilterDefinition<Options> = {
  schema: headersSchema,
  create: (options, services) => {
    const onRequestHead = compileHeaderRules(options.request, 'request', services)
    const onResponseHead = compileHeaderRules(options.response, 'response', services)
    const filter: { -readonly [K in keyof Filter]: Filter[K] } = { name: services.name }
    if (onRequestHead !== null || onResponseHead === null) {
      filter.onRoute = (exchange: Exchange) => {
        const { headers, protocol } = exchange.request
        onRequestHead?.(headers, exchange, protocol === 'bolt' || protocol === 'dubbo')
      }
    }
    if (onResponseHead !== null) {
      filter.onResponse = (exchange: Exchange) => {
        if (exchange.response === null) return
        const { headers, statusKind } = exchange.response
        onResponseHead(headers, exchange, statusKind === 'bolt' || statusKind === 'dubbo')
      }
    }
    return filter
  },
}
