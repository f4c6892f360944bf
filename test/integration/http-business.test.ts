/** Real business processes behind the gateway: node:http, Express, Python's http.server, nginx, Unix sockets. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import express from 'express'
import t, { type Test } from 'tap'
import {
  call,
  connectRaw,
  echo,
  freePort,
  missing,
  readBody,
  simpleConfig,
  stopWith,
  until,
} from '../support/http.ts'
import { startBusiness, startRig } from '../support/rig.ts'

async function startFolder(test: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-files-'))
  test.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Resolves when something accepts connections on `port`. */
async function accepts(port: number, child: ChildProcess): Promise<void> {
  for (let isUp = false; !isUp; ) {
    if (child.exitCode !== null) throw new Error(`the business process ended with ${child.exitCode}`)
    isUp = await call(port).then(
      () => true,
      () => new Promise((resolve) => setTimeout(resolve, 20, false)),
    )
  }
}

t.test('node:http', async (t) => {
  t.test('is sent every method and every kind of body as the client sent it', async (t) => {
    const port = await startBusiness(t, (request, response) => void echo(request, response))
    const rig = await startRig(t, simpleConfig(port))
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY']) {
      const seen = JSON.parse((await call(rig.port(), { method, path: '/m?x=%20', body: 'body' })).text)
      t.equal(seen.method, method)
      t.equal(seen.url, '/m?x=%20')
      t.equal(seen.body, 'body', method)
    }
    const seen = JSON.parse((await call(rig.port(), { method: 'POST', body: '' })).text)
    t.equal(seen.length, 0)
    t.equal(seen.headers['content-length'] ?? '0', '0')
  })

  t.test('is told who called, and not what concerns the hop only', async (t) => {
    const port = await startBusiness(t, (request, response) => void echo(request, response))
    const rig = await startRig(t, simpleConfig(port))
    const headers = {
      host: 'shop.example',
      connection: 'close, x-private',
      'x-private': 'secret',
      'keep-alive': 'timeout=5',
      'proxy-connection': 'keep-alive',
      te: 'gzip',
      'x-mine': ['1', '2'],
    }
    const seen = JSON.parse((await call(rig.port(), { headers })).text).headers
    t.match(seen, {
      host: 'shop.example',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-mine': '1, 2',
    })
    for (const name of ['x-private', 'keep-alive', 'proxy-connection', 'te', 'connection']) {
      if (name !== 'connection') t.notOk(name in seen, `${name} does not cross`)
      else t.notMatch(seen.connection, 'x-private')
    }
  })

  t.test('has its answers passed on as they come', async (t) => {
    let send: ((text: string) => void) | undefined
    const port = await startBusiness(t, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      send = (text) => (text === '' ? response.end() : response.write(text))
      send('data: 0\n\n')
    })
    const rig = await startRig(t, simpleConfig(port))
    const peer = await connectRaw(t, rig.port())
    peer.send('GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    for (let i = 0; i < 20; i++) {
      await peer.untilText(`data: ${i}\n\n`)
      send?.(i === 19 ? '' : `data: ${i + 1}\n\n`)
    }
    t.match(await peer.untilOver(), /\r\n0\r\n\r\n$/)
  })

  t.test('has its requests passed on as they come', async (t) => {
    let seen = ''
    const port = await startBusiness(t, (request, response) => {
      request.setEncoding('latin1').on('data', (text) => (seen += text))
      request.on('end', () => response.end('done'))
    })
    const rig = await startRig(t, simpleConfig(port))
    const request = http.request({ port: rig.port(), host: '127.0.0.1', method: 'POST', agent: false })
    for (const piece of ['a', 'b'.repeat(40_000), 'c']) {
      request.write(piece)
      await until(`${piece[0]} arrives`, () => seen.endsWith(piece))
    }
    request.end()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(response, 'end')
    t.equal(seen.length, 40_002)
  })
})

t.test('Express parses what it is sent, and its files answer to ranges and etags', async (t) => {
  const folder = await startFolder(t)
  const file = Buffer.alloc(300_000, '0123456789')
  await writeFile(path.join(folder, 'file.bin'), file)
  const app = express()
  app.use(express.json())
  app.post('/orders/:id', (request, response) => {
    response
      .status(201)
      .location(`/orders/${request.params.id}`)
      .json({ id: request.params.id, body: request.body })
  })
  app.use('/files', express.static(folder))
  app.use(
    (_error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
      response.status(422).send('not JSON')
    },
  )
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const rig = await startRig(t, simpleConfig((server.address() as net.AddressInfo).port))
  const json = { 'content-type': 'application/json' }

  const created = await call(rig.port(), { path: '/orders/7', headers: json, body: '{"n":1}' })
  t.equal(created.status, 201)
  t.equal(created.headers.location, '/orders/7')
  t.same(JSON.parse(created.text), { id: '7', body: { n: 1 } })
  t.equal((await call(rig.port(), { path: '/orders/7', headers: json, body: '{' })).status, 422)
  t.equal((await call(rig.port(), { path: '/nothing' })).status, 404)
  const whole = await call(rig.port(), { path: '/files/file.bin' })
  t.ok(whole.body.equals(file))
  const part = await call(rig.port(), { path: '/files/file.bin', headers: { range: 'bytes=10-19' } })
  t.equal(part.status, 206)
  t.equal(part.text, '0123456789')
  const same = await call(rig.port(), {
    path: '/files/file.bin',
    headers: { 'if-none-match': whole.headers.etag },
  })
  t.equal(same.status, 304)
  t.equal(same.body.length, 0)
  const head = await call(rig.port(), { method: 'HEAD', path: '/files/file.bin' })
  t.equal(head.headers['content-length'], '300000')
})

