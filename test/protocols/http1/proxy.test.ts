import t from 'tap'
import { HeaderTable } from '../../../lib/buffer/header-table.ts'
import { PlainRequest } from '../../../lib/buffer/plain-request.ts'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import type { ServerCodecOptions } from '../../../lib/core/codec.ts'
import type { Exchange } from '../../../lib/core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../../lib/core/message.ts'
import { answer, closeAll, cuts, finish, MiniProxy, ServerLog } from '../../support/http1-wire.ts'

poisonReleasedSlabs(true)
t.afterEach(() => {
  closeAll()
  if (poolUsage().leased !== 0) throw new Error(`${poolUsage().leased} leases are left`)
})

interface Case {
  name: string
  input: string
  /** What the business process gets, when it is not the input. */
  output?: string
  options?: Partial<ServerCodecOptions>
  change?: (exchange: Exchange) => void
}

const CASES: Case[] = [
  {
    name: 'a head without hop-by-hop fields as it came',
    input: 'GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX:y \r\n\r\n',
  },
  { name: 'a body of known length', input: 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello' },
  { name: 'a length of 0', input: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n' },
  {
    name: 'a chunked body, framed anew',
    input:
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nX: 1\r\n\r\n0005;x=y\r\nhello\r\n0\r\nX-T: 1\r\nCookie: x\r\n\r\n',
    output:
      'POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
  },
  {
    name: 'hop-by-hop fields and those that Connection names',
    input:
      'GET / HTTP/1.1\r\nConnection: keep-alive, X-Hop ,close\r\nHost: a\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX: 2\r\n' +
      'Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nx-hop: 2\r\nTrailer: x\r\n\r\n',
    output: 'GET / HTTP/1.1\r\nHost: a\r\nX: 2\r\nTrailer: x\r\n\r\n',
  },
  {
    name: 'Connection that names what the business process relies on',
    input:
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Host, Cookie, Authorization, X-Forwarded-For\r\nCookie: c\r\nAuthorization: b\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n',
    output: 'GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\nAuthorization: b\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n',
  },
  {
    name: 'TE: trailers',
    input: 'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n',
    output: 'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nconnection: te\r\n\r\n',
  },
  {
    name: 'an absolute target as origin-form with its own Host',
    input: 'GET HTTP://B.example:81/x?y HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n',
    output: 'GET /x?y HTTP/1.1\r\nhost: b.example:81\r\nX: 1\r\n\r\n',
  },
  {
    name: 'an absolute target without a path',
    input: 'GET http://b?y HTTP/1.1\r\nHost: a\r\n\r\n',
    output: 'GET /?y HTTP/1.1\r\nhost: b\r\n\r\n',
  },
  { name: 'asterisk-form', input: 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n' },
  {
    name: 'HTTP/1.0 without Host as HTTP/1.1 with the endpoint',
    input: 'GET /x HTTP/1.0\r\nX: 1\r\n\r\n',
    output: 'GET /x HTTP/1.1\r\nhost: 127.0.0.1:9000\r\nX: 1\r\n\r\n',
  },
  {
    name: 'an empty line before the request, which does not cross',
    input: '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    output: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  },
  {
    name: 'what filters set, added and removed',
    input: 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 1\r\nZ: 1\r\n\r\n',
    output: 'GET / HTTP/1.1\r\nHost: a\r\nZ: 1\r\nx: 2\r\nz: 3\r\n\r\n',
    change: ({ request }) => {
      request.headers.set('x', '2')
      request.headers.remove('y')
      request.headers.add('z', '3')
      request.headers.set('content-length', '99')
      request.headers.set('transfer-encoding', 'chunked')
      request.headers.set('connection', 'x')
    },
  },
  {
    name: 'a rewritten target, encoded where it must be',
    input: 'GET /a?b=c HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n',
    output: 'GET /n%20%C3%A9%0D%0A%3Fq%23?b=c HTTP/1.1\r\nhost: a\r\nX: 1\r\n\r\n',
    change: ({ request }) => {
      request.path = 'n é\r\n?q#'
    },
  },
  {
    name: 'a rewritten query and authority',
    input: 'GET /a?b=c HTTP/1.1\r\nX: 1\r\nHost: a\r\n\r\n',
    output: 'GET /a?d e HTTP/1.1\r\nhost: b.example\r\nX: 1\r\n\r\n'.replace('d e', 'd%20e'),
    change: ({ request }) => {
      request.query = 'd e'
      request.authority = 'B.example'
    },
  },
  {
    name: 'a Host that a filter set',
    input: 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n',
    output: 'GET / HTTP/1.1\r\nhost: c\r\nX: 1\r\n\r\n',
    change: ({ request }) => request.headers.set('host', 'c'),
  },
  {
    name: 'characters beyond Latin-1 as UTF-8, never cut to a line feed',
    input: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    output: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nx: \u010d\u010ay\r\n\r\n').toString('latin1'),
    change: ({ request }) => request.headers.set('x', '\u010d\u010ay'),
  },
  {
    name: 'x-forwarded headers by append, from an untrusted caller',
    options: { forwarded: 'append', trusted: false },
    input:
      'GET / HTTP/1.1\r\nHost: A\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\n\r\n',
    output:
      'GET / HTTP/1.1\r\nHost: A\r\nforwarded: for=1.1.1.1, for=10.1.2.3;proto=http\r\n' +
      'x-forwarded-for: 1.1.1.1, 10.1.2.3\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n\r\n',
  },
  {
    name: 'x-forwarded headers by append, from a trusted caller',
    options: { forwarded: 'append' },
    input: 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n',
    output:
      'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nx-forwarded-for: 10.1.2.3\r\nx-forwarded-host: a\r\n\r\n',
  },
  {
    name: 'x-forwarded headers by replace',
    options: { forwarded: 'replace' },
    input:
      'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-Host: evil\r\n\r\n',
    output:
      'GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 10.1.2.3\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n\r\n',
  },
]

for (const { name, input, output, options, change } of CASES) {
  t.test(`forwards ${name}`, async (t) => {
    for (const pieces of cuts(Buffer.from(input, 'latin1'))) {
      const proxy = new MiniProxy(options)
      if (change !== undefined) proxy.onRequestHead = change
      for (const piece of pieces) proxy.down.feed(piece)
      let written = proxy.up.take()
      // Chunks follow the reads that they came in; the whole input shows the usual form.
      if (input.includes('CHUNKED') && pieces.length > 1)
        written = written.replace(/\r\n\r\n[0-9a-f].*\r\n0\r\n/s, '\r\n\r\n5\r\nhello\r\n0\r\n')
      if (written !== (output ?? input)) t.equal(written, output ?? input, `${pieces.length} pieces`)
      closeAll()
    }
  })
}

t.test(
  'Expect: 100-continue goes through to the business process and its 100 comes back, once',
  async (t) => {
    const proxy = new MiniProxy()
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n'
    proxy.down.feed(head)
    t.equal(proxy.up.take(), head)
    proxy.up.feed('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
    t.equal(proxy.down.take(), 'HTTP/1.1 100 Continue\r\n\r\n')
    proxy.down.feed('hi')
    t.equal(proxy.up.take(), 'hi')
    proxy.up.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    t.equal(proxy.down.take(), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    t.equal(proxy.client.capacity, 1)
  },
)

const UPGRADE =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n'
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\n'

t.test('an upgraded connection is a tunnel in both directions, half closed as its ends close', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed(`${UPGRADE}early`)
  t.equal(
    proxy.up.take(),
    'GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nconnection: upgrade\r\n\r\n',
  )
  proxy.up.feed(`${SWITCH}hello`)
  t.equal(
    proxy.down.take(),
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\nconnection: upgrade\r\n\r\nhello',
  )
  t.equal(proxy.up.take(), 'early')
  proxy.down.feed('GET / HTTP/1.1\r\n\r\n')
  t.equal(proxy.up.take(), 'GET / HTTP/1.1\r\n\r\n')
  proxy.server.onEnd()
  t.equal(proxy.up.state, 'ended', 'FIN goes through')
  proxy.up.feed('still')
  t.equal(proxy.down.take(), 'still')
  proxy.client.onEnd()
  t.equal(proxy.down.state, 'closed')
  t.equal(proxy.up.state, 'closed')
  t.equal(proxy.server.activeExchanges, 0)
})

t.test('a tunnel that the business process closes first still carries what the caller says', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed(UPGRADE)
  proxy.up.feed(SWITCH)
  proxy.up.take()
  proxy.client.onEnd()
  t.equal(proxy.down.state, 'ended')
  t.equal(proxy.up.state, 'open')
  proxy.down.feed('bye')
  t.equal(proxy.up.take(), 'bye')
  proxy.server.onEnd()
  t.equal(proxy.up.state, 'closed')
  t.equal(proxy.down.state, 'closed')
})

t.test('an upgrade that is declined is an answer like any other', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed(UPGRADE + 'GET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  proxy.up.take()
  proxy.up.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal(proxy.up.take(), 'GET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
})

t.test('upgrades to h2c and TLS, without Connection or with a body do not cross', async (t) => {
  for (const fields of [
    'Connection: upgrade\r\nUpgrade: h2c',
    'Connection: upgrade\r\nUpgrade: websocket, H2C',
    'Connection: upgrade\r\nUpgrade: TLS/1.2',
    'Upgrade: websocket',
    'Connection: upgrade',
  ]) {
    const proxy = new MiniProxy()
    proxy.down.feed(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)
    t.equal(proxy.up.take(), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', fields)
  }
  const body = new MiniProxy()
  body.down.feed(
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi',
  )
  t.equal(body.up.take(), 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi')
})

t.test('a gathered body that a filter replaced is sent with its new length', async (t) => {
  const proxy = new MiniProxy()
  proxy.onRequestHead = (exchange) => {
    exchange.requestBody = Buffer.from('longer body')
  }
  proxy.down.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX: 1\r\n\r\n')
  t.equal(proxy.up.take(), 'POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\ncontent-length: 11\r\n\r\n')
  proxy.onResponseHead = (exchange) => {
    exchange.responseBody = Buffer.from('abc')
  }
  proxy.up.feed('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  t.equal(proxy.down.take(), 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n')
})

t.test('a status that a filter changed gets its own phrase', async (t) => {
  const proxy = new MiniProxy()
  proxy.onResponseHead = (_exchange, response) => {
    response.status = 403
  }
  proxy.down.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  proxy.up.feed('HTTP/1.1 200 Fine\r\nX: 1\r\nContent-Length: 0\r\n\r\n')
  t.equal(proxy.down.take(), 'HTTP/1.1 403 Forbidden\r\nX: 1\r\nContent-Length: 0\r\n\r\n')
})

/** A message of another protocol, with headers that no parser of ours has checked. */
class Foreign extends PlainRequest implements RequestHead, ResponseHead {
  readonly protocol = 'mmtp'
  readonly statusKind = 'result'
  readonly method = 'POST'
  path = ''
  query = ''
  authority = ''
  operation = 'demo.echo'
  headers = new HeaderTable()
  isIdempotent = false
  budgetMs = 0
  status: number
  readonly isFailure = false
  readonly failureDetail = ''
  bodyLength: number

  constructor(bodyLength: number, status = 1000, pairs: string[] = []) {
    super()
    this.bodyLength = bodyLength
    this.status = status
    const bytes = Buffer.from('old: 1')
    this.headers.open(bytes, 0)
    this.headers.push(0, 3, 5, 6, 0)
    this.headers.added = pairs
  }

  retain(): void {}
  release(): void {}
}

function forwardForeign(request: Foreign, translation: { method: string; path: string } | null): string {
  const proxy = new MiniProxy()
  const log = new ServerLog()
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const exchange = Object.create(log.exchange, {
    request: { value: request },
    endpoint: { value: 'unix:/run/x.sock' },
    translation: { value: translation },
    requestBody: { value: null },
    requestEnded: { value: false },
  }) as Exchange
  proxy.client.open(exchange).sendRequest(request, request.bodyLength === 0)
  finish(log.exchange)
  return proxy.up.take()
}

t.test('a request of another protocol becomes what its route says', async (t) => {
  t.equal(
    forwardForeign(
      new Foreign(5, 0, ['x', '2', 'connection', 'x', 'host', 'evil', 'content-length', '9']),
      null,
    ),
    'POST /demo.echo HTTP/1.1\r\nhost: localhost\r\noperation-type: demo.echo\r\nold: 1\r\nx: 2\r\ncontent-length: 5\r\n\r\n',
  )
  const named = new Foreign(-1, 0, ['bad name', 'x', 'x', 'a\r\nb: c', 'y', 'a\x01', 'Upper', '1'])
  named.authority = 'svc.local'
  t.equal(
    forwardForeign(named, { method: 'PUT', path: '/v1/echo?x=1' }),
    'PUT /v1/echo?x=1 HTTP/1.1\r\nhost: svc.local\r\noperation-type: demo.echo\r\nold: 1\r\ntransfer-encoding: chunked\r\n\r\n',
  )
})

t.test('a result code becomes a status for a plain request and result-status for an operation', async (t) => {
  const statuses: [number, number][] = [
    [1000, 200],
    [1001, 403],
    [1002, 429],
    [1005, 403],
    [2000, 401],
    [3000, 404],
    [3001, 400],
    [3002, 400],
    [4001, 504],
    [4002, 502],
    [4003, 502],
    [5000, 500],
    [6666, 500],
    [7002, 401],
  ]
  for (const [code, status] of statuses) {
    const log = new ServerLog()
    log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    log.exchange.downstream.sendResponse(new Foreign(0, code), true)
    finish(log.exchange)
    t.match(
      log.wire.take(),
      new RegExp(`^HTTP/1.1 ${status} .*\r\nold: 1\r\ncontent-length: 0\r\n\r\n$`),
      String(code),
    )
  }
  const named = new ServerLog()
  named.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  named.exchange.downstream.sendResponse(new Foreign(0, 1000, ['http-status', '201']), true)
  t.equal(named.wire.take(), 'HTTP/1.1 201 Created\r\nold: 1\r\ncontent-length: 0\r\n\r\n')
  const operation = new ServerLog()
  operation.wire.feed('POST /mgw.htm HTTP/1.1\r\nHost: a\r\nOperation-Type: x\r\n\r\n')
  operation.exchange.downstream.sendResponse(new Foreign(0, 4001), true)
  t.equal(
    operation.wire.take(),
    'HTTP/1.1 200 OK\r\nold: 1\r\nresult-status: 4001\r\ncontent-length: 0\r\n\r\n',
  )
  const business = new MiniProxy()
  business.down.feed('POST /mgw.htm HTTP/1.1\r\nHost: a\r\nOperation-Type: x\r\n\r\n')
  business.up.feed('HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno')
  t.equal(business.down.take(), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nresult-status: 4002\r\n\r\nno')
})

t.test('a local reply carries what a filter set', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
  answer(log.exchange, 302, '', { location: '/é' })
  t.equal(log.wire.take(), 'HTTP/1.1 302 Found\r\nlocation: /\xe9\r\ncontent-length: 0\r\n\r\n')
  answer(log.exchange, 200, 'body')
  t.equal(log.wire.take(), 'HTTP/1.1 200 OK\r\n\r\n', 'no body for HEAD')
})
