// Mutated HTTP/1 against the codec. The judge is a second parser that shares no line with the first: a few regular
// expressions that accept nothing but the plainest HTTP.
import { poolUsage } from '../../lib/buffer/pools.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import { closeAll, MiniProxy } from '../support/http1-wire.ts'

const REQUESTS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nAccept: */*\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world',
  'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;e=f\r\nhello\r\n6\r\n world\r\n0\r\nX-T: y\r\n\r\n',
  'GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nTE: trailers\r\n\r\n',
  'PUT /y HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi',
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
]
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: x\r\n\r\n5\r\nhello\r\n0\r\nX-T: y\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: X-A\r\nX-A: b\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 50\r\n\r\n',
]
const TOKENS = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\n\n',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '\0',
  '\x0b',
  '\x7f',
  '\xff',
  '0',
  '5',
  'f',
  '+',
  '-',
  '_',
  '0\r\n\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  '\r\nTransfer-Encoding: chunked',
  'Host: b\r\n',
  'chunked',
  'Connection: close\r\n',
  'Connection: Host, Content-Length\r\n',
  'GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n',
  'HTTP/1.1',
  'HTTP/1.0',
  '?',
  '#',
  '%00',
  '@',
  '\r\n ',
]
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

/** Numbers that follow from their seed. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** An integer below `limit` (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) % limit
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }
}

function mutate(random: Random, seeds: readonly string[]): string {
  let text = random.pick(seeds) + (random.below(3) === 0 ? random.pick(seeds) : '')
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(text.length + 1)
    const length = random.below(random.below(4) === 0 ? 30 : 3)
    switch (random.below(6)) {
      case 0:
        text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
        break
      case 1:
        text = text.slice(0, at) + text.slice(at + length)
        break
      case 2:
        text = text.slice(0, at) + text.slice(at, at + length) + text.slice(at)
        break
      default:
        text = text.slice(0, at) + random.pick(TOKENS) + text.slice(at + (random.below(3) === 0 ? length : 0))
    }
  }
  return text
}

function cut(random: Random, text: string): string[] {
  const pieces: string[] = []
  for (let from = 0; from < text.length; ) {
    const length = random.below(3) === 0 ? 1 + random.below(5) : 1 + random.below(text.length)
    pieces.push(text.slice(from, from + length))
    from += length
  }
  return pieces
}

interface Seen {
  method: string
  target: string
  body: string
  isComplete: boolean
}

/** What the gateway took the caller's bytes for. */
class Watched extends MiniProxy {
  readonly seen: Seen[] = []
  readonly sent: { text: string; isOpen: boolean }[] = []
  #exchange: Exchange | null = null

  override onRequest(exchange: Exchange, last: boolean): void {
    const { request } = exchange
    const target = request.path + (request.query === '' ? '' : `?${request.query}`)
    this.seen.push({ method: request.method, target, body: '', isComplete: last })
    this.#exchange = exchange
    super.onRequest(exchange, last)
  }

  override onRequestBody(
    exchange: Exchange,
    bytes: Buffer,
    offset: number,
    end: number,
    last: boolean,
  ): void {
    const seen = this.seen.at(-1) as Seen
    seen.body += bytes.toString('latin1', offset, end)
    seen.isComplete = last
    super.onRequestBody(exchange, bytes, offset, end, last)
  }

  override onRequestTrailers(
    exchange: Exchange,
    trailers: Parameters<MiniProxy['onRequestTrailers']>[1],
  ): void {
    ;(this.seen.at(-1) as Seen).isComplete = true
    super.onRequestTrailers(exchange, trailers)
  }

  /** Answers every request that is complete, and notes what the business process got. */
  answerAll(): void {
    while (this.#exchange?.requestEnded && this.client.activeStreams === 1) {
      const { up } = this
      this.#exchange = null
      this.#note(up)
      up.feed(OK)
    }
  }

  #note(up: MiniProxy['up']): void {
    const text = up.take()
    if (text !== '') this.sent.push({ text, isOpen: up.state === 'open' })
  }

  finishNotes(): void {
    this.#note(this.up)
  }
}

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21\x22\x24-\x7e]+) HTTP\/1\.1$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/

/** Reads one message as the strictest peer would. Returns its length, or a complaint. */
function judge(
  text: string,
  firstLine: RegExp,
  hasBody: boolean,
): { end: number; line: string; body: string } | string {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return 'no end of the head'
  const [line, ...fields] = text.slice(0, headEnd).split('\r\n')
  if (!firstLine.test(line)) return `first line ${JSON.stringify(line)}`
  const values = new Map<string, string[]>()
  for (const field of fields) {
    const match = FIELD.exec(field)
    if (match === null) return `field ${JSON.stringify(field)}`
    const name = match[1].toLowerCase()
    values.set(name, [...(values.get(name) ?? []), match[2].trim()])
  }
  if (firstLine === REQUEST_LINE && values.get('host')?.length !== 1) return 'not one Host'
  const lengths = values.get('content-length') ?? []
  const codings = values.get('transfer-encoding') ?? []
  if (lengths.length + codings.length > 1) return 'two framings'
  for (const hop of ['keep-alive', 'proxy-connection', 'x-hop', 'http2-settings']) {
    if (values.has(hop) && hop !== 'x-hop') return `hop-by-hop field ${hop}`
  }
  const bodyStart = headEnd + 4
  if (lengths.length === 1 && !/^[0-9]+$/.test(lengths[0])) return 'a strange length'
  if (!hasBody) return { end: bodyStart, line, body: '' }
  if (codings.length === 1)
    return codings[0] === 'chunked' ? judgeChunks(text, bodyStart, line) : 'a strange coding'
  const length = Number(lengths[0] ?? 0)
  if (bodyStart + length > text.length) return 'no end of the body'
  return { end: bodyStart + length, line, body: text.slice(bodyStart, bodyStart + length) }
}