t.test(
  "Python's http.server, which speaks HTTP/1.0, serves its folder",
  { skip: missing('python3') },
  async (t) => {
    const folder = await startFolder(t)
    await writeFile(path.join(folder, 'page.html'), '<p>hello</p>')
    const port = await freePort()
    const child = spawn(
      'python3',
      ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', folder],
      {
        stdio: 'ignore',
      },
    )
    stopWith(t, child)
    await accepts(port, child)
    const rig = await startRig(t, simpleConfig(port))
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    for (let i = 0; i < 3; i++)
      t.equal((await call(rig.port(), { path: '/page.html', agent })).text, '<p>hello</p>')
    t.equal(rig.gateway.listeners.get('in')?.part.connections.size, 1, 'the client keeps its connection')
    t.equal((await call(rig.port(), { path: '/none', agent })).status, 404)
    t.match((await call(rig.port(), { path: '/', agent })).text, 'page.html')
    t.equal(
      (await call(rig.port(), { method: 'HEAD', path: '/page.html', agent })).headers['content-length'],
      '12',
    )
    t.equal((await call(rig.port(), { path: '/page.html', body: 'x', agent })).status, 501)
  },
)

t.test('nginx keeps its connections and its own ways', { skip: missing('nginx', ['-v']) }, async (t) => {
  const folder = await startFolder(t)
  const port = await freePort()
  await mkdir(path.join(folder, 'html'))
  const file = Buffer.alloc(2_000_000, 'nginx file ')
  await writeFile(path.join(folder, 'html/file.txt'), file)
  await writeFile(
    path.join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; keepalive_timeout 30s; client_max_body_size 1m;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  gzip on; gzip_types text/plain; gzip_min_length 1;
  server {
    listen 127.0.0.1:${port}; root ${folder}/html;
    location = /hello { default_type text/plain; return 200 "hello from nginx"; }
    location = /moved { return 302 /hello; }
    location = /discard { return 204; }
  }
}`,
  )
  const child = spawn('nginx', ['-c', path.join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' })
  stopWith(t, child)
  await accepts(port, child)
  const rig = await startRig(t, simpleConfig(port))
  for (let i = 0; i < 5; i++) t.equal((await call(rig.port(), { path: '/hello' })).text, 'hello from nginx')
  t.equal(rig.gateway.clusters.get('out')?.part.report()[0]?.connections, 1)
  t.ok((await call(rig.port(), { path: '/file.txt' })).body.equals(file))
  const zipped = await call(rig.port(), { path: '/file.txt', headers: { 'accept-encoding': 'gzip' } })
  t.equal(zipped.headers['content-encoding'], 'gzip')
  t.equal(zipped.headers['transfer-encoding'], 'chunked')
  t.ok(zipped.body.length > 0 && zipped.body.length < file.length)
  t.match((await call(rig.port(), { path: '/moved' })).headers, { location: /\/hello$/ })
  t.equal((await call(rig.port(), { path: '/discard', body: 'x'.repeat(100_000) })).status, 204)
  t.equal((await call(rig.port(), { path: '/hello', method: 'HEAD' })).status, 200)
  t.equal((await call(rig.port(), { path: '/file.txt', headers: { range: 'bytes=0-4' } })).text, 'nginx')
  // nginx answers a body that is too large at once and closes the connection under the rest of it.
  t.equal((await call(rig.port(), { path: '/hello', body: Buffer.alloc(3_000_000) })).status, 413)
  t.equal((await call(rig.port(), { path: '/hello' })).text, 'hello from nginx')
})

t.test('a Unix socket', async (t) => {
  t.test('is an endpoint', async (t) => {
    const folder = await startFolder(t)
    const socket = path.join(folder, 'business.sock')
    const server = http.createServer(async (request, response) => {
      const { length } = await readBody(request)
      response.end(`${request.headers.host} ${length}`)
    })
    await once(server.listen(socket), 'listening')
    t.teardown(() => server.close())
    const rig = await startRig(t, simpleConfig(`unix:${socket}`))
    const headers = { host: 'shop.example' }
    for (const size of [0, 10, 500_000]) {
      const answer = await call(rig.port(), { method: 'POST', headers, body: Buffer.alloc(size) })
      t.equal(answer.text, `shop.example ${size}`)
    }
  })

  t.test('is a listener, and its file goes with it', async (t) => {
    const folder = await startFolder(t)
    const socketPath = path.join(folder, 'gateway.sock')
    const port = await startBusiness(t, (request, response) => void echo(request, response))
    const config = simpleConfig(port).replace('127.0.0.1:0', `unix:${socketPath}`)
    const rig = await startRig(t, config)
    const seen = JSON.parse((await call(0, { socketPath, path: '/a', body: 'through a socket' })).text)
    t.equal(seen.url, '/a')
    t.equal(seen.body, 'through a socket')
    t.notOk('x-forwarded-for' in seen.headers, 'nobody has an address')
    // A second one on the same path is refused while the first one listens.
    await t.rejects(startRig(t, config), { message: /in use/ })
    t.equal((await call(0, { socketPath })).status, 200)
    await rig.gateway.destroy()
    await t.rejects(call(0, { socketPath }), { code: 'ENOENT' })
  })
})
