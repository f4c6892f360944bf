/** What flows slowly, both ways, stops in the middle or comes in unusual forms. */
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import t, { type Test } from 'tap'
import { call, connectRaw, echo, readBody, simpleConfig, until } from '../support/http.ts'
import { exchangeRaw, type Rig, startBusiness, startRawBusiness, startRig } from '../support/rig.ts'

const MIB = 1 << 20
/** More than the sockets' kernel buffers and the gateway's watermarks hold together. */
const FAR = 48 * MIB
const LENGTH = 128 * MIB
const piece = Buffer.alloc(256 * 1024, 'flow')
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Writes `LENGTH` bytes as fast as the socket takes them; `sent` counts. */
function pour(socket: net.Socket, progress: { sent: number }): void {
  const more = (): void => {
    while (progress.sent < LENGTH) {
      progress.sent += piece.length
      if (!socket.write(piece)) {
        socket.once('drain', more)
        return
      }
    }
    socket.end()
  }
  more()
}

/** Reads nothing until `go`, then everything; resolves with how much came. */
async function drink(socket: net.Socket, go: Promise<unknown>): Promise<number> {
  socket.pause()
  await go
  let length = 0
  socket.on('data', (chunk: Buffer | string) => (length += chunk.length))
  socket.resume()
  await once(socket, 'end')
  return length
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300))

t.test('a tunnel', async (t) => {
  const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: flow\r\n\r\n'
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: flow\r\n\r\n'

  async function startTunnel(test: Test): Promise<{ client: net.Socket; business: net.Socket; rig: Rig }> {
    let business: net.Socket | undefined
    const port = await startRawBusiness(test, (socket) => {
      business = socket
      socket.once('data', () => socket.write(SWITCH))
    })
    const rig = await startRig(test, simpleConfig(port))
    const client = net.connect({ port: rig.port(), host: '127.0.0.1', allowHalfOpen: true })
    test.teardown(() => client.destroy())
    client.on('error', () => undefined)
    client.write(UPGRADE)
    const [head] = (await once(client, 'data')) as [Buffer]
    t.equal(head.toString('latin1').split('\r\n')[0], 'HTTP/1.1 101 Switching Protocols')
    return { client, business: business as net.Socket, rig }
  }

  for (const direction of ['down', 'up'] as const) {
    t.test(`holds its source back while nobody reads ${direction}stream, and loses nothing`, async (t) => {
      const { client, business } = await startTunnel(t)
      const [source, sink] = direction === 'down' ? [business, client] : [client, business]
      const progress = { sent: 0 }
      const waiting = pause().then(() =>
        t.ok(progress.sent < FAR, `${progress.sent / MIB} MiB are on their way`),
      )
      const drunk = drink(sink, waiting)
      pour(source, progress)
      t.equal(await drunk, LENGTH)
      sink.end()
      await once(source, 'close')
    })
  }

  t.test('that breaks in full flow leaves nothing', async (t) => {
    for (const side of ['client', 'business'] as const) {
      const { client, business, rig } = await startTunnel(t)
      const progress = { sent: 0 }
      client.pause()
      business.pause()
      pour(client, { sent: 0 })
      pour(business, progress)
      await pause()
      ;(side === 'client' ? client : business).resetAndDestroy()
      await until('both ends are over', () => rig.gateway.dispatcher.live === 0)
    }
  })
})

t.test('callers that leave in the middle of large answers and uploads leave nothing', async (t) => {
  const port = await startBusiness(t, async (request, response) => {
    request.on('error', () => undefined)
    if (request.method === 'GET') pour(response as unknown as net.Socket, { sent: 0 })
    else {
      await readBody(request).catch(() => undefined)
      response.end()
    }
  })
  const rig = await startRig(t, simpleConfig(port))
  const leave = async (i: number): Promise<void> => {
    const peer = net.connect(rig.port(), '127.0.0.1')
    peer.on('error', () => undefined)
    if (i % 2 === 0) peer.write(GET)
    else peer.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LENGTH}\r\n\r\n`)
    let length = 0
    if (i % 2 === 0) {
      peer.on('data', (chunk) => {
        length += chunk.length
        if (length > i * 100_000) peer.pause()
      })
      await until('something came', () => length > i * 100_000)
    } else {
      // Not `pour`: a socket that has ended cannot be reset any more.
      for (let j = 0; j < i; j++) peer.write(piece)
      await new Promise((resolve) => setTimeout(resolve, i))
    }
    if (i % 4 < 2) peer.resetAndDestroy()
    else peer.destroy()
  }
  await Promise.all(Array.from({ length: 32 }, (_, i) => leave(i)))
  await until('their exchanges are over', () => rig.gateway.dispatcher.live === 0)
  t.equal((await call(rig.port(), { body: 'x' })).status, 200)
})

t.test('bodies where none may be are dropped, with the connection they came on', async (t) => {
  const port = await startRawBusiness(t, (socket) => {
    socket.on('data', (chunk) => {
      const [method, target] = chunk.toString('latin1').split(' ')
      const status = { '/204': '204 No Content', '/304': '304 Not Modified' }[target as string] ?? '200 OK'
      if (method === 'HEAD' || status !== '200 OK')
        socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 5\r\n\r\nwrong`)
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    socket.on('end', () => socket.end())
  })
  const rig = await startRig(t, simpleConfig(port))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (const options of [{ method: 'HEAD' }, { path: '/204' }, { path: '/304' }]) {
    t.equal((await call(rig.port(), { ...options, agent })).text, '')
    t.equal((await call(rig.port(), { agent })).text, 'ok', `behind ${JSON.stringify(options)}`)
  }
})

