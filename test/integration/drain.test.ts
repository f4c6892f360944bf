/** How the gateway ends: every request on an open connection gets its answer, and the process is gone in time. */
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { connectMmtp, type MmtpCaller } from '../../lib/mmtp.ts'
import { call, connectRaw, readAnswer, until } from '../support/http.ts'
import { HttpLoad } from '../support/load.ts'
import { startBusiness, startRawBusiness, startRig } from '../support/rig.ts'
import { type RunningGateway, startMeshgate } from '../support/running.ts'

function config(business: number, drain = '{ grace: 10s }', more = ''): string {
  return `
admin: { address: 127.0.0.1:0 }
drain: ${drain}
listeners:
  - { name: web, protocol: http1, address: 127.0.0.1:0 }
  - { name: rpc, protocol: mmtp, address: 127.0.0.1:0 }
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${business}] }]
${more}routes: [{ match: {}, to: { cluster: out, method: POST, path: /call } }]
`
}

/** Answers after `delayMs`. */
function startSlow(t: Test, delayMs: number): Promise<number> {
  return startBusiness(t, (request, response) => {
    request.resume()
    setTimeout(() => response.end('done'), delayMs)
  })
}

/** How long a process took to end, in milliseconds, and how. */
async function timeToEnd(gateway: RunningGateway): Promise<{ ms: number; code: number | null }> {
  const startMs = performance.now()
  const { code } = await gateway.ended
  return { ms: performance.now() - startMs, code }
}

/** Calls in a loop until the server says that it goes away. */
class MmtpLoad {
  answered = 0
  readonly odd: string[] = []
  readonly over: Promise<unknown>
  readonly #caller: MmtpCaller
  #isStopping = false

  constructor(caller: MmtpCaller, concurrency: number) {
    this.#caller = caller
    this.over = Promise.all(Array.from({ length: concurrency }, () => this.#run()))
  }

  stop(): void {
    this.#isStopping = true
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        const { status } = await this.#caller.call('demo.call', '{}', { timeoutMs: 9000 })
        if (status !== 1000) this.odd.push(`status ${status}`)
        this.answered++
      } catch (error) {
        // Not sent at all: the caller knows that it may go elsewhere with it.
        const { code, retry } = error as { code?: string; retry?: string }
        if (retry !== 'unsent') this.odd.push(`${code}: ${(error as Error).message}`)
        return
      }
    }
  }
}

t.test('SIGTERM under load loses no request, over HTTP and Mmtp, and exits 0', async (t) => {
  const business = await startSlow(t, 3)
  for (let round = 0; round < 3; round++) {
    const gateway = await startMeshgate(t, config(business))
    const { web = 0, rpc = 0 } = await gateway.ready()
    const busy = new HttpLoad(web, { connections: 16 })
    const relaxed = new HttpLoad(web, { connections: 16, pauseMs: 7 })
    const callers = await Promise.all([0, 1].map(() => connectMmtp(`127.0.0.1:${rpc}`)))
    const calls = callers.map((caller) => new MmtpLoad(caller, 16))
    await until('all of it runs', () => busy.answered > 200 && calls.every(({ answered }) => answered > 50))
    gateway.kill('SIGTERM')
    const { ms, code } = await timeToEnd(gateway)
    await Promise.all([busy.untilRefused(), relaxed.untilRefused(), ...calls.map(({ over }) => over)])
    for (const caller of callers) await caller.close()
    t.same({ code, stderr: gateway.stderr }, { code: 0, stderr: '' })
    t.ok(ms < 5000, `gone after ${Math.round(ms)} ms`)
    t.same([...busy.lost, ...relaxed.lost], [], `HTTP, ${busy.answered + relaxed.answered} answers`)
    t.same([...busy.statuses.keys()], [200])
    t.same(
      calls.flatMap(({ odd }) => odd),
      [],
      'Mmtp',
    )
  }
})

