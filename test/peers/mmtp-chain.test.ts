/** Gateways in a row as processes of their own: HTTP in, Mmtp from one to the next, HTTP out. */
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import t, { type Test } from 'tap'
import type { StatsReport } from '../../lib/core/inspect.ts'
import { connectMmtp, type MmtpCaller } from '../../lib/mmtp.ts'
import { call, freePort, readBody } from '../support/http.ts'
import { HttpLoad } from '../support/load.ts'
import { type Frame, parseFrames } from '../support/mmtp-wire.ts'
import { startBusiness } from '../support/rig.ts'
import { Running, type RunningGateway, startMeshgate } from '../support/running.ts'

const REQUEST_FRAME = 0x10
const CALLS = 5000
const AT_ONCE = 250

t.setTimeout(280_000)

/** One gateway: HTTP and Mmtp in, `out` to the given endpoints. */
function config(
  protocol: 'mmtp' | 'http1',
  endpoints: readonly number[],
  more: { rpc?: number; filters?: string; routes?: string; timeout?: string } = {},
): string {
  const { rpc = 0, filters = '', routes = '', timeout = '10s' } = more
  return `
admin: { address: 127.0.0.1:0 }
drain: { grace: 10s }
listeners:
  - { name: web, protocol: http1, address: 127.0.0.1:0 }
  - { name: rpc, protocol: mmtp, address: 127.0.0.1:${rpc}, trusted: true }
clusters:
  - { name: out, protocol: ${protocol}, endpoints: [${endpoints.map((port) => `127.0.0.1:${port}`).join(', ')}] }
  - { name: self, protocol: mmtp, endpoints: [127.0.0.1:${rpc || 1}] }
filters: [${filters}]
routes:
${routes}  - { match: {}, to: { cluster: out${protocol === 'mmtp' ? ', operation: demo.echo' : ', method: POST, path: /echo'} }, timeout: ${timeout} }
`
}

async function startEcho(t: Test): Promise<number> {
  return startBusiness(t, async (request, response) => {
    const body = await readBody(request)
    response.setHeader('content-length', body.length)
    response.end(body)
  })
}

