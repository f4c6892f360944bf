/** Real clients over HTTP/1.1: curl, undici, ws and node:http, each through a gateway to a node:http business process. */
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { Client, Pool } from 'undici'
import { WebSocket, WebSocketServer } from 'ws'
import { call, connectRaw, curl, echo, missing, readAnswer, readBody, simpleConfig } from '../support/http.ts'
import { type Rig, startBusiness, startRig } from '../support/rig.ts'

const skip = missing('curl')

/** A gateway in front of a business process that answers with what it saw. */
async function startEcho(test: Test, more = ''): Promise<Rig> {
  const port = await startBusiness(test, (request, response) => void echo(request, response))
  return startRig(test, simpleConfig(port, more))
}

t.test('curl', { skip }, async (t) => {
  t.test('gets, posts and asks for heads, several requests on one connection', async (t) => {
    const rig = await startEcho(t)
    const url = `http://127.0.0.1:${rig.port()}`
    const got = await curl([
      '-v',
      `${url}/a?b=c`,
      '--next',
      '-sS',
      '-d',
      'x=1',
      `${url}/post`,
      '--next',
      '-sS',
      '-I',
      `${url}/head`,
    ])
    t.equal(got.code, 0, got.stderr)
    t.match(got.stdout, '"method":"GET","url":"/a?b=c"')
    t.match(got.stdout, /"method":"POST","url":"\/post".*"length":3,"body":"x=1"/)
    t.match(got.stdout, /HTTP\/1\.1 200 OK\r\n[\s\S]*content-type: application\/json\r\n/i)
    t.equal(rig.gateway.listeners.get('in')?.part.stats.requests, 3)
    const again = await curl([
      '-w',
      '%{num_connects} ',
      '-o',
      '/dev/null',
      '-o',
      '/dev/null',
      '-o',
      '/dev/null',
      `${url}/[1-3]`,
    ])
    t.equal(again.stdout, '1 0 0 ', 'the second and third request used the first connection')
  })

  t.test('uploads in chunks', async (t) => {
    const rig = await startEcho(t)
    const body = 'chunked '.repeat(50_000)
    const sent = await curl(
      ['-T', '-', '-H', 'Transfer-Encoding: chunked', `http://127.0.0.1:${rig.port()}/up`],
      body,
    )
    t.equal(sent.code, 0, sent.stderr)
    const seen = JSON.parse(sent.stdout)
    t.equal(seen.method, 'PUT')
    t.equal(seen.length, body.length)
    t.equal(seen.headers['transfer-encoding'], 'chunked')
  })

  t.test('is told by the business process to go on with a big body', async (t) => {
    const rig = await startEcho(t)
    const body = Buffer.alloc(3_000_000, 'b')
    const args = ['-v', '--expect100-timeout', '15', '-H', 'Expect: 100-continue', '--data-binary', '@-']
    const sent = await curl([...args, `http://127.0.0.1:${rig.port()}/big`], body)
    t.equal(sent.code, 0, sent.stderr)
    t.match(sent.stderr, '< HTTP/1.1 100 Continue')
    t.equal(JSON.parse(sent.stdout).length, body.length)
  })

  t.test('keeps its body back when the answer to its expectation is final', async (t) => {
    let length = -1
    const port = await startBusiness(t, () => t.fail('the request is answered before'))
    const rig = await startRig(
      t,
      simpleConfig(port, 'filters: [{ use: direct-reply, status: 401, body: no }]'),
    )
    const args = [
      '-v',
      '--expect100-timeout',
      '15',
      '-H',
      'Expect: 100-continue',
      '--data-binary',
      '@-',
      '-w',
      '%{size_upload}',
    ]
    const sent = await curl([...args, `http://127.0.0.1:${rig.port()}/`], Buffer.alloc(2_000_000))
    length = Number(sent.stdout.slice(2))
    t.equal(sent.code, 0, sent.stderr)
    t.match(sent.stderr, '< HTTP/1.1 401 Unauthorized')
    t.notMatch(sent.stderr, '100 Continue')
    t.equal(length, 0, 'nothing was uploaded')
  })

  t.test('speaks HTTP/1.0', async (t) => {
    const rig = await startEcho(t)
    const url = `http://127.0.0.1:${rig.port()}/old`
    const got = await curl(['--http1.0', '-i', url])
    t.equal(got.code, 0, got.stderr)
    t.match(got.stdout, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(got.stdout, /connection: close\r\n/i)
    t.notMatch(got.stdout, /transfer-encoding/i)
    t.match(got.stdout, '"url":"/old"')
    const posted = await curl(['--http1.0', '-d', 'x=1', url])
    t.match(posted.stdout, '"body":"x=1"')
  })

  t.test('names the origin in absolute-form when the gateway is its proxy', async (t) => {
    const rig = await startEcho(t)
    const proxy = `http://127.0.0.1:${rig.port()}`
    const got = await curl(['-x', proxy, 'http://shop.example:8080/a?b=c'])
    t.equal(got.code, 0, got.stderr)
    const seen = JSON.parse(got.stdout)
    t.equal(seen.url, '/a?b=c')
    t.equal(seen.headers.host, 'shop.example:8080')
    const bare = await curl(['-x', proxy, '--request-target', 'http://shop.example', 'http://shop.example/'])
    t.equal(JSON.parse(bare.stdout).url, '/')
  })

  t.test('reads trailers', async (t) => {
    const port = await startBusiness(t, (_, response) => {
      response.writeHead(200, { trailer: 'x-sum' })
      response.write('half ')
      response.addTrailers({ 'x-sum': '42' })
      response.end('whole')
    })
    const rig = await startRig(t, simpleConfig(port))
    const got = await curl(['--raw', '-i', `http://127.0.0.1:${rig.port()}/`])
    t.match(got.stdout, /\r\n0\r\nx-sum: 42\r\n\r\n$/i)
  })
})

t.test('undici', async (t) => {
  t.test('gets its answers in order when it pipelines ten at a time', async (t) => {
    const port = await startBusiness(t, (request, response) => {
      // Later requests would be ready first.
      const index = Number(request.url?.slice(1))
      setTimeout(() => response.end(`answer ${index}`), (10 - (index % 10)) * 2)
    })
    const rig = await startRig(t, simpleConfig(port))
    const client = new Client(`http://127.0.0.1:${rig.port()}`, { pipelining: 10 })
    const done: number[] = []
    const calls = Array.from({ length: 40 }, async (_, index) => {
      const { statusCode, body } = await client.request({ path: `/${index}`, method: 'GET' })
      t.equal(statusCode, 200)
      t.equal(await body.text(), `answer ${index}`)
      done.push(index)
    })
    await Promise.all(calls)
    t.same(done, [...Array(40).keys()])
    await client.close()
  })

  t.test('keeps a pool of connections busy with requests of every size', async (t) => {
    const port = await startBusiness(t, async (request, response) => {
      const body = await readBody(request)
      response.end(body)
    })
    const rig = await startRig(t, simpleConfig(port))
    const pool = new Pool(`http://127.0.0.1:${rig.port()}`, { connections: 16 })
    const calls = Array.from({ length: 400 }, async (_, index) => {
      const body = Buffer.alloc((index * 977) % 100_000, `${index} `)
      const answer = await pool.request({ path: '/', method: 'POST', body })
      t.ok(Buffer.from(await answer.body.arrayBuffer()).equals(body), `${body.length} bytes came back`)
    })
    await Promise.all(calls)
    const { stats } = rig.gateway.listeners.get('in')!.part
    t.equal(stats.requests, 400)
    t.ok(rig.gateway.listeners.get('in')!.part.connections.size <= 16)
    await pool.close()
  })
})

t.test('a WebSocket', async (t) => {
  async function startSockets(test: Test): Promise<{ rig: Rig; sockets: WebSocketServer }> {
    const sockets = new WebSocketServer({ noServer: true, maxPayload: 4 << 20 })
    const server = http.createServer((_, response) => response.end('plain'))
    server.on('upgrade', (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request)),
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    test.teardown(() => {
      for (const ws of sockets.clients) ws.terminate()
      server.close()
    })
    const rig = await startRig(test, simpleConfig((server.address() as net.AddressInfo).port))
    return { rig, sockets }
  }

  async function open(rig: Rig): Promise<WebSocket> {
    const client = new WebSocket(`ws://127.0.0.1:${rig.port()}/chat?room=1`, { perMessageDeflate: false })
    await once(client, 'open')
    return client
  }

  t.test('carries messages both ways, pings, a MiB at once and the close code', async (t) => {
    const { rig, sockets } = await startSockets(t)
    sockets.on('connection', (ws, request) => {
      ws.send(`hello ${request.url}`)
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }))
    })
    const client = new WebSocket(`ws://127.0.0.1:${rig.port()}/chat?room=1`, { perMessageDeflate: false })
    const [hello] = await once(client, 'message')
    t.equal(String(hello), 'hello /chat?room=1')
    for (const text of ['a', 'b'.repeat(200), 'ü']) {
      client.send(text)
      t.equal(String((await once(client, 'message'))[0]), text)
    }
    const pong = once(client, 'pong')
    client.ping('are you there')
    t.equal(String((await pong)[0]), 'are you there')
    const large = Buffer.alloc(1 << 20, 'large ')
    client.send(large)
    t.ok(((await once(client, 'message')) as [Buffer])[0].equals(large))
    t.equal(rig.gateway.dispatcher.live, 1)
    client.close(4001, 'enough')
    const [code, reason] = await once(client, 'close')
    t.equal(code, 4001)
    t.equal(String(reason), 'enough')
  })

  t.test('is closed by the business process with its code', async (t) => {
    const { rig, sockets } = await startSockets(t)
    sockets.on('connection', (ws) => ws.on('message', () => ws.close(1013, 'later')))
    const client = await open(rig)
    client.send('now?')
    const [code, reason] = await once(client, 'close')
    t.equal(code, 1013)
    t.equal(String(reason), 'later')
  })

  t.test('that vanishes at either end is gone at the other', async (t) => {
    const { rig, sockets } = await startSockets(t)
    const accepted = once(sockets, 'connection')
    const client = await open(rig)
    const [server] = (await accepted) as [WebSocket]
    const gone = once(server, 'close')
    client.terminate()
    t.equal((await gone)[0], 1006)
    const next = once(sockets, 'connection')
    const second = await open(rig)
    const closed = once(second, 'close')
    ;((await next) as [WebSocket])[0].terminate()
    t.equal((await closed)[0], 1006)
  })

  t.test('is refused like any request, and plain requests pass beside it', async (t) => {
    const { rig } = await startSockets(t)
    t.equal((await call(rig.port())).text, 'plain')
  })
})

