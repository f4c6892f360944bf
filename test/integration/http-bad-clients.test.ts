/** Callers that leave, dawdle, exceed limits or smuggle: only they are the worse for it. */
import http from 'node:http'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { call, connectRaw, echo, lastEntry, logLines, simpleConfig, until } from '../support/http.ts'
import { exchangeRaw, type Rig, startBusiness, startRawBusiness, startRig } from '../support/rig.ts'

const LOG = 'filters: [{ use: access-log, path: access.log, format: json }]'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** `simpleConfig` with more keys for the listener. */
function listening(port: number, keys: string, more = LOG): string {
  return simpleConfig(port, more).replace('address: 127.0.0.1:0 }]', `address: 127.0.0.1:0, ${keys} }]`)
}

/** A gateway before a raw business process that only records; `sockets` are its connections. */
async function startSilent(
  t: Test,
  answer = '',
): Promise<{ rig: Rig; sockets: net.Socket[]; seen: () => string }> {
  const sockets: net.Socket[] = []
  let seen = ''
  const port = await startRawBusiness(t, (socket) => {
    sockets.push(socket)
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      if (answer !== '') socket.write(answer)
    })
    socket.on('end', () => socket.end())
  })
  return { rig: await startRig(t, simpleConfig(port, LOG)), sockets, seen: () => seen }
}

t.test('a caller that leaves', async (t) => {
  const phases = [
    { when: 'in the middle of its head', send: 'GET / HTT', dials: 0, lines: 0 },
    {
      when: 'in the middle of its body',
      send: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf',
      dials: 1,
      lines: 1,
    },
    {
      when: 'in the middle of a chunk',
      send: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf',
      dials: 1,
      lines: 1,
    },
    { when: 'while it waits for its answer', send: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', dials: 1, lines: 1 },
    {
      when: 'in the middle of its answer',
      send: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      answer: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
      dials: 1,
      lines: 1,
    },
    {
      when: 'with requests still in its pipeline',
      send: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3),
      dials: 1,
      lines: 1,
    },
  ]
  for (const { when, send, answer = '', dials, lines } of phases) {
    t.test(`${when} takes its work at the business process along, flag DC`, async (t) => {
      const { rig, sockets, seen } = await startSilent(t, answer)
      const peer = await connectRaw(t, rig.port())
      peer.send(send)
      if (dials > 0) await until('the business process sees the request', () => seen().includes('\r\n\r\n'))
      if (answer !== '') await peer.untilText('half')
      const isClosed = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
      peer.socket.resetAndDestroy()
      await Promise.all(isClosed)
      t.equal(sockets.length, dials)
      const entries = await logLines(rig, lines)
      t.equal(entries.length, lines)
      if (lines > 0) t.equal((await lastEntry(rig, lines))['flags'], 'DC')
    })
  }

  t.test('while a filter holds its request never reaches the business process', async (t) => {
    const { rig, sockets } = await startSilent(t)
    const port = rig.gateway.clusters.get('out')?.config.endpoints[0]?.address.split(':')[1]
    const filters =
      'filters: [{ use: access-log, path: access.log, format: json }, { use: fault, delay: { for: 10s } }]'
    await rig.reconfigure(simpleConfig(Number(port), filters))
    const peer = await connectRaw(t, rig.port())
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await until('the request is held', () => rig.gateway.dispatcher.live === 1)
    peer.socket.resetAndDestroy()
    await until('the request is over', () => rig.gateway.dispatcher.live === 0)
    t.equal(sockets.length, 0)
    t.match((await lastEntry(rig, 1))['flags'], 'DC')
  })
})

