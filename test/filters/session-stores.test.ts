/** Sessions that live in a store: this process, a session service, Redis; and what happens when the store is slow, dead or lies. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { session } from '../../lib/filters/session/index.ts'
import { Lookups } from '../../lib/filters/session/lookups.ts'
import type { Session } from '../../lib/filters/session/payload.ts'
import type { SessionStore } from '../../lib/filters/session/store.ts'
import { openSession, sealSession } from '../../lib/filters/session/token.ts'
import { type FilterKit, ManualClock, testFilter } from '../../lib/testing.ts'
import { keyTexts, legacySession, makeSession, ring, START } from './session-support.ts'

const ID = makeSession().id

function kitOf(realm: Record<string, unknown>, options: Record<string, unknown> = {}): FilterKit {
  const realms = { main: { cookie: 'sid', ...realm } }
  return testFilter(session, { realms, ...options }, { name: 'session' })
}

function ask(kit: FilterKit, id: string, respond = {}) {
  return kit.run({ path: '/', headers: { cookie: `sid=${id}` } }, respond)
}

function outcomes(kit: FilterKit, outcome: string): number {
  return kit.counter('meshgate_sessions_checked_total', { filter: 'session', realm: 'main', outcome })
}

/** A store that answers when the test says so. */
class HeldStore implements SessionStore {
  readonly kind = 'held'
  readonly asked: string[] = []
  answer: (outcome: Session | null | Error) => void = () => {}

  get(id: string): Promise<Session | null> {
    this.asked.push(id)
    return new Promise((resolve, reject) => {
      this.answer = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome))
    })
  }

  put(): void {}
  touch(): void {}
  remove(): void {}
  close(): void {}
}

function lookupsOf(limits = { timeoutMs: 100, maxPending: 3 }) {
  const store = new HeldStore()
  const clock = new ManualClock()
  const problems: string[] = []
  const lookups = new Lookups(store, limits, { clock, timers: clock }, (problem) => problems.push(problem))
  return { store, clock, problems, lookups }
}

t.test('requests for one id ask the store once', async (t) => {
  const { store, clock, lookups } = lookupsOf()
  const found = [lookups.find('a'), lookups.find('a'), lookups.find('a')]
  store.answer(makeSession())
  for (const answer of await Promise.all(found)) t.match(answer, { userId: makeSession().userId })
  t.same(store.asked, ['a'])
  t.equal(lookups.pending, 0)
  t.equal(clock.pending, 0, 'leaves no timer')
})

t.test('a dead store does not pile up questions, and one question finds out that it is back', async (t) => {
  const { store, clock, problems, lookups } = lookupsOf()
  for (let i = 0; i < 5; i++) {
    const found = lookups.find(`id-${i}`)
    if (i % 2 === 0) clock.advance(100)
    else store.answer(Object.assign(new Error('secret words'), { code: 'ECONNREFUSED' }))
    t.equal(await found, 'unavailable')
  }
  t.same(problems, ['timeout', 'ECONNREFUSED', 'timeout', 'ECONNREFUSED', 'timeout'])
  t.equal(lookups.find('x'), 'unavailable', 'at once')
  t.equal(store.asked.length, 5)
  clock.advance(1000)
  const probe = lookups.find('probe')
  t.equal(lookups.find('other'), 'unavailable', 'one at a time')
  clock.advance(100)
  t.equal(await probe, 'unavailable')
  t.equal(lookups.find('y'), 'unavailable', 'open for another second')
  clock.advance(1000)
  const last = lookups.find('probe')
  store.answer(null)
  t.equal(await last, null)
  t.ok(lookups.find('z') instanceof Promise, 'closed again')
})

t.test('more questions at once than allowed are refused', async (t) => {
  const { store, lookups } = lookupsOf()
  for (const id of ['a', 'b', 'c']) t.ok(lookups.find(id) instanceof Promise)
  t.equal(lookups.find('d'), 'unavailable')
  t.equal(store.asked.length, 3)
})

