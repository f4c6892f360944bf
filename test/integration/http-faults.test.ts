/** Business processes that fail in every way: what the caller is told, which flag is logged, and that service goes on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import t, { type Test } from 'tap'
import {
  type Answer,
  call,
  connectRaw,
  freePort,
  lastEntry,
  readBody,
  simpleConfig,
  stopWith,
  until,
} from '../support/http.ts'
import { type Rig, startBusiness, startRawBusiness, startRig } from '../support/rig.ts'

const LOG = 'filters: [{ use: access-log, path: access.log, format: json }]'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A gateway before a business process that does `act` with each socket when a request head has come, `count` is how many did before. */
async function startBroken(
  t: Test,
  act: (socket: net.Socket, head: string, count: number) => void,
  more = '',
): Promise<Rig> {
  let count = 0
  const port = await startRawBusiness(t, (socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4)
        text = text.slice(end + 4)
        act(socket, head, count++)
      }
    })
    socket.on('end', () => socket.end())
  })
  return startRig(t, simpleConfig(port, `${LOG}\n${more}`))
}

/** The answer's status and code, and the flag in line `index` of the log. */
async function outcome(rig: Rig, answer: Answer, index: number): Promise<unknown[]> {
  const { status, flags } = await lastEntry(rig, index)
  if (status !== answer.status) throw new Error(`logged as ${status}, answered as ${answer.status}`)
  return [status, answer.headers['x-meshgate-error'] ?? '', flags]
}

