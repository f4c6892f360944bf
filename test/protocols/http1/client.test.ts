import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { closeAll, cuts, MiniProxy } from '../../support/http1-wire.ts'

poisonReleasedSlabs(true)
t.afterEach(() => {
  closeAll()
  if (poolUsage().leased !== 0) throw new Error(`${poolUsage().leased} leases are left`)
})

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

interface Case {
  name: string
  request?: string
  /** What the business process sends. */
  response: string
  /** The caller hears this when it is not the response as it came. */
  output?: string
  /** Whether the connection serves on. */
  reusable?: boolean
  /** The business process closes behind its response. */
  closes?: boolean
}

const CASES: Case[] = [
  { name: 'a length', response: 'HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 2\r\nX-B: c\r\n\r\nok' },
  { name: 'no body', response: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' },
  {
    name: 'a chunked body with an extension and trailers',
    response:
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 7\r\nHost: b\r\n\r\n',
    output:
      'HTTP/1.1 200 OK\r\nX: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n',
  },
  {
    name: 'a body that the end of the connection ends',
    response: 'HTTP/1.1 200 OK\r\nX: 1\r\n\r\nhello',
    output: 'HTTP/1.1 200 OK\r\nX: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    closes: true,
    reusable: false,
  },
  {
    name: 'hop-by-hop fields, also those that Connection names',
    response:
      'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX: 2\r\n' +
      'Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n',
    output: 'HTTP/1.1 200 OK\r\nX: 2\r\nContent-Length: 0\r\n\r\n',
  },
  {
    name: "Connection: close, which is the hop's own",
    response: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
    output: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    reusable: false,
  },
  {
    name: 'HTTP/1.0',
    response: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    output: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    reusable: false,
  },
  {
    name: 'HTTP/1.0 that keeps alive',
    response: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok',
    output: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  },
  {
    name: 'a status line without a space behind the code',
    response: 'HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n',
    output: 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
  },
  {
    name: '304 with the length it would have',
    response: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n',
  },
  {
    name: '204 with a length, which it must not have',
    response: 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: 1\r\n\r\n',
    output: 'HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n',
  },
  {
    name: 'the answer to HEAD',
    request: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
    response: 'HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n',
  },
  {
    name: 'the chunked answer to HEAD',
    request: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
    response: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    output: 'HTTP/1.1 200 OK\r\n\r\n',
  },
  {
    name: 'interim responses',
    response:
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  },
  {
    name: '100 that nobody asked for',
    response: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    output: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  },
  {
    name: 'a repeated Content-Length that says the same',
    response: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok',
    output: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  },
  {
    name: 'a chunked answer to an HTTP/1.0 caller, who gets no chunks',
    request: 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    response: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    output: 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello',
  },
]

for (const { name, request, response, output, reusable, closes } of CASES) {
  t.test(`forwards ${name}: whole, split at every byte, byte by byte`, async (t) => {
    for (const pieces of cuts(Buffer.from(response, 'latin1'))) {
      const proxy = new MiniProxy()
      proxy.down.feed(request ?? GET)
      for (const piece of pieces) proxy.up.feed(piece)
      if (closes) proxy.client.onEnd()
      // However the chunks were cut, they say the same.
      const written = joinChunks(proxy.down.take())
      if (written !== (output ?? response)) t.equal(written, output ?? response, `${pieces.length} pieces`)
      const isReusable = proxy.client.isReusable && proxy.client.capacity === 1
      if (isReusable !== (reusable ?? true)) t.equal(isReusable, reusable ?? true, `${pieces.length} pieces`)
      if (!isReusable && proxy.up.state === 'open') t.fail('closed')
      closeAll()
    }
  })
}

/** Joins the pieces that "hello" was cut into, so that every way to cut gives one text. */
function joinChunks(text: string): string {
  const at = text.indexOf('\r\n\r\n') + 4
  if (!text.includes('transfer-encoding: chunked')) return text
  let body = ''
  let i = at
  for (;;) {
    const end = text.indexOf('\r\n', i)
    const size = Number.parseInt(text.slice(i, end), 16)
    if (size === 0) return `${text.slice(0, at)}${body.length.toString(16)}\r\n${body}\r\n${text.slice(i)}`
    body += text.slice(end + 2, end + 2 + size)
    i = end + 2 + size + 2
  }
}

const BROKEN: [name: string, response: string][] = [
  [
    'Content-Length with Transfer-Encoding',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
  ],
  ['Content-Lengths that differ', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n'],
  ['a list of Content-Lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n'],
  ['another transfer coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'],
  ['Transfer-Encoding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['status 099', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['status 600', 'HTTP/1.1 600 OK\r\n\r\n'],
  ['LF alone', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
  ['LF alone behind a header', 'HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n'],
  ['NUL in a header', 'HTTP/1.1 200 OK\r\nX: y\0\r\n\r\n'],
  ['a space before a colon', 'HTTP/1.1 200 OK\r\nX : y\r\n\r\n'],
  ['a control byte in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
  ['an empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  [
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
  ['101 headers', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(101)}\r\n`],
  ['interim responses without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(65)],
]

for (const [name, response] of BROKEN) {
  t.test(`answers 502 for ${name} and drops the connection`, async (t) => {
    const bytes = Buffer.from(response, 'latin1')
    for (const pieces of bytes.length > 700 ? [[bytes]] : cuts(bytes)) {
      const proxy = new MiniProxy()
      proxy.down.feed(GET)
      for (const piece of pieces) proxy.up.feed(piece)
      if (!/(^|\r\n\r\n)HTTP\/1\.1 502 /.test(proxy.down.take()))
        t.fail(`no 502 with ${pieces.length} pieces`)
      if (proxy.events.join() !== 'upstream UPSTREAM_PROTOCOL') t.same(proxy.events, [])
      if (proxy.up.state !== 'destroyed' || proxy.client.isReusable) t.fail('the connection lives on')
      if (proxy.down.state !== 'open') t.fail('the caller may go on')
      closeAll()
    }
  })
}

t.test('a bad chunk in an answer that began cuts the caller off', async (t) => {
  for (const chunk of ['5\r\nhelloX', 'zz\r\n', '5 \r\n', '\r\n']) {
    const proxy = new MiniProxy()
    proxy.down.feed(GET)
    proxy.up.feed(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${chunk}`)
    t.notMatch(proxy.down.take(), /\r\n0\r\n\r\n$/, 'the chunked body is not ended')
    t.equal(proxy.down.state, 'destroyed')
    t.equal(proxy.up.state, 'destroyed')
  }
})

t.test('a death in the middle of an answer is UPSTREAM_RESET', async (t) => {
  const head = new MiniProxy()
  head.down.feed(GET)
  head.up.feed('HTTP/1.1 200 O')
  head.client.onEnd()
  t.same(head.events, ['upstream UPSTREAM_RESET'])
  t.match(head.down.take(), /^HTTP\/1\.1 502 /)
  const body = new MiniProxy()
  body.down.feed(GET)
  body.up.feed('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc')
  body.client.onClose(new Error('ECONNRESET'))
  t.same(body.events, ['upstream UPSTREAM_RESET'])
  t.equal(body.down.state, 'destroyed')
  const open = new MiniProxy()
  open.down.feed(GET)
  open.up.feed('HTTP/1.1 200 OK\r\n\r\nabc')
  open.client.onClose(new Error('ECONNRESET'))
  t.equal(open.down.state, 'destroyed', 'a reset does not end a body orderly')
})

t.test('an idle connection that is closed, talks or expires is not used again', async (t) => {
  const closed = new MiniProxy()
  t.equal(closed.client.capacity, 1)
  closed.client.onEnd()
  t.equal(closed.client.capacity, 0)
  t.equal(closed.client.isReusable, false)
  const talking = new MiniProxy()
  talking.up.feed('HTTP/1.1 408 Request Timeout\r\n\r\n')
  t.equal(talking.client.isReusable, false)
  t.equal(talking.up.state, 'destroyed')
  const idle = new MiniProxy({}, { idleTimeoutMs: 5000 })
  idle.down.feed(GET)
  idle.up.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  idle.up.pass(4900)
  t.equal(idle.client.capacity, 1)
  idle.up.pass(5200)
  t.equal(idle.client.capacity, 0)
  t.equal(idle.up.state, 'closed')
})

t.test('bytes behind a complete answer are never taken for the next one', async (t) => {
  for (const first of [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 204 No\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ]) {
    const proxy = new MiniProxy()
    proxy.down.feed(GET + GET)
    const { up } = proxy
    up.feed(`${first}HTTP/1.1 200 OK\r\nX: evil\r\nContent-Length: 0\r\n\r\n`)
    t.not(proxy.up, up, 'the second request goes elsewhere')
    t.notMatch(proxy.down.take(), /evil/)
    t.not(up.state, 'open')
  }
})

t.test('a connection is reused, says so, and is replaced after maxRequests', async (t) => {
  const proxy = new MiniProxy({}, { maxRequests: 2 })
  const { up, client } = proxy
  proxy.down.feed(GET)
  t.equal(client.isReused, false)
  up.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal(up.take(), GET)
  proxy.down.feed(GET)
  t.equal(client.isReused, true)
  t.equal(up.take(), 'GET / HTTP/1.1\r\nHost: a\r\nconnection: close\r\n\r\n')
  up.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal(client.isReusable, false)
  t.equal(up.state, 'closed')
})

t.test('drain lets the running exchange end and takes no other', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed(GET)
  proxy.client.drain()
  t.equal(proxy.up.state, 'open')
  proxy.up.feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal(proxy.up.state, 'closed')
  t.match(proxy.down.take(), /^HTTP\/1\.1 200/)
})

t.test('an answer before the whole request was sent ends the connection, not the answer', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\nabc')
  proxy.up.feed('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno')
  t.equal(
    proxy.down.take(),
    'HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nconnection: close\r\n\r\nno',
  )
  t.equal(proxy.down.state, 'ended')
  t.equal(proxy.up.state, 'closed')
})

t.test('cancel drops a connection that has a request, and gives back one that has none', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed(GET)
  proxy.server.onClose(null)
  t.equal(proxy.up.state, 'destroyed')
  t.equal(proxy.client.activeStreams, 0)
})

