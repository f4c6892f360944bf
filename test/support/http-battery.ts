/** What every chain of proxies must carry, whoever stands in it: requests of all shapes, many at once, and failures. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { call, curl } from './http.ts'
import type { Peer } from './peers.ts'

const MIB = 1 << 20
const CONCURRENT = 200
/** Requests in the kernel's or a peer's hands when their business process came back may still fail. */
const SETTLE_MS = 250

/** A chain as a caller sees it. */
export interface Chain {
  /** Where the caller connects. */
  readonly port: number
  /** Text that `GET /` answers. */
  readonly text: string
  /** The business process at its end. */
  readonly business: Peer
  /** Who hands over to meshgate, when the caller does not itself. */
  readonly front?: Peer
  /** Exchanges that meshgate has under way. */
  live(): number
}

/** Runs everything in this file on a chain. */
export async function runBattery(t: Test, chain: Chain): Promise<void> {
  await t.test('GET, HEAD, POST, chunked and Expect', (t) => shapes(t, chain))
  await t.test('1 MiB up and down', (t) => bulk(t, chain))
  await t.test(`${CONCURRENT} requests at once on kept connections`, (t) => concurrent(t, chain))
  await t.test('a WebSocket', (t) => chat(t, chain))
  await t.test('callers that leave in the middle disturb nobody', (t) => leavers(t, chain))
  await t.test('the business process is killed and comes back', (t) => outage(t, chain, chain.business))
  const { front } = chain
  if (front !== undefined)
    await t.test('whoever stands in front is killed and comes back', (t) => outage(t, chain, front))
}

async function shapes(t: Test, { port, text }: Chain): Promise<void> {
  const url = `http://127.0.0.1:${port}`
  t.match(await curl([`${url}/`]), { code: 0, stdout: text, stderr: '' }, 'GET')
  const head = await curl(['-I', `${url}/`])
  t.match(head, { code: 0, stdout: /^HTTP\/1\.1 200 / }, 'HEAD')
  t.match(head.stdout, new RegExp(`content-length: ${text.length}\r\n`, 'i'))
  const posted = await curl(['-i', '--data-binary', 'a=1&b=2', `${url}/echo`])
  t.match(posted, { code: 0, stdout: /\r\n\r\na=1&b=2$/ }, 'POST')
  t.match(posted.stdout, /x-framing: 7\r\n/i, 'with its length')
  const chunked = await curl(
    ['-i', '-H', 'Transfer-Encoding: chunked', '--data-binary', '@-', `${url}/echo`],
    'in pieces',
  )
  t.match(chunked, { code: 0, stdout: /\r\n\r\nin pieces$/ }, 'chunked POST')
  // curl sends the body only behind 100 Continue: it would wait for 15 seconds without.
  const startMs = performance.now()
  const expecting = await curl([
    '-v',
    '-H',
    'Expect: 100-continue',
    '--expect100-timeout',
    '15',
    '--data-binary',
    'wait',
    `${url}/echo`,
  ])
  t.match(expecting, { code: 0, stdout: 'wait', stderr: /HTTP\/1\.1 100 Continue/i }, 'Expect')
  t.ok(performance.now() - startMs < 10_000, 'at once')
  const both = await curl([`${url}/`, `${url}/`, '-w', '%{num_connects} '])
  t.match(both.stdout, /1 .*0 $/s, 'a connection is kept')
  t.match(await curl(['--http1.0', `${url}/`]), { code: 0, stdout: text }, 'HTTP/1.0')
}

async function bulk(t: Test, { port }: Chain): Promise<void> {
  const body = randomBytes(MIB)
  const sum = sha256(body)
  const echoed = await call(port, { path: '/echo', body })
  t.same([echoed.status, sha256(echoed.body)], [200, sum], 'with a length')
  const headers = { 'transfer-encoding': 'chunked' }
  const pieces = await call(port, { path: '/echo', body, method: 'POST', headers })
  t.same([pieces.status, sha256(pieces.body)], [200, sum], 'chunked')
  t.equal((await call(port, { path: '/store/mib', method: 'PUT', body })).status, 201)
  const stored = await call(port, { path: '/store/mib' })
  t.same([stored.status, sha256(stored.body)], [200, sum], 'kept and read')
  const sums = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const own = randomBytes(MIB)
      return sha256((await call(port, { path: '/echo', body: own })).body) === sha256(own)
    }),
  )
  t.ok(sums.every(Boolean), 'eight at once, each its own')
}