t.test('running exchanges finish, idle connections are closed, new ones are refused', async (t) => {
  let answer: (() => void) | null = null
  const business = await startBusiness(t, (_request, response) => {
    response.write('begun ')
    answer = () => response.end('ended')
  })
  const rig = await startRig(t, config(business))
  const idle = await connectRaw(t, rig.port())
  const used = await connectRaw(t, rig.port())
  used.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await used.untilText('begun')
  const draining = rig.gateway.drain()
  t.equal(rig.gateway.phase, 'draining')
  t.equal(rig.gateway.drain(), draining, 'a second drain is the same one')
  await idle.untilOver()
  t.equal(idle.text, '')
  await t.rejects(call(rig.port()), { code: 'ECONNREFUSED' })
  ;(answer as (() => void) | null)?.()
  t.match(await used.untilOver(), /ended/)
  await draining
  t.equal(rig.gateway.phase, 'stopped')
})

t.test(
  'a request that comes on an idle connection as the drain begins is answered, and the last',
  async (t) => {
    const business = await startSlow(t, 0)
    const rig = await startRig(t, config(business))
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    t.not((await call(rig.port(), { agent })).headers.connection, 'close')
    const draining = rig.gateway.drain()
    const last = await call(rig.port(), { agent })
    t.match(last, { status: 200, headers: { connection: 'close' } })
    await draining
  },
)

t.test('with a delay it goes on accepting, not ready, before it closes the door', async (t) => {
  const business = await startSlow(t, 0)
  const rig = await startRig(t, config(business, '{ grace: 5s, delay: 300ms }'))
  const admin = Number(rig.gateway.adminAddress?.split(':').at(-1))
  const draining = rig.gateway.drain()
  t.match(await call(rig.port()), { status: 200, headers: { connection: 'close' } })
  t.match(await call(admin, { path: '/ready' }), { status: 503, text: '{"phase":"draining"}\n' })
  t.equal((await call(admin, { path: '/livez' })).status, 200)
  await draining
  await t.rejects(call(rig.port()), { code: 'ECONNREFUSED' })
})

t.test('a business process that hangs is waited for during the grace time, and no longer', async (t) => {
  const sockets: net.Socket[] = []
  const business = await startRawBusiness(t, (socket) => sockets.push(socket))
  const gateway = await startMeshgate(t, config(business, '{ grace: 700ms }'))
  const { web = 0 } = await gateway.ready()
  const hanging = await connectRaw(t, web)
  hanging.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the business process has it', () => sockets.length === 1)
  gateway.kill('SIGTERM')
  const { ms, code } = await timeToEnd(gateway)
  t.equal(code, 0)
  t.ok(ms > 600 && ms < 3000, `gone after ${Math.round(ms)} ms`)
  t.match(gateway.stderr, /"exchanges":1.*the grace time is over/)
})

t.test('a second signal ends the process at once, with 1', async (t) => {
  const sockets: net.Socket[] = []
  const business = await startRawBusiness(t, (socket) => sockets.push(socket))
  const gateway = await startMeshgate(t, config(business))
  const { web = 0, admin = 0 } = await gateway.ready()
  const hanging = await connectRaw(t, web)
  hanging.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the business process has it', () => sockets.length === 1)
  gateway.kill('SIGTERM')
  for (;;) if ((await call(admin, { path: '/ready' })).status === 503) break
  gateway.kill('SIGINT')
  const { ms, code } = await timeToEnd(gateway)
  t.equal(code, 1)
  t.ok(ms < 3000, `gone after ${Math.round(ms)} ms`)
})

t.test('POST /drain ends the process like SIGTERM', async (t) => {
  const business = await startSlow(t, 300)
  const gateway = await startMeshgate(t, config(business))
  const { web = 0, admin = 0 } = await gateway.ready()
  const slow = http.request({ host: '127.0.0.1', port: web, agent: false })
  slow.end()
  await until('it runs', () => slow.writableFinished)
  t.equal((await call(admin, { path: '/drain', method: 'POST' })).status, 202)
  const [response] = (await once(slow, 'response')) as [http.IncomingMessage]
  t.match(await readAnswer(response), { status: 200, text: 'done' })
  t.equal((await timeToEnd(gateway)).code, 0)
})

t.test('a drain waits for a change of the configuration that is under way', async (t) => {
  const business = await startSlow(t, 0)
  const rig = await startRig(t, config(business))
  const reloading = rig.reconfigure(config(business, '{ grace: 1s }'))
  const draining = rig.gateway.drain()
  await Promise.all([reloading, draining])
  t.equal(rig.gateway.phase, 'stopped')
  t.equal(rig.gateway.dispatcher.live, 0)
})
