/** Lets only known tenants in, and tells the business process which one it is. */
import type { Exchange, Filter, FilterServices } from 'meshgate'

interface Options {
  /** Host name → tenant. */
  readonly tenants: Readonly<Record<string, string>>
}

const schema = {
  type: 'object',
  additionalProperties: false,
  required: ['tenants'],
  properties: {
    tenants: { type: 'object', additionalProperties: { type: 'string' }, description: 'Host name → tenant' },
  },
}

function create(options: Options, { name, metrics }: FilterServices): Filter {
  const tenants = new Map(Object.entries(options.tenants))
  const unknown = metrics.counter('meshgate_user_unknown_tenant_total', 'Requests for an unknown host', {
    filter: name,
  })
  return {
    name,
    onRoute(exchange: Exchange) {
      const tenant = tenants.get(exchange.request.authority)
      if (tenant !== undefined) {
        exchange.request.headers.set('x-tenant', tenant)
        return undefined
      }
      unknown.value++
      return exchange.reply(421, 'unknown host\n', { 'content-type': 'text/plain' })
    },
  }
}

export default { schema, create }