async function concurrent(t: Test, { port, text }: Chain): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONCURRENT })
  const sockets = new Set<net.Socket>()
  agent.on('free', (socket: net.Socket) => sockets.add(socket))
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(
      Array.from({ length: CONCURRENT }, (_, i) =>
        i % 4 === 0 ? call(port, { agent, path: '/echo', body: `${round}.${i}` }) : call(port, { agent }),
      ),
    )
    const wrong = answers.filter(
      (answer, i) => answer.status !== 200 || answer.text !== (i % 4 === 0 ? `${round}.${i}` : text),
    )
    t.same(wrong, [], `round ${round + 1}`)
  }
  t.ok(sockets.size <= CONCURRENT, `${sockets.size} connections`)
  agent.destroy()
}

async function chat(t: Test, { port, live }: Chain): Promise<void> {
  const client = new WebSocket(`ws://127.0.0.1:${port}/chat`, { perMessageDeflate: false })
  await once(client, 'open')
  for (const message of [Buffer.from('hello'), randomBytes(MIB / 4)]) {
    client.send(message)
    t.ok(((await once(client, 'message')) as [Buffer])[0].equals(message), `${message.length} bytes`)
  }
  client.close(4001, 'enough')
  t.equal((await once(client, 'close'))[0], 4001)
  await settles(t, live)
}

async function leavers(t: Test, { port, live }: Chain): Promise<void> {
  const load = new Load(port, 16)
  await load.until(100)
  for (let i = 0; i < 60; i++) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => undefined)
    await once(socket, 'connect')
    if (i % 3 === 0) socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    else if (i % 3 === 1)
      socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nthe first bytes')
    else socket.write('GET / HTTP/1.1\r\nHo')
    await new Promise((resolve) => setTimeout(resolve, 2))
    if (i % 2 === 0) socket.destroy()
    else socket.resetAndDestroy()
  }
  await load.stop()
  t.same(load.failures, [], `${load.answered} answers beside them`)
  await settles(t, live)
}

/** Kills `peer` under load and starts it again: requests that began before or behind that must be answered. */
async function outage(t: Test, { port, live }: Chain, peer: Peer): Promise<void> {
  const load = new Load(port, 16)
  await load.until(200)
  const killedMs = performance.now()
  await peer.kill()
  await load.untilFailures(16)
  await peer.start()
  const backMs = performance.now()
  const answered = load.answered
  await load.until(answered + 500)
  await load.stop()
  const early = load.failures.filter(({ endMs }) => endMs < killedMs)
  const late = load.failures.filter(({ startMs }) => startMs > backMs + SETTLE_MS)
  t.ok(load.failures.length > 0, `${load.failures.length} requests met the outage`)
  t.same(early, [], 'none failed before')
  t.same(late, [], 'none failed behind it')
  await settles(t, live)
}

async function settles(t: Test, live: () => number): Promise<void> {
  const untilMs = performance.now() + 5000
  while (live() > 0 && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(live(), 0, 'no exchange is left')
}

interface Failure {
  readonly startMs: number
  readonly endMs: number
  readonly why: string
}

/** GET requests on kept connections, one behind the other on each; failures with their time. */
class Load {
  answered = 0
  readonly failures: Failure[] = []
  readonly #port: number
  readonly #agent: http.Agent
  readonly #over: Promise<unknown>
  #isStopping = false

  constructor(port: number, connections: number) {
    this.#port = port
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections })
    this.#over = Promise.all(Array.from({ length: connections }, () => this.#run()))
  }

  /** Settles with `count` answers in all. */
  until(count: number): Promise<void> {
    return this.#when(() => this.answered >= count, `${count} answers`)
  }

  untilFailures(count: number): Promise<void> {
    return this.#when(() => this.failures.length >= count, `${count} failures`)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#over
    this.#agent.destroy()
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const startMs = performance.now()
      const why = await call(this.#port, { agent: this.#agent }).then(
        ({ status }) => (status === 200 ? '' : `status ${status}`),
        (error) => `${error}`,
      )
      if (why === '') this.answered++
      else {
        this.failures.push({ startMs, endMs: performance.now(), why })
        // A caller that is refused does not run in a circle.
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  async #when(isTrue: () => boolean, what: string): Promise<void> {
    const untilMs = performance.now() + 20_000
    while (!isTrue()) {
      if (performance.now() > untilMs) {
        const seen = `${this.answered} answers, ${this.failures.length} failures, last ${this.failures.at(-1)?.why}`
        throw new Error(`not within 20 seconds: ${what} (${seen})`)
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