/** Passes bytes on to a port and keeps what the dialler sent. */
async function startTap(t: Test, port: number): Promise<{ port: number; frames(): Frame[] }> {
  const sent: Buffer[] = []
  const server = net.createServer((socket) => {
    const onward = net.connect(port, '127.0.0.1')
    socket.on('data', (chunk: Buffer) => sent.push(chunk))
    socket.pipe(onward).pipe(socket)
    for (const side of [socket, onward]) {
      side.on('error', () => undefined)
      side.on('close', () => [socket, onward].map((other) => other.destroy()))
    }
    t.teardown(() => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return {
    port: (server.address() as net.AddressInfo).port,
    frames: () => parseFrames(Buffer.concat(sent)).filter(({ type }) => type === REQUEST_FRAME),
  }
}

async function ready(gateway: RunningGateway): Promise<{ web: number; rpc: number; admin: number }> {
  const { web = 0, rpc = 0, admin = 0 } = await gateway.ready()
  return { web, rpc, admin }
}

/** No exchange and no lease is left on any of the gateways. */
async function settles(t: Test, ...admins: number[]): Promise<void> {
  for (const admin of admins) {
    let stats: StatsReport
    const untilMs = performance.now() + 5000
    do stats = JSON.parse((await call(admin, { path: '/stats' })).text) as StatsReport
    while (
      // The request that asks is no exchange of the data path.
      (stats.exchanges.live > 0 || stats.slabs.leased > 0) &&
      performance.now() < untilMs
    )
    t.match(stats, { exchanges: { live: 0 }, slabs: { leased: 0 } }, 'nothing is left')
  }
}

t.test('hops and budget go down from one gateway to the next', async (t) => {
  const inner = await startMeshgate(t, config('http1', [await startEcho(t)]))
  const toInner = await startTap(t, (await ready(inner)).rpc)
  const middle = await startMeshgate(
    t,
    config('mmtp', [toInner.port], { filters: '{ use: fault, delay: { for: 100ms } }' }),
  )
  const toMiddle = await startTap(t, (await ready(middle)).rpc)
  const rpc = await freePort()
  const routes =
    '  - { match: { path: /loop }, to: { cluster: self, operation: demo.loop } }\n' +
    '  - { match: { operation: demo.loop }, to: { cluster: self } }\n'
  const edge = await startMeshgate(t, config('mmtp', [toMiddle.port], { rpc, routes, timeout: '3s' }))
  const { web } = await ready(edge)
  t.match(await call(web, { body: '{"a":1}' }), { status: 200, text: '{"a":1}' })
  const [first, second] = [toMiddle.frames()[0], toInner.frames()[0]]
  t.same([first?.hops, second?.hops], [5, 4])
  const [budget = 0, rest = 0] = [first?.meta.readUInt32BE(0), second?.meta.readUInt32BE(0)]
  t.ok(budget > 1500 && budget <= 3000, `${budget} ms to the middle`)
  t.ok(rest <= budget - 99 && rest > 500, `${rest} ms behind it`)
  t.equal(first?.meta.toString('latin1', 8, first.routeLength), 'demo.echo')

  await t.test('a call that is forwarded in a circle ends', async (t) => {
    t.equal((await call(web, { path: '/loop', body: '{}' })).status, 508)
  })
  await t.test('a call without enough budget comes back in time', async (t) => {
    const caller = await connectMmtp(`127.0.0.1:${rpc}`)
    const before = toInner.frames().length
    const startMs = performance.now()
    const outcome = await caller.call('demo.echo', '{}', { timeoutMs: 60 }).then(
      ({ status }) => status,
      ({ code }) => code,
    )
    t.ok(outcome === 4001 || outcome === 'UPSTREAM_TIMEOUT', `${outcome}`)
    t.ok(performance.now() - startMs < 1000)
    t.equal(toInner.frames().length, before, 'the last gateway never saw it')
    await caller.close()
  })
  await settles(t, ...(await Promise.all([edge, middle, inner].map(ready))).map(({ admin }) => admin))
})

/** Runs `count` calls, `atOnce` of them at a time; gives those that did not come back as they were sent. */
async function run(
  count: number,
  atOnce: number,
  echo: (text: string) => Promise<string>,
): Promise<string[]> {
  const wrong: string[] = []
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const text = `{"call":${next++}}`
        const answer = await echo(text).catch((error) => `${error}`)
        if (answer !== text) wrong.push(`${text}: ${answer}`)
      }
    }),
  )
  return wrong
}

async function callText(caller: MmtpCaller, text: string): Promise<string> {
  const { status, body } = await caller.call('demo.echo', text, { timeoutMs: 9000 })
  return status === 1000 ? body.toString() : `status ${status}`
}