t.test('the embedded store holds what a login granted, without waiting, and is bounded', async (t) => {
  const kit = kitOf({ store: { max: 2, touch: '1m' }, cache: 0 }, { required: false, grant: 'grant' })
  const login = async (userId: string) => {
    const { headers } = await ask(kit, 'none', { headers: { grant: JSON.stringify({ userId }) } })
    return /^sid=([^;]+)/.exec(headers['set-cookie'])?.[1] as string
  }
  const [one, two] = [await login('1'), await login('2')]
  t.equal(one.length, 22)
  t.equal((await ask(kit, one)).exchange.userId, '1')
  t.equal(kit.stats.suspensions, 0)
  const three = await login('3')
  t.equal((await ask(kit, two)).exchange.userId, '', 'unused for longest')
  t.equal((await ask(kit, three)).exchange.userId, '3')
  for (let minute = 0; minute < 90; minute += 20) {
    kit.clock.advance(20 * 60_000)
    t.equal((await ask(kit, one)).exchange.userId, '1', 'lives on while it is used')
  }
  t.match((await ask(kit, one, { headers: { grant: 'end' } })).headers['set-cookie'], /^sid=; Max-Age=0/)
  t.equal((await ask(kit, one)).exchange.userId, '')
  kit.clock.advance(31 * 60_000)
  t.equal((await ask(kit, three)).exchange.userId, '', 'expired unused')
})

t.test('a legacy session moves into the store under a new id', async (t) => {
  const kit = kitOf({ store: {}, legacy: { unsigned: true } })
  const { headers, exchange } = await ask(kit, legacySession())
  const id = /^sid=([^;]+)/.exec(headers['set-cookie'])?.[1] as string
  t.notMatch(id, /legacy/)
  t.equal((await ask(kit, id)).exchange.userId, exchange.userId)
})

