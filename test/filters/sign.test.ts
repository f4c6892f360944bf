/** The `sign` filter against signatures made by the openssl command line, and against what is wrong with signatures. */
import { spawnSync } from 'node:child_process'
import { createHmac, hash, randomInt } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { getHeapSnapshot } from 'node:v8'
import t from 'tap'
import { compileSigner, hasSm3 } from '../../lib/filters/sign/algorithms.ts'
import { sign, signWith } from '../../lib/filters/sign/index.ts'
import { Nonce, NonceCache } from '../../lib/filters/sign/nonces.ts'
import { type FilterKit, type TestRequest, testFilter } from '../../lib/testing.ts'

const SECRET = 'planted-secret-0123456789abcdef'
const OTHER = 'another-secret-0123456789abcdef'
const BODY = '[{"_requestBody":{"name":"Zoë","n":1}}]'
const KEY = { appId: 'APP1', workspaceId: 'default', secret: SECRET }
const folder = mkdtempSync(path.join(tmpdir(), 'meshgate-sign-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const needsOpenssl = hasOpenssl ? {} : { skip: 'openssl is not installed' }

/** Runs openssl; its output as bytes. */
function openssl(args: readonly string[], input: string | Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync('openssl', args, { input })
  if (status !== 0) throw new Error(stderr.toString())
  return stdout
}

/** The string to sign, its body hashed by openssl. */
function toSign(target: string, ts: number | string, did: string, body: string | Buffer): string {
  return `${target}\n${ts}\n${did}\n${openssl(['dgst', '-sha256', '-binary'], body).toString('base64')}`
}

function hmac(text: string, secret = SECRET): Buffer {
  return openssl(['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `key:${secret}`, '-binary'], text)
}

interface Given {
  readonly ts?: number | string
  readonly did?: string
  readonly body?: string
  readonly secret?: string
  readonly appId?: string
  readonly operation?: string
}

/** A request over Mmtp, signed by openssl. */
function signed(kit: FilterKit, given: Given = {}): TestRequest & { headers: Record<string, string> } {
  const { ts = kit.clock.wallNow(), did = 'device-1', body = BODY, secret = SECRET } = given
  const { appId = 'APP1', operation = 'demo.order.create' } = given
  const signature = hmac(toSign(operation, ts, did, body), secret).toString('base64')
  const headers = { sign: signature, ts: String(ts), did, 'app-id': appId, 'workspace-id': 'default' }
  return { protocol: 'mmtp', operation, body, headers }
}

const kitOf = (options: Record<string, unknown> = {}): FilterKit =>
  testFilter(sign, { keys: [KEY], ...options }, { name: 'sign' })

async function codeOf(kit: FilterKit, request: TestRequest): Promise<string> {
  const { refusal, error } = await kit.run(request)
  if (error !== null) throw error
  return refusal?.code ?? 'passed'
}

t.test('signatures made by openssl', needsOpenssl, async (t) => {
  t.test('lets a request of each protocol pass, and forwards its body as it came', async (t) => {
    const kit = kitOf()
    const overMmtp = await kit.run(signed(kit))
    t.equal(overMmtp.answeredBy, 'upstream')
    t.equal(overMmtp.forwarded?.body, BODY)
    const ts = kit.clock.wallNow()
    const http = (target: string) => ({
      Sign: hmac(toSign(target, ts, 'd', BODY)).toString('base64'),
      Ts: String(ts),
      AppId: 'APP1',
      WorkspaceId: 'default',
      Did: 'd',
    })
    t.equal(
      await codeOf(kit, { operation: 'demo.a', path: '/mgw.htm', headers: http('demo.a'), body: BODY }),
      'passed',
    )
    const plain = { method: 'POST', path: '/orders?a=1&b=%20', body: BODY }
    t.equal(await codeOf(kit, { ...plain, headers: http('POST /orders?a=1&b=%20') }), 'passed')
    const rpc = { protocol: 'bolt', service: 'com.example.Orders', method: 'find', version: '1.0' } as const
    const { headers } = signed(kit, { operation: 'com.example.Orders:1.0:.find' })
    t.equal(await codeOf(kit, { ...rpc, headers, body: BODY }), 'passed')
    t.equal(kit.counter('meshgate_sign_total', { filter: 'sign', outcome: 'ok' }), 4)
  })

  t.test('binds target, time, device, body and app', async (t) => {
    const kit = kitOf({ keys: [KEY, { appId: 'APP2', secret: OTHER }] })
    const good = signed(kit)
    const changed: TestRequest[] = [
      { ...good, operation: 'demo.order.creat' },
      { ...good, body: `${BODY} ` },
      { ...good, body: '' },
      { ...good, headers: { ...good.headers, did: 'device-2' } },
      { ...good, headers: { ...good.headers, ts: String(kit.clock.wallNow() + 1) } },
      { ...good, headers: { ...good.headers, 'app-id': 'APP2' } },
      signed(kit, { secret: OTHER }),
    ]
    for (const request of changed) t.equal(await codeOf(kit, request), 'SIGN_WRONG', JSON.stringify(request))
    t.equal(await codeOf(kit, good), 'passed', 'refused ones use nothing up')
  })

  t.test('refuses truncated, prolonged, flipped and re-spelled signatures', async (t) => {
    const kit = kitOf()
    const good = signed(kit)
    const right = good.headers.sign
    const flipped = Buffer.from(right, 'base64')
    flipped[31] ^= 1
    const wrong = [
      right.slice(0, -1),
      right.slice(0, 10),
      `${right}=`,
      ` ${right.slice(1)}`,
      flipped.toString('base64'),
      right.toLowerCase(),
      Buffer.from(right, 'base64').toString('hex'),
      'x'.repeat(5000),
      String.fromCharCode(...[...right].map((letter) => letter.charCodeAt(0) | 0x80)),
    ]
    for (const signature of wrong) {
      t.equal(await codeOf(kit, { ...good, headers: { ...good.headers, sign: signature } }), 'SIGN_WRONG')
    }
    t.equal(kit.counter('meshgate_sign_total', { filter: 'sign', outcome: 'wrong' }), wrong.length)
  })

  t.test('refuses a request that came before, until its time is up anyway', async (t) => {
    const kit = kitOf()
    const request = signed(kit)
    t.equal(await codeOf(kit, request), 'passed')
    const again = await kit.run(request)
    t.match(again.refusal, { code: 'SIGN_EXPIRED', message: 'the signature was used already' })
    kit.clock.advance(5 * 60_000)
    t.equal(await codeOf(kit, request), 'SIGN_EXPIRED')
    t.equal(await codeOf(kit, signed(kit)), 'passed')
    const open = kitOf({ replay: false })
    const twice = signed(open)
    t.equal(await codeOf(open, twice), 'passed')
    t.equal(await codeOf(open, twice), 'passed')
  })

  t.test('goes by the window in both directions, to the millisecond', async (t) => {
    const kit = kitOf({ window: '30s' })
    const now = kit.clock.wallNow()
    t.equal(await codeOf(kit, signed(kit, { ts: now - 30_000 })), 'passed')
    t.equal(await codeOf(kit, signed(kit, { ts: now + 30_000 })), 'passed')
    t.equal(await codeOf(kit, signed(kit, { ts: now - 30_001 })), 'SIGN_EXPIRED')
    t.equal(await codeOf(kit, signed(kit, { ts: now + 30_001 })), 'SIGN_EXPIRED')
    for (const ts of [
      'x',
      '-1',
      '1e12',
      `${now}.5`,
      ` ${now}`,
      `0x${now.toString(16)}`,
      '9'.repeat(40),
      'NaN',
    ]) {
      t.equal(await codeOf(kit, signed(kit, { ts })), 'SIGN_EXPIRED', ts)
    }
  })

  t.test('takes the salted hashes only where it is told to', async (t) => {
    t.throws(() => kitOf({ algorithm: 'md5-salt' }), /weak: say "legacy: true"/)
    t.throws(
      () => kitOf({ keys: [{ ...KEY, algorithm: 'sha256-salt' }] }),
      /keys\[0\] \(app "APP1"\): .*weak/,
    )
    for (const [algorithm, digest] of [
      ['md5-salt', '-md5'],
      ['sha256-salt', '-sha256'],
      ['sm3-salt', '-sm3'],
    ]) {
      if (algorithm === 'sm3-salt' && !hasSm3()) {
        t.pass('no SM3 here')
        continue
      }
      const kit = kitOf({ algorithm, legacy: algorithm !== 'sm3-salt' })
      const text = toSign('demo.a', kit.clock.wallNow(), '', BODY)
      const signature = openssl(['dgst', digest, '-binary'], `${text}\n${SECRET}`).toString('base64')
      const headers = {
        sign: signature,
        ts: String(kit.clock.wallNow()),
        'app-id': 'APP1',
        'workspace-id': 'default',
      }
      const request = { protocol: 'mmtp', operation: 'demo.a', body: BODY, headers } as const
      t.equal(await codeOf(kit, request), 'passed', algorithm)
      t.equal(await codeOf(kit, signed(kit)), 'SIGN_WRONG', 'the algorithm is the key’s, whatever came')
    }
    t.throws(() => hasSm3([]) || kitOf({ algorithm: 'sm4-salt' }), /"sm4-salt" is unknown/)
  })

  t.test('takes signatures in hexadecimal and under other header names', async (t) => {
    const kit = kitOf({ encoding: 'hex', headers: { sign: 'X-Signature', appId: 'x-app' } })
    const ts = kit.clock.wallNow()
    const signature = hmac(toSign('GET /', ts, '', '')).toString('hex')
    const headers = { 'x-signature': signature, ts: String(ts), 'X-App': 'APP1', workspaceid: 'default' }
    t.equal(await codeOf(kit, { method: 'GET', path: '/', headers }), 'passed')
  })

  t.test('uses both keys of a rotation, and the app’s own keys for other workspaces', async (t) => {
    const kit = kitOf({ keys: [KEY, { ...KEY, secret: OTHER }, { appId: 'APP2', secret: 'x'.repeat(40) }] })
    t.equal(await codeOf(kit, signed(kit)), 'passed')
    t.equal(await codeOf(kit, signed(kit, { secret: OTHER })), 'passed')
    t.equal(await codeOf(kit, signed(kit, { appId: 'APP2', secret: 'x'.repeat(40) })), 'passed')
    const elsewhere = signed(kit)
    elsewhere.headers['workspace-id'] = 'other'
    t.equal(await codeOf(kit, elsewhere), 'SIGN_KEY_MISSING')
  })

  t.test('follows a file of keys; one that is broken changes nothing', async (t) => {
    const file = path.join(folder, 'keys.json')
    const write = (text: string): void => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
    const kit = testFilter(sign, { keysFile: file }, { name: 'sign' })
    t.equal(await codeOf(kit, signed(kit)), 'SIGN_KEY_MISSING', 'no file yet')
    const looked = async (): Promise<void> => {
      kit.clock.advance(2000)
      for (const end = Date.now() + 5000; kit.clock.pending === 0 && Date.now() < end; ) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    write(JSON.stringify({ keys: [KEY] }))
    await looked()
    t.equal(await codeOf(kit, signed(kit)), 'passed')
    write(JSON.stringify({ keys: [KEY, { ...KEY, secret: OTHER }] }))
    await looked()
    t.equal(await codeOf(kit, signed(kit, { secret: OTHER, did: 'n' })), 'passed')
    t.equal(await codeOf(kit, signed(kit, { did: 'o' })), 'passed')
    for (const text of [
      `{"keys":[{"appId":"A","secret":"${SECRET}"`,
      '{}',
      `{"keys":[{"appId":1,"secret":"${SECRET}"}]}`,
    ]) {
      write(text)
      await looked()
      t.equal(await codeOf(kit, signed(kit, { did: text })), 'passed')
    }
    write(JSON.stringify({ keys: [{ ...KEY, secret: OTHER }] }))
    await looked()
    t.equal(await codeOf(kit, signed(kit, { did: 'p' })), 'SIGN_WRONG', 'the old key is gone')
    t.equal(kit.logs.filter(({ level }) => level === 'error').length, 4)
    t.notMatch(JSON.stringify(kit.logs), SECRET)
    kit.close()
    t.equal(kit.clock.pending, 0)
  })

  t.test(
    'keeps used signatures when a configuration is replaced, and drops them with the last filter',
    async (t) => {
      const kit = kitOf()
      const request = signed(kit)
      const services = servicesOf(kit)
      const first = sign.create({ keys: [KEY] } as never, services)
      const second = sign.create({ keys: [KEY] } as never, services)
      const probe = async (filter: typeof first): Promise<string> => {
        const { exchange } = await testFilter(() => ({
          name: 'x',
          needsBody: 'request',
          onRoute: () => undefined,
        })).run(request)
        filter.onRoute?.(exchange)
        return exchange.refusal?.code ?? 'passed'
      }
      t.equal(await probe(first), 'passed')
      first.close?.()
      t.equal(await probe(second), 'SIGN_EXPIRED', 'what the replaced filter saw is known')
      second.close?.()
      const third = sign.create({ keys: [KEY] } as never, services)
      t.equal(await probe(third), 'passed')
      third.close?.()
    },
  )

  t.test('bounds what it remembers in a flood; strict refuses when that is full of valid ones', async (t) => {
    const kit = kitOf({ maxNonces: 3 })
    const requests = [1, 2, 3, 4].map((n) => signed(kit, { did: String(n) }))
    for (const request of requests) t.equal(await codeOf(kit, request), 'passed')
    t.equal(await codeOf(kit, requests[0]), 'passed', 'the oldest was forgotten')
    const strict = kitOf({ maxNonces: 3, strict: true, window: '1m' })
    for (const request of requests.slice(0, 3)) t.equal(await codeOf(strict, request), 'passed')
    t.equal(await codeOf(strict, requests[3]), 'OVERLOADED')
    t.equal(await codeOf(strict, requests[0]), 'SIGN_EXPIRED')
    strict.clock.advance(61_000)
    t.equal(await codeOf(strict, signed(strict)), 'passed', 'those whose time is up make room')
  })

  t.test('runs algorithms of one’s own, from a module or handed over', async (t) => {
    const module = path.join(folder, 'my-sign.mts')
    writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}')
    writeFileSync(
      module,
      `import { createHash } from 'node:crypto'
export default ({ text, secret }: { text: string; secret: Buffer }): string =>
  createHash('sha512').update(secret).update(text).digest('base64')\n`,
    )
    const kit = kitOf({ algorithm: module })
    const request = signed(kit)
    const text = toSign('demo.order.create', kit.clock.wallNow(), 'device-1', BODY)
    const own = openssl(['dgst', '-sha512', '-binary'], SECRET + text).toString('base64')
    t.equal(await codeOf(kit, request), 'SIGN_WRONG')
    t.equal(await codeOf(kit, { ...request, headers: { ...request.headers, sign: own } }), 'passed')
    t.equal(await codeOf(kit, { ...request, headers: { ...request.headers, sign: own } }), 'SIGN_EXPIRED')
    t.throws(() => kitOf({ algorithm: path.join(folder, 'none.ts') }), /none\.ts/)
    writeFileSync(path.join(folder, 'empty.ts'), 'export const a = 1\n')
    t.throws(
      () => kitOf({ algorithm: path.join(folder, 'empty.ts') }),
      /empty\.ts: its default export must be a function/,
    )
    const judged = testFilter(
      signWith(({ did, body }, signature) => signature.toLowerCase() === `${did}:${body.length}`),
      { keys: [KEY] },
    )
    const spelled = (text: string) => ({ ...request, headers: { ...request.headers, sign: text } })
    const right = `device-1:${Buffer.byteLength(BODY)}`
    t.equal(await codeOf(judged, spelled('x')), 'SIGN_WRONG')
    t.equal(await codeOf(judged, spelled(right)), 'passed')
    t.equal(
      await codeOf(judged, spelled(right.toUpperCase())),
      'SIGN_EXPIRED',
      'another spelling is no other request',
    )
  })
})

t.test('says what is missing', async (t) => {
  const kit = kitOf()
  const now = String(kit.clock.wallNow())
  const all = { sign: 'x', ts: now, 'app-id': 'APP1', 'workspace-id': 'default' }
  const cases: [without: string, code: string][] = [
    ['sign', 'SIGN_MISSING'],
    ['ts', 'SIGN_NO_TIMESTAMP'],
    ['app-id', 'SIGN_PARAMETER_MISSING'],
    ['workspace-id', 'SIGN_KEY_MISSING'],
  ]
  for (const [without, code] of cases) {
    const headers: Record<string, string> = { ...all }
    delete headers[without]
    t.equal(await codeOf(kit, { protocol: 'mmtp', operation: 'demo.a', headers }), code)
    t.equal(
      await codeOf(kit, { protocol: 'mmtp', operation: 'demo.a', headers: { ...all, [without]: '' } }),
      code,
    )
  }
  const unknown = {
    protocol: 'mmtp',
    operation: 'demo.a',
    headers: { ...all, 'app-id': '__proto__' },
  } as const
  t.equal(await codeOf(kit, unknown), 'SIGN_KEY_MISSING')
})

t.test(
  'refuses a configuration without keys, with short or shared secrets, and shows no secret',
  async (t) => {
    t.throws(() => testFilter(sign, {}), /give "keys", "keysFile" or both/)
    const faults: Record<string, unknown>[] = [
      { keys: [{ appId: 'A', secret: 'plantedshort' }] },
      { keys: [KEY, { appId: 'APP2', secret: SECRET }] },
      { keys: [{ appId: 'A', secret: SECRET, algorithm: 'none' }] },
      { keys: [{ secret: SECRET }] },
      { keys: [{ ...KEY, nonsense: SECRET }] },
    ]
    for (const options of faults) {
      let message = ''
      try {
        testFilter(sign, options)
      } catch (error) {
        message = String((error as Error).stack)
      }
      t.not(message, '')
      t.notMatch(message, /planted/)
    }
    const bad = path.join(folder, 'bad.json')
    writeFileSync(bad, `{"keys":[{"appId":"A","secret":"${SECRET}`)
    t.throws(() => testFilter(sign, { keysFile: bad }), { message: /^.*bad\.json: is no JSON$/ })
  },
)

t.test('long strings are signed like short ones', needsOpenssl, async (t) => {
  const signer = compileSigner('hmac-sha256', Buffer.from(SECRET), 'base64')
  const long = compileSigner('hmac-sha256', Buffer.from(SECRET.repeat(4)), 'base64')
  for (const length of [0, 1, 55, 64, 340, 341, 342, 1024, 5000]) {
    for (const letter of ['a', 'é', '€']) {
      const text = letter.repeat(length)
      t.equal(signer(text), hmac(text).toString('base64'))
      t.equal(long(text), hmac(text, SECRET.repeat(4)).toString('base64'))
    }
  }
})

t.test('a flood of signatures takes a fixed place', async (t) => {
  const forgotten = { value: 0 }
  const nonces = new NonceCache(3000, forgotten)
  for (let i = 0; i < 100_000; i++) nonces.admit(`n${i}`, 10_000_000, i, false)
  t.equal(nonces.size, 3000)
  t.equal(forgotten.value, 97_000)
  for (const i of [97_000, 98_500, 99_999])
    t.equal(nonces.admit(`n${i}`, 10_000_000, 100_000, true), Nonce.Seen)
  t.equal(nonces.admit('new', 10_000_000, 100_000, true), Nonce.Full)
  t.equal(nonces.admit('n96999', 10_000_000, 100_000, false), Nonce.New, 'the oldest went first')
  t.equal(nonces.admit('new', 30_000_000, 20_000_000, true), Nonce.New)
  t.equal(nonces.size, 2999, 'two make room for one when their time is up')
  nonces.close()
  t.equal(nonces.size, 0)
})

t.test('the ring keeps order while it grows and turns', async (t) => {
  const nonces = new NonceCache(5000, { value: 0 })
  const live: { key: string; until: number }[] = []
  let serial = 0
  for (let now = 0; now < 20_000; now++) {
    const count = now % 7 === 0 ? 4 : 1
    for (let i = 0; i < count; i++) {
      const key = `k${serial++}`
      if (nonces.admit(key, now + 1500, now, true) !== Nonce.New) t.fail(key)
      live.push({ key, until: now + 1500 })
    }
    while (live[0].until < now) live.shift()
    if (now % 500 === 0) {
      for (const { key, until } of live) if (nonces.admit(key, until, now, true) !== Nonce.Seen) t.fail(key)
    }
  }
  t.ok(nonces.size <= live.length + 5)
})

t.test('a secret from a file is no text in a heap snapshot', async (t) => {
  // Only ever bytes here, so that the test itself puts no such text on the heap.
  const secret = Buffer.alloc(48)
  for (let i = 0; i < secret.length; i++) secret[i] = 0x61 + randomInt(26)
  const file = path.join(folder, 'heap.json')
  const parts = ['{"keys":[{"appId":"APP1","secret":"', secret, '"}]}']
  writeFileSync(file, Buffer.concat(parts.map((part) => Buffer.from(part as Buffer))))
  const kit = testFilter(sign, { keysFile: file })
  const ts = String(kit.clock.wallNow())
  const text = `demo.a\n${ts}\n\n${hash('sha256', BODY, 'base64')}`
  const signature = createHmac('sha256', secret).update(text).digest('base64')
  const headers = { sign: signature, ts, 'app-id': 'APP1' }
  t.equal(await codeOf(kit, { protocol: 'mmtp', operation: 'demo.a', body: BODY, headers }), 'passed')
  let isThere = false
  let hasSnapshot = false
  let tail = Buffer.alloc(0)
  for await (const piece of getHeapSnapshot()) {
    const bytes = Buffer.concat([tail, piece as Buffer])
    isThere ||= bytes.includes(secret)
    hasSnapshot ||= bytes.includes('SignFilter')
    tail = bytes.subarray(-100)
  }
  t.equal(hasSnapshot, true)
  t.equal(isThere, false)
  kit.close()
})

/** Services whose metrics are one object, as those of a gateway. */
function servicesOf(kit: FilterKit): never {
  const log = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false }
  const metrics = { counter: () => ({ value: 0 }), histogram: () => ({ record() {} }), gauge: () => () => {} }
  const services = {
    name: 'sign',
    log,
    metrics,
    clock: kit.clock,
    timers: kit.clock,
    resolvePath: (p: string) => p,
  }
  return services as never
}
