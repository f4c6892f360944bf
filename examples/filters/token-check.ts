/** Asks another service whether a token is good, and remembers the answer for a while: a filter that waits. */
import type { Exchange, Filter, FilterServices } from 'meshgate'

interface Options {
  /** Address that answers 200 for a good token. */
  readonly url: string
  /** Milliseconds for which an answer holds. */
  readonly rememberMs?: number
}

const schema = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    url: { type: 'string', pattern: '^https?://', description: 'Address that answers 200 for a good token' },
    rememberMs: {
      type: 'integer',
      minimum: 0,
      default: 10_000,
      description: 'Milliseconds for which an answer holds',
    },
  },
}

const MAX_KNOWN = 10_000

function create(options: Options, { name, clock, log }: FilterServices): Filter {
  const rememberMs = options.rememberMs ?? 10_000
  const goodUntil = new Map<string, number>()

  async function ask(exchange: Exchange, token: string) {
    const answer = await fetch(options.url, {
      headers: { authorization: token },
      signal: AbortSignal.timeout(1000),
    }).catch((error: Error) => {
      log.warn({ filter: name, err: error }, 'the token service does not answer')
      return null
    })
    if (answer === null) return exchange.reply(503, 'try again\n', { 'retry-after': '1' }, 1005)
    await answer.body?.cancel()
    if (!answer.ok) return refuse(exchange)
    if (goodUntil.size >= MAX_KNOWN) goodUntil.clear()
    goodUntil.set(token, clock.now() + rememberMs)
    return undefined
  }

  function refuse(exchange: Exchange) {
    return exchange.reply(401, 'a valid token is needed\n', { 'www-authenticate': 'Bearer' }, 2000)
  }

  return {
    name,
    onRoute(exchange: Exchange) {
      const token = exchange.request.headers.get('authorization')
      if (token === null) return refuse(exchange)
      // Known tokens go on at once; only unknown ones wait.
      return (goodUntil.get(token) ?? 0) > clock.now() ? undefined : ask(exchange, token)
    },
  }
}

export default { schema, create }