t.test('an absent business process is 503 UF, and served as soon as it is there', async (t) => {
  const port = await freePort()
  const rig = await startRig(t, simpleConfig(port, LOG))
  for (let i = 1; i <= 3; i++) {
    const answer = await call(rig.port())
    t.same(await outcome(rig, answer, i), [503, 'UPSTREAM_CONNECT_FAILED', 'UF'])
  }
  t.same(await outcome(rig, await call(rig.port(), { body: 'x' }), 4), [503, 'UPSTREAM_CONNECT_FAILED', 'UF'])
  const server = http.createServer((_, response) => response.end('back'))
  await once(server.listen(port, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  t.equal((await call(rig.port())).text, 'back')
})

for (const [what, head] of [
  ['of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
]) {
  t.test(`an answer ${what} that breaks off is broken for the caller too, flag UC`, async (t) => {
    const rig = await startBroken(t, (socket) => socket.write(head, () => socket.destroy()))
    await t.rejects(call(rig.port()), { code: 'ECONNRESET' })
    const peer = await connectRaw(t, rig.port())
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const text = await peer.untilOver()
    t.match(text, /\r\n\r\n(4\r\n)?half(\r\n)?$/, 'what came is passed on, and no end is made up')
    t.equal((await lastEntry(rig, 2))['flags'], 'UC')
  })
}

t.test('an answer without length whose connection is reset is no whole answer', async (t) => {
  const rig = await startBroken(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nhalf')
    setTimeout(() => socket.resetAndDestroy(), 30)
  })
  await t.rejects(call(rig.port()), { code: 'ECONNRESET' })
  t.equal((await lastEntry(rig, 1))['flags'], 'UC')
})

t.test('a reused connection that is reset under a request', async (t) => {
  /** Answers the first request of each connection and resets at the second. */
  const startStale = async (test: Test): Promise<{ rig: Rig; heads: string[] }> => {
    const heads: string[] = []
    const used = new WeakSet<net.Socket>()
    const rig = await startBroken(test, (socket, head) => {
      heads.push(head.slice(0, head.indexOf(' HTTP')))
      if (used.has(socket)) socket.resetAndDestroy()
      else socket.write(OK)
      used.add(socket)
    })
    t.equal((await call(rig.port(), { path: '/first' })).text, 'ok')
    return { rig, heads }
  }

  t.test('is replaced for a GET, which the caller does not notice', async (t) => {
    const { rig, heads } = await startStale(t)
    t.equal((await call(rig.port(), { path: '/second' })).text, 'ok')
    t.same(heads, ['GET /first', 'GET /second', 'GET /second'])
    t.match(await lastEntry(rig, 2), { status: 200, flags: undefined, attempts: 2 })
  })

  t.test('ends a POST, which may have run, with 502', async (t) => {
    const { rig, heads } = await startStale(t)
    const answer = await call(rig.port(), { path: '/second', body: 'x' })
    t.same(await outcome(rig, answer, 2), [502, 'UPSTREAM_RESET', 'UC'])
    t.same(heads, ['GET /first', 'POST /second'])
    t.equal((await call(rig.port(), { path: '/third', body: 'x' })).status, 200)
  })

  t.test('ends a GET that had a new connection with 502, because it may be what kills', async (t) => {
    const heads: string[] = []
    const rig = await startBroken(t, (socket, head) => {
      heads.push(head)
      socket.resetAndDestroy()
    })
    t.same(await outcome(rig, await call(rig.port()), 1), [502, 'UPSTREAM_RESET', 'UC'])
    t.equal(heads.length, 1)
  })
})

t.test('idle connections that the business process resets or closes are not used again', async (t) => {
  let connections = 0
  let gone = 0
  const rig = await startBroken(t, (socket, _, count) => {
    if (socket.listenerCount('close') < 3) {
      connections++
      socket.on('close', () => gone++)
    }
    socket.write(OK, () => setImmediate(() => (count % 2 === 0 ? socket.resetAndDestroy() : socket.end())))
  })
  for (let i = 1; i <= 6; i++) {
    const answer = await call(rig.port(), i % 2 === 0 ? {} : { body: 'x' })
    t.equal(answer.status, 200)
    await until(
      'the connection is gone',
      () => rig.gateway.clusters.get('out')?.part.report()[0]?.connections === 0,
    )
  }
  t.equal(connections, 6)
  t.equal(gone, 6)
})

t.test('a malformed answer is 502 UPE, and never passed on', async (t) => {
  const answers = [
    'garbage\r\n\r\n',
    'HTTP/2.0 200 OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
    'HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`,
    'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100),
  ]
  const rig = await startBroken(t, (socket, _, count) => socket.write(answers[count] as string, 'latin1'))
  for (const [i, text] of answers.entries()) {
    const answer = await call(rig.port())
    t.same(
      await outcome(rig, answer, i + 1),
      [502, 'UPSTREAM_PROTOCOL', 'UPE'],
      JSON.stringify(text.slice(0, 60)),
    )
  }
})

t.test('a body with broken chunks is cut off, flag UPE', async (t) => {
  const rig = await startBroken(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n')
  })
  await t.rejects(call(rig.port()), { code: 'ECONNRESET' })
  t.equal((await lastEntry(rig, 1))['flags'], 'UPE')
})

t.test('bytes that nobody asked for do not become the next answer', async (t) => {
  const rig = await startBroken(t, (socket, _, count) => {
    const injected = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected'
    if (count === 0) socket.write(OK + injected)
    else if (count === 1) socket.write(OK, () => setImmediate(() => socket.write(injected)))
    else socket.write(OK)
  })
  for (let i = 0; i < 4; i++) t.equal((await call(rig.port())).text, 'ok')
})

t.test(
  'an answer that does not come is 504 UT after the timeout of the route, and its work is cancelled',
  async (t) => {
    let closed = 0
    const rig = await startBroken(t, (socket) => socket.on('close', () => closed++))
    const config = simpleConfig(
      Number(rig.gateway.clusters.get('out')?.config.endpoints[0]?.address.split(':')[1]),
      LOG,
    )
    await rig.reconfigure(config.replace('to: { cluster: out }', 'to: { cluster: out }, timeout: 150ms'))
    t.same(await outcome(rig, await call(rig.port()), 1), [504, 'UPSTREAM_TIMEOUT', 'UT'])
    t.same(await outcome(rig, await call(rig.port(), { body: 'x' }), 2), [504, 'UPSTREAM_TIMEOUT', 'UT'])
    await until('the business process is told', () => closed === 2)
    await rig.reconfigure(
      config.replace('to: { cluster: out }', 'to: { cluster: out }, timeout: 5s, perTryTimeout: 100ms'),
    )
    t.same(await outcome(rig, await call(rig.port()), 3), [504, 'UPSTREAM_TIMEOUT', 'UT'])
  },
)

t.test('a head that dribbles in is an answer, and the timeout ends with it', async (t) => {
  const rig = await startBroken(t, (socket) => {
    const bytes = Buffer.from(
      'HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
    )
    let i = 0
    const timer = setInterval(
      () => (i < bytes.length ? socket.write(bytes.subarray(i, ++i)) : clearInterval(timer)),
      2,
    )
    socket.on('close', () => clearInterval(timer))
  })
  const answer = await call(rig.port())
  t.equal(answer.text, 'hello')
  t.equal(answer.headers['x-a'], 'b')
  t.same(answer.trailers, { 'x-t': '1' })
})

t.test('a business process that does not accept is 504 UF, and served when it does', async (t) => {
  const script = `const s = require('node:http').createServer((q, r) => r.end('ok'))
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  stopWith(t, child, 'SIGKILL')
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  const port = Number(line)
  const rig = await startRig(
    t,
    simpleConfig(port, LOG).replace("'] }]", "'], timeouts: { connect: 150ms } }]"),
  )
  // A stopped process accepts until its backlog is full; then the kernel drops what else comes.
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 4 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined))
  t.teardown(() => {
    for (const socket of fillers) socket.destroy()
  })
  await Promise.all(fillers.slice(0, 2).map((socket) => once(socket, 'connect')))
  t.same(await outcome(rig, await call(rig.port()), 1), [504, 'UPSTREAM_CONNECT_TIMEOUT', 'UF'])
  child.kill('SIGCONT')
  for (const socket of fillers) socket.destroy()
  let answer = await call(rig.port())
  for (let i = 0; i < 20 && answer.status === 504; i++) answer = await call(rig.port())
  t.equal(answer.text, 'ok')
})

t.test('an answer that comes before the request body was read reaches the caller', async (t) => {
  t.test('and the body that still comes is dropped', async (t) => {
    const rig = await startBroken(t, (socket) => {
      socket.end('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo much')
    })
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const answer = await call(rig.port(), { headers, body: Buffer.alloc(3 << 20) })
      t.equal(answer.status, 413)
      t.equal(answer.text, 'too much')
    }
  })

  t.test('or is 502 when the connection is reset before it could be read', async (t) => {
    const port = await startBusiness(t, (_, response) =>
      response.writeHead(413, { connection: 'close' }).end('too much'),
    )
    const rig = await startRig(t, simpleConfig(port))
    const { status } = await call(rig.port(), { body: Buffer.alloc(3 << 20) })
    t.ok(status === 413 || status === 502, `${status}`)
    t.equal((await call(rig.port())).status, 413)
  })

  t.test('while the caller holds its body back', async (t) => {
    const port = await startBusiness(t, (_, response) => response.writeHead(403).end('no'))
    const rig = await startRig(t, simpleConfig(port))
    const peer = await connectRaw(t, rig.port())
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n')
    await peer.untilText('0\r\n\r\n')
    peer.send(`${'x'.repeat(1000)}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    t.equal(
      (await peer.untilOver()).split('HTTP/1.1 403').length,
      3,
      'and the connection serves on behind it',
    )
  })

  t.test('and the next request of another caller does not see the rest of that body', async (t) => {
    const seen: string[] = []
    const rig = await startBroken(t, (socket, head) => {
      seen.push(head.slice(0, head.indexOf('\r\n')))
      socket.write(OK)
    })
    const slow = await connectRaw(t, rig.port())
    slow.send('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nGET /smuggled HTTP/1.1\r\n')
    await slow.untilText('ok')
    t.equal((await call(rig.port(), { path: '/other' })).text, 'ok')
    slow.send('\r\n'.padEnd(100, 'x'))
    t.equal((await call(rig.port(), { path: '/third' })).text, 'ok')
    t.same(seen, ['POST /slow HTTP/1.1', 'GET /other HTTP/1.1', 'GET /third HTTP/1.1'])
  })
})