t.test('a caller that ends its own direction behind its request still gets its answer', async (t) => {
  const port = await startBusiness(t, (_, response) => {
    setTimeout(() => response.end('late'), 50)
  })
  const rig = await startRig(t, simpleConfig(port))
  t.match(await exchangeRaw(rig.port(), 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n'), /\r\n\r\nlate$/)
  const both = await exchangeRaw(
    rig.port(),
    'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  )
  t.equal(both.split('\r\n\r\nlate').length, 3, 'both of them, when there are two')
})

t.test('two hundred callers that send a byte now and then do not hold up the others', async (t) => {
  const port = await startBusiness(t, (_, response) => response.end('ok'))
  const rig = await startRig(t, listening(port, 'timeouts: { header: 3s }'))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  t.teardown(() => agent.destroy())
  const measure = async (): Promise<number> => {
    const times: number[] = []
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 60; i++) {
          const startMs = performance.now()
          const answer = await call(rig.port(), { agent })
          if (answer.text !== 'ok') t.fail(`answered ${answer.status}`)
          times.push(performance.now() - startMs)
        }
      }),
    )
    return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] as number
  }
  await measure()
  const alone = await measure()
  const slow = await Promise.all(Array.from({ length: 200 }, () => connectRaw(t, rig.port())))
  const head = `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(1000)}`
  let at = 0
  const timer = setInterval(() => {
    for (const { socket } of slow) if (socket.writable) socket.write(head.slice(at, at + 1))
    at++
  }, 20)
  const beside = await measure()
  t.comment(
    `p99 of healthy callers: ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside 200 slow ones`,
  )
  await Promise.all(slow.map((peer) => peer.untilOver()))
  clearInterval(timer)
  t.ok(
    slow.every(({ text }) => text.startsWith('HTTP/1.1 408 ')),
    'the slow ones are told 408',
  )
})