t.test('a session service', async (t) => {
  const seen: { headers: IncomingMessage['headers']; body: string }[] = []
  let answer = (_id: string, response: ServerResponse): void => void response.end()
  const server = createHttpServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    seen.push({ headers: request.headers, body })
    answer(JSON.parse(body).id, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sessions`
  const make = () => kitOf({ store: { http: { url, headers: { 'x-caller': 'gate' } }, timeout: '5s' } })

  await t.test('is asked once, and again when the answer is old', async (t) => {
    const kit = make()
    answer = (_id, response) =>
      void response.end(JSON.stringify({ userId: 42, loginAt: START, attributes: { level: 3, odd: {} } }))
    const outcomes = await Promise.all([ask(kit, ID), ask(kit, ID), ask(kit, ID)])
    for (const { exchange } of outcomes) t.match(exchange, { userId: '42', principal: { level: '3' } })
    t.equal((await ask(kit, ID)).exchange.userId, '42')
    t.equal(seen.length, 1)
    t.match(seen[0], { headers: { 'x-caller': 'gate' }, body: JSON.stringify({ realm: 'main', id: ID }) })
    kit.clock.advance(30_000)
    t.equal((await ask(kit, ID)).exchange.userId, '42')
    t.equal(seen.length, 2)
  })

  await t.test('may know no such session, which is remembered for a moment', async (t) => {
    const kit = make()
    seen.length = 0
    answer = (_id, response) => void response.writeHead(404).end()
    t.equal((await ask(kit, ID)).status, 401)
    t.equal((await ask(kit, ID)).status, 401)
    t.equal((await ask(kit, 'too-short')).status, 401)
    t.equal((await ask(kit, 'a*b?c[d]e f g h i j k')).status, 401)
    t.equal(seen.length, 1)
    kit.clock.advance(2000)
    t.equal((await ask(kit, ID)).status, 401)
    t.equal(seen.length, 2)
  })

  await t.test('that answers wrongly proves nobody, and does not log users out', async (t) => {
    const wrong: [name: string, respond: (response: ServerResponse) => void][] = [
      ['error', (response) => void response.writeHead(500).end('planted-secret')],
      ['no JSON', (response) => void response.end('planted-secret')],
      ['no user', (response) => void response.end('{"userId":null,"x":"planted-secret"}')],
      ['endless', (response) => void response.end(Buffer.alloc(200_000, 0x20))],
      ['redirect', (response) => void response.writeHead(302, { location: url }).end()],
      ['reset', (response) => void response.destroy()],
    ]
    for (const [name, respond] of wrong) {
      const kit = make()
      answer = (_id, response) => respond(response)
      const { status, exchange, refusal } = await ask(kit, ID)
      t.equal(status, 503, name)
      t.equal(exchange.userId, '')
      t.match(refusal, { code: 'OVERLOADED', retryAfterMs: 1000 })
      t.equal(outcomes(kit, 'unavailable'), 1)
      t.match(kit.logs, [{ level: 'warn', fields: { realm: 'main', store: 'http' } }])
      t.notMatch(JSON.stringify(kit.logs), /planted-secret|c2Vzc2lvbi1/)
    }
  })

  await t.test('that is slow is waited for no longer than its time', async (t) => {
    const kit = make()
    let arrived: () => void = () => {}
    const asked = new Promise<void>((resolve) => {
      arrived = resolve
    })
    answer = () => arrived()
    const outcome = ask(kit, ID)
    await asked
    kit.clock.advance(5000)
    t.equal((await outcome).status, 503)
    t.equal(kit.clock.pending, 0)
  })
})

const redisServer = spawnSync('redis-server', ['--version']).status === 0
const withoutRedis = redisServer
  ? {}
  : { skip: 'redis-server is not installed (Debian: apt install redis-server)' }

t.test('Redis', withoutRedis, async (t) => {
  const port = await freePort()
  const password = 'planted-password'
  let server = await startRedis(port, password)
  const admin = new Redis({ port, password, lazyConnect: true })
  admin.on('error', () => {}) // it is killed on purpose
  await admin.connect()
  const kits: FilterKit[] = []
  const make = (realm: Record<string, unknown> = {}, redis: Record<string, unknown> = {}): FilterKit => {
    const store = { redis: { port, password, ...redis }, timeout: '2s', touch: '5m' }
    const kit = kitOf({ keys: keyTexts('a'), store, cache: 0, ...realm }, { required: false, grant: 'grant' })
    kits.push(kit)
    return kit
  }
  t.teardown(async () => {
    for (const kit of kits) kit.close()
    admin.disconnect()
    await stop(server)
  })
  const login = async (kit: FilterKit) => {
    const { headers } = await ask(kit, 'none', { headers: { grant: '{"userId":"5"}' } })
    return /^sid=([^;]+)/.exec(headers['set-cookie'])?.[1] as string
  }

  await t.test('holds sealed sessions that each instance finds', async (t) => {
    const [one, other] = [make(), make({ mode: 'sign' })]
    const id = await login(one)
    const key = `session:main:${id}`
    t.equal((await ask(other, id)).exchange.userId, '5')
    const text = (await admin.get(key)) as string
    t.match(openSession(text, ring('main', 'a'), 'main', id), { userId: '5' })
    t.equal(typeof openSession(text, ring('main', 'a'), 'main'), 'string', 'is no token for callers')
    t.ok((await admin.pttl(key)) > 1_700_000)
    await admin.set('session:main:0123456789abcdef', text)
    t.equal((await ask(other, '0123456789abcdef')).exchange.userId, '', 'bound to its id')
    await admin.set('session:main:fedcba9876543210', sealSession(makeSession(), ring('main', 'z'), 'main'))
    t.equal((await ask(other, 'fedcba9876543210')).exchange.userId, '', 'another key')
  })

  await t.test('is told at most every so often that a session lives on, and never revives one', async (t) => {
    const kit = make()
    const id = await login(kit)
    const key = `session:main:${id}`
    await ask(kit, id)
    await admin.pexpire(key, 60_000)
    await ask(kit, id)
    await settled(admin)
    t.ok((await admin.pttl(key)) <= 60_000, 'not yet')
    kit.clock.advance(300_000)
    t.match((await ask(kit, id)).headers['set-cookie'], `sid=${id}; Max-Age=1800`)
    await until(async () => (await admin.pttl(key)) > 1_700_000)
    await admin.del(key)
    await ask(kit, id)
    await settled(admin)
    t.equal(await admin.exists(key), 0)
    const second = await login(kit)
    await ask(kit, second, { headers: { grant: 'end' } })
    await until(async () => (await admin.exists(`session:main:${second}`)) === 0)
    t.pass('a logout removes it')
  })

  await t.test('may hold JSON that other programs write', async (t) => {
    const kit = make({}, { format: 'json', prefix: 'login/' })
    const json = '{"userId":"8","loginAt":"2026-01-01T00:00:00Z","more":1}'
    await admin.set(`login/${ID}`, json, 'PX', 60_000)
    t.equal((await ask(kit, ID)).exchange.userId, '8')
    kit.clock.advance(301_000)
    await ask(kit, ID)
    await admin.set('login/0123456789abcdef', 'nonsense')
    t.equal((await ask(kit, '0123456789abcdef')).exchange.userId, '')
    t.equal(await admin.get(`login/${ID}`), json, 'is left as it is')
  })

  await t.test('with a wrong password proves nobody and shows none', async (t) => {
    const kit = make({}, { password: 'planted-wrong' })
    t.equal((await ask(kit, ID)).exchange.userId, '')
    t.equal(outcomes(kit, 'unavailable'), 1)
    t.ok(kit.logs.length > 0)
    t.notMatch(JSON.stringify(kit.logs), /planted/)
    kit.close()
  })

  await t.test(
    'that is full takes no session, and that hangs is waited for no longer than its time',
    async (t) => {
      const full = make()
      const id = await login(full)
      await admin.config('SET', 'maxmemory', '1')
      t.equal(await login(full), undefined, 'no token for a session that nobody holds')
      t.equal((await ask(full, id)).exchange.userId, '5', 'reading goes on')
      await admin.config('SET', 'maxmemory', '0')
      const store = { redis: { port, password }, timeout: '500ms' }
      const kit = make({ store })
      t.equal((await ask(kit, id)).exchange.userId, '5')
      server.kill('SIGSTOP')
      t.equal((await ask(kit, id)).exchange.userId, '')
      t.equal(outcomes(kit, 'unavailable'), 1)
      server.kill('SIGCONT')
      await until(async () => (await ask(kit, id)).exchange.userId === '5')
    },
  )

  await t.test('may go away and come back', async (t) => {
    const kit = make()
    await login(kit)
    await stop(server)
    const started = performance.now()
    t.equal((await ask(kit, ID)).exchange.userId, '')
    for (let i = 0; i < 20; i++) await ask(kit, `${ID}-${i}`)
    t.ok(performance.now() - started < 1500, 'nobody waits for a store that is gone')
    t.equal(outcomes(kit, 'unavailable') > 15, true)
    t.notMatch(JSON.stringify(kit.logs), /planted/)
    server = await startRedis(port, password)
    await until(async () => {
      kit.clock.advance(1000)
      await ask(kit, ID)
      return outcomes(kit, 'unknown') > 0
    })
    const id = await login(kit)
    t.equal((await ask(kit, id)).exchange.userId, '5')
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startRedis(port: number, password: string): Promise<ChildProcess> {
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', [...options, '--requirepass', password], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of server.stdout) if (`${line}`.includes('Ready to accept')) break
  return server
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGKILL')
  await once(server, 'exit')
}

/** Redis has carried out what was sent to it before: orders in the background had the time of a round trip of another connection. */
async function settled(admin: Redis): Promise<void> {
  for (let i = 0; i < 5; i++) await admin.ping()
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await isDone())) {
    if (performance.now() > end) throw new Error('it did not happen within 10 seconds')
    await delay(20)
  }
}