t.test('answers that end with the connection are whole answers', async (t) => {
  const answers = [
    'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody',
    'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody',
    'HTTP/1.0 200 OK\r\n\r\nbody',
    'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody',
  ]
  const rig = await startBroken(t, (socket, _, count) => socket.end(answers[count % answers.length]))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (let i = 0; i < answers.length * 3; i++) {
    const answer = await call(rig.port(), { agent })
    t.equal(answer.text, 'body')
    t.not(answer.headers.connection, 'close', 'the caller keeps its connection')
  }
  t.equal(rig.gateway.listeners.get('in')?.part.connections.size, 1)
})

t.test('a business process that dies under an upload is 502 UC', async (t) => {
  const rig = await startBroken(t, (socket) => setTimeout(() => socket.resetAndDestroy(), 20))
  const request = http.request({ port: rig.port(), host: '127.0.0.1', method: 'POST', agent: false })
  const answered = once(request, 'response') as Promise<[http.IncomingMessage]>
  request.write(Buffer.alloc(1 << 20))
  const [response] = await answered
  t.equal(response.statusCode, 502)
  response.resume()
  request.on('error', () => undefined)
  request.destroy()
  t.equal((await lastEntry(rig, 1))['flags'], 'UC')
})

t.test('what is beyond the limits of a cluster waits for a while or is 503 UO', async (t) => {
  const release: (() => void)[] = []
  const port = await startBusiness(t, async (request, response) => {
    await readBody(request)
    release.push(() => response.end('ok'))
  })
  const limits = "'], limits: { connections: 2, pending: 1, queueTimeout: 300ms } }]"
  const rig = await startRig(t, simpleConfig(port, LOG).replace("'] }]", limits))
  // Two at once: to wait for a connection that is being opened is not to wait for a free one.
  const served = [call(rig.port()), call(rig.port(), { body: 'x' })]
  await until('both connections are busy', () => release.length === 2)
  const waiting = call(rig.port())
  await until('one waits', () => rig.gateway.clusters.get('out')?.part.queued === 1)
  t.same(await outcome(rig, await call(rig.port()), 1), [503, 'UPSTREAM_OVERFLOW', 'UO'])
  release.shift()?.()
  await until('the one that waited is served', () => release.length === 2)
  const late = await call(rig.port())
  t.same(late.headers['x-meshgate-error'], 'UPSTREAM_OVERFLOW', 'waited in vain')
  for (const answer of release) answer()
  for (const { status } of await Promise.all([...served, waiting])) t.equal(status, 200)
})

t.test('a cluster without a queue opens connections, and is 503 UO when all are busy', async (t) => {
  const release: (() => void)[] = []
  const port = await startBusiness(t, (_, response) => release.push(() => response.end('ok')))
  const limits = "'], limits: { connections: 2, pending: 0 } }]"
  const rig = await startRig(t, simpleConfig(port, LOG).replace("'] }]", limits))
  const served = [call(rig.port()), call(rig.port())]
  await until('both connections are busy', () => release.length === 2)
  t.same(await outcome(rig, await call(rig.port()), 1), [503, 'UPSTREAM_OVERFLOW', 'UO'])
  for (const answer of release) answer()
  for (const { status } of await Promise.all(served)) t.equal(status, 200)
})