t.test('time runs out', async (t) => {
  t.test('for a head that never ends (408), and for a connection that never says anything', async (t) => {
    const port = await startBusiness(t, (_, response) => response.end('ok'))
    const rig = await startRig(t, listening(port, 'timeouts: { header: 100ms, idle: 200ms }'))
    t.match(
      await exchangeRaw(rig.port(), 'GET / HTTP/1.1\r\nHost: a\r\n', false),
      /^HTTP\/1\.1 408 Request Timeout\r\n/,
    )
    t.equal(await exchangeRaw(rig.port(), '', false), '')
  })

  t.test(
    'for a connection that is idle between requests, but not for one that waits for its answer',
    async (t) => {
      const port = await startBusiness(t, (_, response) => {
        setTimeout(() => response.end('ok'), 400)
      })
      const rig = await startRig(t, listening(port, 'timeouts: { header: 100ms, idle: 150ms }'))
      const text = await exchangeRaw(rig.port(), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', false)
      t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
    },
  )

  t.test('for a body that stops (408, flag DT)', async (t) => {
    const { rig, sockets } = await startSilent(t)
    const port = Number(rig.gateway.clusters.get('out')?.config.endpoints[0]?.address.split(':')[1])
    await rig.reconfigure(listening(port, 'timeouts: { header: 100ms, idle: 150ms }'))
    const text = await exchangeRaw(
      rig.port(),
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf',
      false,
    )
    t.match(text, /^HTTP\/1\.1 408 /)
    t.match(await lastEntry(rig, 1), { status: 408, flags: 'DT' })
    await until('the business process is told', () => sockets.every((socket) => socket.destroyed))
  })
})

t.test('limits', async (t) => {
  const port = await startBusiness(t, (request, response) => void echo(request, response))
  const rig = await startRig(
    t,
    listening(port, 'limits: { head: 4KiB, headers: 20, uri: 1KiB, body: 1000B }'),
  )
  const cases: [string, string, number][] = [
    ['a target beyond the limit', `GET /${'a'.repeat(2000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['a head beyond the limit', `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(5000)}\r\n\r\n`, 431],
    [
      'a head beyond the limit that does not end',
      `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(9000)}`,
      431,
    ],
    ['too many headers', `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: 1\r\n'.repeat(20)}\r\n`, 431],
    ['a body that announces too much', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n', 413],
    [
      'a body that becomes too much',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${`64\r\n${'x'.repeat(100)}\r\n`.repeat(11)}0\r\n\r\n`,
      413,
    ],
  ]
  for (const [what, bytes, status] of cases) {
    const text = await exchangeRaw(rig.port(), bytes, false)
    t.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), what)
    t.match(text, /connection: close\r\n/i)
  }
  t.equal((await call(rig.port(), { body: 'x'.repeat(1000) })).status, 200, 'what is just within is served')
  await until(
    'their connections are closed',
    () => rig.gateway.listeners.get('in')?.part.connections.size === 0,
  )
})

t.test('connections beyond the limit are closed, and those within it are served', async (t) => {
  const port = await startBusiness(t, (_, response) => response.end('ok'))
  const rig = await startRig(t, listening(port, 'maxConnections: 3'))
  const peers = []
  for (let i = 0; i < 3; i++) peers.push(await connectRaw(t, rig.port()))
  await until('they are accepted', () => rig.gateway.listeners.get('in')?.part.connections.size === 3)
  const beyond = await connectRaw(t, rig.port())
  t.equal(await beyond.untilOver(), '')
  for (const peer of peers) {
    peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    t.match(await peer.untilOver(), /ok$/)
  }
  t.equal(rig.gateway.listeners.get('in')?.part.refused, 1)
})

const GET = 'GET /good HTTP/1.1\r\nHost: a\r\n\r\n'
const post = (fields: string, body = ''): string => `POST /bad HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`

/** Heads that two servers may read in two ways. None of them may reach the business process. */
const SMUGGLING: Readonly<Record<string, string>> = {
  'Content-Length and Transfer-Encoding': post(
    'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n',
    '0\r\n\r\nX',
  ),
  'two different Content-Lengths': post('Content-Length: 1\r\nContent-Length: 2\r\n', 'ab'),
  'the same Content-Length twice': post('Content-Length: 1\r\nContent-Length: 1\r\n', 'a'),
  'two different Content-Lengths in one': post('Content-Length: 1, 2\r\n', 'ab'),
  'a negative Content-Length': post('Content-Length: -1\r\n'),
  'a signed Content-Length': post('Content-Length: +1\r\n', 'a'),
  'a hexadecimal Content-Length': post('Content-Length: 0x1\r\n', 'a'),
  'an empty Content-Length': post('Content-Length:\r\n'),
  'a Content-Length with a space in it': post('Content-Length: 1 0\r\n', 'a'),
  'a Content-Length beyond every number': post('Content-Length: 18446744073709551617\r\n', 'a'),
  'a Transfer-Encoding that is not chunked': post('Transfer-Encoding: identity\r\n'),
  'chunked twice': post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'),
  'chunked that is not last': post('Transfer-Encoding: chunked, gzip\r\n', '0\r\n\r\n'),
  'two Transfer-Encodings': post(
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    '0\r\n\r\n',
  ),
  xchunked: post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'),
  'chunked behind a vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
  'chunked in quotes': post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'),
  'Transfer-Encoding in HTTP/1.0':
    'POST /bad HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a space before the colon': post('Content-Length : 1\r\n', 'a'),
  'a line folded onto the next': post('X-A: b\r\n Content-Length: 1\r\n', 'a'),
  'a folded first line': 'GET /bad HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n',
  'a bare LF': 'GET /bad HTTP/1.1\nHost: a\n\n',
  'a bare LF between headers': 'GET /bad HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n',
  'a bare CR in a value': 'GET /bad HTTP/1.1\r\nHost: a\r\nX-A: b\rContent-Length: 1\r\n\r\n',
  'NUL in a value': 'GET /bad HTTP/1.1\r\nHost: a\r\nX-A: b\x00c\r\n\r\n',
  'NUL in a name': 'GET /bad HTTP/1.1\r\nHost: a\r\nX\x00A: b\r\n\r\n',
  'a control byte in the target': 'GET /b\x01ad HTTP/1.1\r\nHost: a\r\n\r\n',
  'a space in the target': 'GET /bad path HTTP/1.1\r\nHost: a\r\n\r\n',
  'a tab behind the method': 'GET\t/bad HTTP/1.1\r\nHost: a\r\n\r\n',
  'a header without a name': 'GET /bad HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n',
  'a header without a colon': 'GET /bad HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n',
  'no Host': 'GET /bad HTTP/1.1\r\nX-A: b\r\n\r\n',
  'two Hosts': 'GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'a Host that is none': 'GET /bad HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'a Host with user information': 'GET /bad HTTP/1.1\r\nHost: me@a\r\n\r\n',
  'a target without a slash': 'GET bad HTTP/1.1\r\nHost: a\r\n\r\n',
  'an unknown version': 'GET /bad HTTP/1.2.3\r\nHost: a\r\n\r\n',
  'a request line of two words': 'GET /bad\r\nHost: a\r\n\r\n',
  'HTTP/2 without a word': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  TLS: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
}

/** Bodies that break after a good head. */
const BROKEN_CHUNKS: Readonly<Record<string, string>> = {
  'a chunk size that is none': 'z\r\nab\r\n0\r\n\r\n',
  'a negative chunk size': '-1\r\nab\r\n0\r\n\r\n',
  'a chunk size with 0x': '0x2\r\nab\r\n0\r\n\r\n',
  'a chunk size with a space': '2 \r\nab\r\n0\r\n\r\n',
  'a chunk size beyond every number': 'fffffffffffffffff\r\nab\r\n',
  'a chunk that is longer than its size': '1\r\nab\r\n0\r\n\r\n',
  'a chunk size that ends in LF': '2\nab\r\n0\r\n\r\n',
  'a chunk that ends in LF': '2\r\nab\n0\r\n\r\n',
  'a forbidden trailer line': '2\r\nab\r\n0\r\nX A: b\r\n\r\n',
}

t.test('what may smuggle', async (t) => {
  const { rig, seen } = await startSilent(t, OK)
  for (const [what, bytes] of Object.entries(SMUGGLING)) {
    const text = await exchangeRaw(rig.port(), bytes + GET, false)
    t.match(text, /^HTTP\/1\.1 (400|501|505) /, `${what} is refused`)
    t.match(text, /connection: close\r\n/i)
    t.equal(text.split('HTTP/1.1 ').length, 2, 'and nothing behind it is answered')
    const pipelined = await exchangeRaw(rig.port(), GET + bytes + GET, false)
    t.match(
      pipelined,
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*?\r\n\r\nokHTTP\/1\.1 (400|501|505) /,
      `${what} behind a good request`,
    )
  }
  t.notMatch(seen(), /bad|Content-Length: 1|chunked/i, 'none of it reached the business process')
  t.equal(seen().split('GET /good').length - 1, Object.keys(SMUGGLING).length, 'each good request did, once')
})

t.test('a broken chunk', async (t) => {
  for (const [what, body] of Object.entries(BROKEN_CHUNKS)) {
    const { rig, seen } = await startSilent(t)
    const text = await exchangeRaw(rig.port(), post('Transfer-Encoding: chunked\r\n', body) + GET, false)
    t.match(text, /^HTTP\/1\.1 400 /, `${what} is refused`)
    t.equal(text.split('HTTP/1.1 ').length, 2)
    t.notMatch(seen(), /good|\r\n0\r\n\r\n/, 'and the business process sees no end of the body')
    t.match(await lastEntry(rig, 1), { status: 400, flags: 'DPE' })
  }
})

t.test('what only looks like smuggling passes', async (t) => {
  const port = await startBusiness(t, (request, response) => void echo(request, response))
  const rig = await startRig(t, simpleConfig(port))
  const fine = {
    'chunked in capitals': [post('Transfer-Encoding: CHUNKED\r\n', '2\r\nab\r\n0\r\n\r\n'), 'ab'],
    'chunk extensions': [post('Transfer-Encoding: chunked\r\n', '2;a=b\r\nab\r\n0;c\r\n\r\n'), 'ab'],
    'leading zeros in a chunk size': [
      post('Transfer-Encoding: chunked\r\n', '0002\r\nab\r\n000\r\n\r\n'),
      'ab',
    ],
    'an empty line before the request': [`\r\n${post('Content-Length: 2\r\n', 'ab')}`, 'ab'],
    'white space around values': [post('Content-Length: \t 2 \r\n', 'ab'), 'ab'],
  }
  for (const [what, [bytes, body]] of Object.entries(fine)) {
    const text = await exchangeRaw(rig.port(), bytes as string)
    t.match(text, `"body":"${body}"`, what)
  }
})

t.test('200 requests in one packet are answered in order', async (t) => {
  const port = await startBusiness(t, (request, response) => response.end(`<${request.url}>`))
  const rig = await startRig(t, simpleConfig(port))
  const bytes = Array.from({ length: 200 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
  const text = await exchangeRaw(rig.port(), bytes)
  const order = [...text.matchAll(/<\/(\d+)>/g)].map(([, index]) => Number(index))
  t.same(order, [...Array(200).keys()])
})