t.test('pause and resume hold back the answer, and its end lets go', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed(GET)
  proxy.client.pause()
  t.equal(proxy.up.isPaused, true)
  proxy.client.resume()
  t.equal(proxy.up.isPaused, false)
  proxy.client.pause()
  proxy.up.feed('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  t.equal(proxy.up.isPaused, false)
})

t.test('an answer over the limit is UPSTREAM_PROTOCOL', async (t) => {
  for (const response of [
    'Content-Length: 11\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n',
  ]) {
    const proxy = new MiniProxy({}, { maxBodyBytes: 10 })
    proxy.down.feed(GET)
    proxy.up.feed(`HTTP/1.1 200 OK\r\n${response}`)
    t.same(proxy.events, ['upstream UPSTREAM_PROTOCOL'])
  }
})

t.test('large pieces are lent, small ones copied', async (t) => {
  const proxy = new MiniProxy()
  proxy.down.feed('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  const piece = Buffer.alloc(16 * 1024, 'x')
  proxy.down.feed(`4000\r\n${piece}\r\n5\r\nhello\r\n0\r\n\r\n`)
  t.equal(proxy.up.lent, 1)
  t.equal(
    proxy.up.take(),
    `POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n4000\r\n${piece}\r\n5\r\nhello\r\n0\r\n\r\n`,
  )
})
