/** Finds the shard of a request where the rules say that it may be. */
import type { Exchange } from '../../core/exchange.ts'
import type { ExtractRule, LdcDocument } from './document.ts'
import { mmtpMarks, namesFor, SHARD_VERIFIED } from './marks.ts'
import { shardOfText, shardOfUser, UNSHARDED } from './shards.ts'

/** Where the shard came from. */
export const Source = { None: 0, User: 1, Peer: 2, Hint: 3 } as const
export type Source = (typeof Source)[keyof typeof Source]

type Read = (exchange: Exchange) => number

interface Step {
  readonly read: Read
  readonly isHint: boolean
}

const MAX_JSON = 1024

/**
 * The steps of one document. A user id that a session or token proves comes before all others, whatever the list says; then what another
 * gateway found out. Of a peer that is not trusted only hints are taken; what else it says about shards is not even read.
 */
export class ShardExtractor {
  readonly #document: LdcDocument
  readonly #steps: readonly Step[]
  readonly #hints: readonly Step[]
  /** Where the last shard came from; see {@link ShardExtractor.find}. */
  source: Source = Source.None

  constructor(document: LdcDocument) {
    this.#document = document
    this.#steps = document.extract
      .filter(({ from }) => from !== 'uid')
      .map((rule) => ({ read: makeRead(rule, document.shards), isHint: rule.hint }))
    this.#hints = this.#steps.filter((step) => step.isHint)
  }

  /** The shard, {@link UNSHARDED} when nothing gives one; `source` then says where it came from. */
  find(exchange: Exchange): number {
    const { userSlice, shards } = this.#document
    if (exchange.userId !== '') {
      const shard = shardOfUser(exchange.userId, userSlice[0], userSlice[1], shards)
      // The user is proven: nobody else's word counts, not even for an id without a shard.
      this.source = shard === UNSHARDED ? Source.None : Source.User
      return shard
    }
    const { trusted } = exchange.listener
    if (trusted) {
      const shard = readGateways(exchange, shards)
      if (shard !== UNSHARDED) {
        this.source = Source.Peer
        return shard
      }
    }
    const steps = trusted ? this.#steps : this.#hints
    for (let i = 0; i < steps.length; i++) {
      const shard = steps[i].read(exchange)
      if (shard === UNSHARDED) continue
      this.source = steps[i].isHint ? Source.Hint : Source.Peer
      return shard
    }
    this.source = Source.None
    return UNSHARDED
  }

  /** True when callers can keep a hint, so that it is worth telling them. */
  get hasHints(): boolean {
    return this.#hints.length > 0
  }

  /** What the caller's hints say, {@link UNSHARDED} when it sent none. */
  hintOf(exchange: Exchange): number {
    for (let i = 0; i < this.#hints.length; i++) {
      const shard = this.#hints[i].read(exchange)
      if (shard !== UNSHARDED) return shard
    }
    return UNSHARDED
  }
}

function makeRead(rule: ExtractRule, shards: number): Read {
  const { from, name, json, isShard, slice } = rule
  if (from === 'mmtp.shard') return (exchange) => readPrefix(exchange, rule.verifiedOnly, shards)
  const [start, end] = slice
  const parse = isShard
    ? (value: string) => shardOfText(value, shards)
    : (value: string) => shardOfUser(value, start, end, shards)
  return ({ request: { headers } }) => {
    const raw = from === 'cookie' ? findCookie(headers.get('cookie'), name) : headers.get(name)
    if (raw === null) return UNSHARDED
    const value = json === '' ? raw : readJson(raw, json)
    return value === null ? UNSHARDED : parse(value)
  }
}

/** What a gateway before us found out: see `writeUser`. */
function readGateways(exchange: Exchange, shards: number): number {
  const { request } = exchange
  const { shard } = namesFor(request.protocol)
  if (shard === '') return readPrefix(exchange, true, shards)
  const text = request.headers.get(shard)
  return text === null ? UNSHARDED : shardOfText(text, shards)
}

function readPrefix({ request }: Exchange, verifiedOnly: boolean, shards: number): number {
  if (request.protocol !== 'mmtp') return UNSHARDED
  const { shard = UNSHARDED, marks = 0 } = mmtpMarks(request)
  if (shard < 0 || shard >= shards) return UNSHARDED
  return verifiedOnly && (marks & SHARD_VERIFIED) === 0 ? UNSHARDED : shard
}

/** A text or a number under a key of a JSON object; null when there is no such thing. */
function readJson(raw: string, key: string): string | null {
  if (raw.length > MAX_JSON) return null
  try {
    const value: unknown = (JSON.parse(raw) as Record<string, unknown> | null)?.[key]
    return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null
  } catch {
    return null // the peer's mistake: as if it had said nothing
  }
}

const SEMICOLON = 0x3b
const SPACE = 0x20
const EQUALS = 0x3d

/** As `readCookie` for a short value without quotes, and without making a string for every other cookie: this one is read for each request. */
function findCookie(header: string | null, name: string): string | null {
  if (header === null) return null
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + 1)) {
    const before = at === 0 ? SEMICOLON : header.charCodeAt(at - 1)
    const start = at + name.length
    if ((before !== SEMICOLON && before !== SPACE) || header.charCodeAt(start) !== EQUALS) continue
    const end = header.indexOf(';', start)
    return header.slice(start + 1, end === -1 ? header.length : end).trim()
  }
  return null
}
