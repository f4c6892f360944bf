import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { GatewayError } from '../../../lib/core/errors.ts'
import { answer, closeAll, cuts, finish, ServerLog } from '../../support/http1-wire.ts'

poisonReleasedSlabs(true)
t.afterEach(() => {
  closeAll()
  if (poolUsage().leased !== 0) throw new Error(`${poolUsage().leased} leases are left`)
})

interface Case {
  name: string
  input: string
  events: string[]
  output?: string
  state?: string
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const OK_CLOSE = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'

const CASES: Case[] = [
  {
    name: 'a plain request',
    input: 'GET /a?b=c HTTP/1.1\r\nHost: Example.COM:80\r\nX-A:  1 \t\r\nx-a:2\r\nEmpty:\r\n\r\n',
    events: [
      'GET /a?b=c @example.com:80 body=0',
      '  host: Example.COM:80',
      '  x-a: 1',
      '  x-a: 2',
      '  empty: ',
      'end',
    ],
    output: OK,
  },
  {
    name: 'one empty line before the request line',
    input: '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    events: ['GET / @a body=0', '  host: a', 'end'],
    output: OK,
  },
  {
    name: 'a body of known length',
    input: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
    events: ['POST / @a body=5', '  host: a', '  content-length: 5', 'end "hello"'],
    output: OK,
  },
  {
    name: 'a chunked body with extensions and trailers, of which framing and routing names are dropped',
    input:
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n' +
      '5;a=b;c="d e"\r\nhello\r\n0006\r\n world\r\n000\r\nX-Sum: 7\r\nContent-Length: 3\r\nHost: b\r\n\r\n',
    events: [
      'POST / @a body=-1',
      '  host: a',
      '  transfer-encoding: Chunked',
      'end "hello world"',
      '  x-sum: 7',
    ],
    output: OK,
  },
  {
    name: 'a chunked body without trailers',
    input: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    events: ['POST / @a body=-1', '  host: a', '  transfer-encoding: chunked', 'end "abc"'],
    output: OK,
  },
  {
    name: 'three pipelined requests, answered in order',
    input:
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi' +
      'GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n',
    events: [
      'GET /1 @a body=0',
      '  host: a',
      'end',
      'POST /2 @a body=2',
      '  host: a',
      '  content-length: 2',
      'end "hi"',
      'GET /3 @a body=0',
      '  host: a',
      '  connection: close',
      'end',
    ],
    output: OK + OK + OK_CLOSE,
    state: 'ended',
  },
  {
    name: 'HTTP/1.0 closes by default',
    input: 'GET / HTTP/1.0\r\n\r\n',
    events: ['GET / @ body=0', 'end'],
    output: OK_CLOSE,
    state: 'ended',
  },
  {
    name: 'HTTP/1.0 keeps alive on demand',
    input: 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n',
    events: ['GET / @ body=0', '  connection: Keep-Alive', 'end'],
    output: 'HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok',
  },
  {
    name: 'a higher minor version is served as 1.1',
    input: 'GET / HTTP/1.7\r\nHost: a\r\n\r\n',
    events: ['GET / @a body=0', '  host: a', 'end'],
    output: OK,
  },
  {
    name: 'absolute-form, whose authority overrides Host',
    input: 'GET http://B.example:81?x HTTP/1.1\r\nHost: a\r\n\r\n',
    events: ['GET /?x @b.example:81 body=0', '  host: a', 'end'],
    output: OK,
  },
  {
    name: 'asterisk-form',
    input: 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    events: ['OPTIONS * @a body=0', '  host: a', 'end'],
    output: OK,
  },
  {
    name: 'asterisk-form of an absolute target without a path',
    input: 'OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n',
    events: ['OPTIONS * @b body=0', '  host: a', 'end'],
    output: OK,
  },
  {
    name: 'IPv6 authority',
    input: 'GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n',
    events: ['GET / @[::1]:8080 body=0', '  host: [::1]:8080', 'end'],
    output: OK,
  },
  {
    name: 'an operation, only on its path',
    input: 'POST /mgw.htm HTTP/1.1\r\nHost: a\r\nOperation-Type: demo.echo\r\nContent-Length: 2\r\n\r\n[]',
    events: [
      'POST /mgw.htm @a body=2 operation=demo.echo',
      '  host: a',
      '  operation-type: demo.echo',
      '  content-length: 2',
      'end "[]"',
    ],
    output: 'HTTP/1.1 200 OK\r\nresult-status: 1000\r\ncontent-length: 2\r\n\r\nok',
  },
  {
    name: 'Operation-Type elsewhere is a header like any other',
    input: 'GET /x HTTP/1.1\r\nHost: a\r\nOperation-Type: demo.echo\r\n\r\n',
    events: ['GET /x @a body=0', '  host: a', '  operation-type: demo.echo', 'end'],
    output: OK,
  },
  {
    name: 'bytes above 127 in a value',
    input: 'GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\r\n\r\n',
    events: ['GET / @a body=0', '  host: a', '  x: \xe9\xff', 'end'],
    output: OK,
  },
]

for (const { name, input, events, output, state } of CASES) {
  t.test(`reads ${name}: whole, split at every byte, byte by byte`, async (t) => {
    for (const pieces of cuts(Buffer.from(input, 'latin1'))) {
      const log = new ServerLog()
      log.onLast = (exchange) => answer(exchange, 200, 'ok')
      for (const piece of pieces) log.wire.feed(piece)
      const where = pieces.length === 2 ? `split at ${pieces[0].length}` : `${pieces.length} pieces`
      if (log.events.join('\n') !== events.join('\n')) t.same(log.events, events, where)
      const written = log.wire.take()
      if (output !== undefined && written !== output) t.equal(written, output, where)
      if (log.wire.state !== (state ?? 'open')) t.equal(log.wire.state, state ?? 'open', where)
      log.server.onClose(null)
    }
    t.equal(poolUsage().leased, 0, 'nothing stays leased')
  })
}

/** Heads that must be refused: what they are, the bytes, the status. */
const REFUSED: [name: string, input: string, status: number][] = [
  [
    'Content-Length with Transfer-Encoding',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    400,
  ],
  [
    'Transfer-Encoding with Content-Length',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
    400,
  ],
  [
    'repeated Content-Length',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n',
    400,
  ],
  [
    'Content-Lengths that differ',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
    400,
  ],
  ...[
    '+5',
    '-5',
    '0x5',
    '5,5',
    '5, 5',
    '5 5',
    '',
    '5a',
    '5.0',
    '٥',
    '9007199254740992',
    '99999999999999999',
    '1e3',
    '"5"',
    ';5',
  ].map((value): [string, string, number] => [
    `Content-Length ${JSON.stringify(value)}`,
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${Buffer.from(value).toString('latin1')}\r\n\r\n`,
    400,
  ]),
  ...[
    '',
    'chunked, chunked',
    '"chunked"',
    'chunked;q=1',
    ',chunked',
    'chunked,',
    'chunked, identity',
    'chunked\x0b',
    'chun ked',
    ' , ',
  ].map((value): [string, string, number] => [
    `Transfer-Encoding ${JSON.stringify(value)}`,
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${value}\r\n\r\n`,
    400,
  ]),
  ...['gzip', 'gzip, chunked', 'identity', 'xchunked', 'chunkedx'].map((value): [string, string, number] => [
    `Transfer-Encoding ${value}`,
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${value}\r\n\r\n`,
    501,
  ]),
  [
    'two Transfer-Encodings',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n',
    400,
  ],
  ['Transfer-Encoding in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  [
    'Transfer-Encoding with a space before the colon',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n',
    400,
  ],
  ['LF alone behind the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
  ['LF alone behind a header', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 400],
  ['LF alone at the end of the head', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 400],
  ['CR inside a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n', 400],
  ['CR CR LF', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n', 400],
  ['CR alone at the end of the head', 'GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n', 400],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n', 400],
  ['a space in a name', 'GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n', 400],
  ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n', 400],
  ['an indented first header', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400],
  ['a line without a colon', 'GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n', 400],
  ['a line without a name', 'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n', 400],
  ['NUL in a name', 'GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n', 400],
  ['NUL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n', 400],
  ['a control byte in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n', 400],
  ['DEL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n', 400],
  ['a byte above 127 in a name', 'GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n', 400],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['no Host with an absolute target', 'GET http://a/ HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
  ['two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ...[
    '',
    'a b',
    'a/b',
    'user@a',
    'a:b',
    'a:99999',
    'a:123456',
    'a,b c',
    '[::1',
    '::1',
    '[zz]',
    'a?b',
    'a#b',
    'a\\b',
    'a%zz',
    'h\xe9',
  ].map((value): [string, string, number] => [
    `Host ${JSON.stringify(value)}`,
    `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`,
    400,
  ]),
  ['an invalid method', 'G@T / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['no method', ' / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['an endless method', `${'A'.repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`, 501],
  ['two spaces before the target', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['two spaces before the version', 'GET /  HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a space behind the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['no version', 'GET /\r\nHost: a\r\n\r\n', 400],
  ['a version in lower case', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400],
  ['a version with two digits', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n', 400],
  ['another protocol', 'GET / HTTPS/1.1\r\nHost: a\r\n\r\n', 400],
  ['version 2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['version 0.9', 'GET / HTTP/0.9\r\n\r\n', 505],
  ['a byte above 127 in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a control byte in the target', 'GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a target without a slash', 'GET foo HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['user information in the target', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['an absolute target without a host', 'GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['* with GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 501],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 501],
  ['another expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n', 417],
  ['Connection that is no list', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: (close)\r\n\r\n', 400],
  [
    'Connection with hundreds of options',
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: ${'x,'.repeat(99)}y\r\n\r\n`,
    400,
  ],
  ['two empty lines first', '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00', 400],
  ['101 headers', `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(100)}\r\n`, 431],
  ['a head of more than 64 KiB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(65536)}\r\n\r\n`, 431],
  ['a target of more than 16 KiB', `GET /${'y'.repeat(16384)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
]

for (const [name, input, status] of REFUSED) {
  t.test(`refuses ${name} with ${status} and closes`, async (t) => {
    const bytes = Buffer.from(input, 'latin1')
    const ways = bytes.length > 2000 ? [[bytes], [bytes.subarray(0, 900), bytes.subarray(900)]] : cuts(bytes)
    for (const pieces of ways) {
      const log = new ServerLog()
      for (const piece of pieces) log.wire.feed(piece)
      log.wire.feed('GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n')
      const written = log.wire.take()
      if (!written.startsWith(`HTTP/1.1 ${status} `))
        t.equal(written, `HTTP/1.1 ${status}`, `${pieces.length} pieces`)
      if (!/\r\nconnection: close\r\n/.test(written)) t.fail('the answer does not announce the close')
      if (log.exchanges.length > 0) t.same(log.events, [], 'no exchange')
      if (log.wire.state !== 'ended') t.equal(log.wire.state, 'ended', `${pieces.length} pieces`)
      log.wire.pass(3000)
      if (log.wire.state !== 'closed') t.equal(log.wire.state, 'closed', 'closed after lingering')
      log.server.onClose(null)
    }
    t.equal(poolUsage().leased, 0, 'nothing stays leased')
  })
}

const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const BAD_CHUNKS: [name: string, body: string][] = [
  ['an empty size', '\r\n'],
  ['a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a minus', '-1\r\nhello\r\n0\r\n\r\n'],
  ['0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a letter', '5g\r\nhello\r\n0\r\n\r\n'],
  ['16 digits', '0000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['an overflow', 'fffffffffffffff\r\nhello'],
  ['a space before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a space behind the size', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a space before an extension', '5 ;a\r\nhello\r\n0\r\n\r\n'],
  ['LF alone behind the size', '5\nhello\r\n0\r\n\r\n'],
  ['CR alone behind the size', '5\rhello\r\n0\r\n\r\n'],
  ['LF in an extension', '5;a\nhello\r\n0\r\n\r\n'],
  ['CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['NUL in an extension', '5;a\0\r\nhello\r\n0\r\n\r\n'],
  ['no CRLF behind the data', '5\r\nhello0\r\n\r\n'],
  ['LF alone behind the data', '5\r\nhello\n0\r\n\r\n'],
  ['more data than its size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['a broken trailer', '0\r\nX : y\r\n\r\n'],
  ['a folded trailer', '0\r\nX: y\r\n z\r\n\r\n'],
  ['extensions of 5 KiB', `5;${'a'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
  ['trailers of 20 KiB', `0\r\nx: ${'a'.repeat(20000)}\r\n\r\n`],
]

for (const [name, body] of BAD_CHUNKS) {
  t.test(`refuses a chunked body with ${name}`, async (t) => {
    const bytes = Buffer.from(CHUNKED + body, 'latin1')
    for (const pieces of bytes.length > 2000 ? [[bytes]] : cuts(bytes)) {
      const log = new ServerLog()
      for (const piece of pieces) log.wire.feed(piece)
      const written = log.wire.take()
      if (name === 'an overflow' || name === 'trailers of 20 KiB' || name.startsWith('extensions'))
        t.ok(written)
      if (!written.startsWith('HTTP/1.1 400 ')) t.equal(written, 'HTTP/1.1 400', `${pieces.length} pieces`)
      if (!log.events.includes('failed BAD_REQUEST may reply')) t.same(log.events, [])
      if (log.wire.state !== 'ended') t.equal(log.wire.state, 'ended')
      log.server.onClose(null)
    }
    t.equal(poolUsage().leased, 0, 'nothing stays leased')
  })
}

t.test('a body over the limit is refused with 413, announced or not', async (t) => {
  const announced = new ServerLog({ maxBodyBytes: 10 })
  announced.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n')
  t.match(announced.wire.take(), /^HTTP\/1\.1 413 .*\r\n/)
  t.same(announced.events, ['refused BODY_TOO_LARGE 413'])
  const chunked = new ServerLog({ maxBodyBytes: 10 })
  chunked.wire.feed(`${CHUNKED}b\r\nhello world\r\n0\r\n\r\n`)
  t.match(chunked.wire.take(), /^HTTP\/1\.1 413 /)
  t.equal(chunked.wire.state, 'ended')
  const within = new ServerLog({ maxBodyBytes: 11 })
  within.wire.feed(`${CHUNKED}b\r\nhello world\r\n0\r\n\r\n`)
  t.equal(within.events.at(-1), 'end "hello world"')
})

t.test('a thousand pipelined requests are answered in a loop, without growing the stack', async (t) => {
  const log = new ServerLog()
  let depth = 0
  let deepest = 0
  log.onLast = (exchange) => {
    deepest = Math.max(deepest, ++depth)
    answer(exchange, 200, 'ok')
    depth--
  }
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1000))
  t.equal(log.exchanges.length, 1000)
  t.equal(deepest, 1)
  t.equal(log.wire.take(), OK.repeat(1000))
})

t.test('pipelined requests wait for a slow answer, and reading pauses when many bytes wait', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal(log.exchanges.length, 1)
  t.equal(log.wire.isPaused, false)
  const many = `GET /3 HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(2000)}\r\n\r\n`
  for (let i = 0; i < 10; i++) log.wire.feed(many)
  t.equal(log.wire.isPaused, true, 'paused')
  let last = log.exchanges.length
  while (last < 12) {
    answer(log.exchange, 200, 'ok')
    t.equal(log.exchanges.length, ++last, 'one answer, one request')
  }
  t.equal(log.wire.isPaused, false, 'resumed')
  answer(log.exchange, 200, 'ok')
  t.equal(log.wire.take(), OK.repeat(12))
  t.equal(poolUsage().leased, 0)
})

t.test('a request whose answer takes time keeps its head when the read buffer is gone', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET /slow?q=1 HTTP/1.1\r\nHost: a\r\nX-Late: yes\r\n\r\n')
  const { request } = log.exchange
  t.equal(request.headers.get('x-late'), 'yes')
  t.equal(poolUsage().leased, 1)
  answer(log.exchange, 200)
  t.equal(poolUsage().leased, 0)
})

t.test('a connection that was only opened is closed without a word after the header timeout', async (t) => {
  const log = new ServerLog()
  log.wire.pass(9_000)
  t.equal(log.wire.state, 'open')
  log.wire.pass(1_001)
  t.equal(log.wire.state, 'closed')
  t.equal(log.wire.take(), '')
})

t.test('a head that drips gets 408 after the header timeout, however alive it looks', async (t) => {
  const log = new ServerLog()
  log.onLast = (exchange) => answer(exchange, 200, 'ok')
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  log.wire.take()
  log.wire.pass(30_000)
  log.wire.feed('GET / HT')
  for (let i = 0; i < 9; i++) {
    log.wire.pass(1000)
    log.wire.feed('T')
    if (log.wire.state !== 'open') break
  }
  t.equal(log.events.at(-1), 'refused BAD_REQUEST 400')
  const slow = new ServerLog()
  slow.wire.feed('GET / HTTP/1.1\r\n')
  for (let i = 0; i < 9; i++) {
    slow.wire.pass(1000)
    slow.wire.feed(`X-${i}: 1\r\n`)
  }
  t.equal(slow.wire.state, 'open')
  slow.wire.pass(1001)
  t.match(slow.wire.take(), /^HTTP\/1\.1 408 Request Timeout\r\n/)
  t.same(slow.events, ['refused REQUEST_TIMEOUT 408'])
  t.equal(poolUsage().leased, 0)
})

t.test('a body that stops gets 408 after the idle timeout, but not while it is held back', async (t) => {
  const log = new ServerLog()
  log.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
  log.exchange.downstream.pause()
  t.equal(log.wire.isPaused, true)
  log.wire.pass(200_000)
  t.equal(log.wire.state, 'open')
  log.exchange.downstream.resume()
  t.equal(log.wire.isPaused, false)
  log.wire.feed('d')
  log.wire.pass(130_000)
  t.ok(log.events.includes('failed REQUEST_TIMEOUT may reply'))
  t.match(log.wire.take(), /^HTTP\/1\.1 408 /)
})

t.test(
  'an idle connection is closed after the idle timeout, and the timer is not touched by requests',
  async (t) => {
    const log = new ServerLog()
    log.onLast = (exchange) => answer(exchange, 200, 'ok')
    log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    log.wire.pass(10_001)
    const calls = log.wire.timerCalls
    for (let i = 0; i < 100; i++) log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    t.equal(log.wire.timerCalls, calls)
    log.wire.pass(59_000)
    t.equal(log.wire.state, 'open')
    log.wire.pass(2_000)
    t.equal(log.wire.state, 'closed')
  },
)

t.test('a caller that takes nothing of its answer is given up', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  log.wire.queued = 300_000
  log.wire.isWritable = false
  t.equal(log.exchange.downstream.isWritable, false)
  log.wire.pass(180_000)
  t.equal(log.wire.state, 'destroyed')
  log.server.onClose(null)
  t.equal(log.events.at(-1), 'failed DOWNSTREAM_GONE')
})

t.test(
  'draining: the running answer says close, an idle connection still takes a request for a second',
  async (t) => {
    const busy = new ServerLog()
    busy.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    busy.server.drain(30_000)
    t.equal(busy.server.activeExchanges, 1)
    answer(busy.exchange, 200, 'ok')
    t.equal(busy.wire.take(), OK_CLOSE)
    t.equal(busy.wire.state, 'ended')
    t.equal(busy.server.activeExchanges, 0)

    const idle = new ServerLog()
    idle.onLast = (exchange) => answer(exchange, 200, 'ok')
    idle.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    idle.wire.take()
    idle.server.drain(30_000)
    idle.wire.pass(500)
    t.equal(idle.wire.state, 'open')
    idle.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    t.equal(idle.wire.take(), OK_CLOSE)

    const quiet = new ServerLog()
    quiet.server.drain(30_000)
    quiet.wire.pass(1001)
    t.equal(quiet.wire.state, 'closed')
  },
)

t.test('FIN behind the request: the answer still goes out, then the connection closes', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  log.server.onEnd()
  t.equal(log.wire.state, 'open')
  answer(log.exchange, 200, 'ok')
  t.equal(log.exchanges.length, 2)
  answer(log.exchange, 200, 'ok')
  t.equal(log.wire.take(), OK + OK)
  t.equal(log.wire.state, 'closed')
})