function judgeChunks(
  text: string,
  at: number,
  line: string,
): { end: number; line: string; body: string } | string {
  let body = ''
  for (;;) {
    const sizeEnd = text.indexOf('\r\n', at)
    if (sizeEnd < 0) return 'no end of the body'
    const size = text.slice(at, sizeEnd)
    if (!/^(?:0|[1-9a-f][0-9a-f]*)$/.test(size)) return `chunk size ${JSON.stringify(size)}`
    at = sizeEnd + 2
    const length = Number.parseInt(size, 16)
    if (length === 0) break
    if (at + length + 2 > text.length) return 'no end of the body'
    body += text.slice(at, at + length)
    if (text.slice(at + length, at + length + 2) !== '\r\n') return 'no CRLF behind a chunk'
    at += length + 2
  }
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return 'no end of the trailers'
    const trailer = text.slice(at, lineEnd)
    at = lineEnd + 2
    if (trailer === '') return { end: at, line, body }
    if (!FIELD.test(trailer)) return `trailer ${JSON.stringify(trailer)}`
  }
}

/** Sends one mutated input through the gateway. Returns what went wrong, or null. */
function tryRequest(random: Random): string | null {
  const input = mutate(random, REQUESTS)
  const pieces = cut(random, input)
  const first = run(pieces, 0xdb)
  const complaint = compare(first)
  if (complaint !== null) return `${complaint}\ninput ${JSON.stringify(pieces)}`
  // Whoever looks beyond its bytes is fooled by what stands there.
  const second = run(random.below(2) === 0 ? pieces : [input], '\r\n\r\n0\r\n')
  const difference = JSON.stringify(first.seen) !== JSON.stringify(second.seen)
  return difference
    ? `the outcome depends on the reads or on what surrounds them\ninput ${JSON.stringify(pieces)}`
    : null
}

function run(pieces: string[], guard: string | number): Watched {
  const proxy = new Watched()
  proxy.down.guard = guard
  for (const piece of pieces) {
    proxy.down.feed(piece)
    proxy.answerAll()
  }
  proxy.finishNotes()
  closeAll()
  return proxy
}

/** Whatever was forwarded must be, for the judge too, exactly the requests that the gateway saw. */
function compare(proxy: Watched): string | null {
  const { seen, sent } = proxy
  if (sent.length !== seen.length) return `${seen.length} requests seen, ${sent.length} sent`
  for (let i = 0; i < seen.length; i++) {
    const { method, target, body, isComplete } = seen[i]
    const verdict = judge(sent[i].text, REQUEST_LINE, true)
    if (typeof verdict === 'string') {
      if (!isComplete && verdict.startsWith('no end of the')) continue
      return `${verdict} in ${JSON.stringify(sent[i].text)}`
    }
    if (verdict.end !== sent[i].text.length) return `more than one request in ${JSON.stringify(sent[i].text)}`
    if (isComplete && verdict.body !== body) return `another body: ${JSON.stringify(sent[i].text)}`
    // An empty query is forwarded as it came.
    const expected = `${method} ${target} HTTP/1.1`
    if (verdict.line !== expected && verdict.line.replace('? HTTP', ' HTTP') !== expected)
      return `another request line: ${JSON.stringify(verdict.line)}`
  }
  return null
}

const STATUS_LINE = /^HTTP\/1\.1 [1-5][0-9]{2} [\t\x20-\x7e\x80-\xff]*$/

/** Sends one mutated answer to a waiting caller. */
function tryResponse(random: Random): string | null {
  const input = mutate(random, RESPONSES)
  const pieces = cut(random, input)
  const proxy = new MiniProxy()
  const isHead = random.below(8) === 0
  proxy.down.feed(`${isHead ? 'HEAD' : 'GET'} / HTTP/1.1\r\nHost: a\r\n\r\n`)
  for (const piece of pieces) proxy.up.feed(piece)
  if (proxy.up.state === 'open') proxy.client.onEnd()
  proxy.client.onClose(null)
  const isCut = proxy.down.state === 'destroyed'
  let text = proxy.down.take()
  closeAll()
  const shown = `\ninput ${JSON.stringify(pieces)}\noutput ${JSON.stringify(text)}`
  for (;;) {
    const status = Number(text.slice(9, 12))
    const hasBody = !isHead && status >= 200 && status !== 204 && status !== 304
    const verdict = judge(text, STATUS_LINE, hasBody)
    if (typeof verdict === 'string')
      return isCut && verdict.startsWith('no end of the') ? null : verdict + shown
    text = text.slice(verdict.end)
    if (status >= 200) break
  }
  return text === '' ? null : `bytes behind the answer${shown}`
}

/** Runs `count` inputs from `seed` on, half requests and half answers. Returns the first failure, or null. */
export function fuzz(count: number, seed: number): string | null {
  const before = poolUsage()
  for (let i = 0; i < count; i++) {
    const random = new Random(seed + i)
    let failure: string | null
    try {
      failure = i % 2 === 0 ? tryRequest(random) : tryResponse(random)
    } catch (error) {
      failure = `threw ${(error as Error).stack}`
    }
    const { leased } = poolUsage()
    if (failure === null && leased !== before.leased) failure = `${leased - before.leased} leases are left`
    if (failure !== null) return `seed ${seed + i}${i % 2 === 0 ? '' : ' (answer)'}: ${failure}`
  }
  return null
}
