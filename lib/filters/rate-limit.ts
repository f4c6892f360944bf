/** Refuses what exceeds a rate: in this process, one bucket for all or one for each key. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Exchange, RefusalOptions } from '../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices } from '../core/filter.ts'
import type { Clock, Counter } from '../core/services.ts'
import { Verdict } from '../core/verdict.ts'
import { compileField, type Field, type FieldContext } from './fields.ts'

const DEFAULT_MAX_KEYS = 10_000

/** Options of `rate-limit`. */
export const rateLimitSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['qps'],
  properties: {
    qps: { type: 'number', exclusiveMinimum: 0, description: 'Requests a second that pass in the long run' },
    burst: {
      type: 'number',
      minimum: 1,
      description: 'Requests that may pass at once; one second’s worth when left out',
    },
    key: {
      anyOf: [
        { type: 'string', minLength: 1 },
        { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
      ],
      description:
        'Field, or several, that each get a bucket: `client.ip`, `request.header.x`, `operation` …',
    },
    maxKeys: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000_000,
      default: DEFAULT_MAX_KEYS,
      description: 'Keys that are remembered; the longest unused goes first',
    },
    shadow: { type: 'boolean', default: false, description: 'Only counts what it would refuse' },
    message: {
      type: 'string',
      maxLength: 200,
      description: 'Text for the caller in place of the default one',
    },
  },
} as const

interface Options {
  readonly qps: number
  readonly burst?: number
  readonly key?: string | readonly string[]
  readonly maxKeys?: number
  readonly shadow?: boolean
  readonly message?: string
}

/** The `rate-limit` filter. Refuses with `RATE_LIMITED`: 429 with Retry-After over HTTP, result code 1002. */
export const rateLimit: FilterDefinition<Options> = {
  schema: rateLimitSchema,
  create: (options, services) =>
    options.key === undefined ? new OneBucket(options, services) : new KeyedBuckets(options, services),
}

/**
 * A bucket by the generic cell rate algorithm: one number, the time at which it would be full again. Ours and not
 * rate-limiter-flexible's, because that one answers with a promise even from memory (hundreds of nanoseconds and a turn of the
 * loop against a few nanoseconds here); it is for quotas that processes share.
 */
class Bucket {
  /** Monotonic milliseconds at which the bucket is full. */
  fullAt = 0
}

/** What adding up fractions of a millisecond may be off by. */
const ROUNDING_MS = 0.001

/** The rate that buckets share, in milliseconds. */
class Rate {
  readonly #spacingMs: number
  readonly #toleranceMs: number

  constructor({ qps, burst }: Options) {
    this.#spacingMs = 1000 / qps
    this.#toleranceMs = (Math.max(1, burst ?? qps) - 1) * this.#spacingMs
  }

  /** Takes one request out of the bucket and returns 0; or leaves it and returns the milliseconds until there is one. */
  take(bucket: Bucket, now: number): number {
    const fullAt = bucket.fullAt > now ? bucket.fullAt : now
    const waitMs = fullAt - now - this.#toleranceMs
    if (waitMs > ROUNDING_MS) return waitMs
    bucket.fullAt = fullAt + this.#spacingMs
    return 0
  }
}

/** What happens to what exceeds the rate. */
class Refuser {
  readonly #limited: Counter
  readonly #isShadow: boolean
  readonly #message: string | null

  constructor(options: Options, { metrics, name }: FilterServices) {
    this.#isShadow = options.shadow ?? false
    this.#message = options.message ?? null
    const outcome = this.#isShadow ? 'shadowed' : 'refused'
    this.#limited = metrics.counter(
      'meshgate_rate_limited_total',
      'Requests above the rate of a rate-limit filter',
      {
        filter: name,
        outcome,
      },
    )
  }

  refuse(exchange: Exchange, waitMs: number): Verdict {
    this.#limited.value++
    if (this.#isShadow) return Verdict.Continue
    const retryAfterMs = Math.ceil(waitMs)
    const options: RefusalOptions =
      this.#message === null ? { retryAfterMs } : { retryAfterMs, message: this.#message }
    return exchange.refuse('RATE_LIMITED', options)
  }
}

class OneBucket implements Filter {
  readonly name: string
  readonly #rate: Rate
  readonly #refuser: Refuser
  readonly #clock: Clock
  readonly #bucket = new Bucket()

  constructor(options: Options, services: FilterServices) {
    this.name = services.name
    this.#rate = new Rate(options)
    this.#refuser = new Refuser(options, services)
    this.#clock = services.clock
  }

  onRoute(exchange: Exchange): Verdict {
    const waitMs = this.#rate.take(this.#bucket, this.#clock.now())
    return waitMs === 0 ? Verdict.Continue : this.#refuser.refuse(exchange, waitMs)
  }
}

class KeyedBuckets implements Filter {
  readonly name: string
  readonly #rate: Rate
  readonly #refuser: Refuser
  readonly #clock: Clock
  readonly #keyOf: (exchange: Exchange) => string
  readonly #buckets: LRUCache<string, Bucket>

  constructor(options: Options, services: FilterServices) {
    this.name = services.name
    this.#rate = new Rate(options)
    this.#refuser = new Refuser(options, services)
    this.#clock = services.clock
    this.#keyOf = compileKey(options.key as string | readonly string[], services)
    this.#buckets = new LRUCache({ max: options.maxKeys ?? DEFAULT_MAX_KEYS })
  }

  onRoute(exchange: Exchange): Verdict {
    const waitMs = this.#rate.take(this.#bucketOf(this.#keyOf(exchange)), this.#clock.now())
    return waitMs === 0 ? Verdict.Continue : this.#refuser.refuse(exchange, waitMs)
  }

  #bucketOf(key: string): Bucket {
    const known = this.#buckets.get(key)
    if (known !== undefined) return known
    const bucket = new Bucket()
    this.#buckets.set(ownCopy(key), bucket)
    return bucket
  }
}

const MAX_KEY_LENGTH = 128

/** Requests that lack a field share the bucket of the empty value. */
function compileKey(key: string | readonly string[], context: FieldContext): (exchange: Exchange) => string {
  const fields = (typeof key === 'string' ? [key] : key).map((name) => compileField(name, context))
  if (fields.length === 1) return (exchange) => bounded(fields[0](exchange) ?? '')
  return (exchange) => joined(fields, exchange)
}

/** Lengths in front keep `a,b` + `c` apart from `a` + `b,c`. */
function joined(fields: readonly Field[], exchange: Exchange): string {
  let key = ''
  for (const field of fields) {
    const value = bounded(field(exchange) ?? '')
    key += `${value.length}:${value}`
  }
  return key
}

/** Callers choose keys: a long one is kept as its digest, so that memory is bounded by the number of keys. */
function bounded(value: string): string {
  return value.length <= MAX_KEY_LENGTH ? value : hash('sha256', value, 'base64')
}

/** A key cut out of a header would keep the whole header alive for as long as the bucket lives. */
function ownCopy(key: string): string {
  return Buffer.from(key, 'utf16le').toString('utf16le')
}