t.test('three gateways in a row', async (t) => {
  const inner = await startMeshgate(t, config('http1', [await startEcho(t)]))
  const { rpc: innerPort, admin: innerAdmin } = await ready(inner)
  const ports = [await freePort(), await freePort()]
  const startMiddle = (index: number): Promise<RunningGateway> =>
    startMeshgate(t, config('mmtp', [innerPort], { rpc: ports[index] as number }))
  const middles = [await startMiddle(0), await startMiddle(1)]
  await Promise.all(middles.map(ready))
  const edge = await startMeshgate(t, config('mmtp', ports))
  const { web, rpc, admin } = await ready(edge)

  await t.test(`${CALLS} calls over HTTP find their answers`, async (t) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE })
    const wrong = await run(CALLS, AT_ONCE, async (body) => (await call(web, { body, agent })).text)
    agent.destroy()
    t.same(wrong, [])
  })

  await t.test(`${CALLS} calls over Mmtp, all at once, find theirs`, async (t) => {
    const callers = await Promise.all([0, 1].map(() => connectMmtp(`127.0.0.1:${rpc}`)))
    let turn = 0
    const wrong = await run(CALLS, CALLS, (text) => callText(callers[turn++ % 2] as MmtpCaller, text))
    t.same(wrong, [])
    for (const caller of callers) await caller.close()
  })

  await t.test('a MiB passes both ways', async (t) => {
    const body = Buffer.alloc(1 << 20, 'a MiB ')
    const answers = await Promise.all([1, 2, 3, 4].map(() => call(web, { body })))
    t.ok(answers.every((answer) => answer.body.equals(body)))
  })

  await t.test('meshgate mmtp call', async (t) => {
    const command = ['lib/main.ts', 'mmtp', 'call', `127.0.0.1:${rpc}`, 'demo.echo']
    const one = new Running(t, [...command, '--data', '{"a":1}', '--header', 'x-b: c'])
    t.same(await one.ended, { code: 0, signal: null })
    t.match(one.stdout, /^1000 from business[^\n]*\n(?:[^\n]+\n)*\{"a":1\}\n$/)
    const many = new Running(t, [...command, '--data', '{}', '--repeat', '2000', '--concurrency', '128'])
    t.same(await many.ended, { code: 0, signal: null })
    t.match(many.stdout, /^calls {2}2000, ok 2000, \d+\/s\nms /)
  })

  await t.test('each of the middle ones is restarted under load, and no request is lost', async (t) => {
    const gets = new HttpLoad(web, { connections: 16 })
    const callers = await Promise.all([0, 1].map(() => connectMmtp(`127.0.0.1:${rpc}`)))
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
    let isOver = false
    let answered = 0
    const loop = async (echo: (text: string) => Promise<string>): Promise<string[]> => {
      const wrong: string[] = []
      while (!isOver) {
        const batch = await run(100, 16, echo)
        answered += 100
        wrong.push(...batch)
      }
      return wrong
    }
    const posts = loop(async (body) => (await call(web, { body, agent })).text)
    const calls = callers.map((caller) => loop((text) => callText(caller, text)))
    const more = async (count: number): Promise<void> => {
      const target = answered + count
      while (answered < target) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await more(1000)
    for (const index of [0, 1]) {
      const middle = middles[index] as RunningGateway
      middle.kill('SIGTERM')
      t.same(await middle.ended, { code: 0, signal: null }, `middle ${index + 1} ends`)
      t.equal(middle.stderr, '')
      await more(500)
      const next = await startMiddle(index)
      middles[index] = next
      await ready(next)
      await more(1000)
      t.ok((await totalOf(next)) > 0, 'and serves again')
    }
    isOver = true
    await gets.stop()
    t.same(await errorsOf(admin), [], 'no error at the edge')
    t.same([...gets.statuses.keys()], [200], `GET, ${gets.answered} answers`)
    t.same([gets.lost, gets.refused], [[], 0])
    t.same(await posts, [], 'POST')
    t.same((await Promise.all(calls)).flat(), [], 'Mmtp')
    agent.destroy()
    for (const caller of callers) await caller.close()
  })

  const admins = (await Promise.all(middles.map(ready))).map((ports) => ports.admin)
  await settles(t, admin, innerAdmin, ...admins)
})

/** The errors that a gateway remembers. */
async function errorsOf(admin: number): Promise<unknown[]> {
  return JSON.parse((await call(admin, { path: '/errors' })).text).errors
}

/** Exchanges that a gateway has had; waits for the first. */
async function totalOf(gateway: RunningGateway): Promise<number> {
  const { admin } = await ready(gateway)
  for (let tries = 0; ; tries++) {
    const { exchanges } = JSON.parse((await call(admin, { path: '/stats' })).text) as StatsReport
    if (exchanges.total > 0 || tries === 300) return exchanges.total
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