t.test('FIN in the middle of a head or a body means that the caller is gone', async (t) => {
  const head = new ServerLog()
  head.wire.feed('GET / HTTP/1.1\r\nHo')
  head.server.onEnd()
  t.same(head.events, ['refused DOWNSTREAM_GONE 0'])
  t.equal(head.wire.state, 'closed')
  head.server.onClose(null)
  const body = new ServerLog()
  body.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
  body.server.onEnd()
  t.equal(body.events.at(-1), 'failed DOWNSTREAM_GONE')
  t.equal(body.wire.state, 'destroyed')
  body.server.onClose(null)
  const idle = new ServerLog()
  idle.server.onEnd()
  t.equal(idle.wire.state, 'closed')
  t.same(idle.events, [])
  t.equal(poolUsage().leased, 0)
})

t.test('a caller that vanishes fails its exchange once', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  log.server.onClose(new Error('ECONNRESET'))
  t.equal(log.events.at(-1), 'failed DOWNSTREAM_GONE')
  t.equal(log.server.activeExchanges, 0)
  t.equal(poolUsage().leased, 0)
})

t.test('an early answer leaves a short body to be dropped and the connection serving', async (t) => {
  for (const body of [
    'Content-Length: 10\r\n\r\n0123456789',
    'Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n',
  ]) {
    const request = `POST / HTTP/1.1\r\nHost: a\r\n${body}`
    for (const pieces of cuts(Buffer.from(request))) {
      const log = new ServerLog()
      log.onHead = (exchange) => answer(exchange, 200, 'ok')
      for (const piece of pieces) log.wire.feed(piece)
      log.wire.feed('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
      if (log.exchanges.length !== 2) t.same(log.events, [], `${pieces[0].length}`)
      if (log.wire.take() !== OK + OK) t.fail('both are answered')
      log.server.onClose(null)
    }
  }
  t.equal(poolUsage().leased, 0)
})

t.test('an early answer to a chunked body keeps its promise however long the body turns out', async (t) => {
  const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`
  const begin = (): ServerLog => {
    const log = new ServerLog()
    log.onHead = (exchange) => answer(exchange, 200, 'ok')
    log.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    t.equal(log.wire.take(), OK)
    return log
  }
  const long = begin()
  for (let i = 0; i < 100; i++) long.wire.feed(chunk)
  long.wire.feed('0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal(long.wire.take(), OK, 'the next request is answered')
  long.server.onClose(null)
  const flood = begin()
  for (let i = 0; i < 140; i++) flood.wire.feed(chunk)
  t.equal(flood.wire.state, 'ended', 'but not without end')
  flood.server.onClose(null)
})

t.test('an early answer to a long body closes: FIN, then a while of reading, then the end', async (t) => {
  const log = new ServerLog()
  log.onHead = (exchange) => answer(exchange, 429)
  log.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n0123456789')
  t.equal(log.wire.take(), 'HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  t.equal(log.wire.state, 'ended')
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  log.wire.pass(1500)
  t.equal(log.wire.state, 'ended')
  log.wire.pass(600)
  t.equal(log.wire.state, 'closed')
  t.equal(log.exchanges.length, 1)

  const flood = new ServerLog()
  flood.onHead = (exchange) => answer(exchange, 429)
  flood.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n')
  for (let i = 0; i < 70; i++) flood.wire.feed(Buffer.alloc(65536))
  t.equal(flood.wire.state, 'destroyed', 'only so many bytes are read')
})

t.test('Expect: 100-continue is asked for by the gateway while a filter gathers the body', async (t) => {
  const log = new ServerLog()
  log.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n')
  t.equal(log.wire.take(), 'HTTP/1.1 100 Continue\r\n\r\n')
  log.onLast = (exchange) => answer(exchange, 200, 'ok')
  log.wire.feed('hi')
  t.equal(log.wire.take(), OK)
  const refused = new ServerLog()
  refused.onHead = (exchange) => answer(exchange, 401)
  refused.wire.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
  t.equal(refused.wire.take(), 'HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  t.equal(refused.wire.state, 'ended', 'nobody knows whether the body follows')
  const old = new ServerLog()
  old.wire.feed('POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
  t.equal(old.wire.take(), '', 'HTTP/1.0 knows no 100')
})

t.test('a failure is a line of text with its code, or a result code for an operation', async (t) => {
  const plain = new ServerLog()
  plain.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const error = new GatewayError('RATE_LIMITED', 'secret detail')
  error.retryAfterMs = 1200
  const reply = plain.exchange.downstream.errorReply(error)
  plain.exchange.downstream.sendResponse(reply, false)
  plain.exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
  finish(plain.exchange)
  t.equal(
    plain.wire.take(),
    'HTTP/1.1 429 Too Many Requests\r\nx-meshgate-error: RATE_LIMITED\r\ncontent-type: text/plain; charset=utf-8\r\n' +
      'retry-after: 2\r\ncontent-length: 42\r\n\r\nRATE_LIMITED: the rate limit is reached\n'.replace(
        '42',
        '40',
      ),
  )
  const operation = new ServerLog()
  operation.wire.feed('POST /mgw.htm HTTP/1.1\r\nHost: a\r\nOperation-Type: x.y\r\n\r\n')
  const refusal = operation.exchange.downstream.errorReply(error)
  operation.exchange.downstream.sendResponse(refusal, true)
  finish(operation.exchange)
  t.equal(
    operation.wire.take(),
    'HTTP/1.1 200 OK\r\nx-meshgate-error: RATE_LIMITED\r\nresult-status: 1002\r\n' +
      'result-memo: the%20rate%20limit%20is%20reached\r\nresult-tips: the%20rate%20limit%20is%20reached\r\n' +
      'retry-after: 2\r\ncontent-length: 0\r\n\r\n',
  )
})

t.test('an answer that does not keep its promised length cuts the connection', async (t) => {
  for (const body of ['too long', 'abc']) {
    const log = new ServerLog()
    log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const reply = log.exchange.downstream.localReply(200, 1000, Buffer.from('12345'))
    log.exchange.downstream.sendResponse(reply, false)
    log.exchange.downstream.sendBody(Buffer.from(body), 0, body.length, true)
    t.equal(log.wire.state, 'destroyed', body)
  }
})

t.test('reset cuts off a response that began, finish without an answer too', async (t) => {
  const log = new ServerLog()
  log.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  log.exchange.downstream.reset(new GatewayError('UPSTREAM_RESET'))
  finish(log.exchange)
  t.equal(log.wire.state, 'destroyed')
  log.server.onClose(null)
  t.notOk(
    log.events.some((event) => event.startsWith('failed')),
    'who resets need not be told',
  )
  const silent = new ServerLog()
  silent.wire.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  finish(silent.exchange)
  t.equal(silent.wire.state, 'destroyed')
})

t.test('an edge listener strips what only the access layer may set', async (t) => {
  const input = 'GET / HTTP/1.1\r\nHost: a\r\nUid: 7\r\nX: 1\r\nTarget-Cell: RZ00\r\n\r\n'
  const edge = new ServerLog({ trusted: false })
  edge.wire.feed(input)
  t.same(edge.events.slice(1, 3), ['  host: a', '  x: 1'])
  const inner = new ServerLog({ trusted: true })
  inner.wire.feed(input)
  t.ok(inner.events.includes('  uid: 7'))
})