t.test('an upgrade that the business process does not grant is a request like any other', async (t) => {
  const port = await startBusiness(t, (request, response) => void echo(request, response))
  const rig = await startRig(t, simpleConfig(port))
  const peer = await connectRaw(t, rig.port())
  for (const upgrade of ['websocket', 'h2c', 'TLS/1.0']) {
    peer.text = ''
    peer.send(`GET /${upgrade} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`)
    await peer.untilText('"body":""}')
    t.match(peer.text, /^HTTP\/1\.1 200 OK\r\n/)
    if (upgrade !== 'websocket')
      t.notMatch(peer.text.toLowerCase(), `"upgrade":"${upgrade.toLowerCase()}"`, 'is not passed on')
  }
})

t.test('an HTTP/1.0 caller keeps its connection when it asks for that', async (t) => {
  const port = await startBusiness(t, (request, response) => {
    if (request.url === '/chunked') response.write('a')
    response.end('b')
  })
  const rig = await startRig(t, simpleConfig(port))
  const one = 'GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
  const two = await exchangeRaw(rig.port(), one + one.replace('keep-alive', 'close'), false)
  t.equal(two.split('\r\n\r\nb').length, 3, two)
  t.match(two, /connection: keep-alive\r\n/i)
  const unknown = await exchangeRaw(rig.port(), one.replace('/known', '/chunked'), false)
  t.match(unknown, /\r\n\r\nab$/, 'a body of unknown length ends with the connection')
  t.notMatch(unknown, /transfer-encoding/i)
})

t.test(
  'connections to a business process are given up when they were idle or used long enough',
  async (t) => {
    let connections = 0
    const server = http.createServer((_, response) => response.end('ok'))
    server.on('connection', () => connections++)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as net.AddressInfo
    const config = (more: string): string => simpleConfig(port).replace("'] }]", `'], ${more} }]`)
    const rig = await startRig(t, config('maxRequestsPerConnection: 3'))
    for (let i = 0; i < 9; i++) t.equal((await call(rig.port())).text, 'ok')
    t.equal(connections, 3)
    await rig.reconfigure(config('timeouts: { idle: 100ms }'))
    for (let i = 0; i < 2; i++) {
      t.equal((await call(rig.port())).text, 'ok')
      await until(
        'it is given up',
        () => rig.gateway.clusters.get('out')?.part.report()[0]?.connections === 0,
      )
    }
    t.equal(connections, 5)
  },
)

t.test('localhost is 127.0.0.1', async (t) => {
  const port = await startBusiness(t, (request, response) => void echo(request, response))
  const rig = await startRig(t, simpleConfig(`localhost:${port}`))
  t.equal((await call(rig.port())).status, 200)
  t.equal(rig.gateway.clusters.get('out')?.part.report()[0]?.resolved[0], `127.0.0.1:${port}`)
})

t.test(
  'a listener that recognises protocols serves HTTP/1.1, also a head that comes byte by byte',
  async (t) => {
    const port = await startBusiness(t, (request, response) => void echo(request, response))
    const rig = await startRig(t, simpleConfig(port).replace('protocol: http1', 'protocol: auto'))
    t.equal(JSON.parse((await call(rig.port(), { path: '/auto', body: 'x' })).text).url, '/auto')
    const peer = await connectRaw(t, rig.port())
    for (const byte of GET.replace('/ ', '/slow ')) {
      peer.send(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.match(await peer.untilText('"body":""}'), '"url":"/slow"')
  },
)