t.test('a tunnel stays open in one direction when the other has ended', async (t) => {
  const server = http.createServer()
  server.on('upgrade', (_, socket: net.Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    let text = ''
    socket.on('data', (chunk) => (text += chunk))
    socket.on('end', () => socket.end(`you said ${text}`))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const rig = await startRig(t, simpleConfig((server.address() as net.AddressInfo).port))
  const peer = await connectRaw(t, rig.port())
  // The first bytes of the other protocol come in the same packet as the request.
  peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly ')
  await peer.untilText('101 Switching Protocols')
  peer.send('and late')
  peer.socket.end()
  t.match(await peer.untilOver(), /\r\n\r\nyou said early and late$/)
})

t.test('node:http', async (t) => {
  t.test('reads 204, 304 and answers to HEAD without waiting for a body, on one connection', async (t) => {
    const port = await startBusiness(t, (request, response) => {
      if (request.url === '/204') response.writeHead(204).end()
      else if (request.url === '/304') response.writeHead(304, { etag: '"a"', 'content-length': '10' }).end()
      else
        response
          .writeHead(200, { 'content-length': '10' })
          .end(request.method === 'HEAD' ? undefined : '0123456789')
    })
    const rig = await startRig(t, simpleConfig(port))
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const calls = [
      { path: '/204', status: 204, text: '' },
      { path: '/304', status: 304, text: '' },
      { path: '/', method: 'HEAD', status: 200, text: '', length: '10' },
      { path: '/', status: 200, text: '0123456789', length: '10' },
    ]
    for (const { path, method = 'GET', status, text, length } of calls) {
      const answer = await call(rig.port(), { path, method, agent })
      t.equal(answer.status, status)
      t.equal(answer.text, text)
      if (length !== undefined) t.equal(answer.headers['content-length'], length)
      if (status === 204) t.equal(answer.headers['content-length'], undefined)
    }
    t.equal(rig.gateway.listeners.get('in')?.part.connections.size, 1)
    t.same(
      rig.gateway.clusters.get('out')?.part.report()[0]?.connections,
      1,
      'one connection served them all',
    )
  })

  t.test('is given early hints before the answer', async (t) => {
    const port = await startBusiness(t, (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeEarlyHints({ link: '</b.css>; rel=preload' })
      response.end('late')
    })
    const rig = await startRig(t, simpleConfig(port))
    const request = http.get({ port: rig.port(), host: '127.0.0.1', agent: false })
    const hints: unknown[] = []
    request.on('information', (info) => hints.push([info.statusCode, info.headers.link]))
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    t.equal((await readAnswer(response)).text, 'late')
    t.same(hints, [
      [103, '</a.css>; rel=preload'],
      [103, '</b.css>; rel=preload'],
    ])
  })

  t.test('sends trailers and reads trailers', async (t) => {
    const port = await startBusiness(t, async (request, response) => {
      const body = await readBody(request)
      response.writeHead(200, { trailer: 'x-seen' })
      response.write(body)
      response.addTrailers({ 'x-seen': String(request.trailers['x-sum']) })
      response.end()
    })
    const rig = await startRig(t, simpleConfig(port))
    for (const name of ['a new connection', 'a connection in use']) {
      const request = http.request({
        port: rig.port(),
        host: '127.0.0.1',
        agent: false,
        method: 'POST',
        headers: { trailer: 'x-sum' },
      })
      request.write('body')
      request.addTrailers({ 'x-sum': '4' })
      request.end()
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      const answer = await readAnswer(response)
      t.equal(answer.text, 'body')
      t.same(answer.trailers, { 'x-seen': '4' }, name)
    }
  })
})
