/** Sessions proven by tokens: what is accepted, what is refused, how tokens are renewed, and what the formats hold. */
import { utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import type { FilterServices } from '../../lib/core/filter.ts'
import { readCookie as readFieldCookie } from '../../lib/filters/fields.ts'
import { readCookie } from '../../lib/filters/session/carrier.ts'
import { session } from '../../lib/filters/session/index.ts'
import { parseKeyFile } from '../../lib/filters/session/keys.ts'
import { decodeSession, encodeSession } from '../../lib/filters/session/payload.ts'
import { openSession, sealSession } from '../../lib/filters/session/token.ts'
import { type FilterKit, type TestRequest, testFilter } from '../../lib/testing.ts'
import {
  attributes,
  keyTexts,
  legacySession,
  makeSession,
  ring,
  START,
  secret,
  signLegacy,
} from './session-support.ts'

const MAIN = { keys: keyTexts('a'), cookie: 'sid', header: 'session' }

function kitOf(options: Record<string, unknown> = {}, realm: Record<string, unknown> = {}): FilterKit {
  return testFilter(session, { realms: { main: { ...MAIN, ...realm } }, ...options }, { name: 'session' })
}

function token(changes: Parameters<typeof makeSession>[0] = {}, realm = 'main', letter = 'a'): string {
  return sealSession(makeSession(changes), ring(realm, letter), realm)
}

function withCookie(value: string, more: Record<string, string> = {}): TestRequest {
  return { path: '/', headers: { cookie: `a=b; sid=${value}; c=d`, ...more } }
}

function outcomes(kit: FilterKit, outcome: string, realm = 'main'): number {
  return kit.counter('meshgate_sessions_checked_total', { filter: 'session', realm, outcome })
}

t.test('a good session gives the user to filters and to the business process', async (t) => {
  const kit = kitOf({ headers: { 'x-nick': 'nick', 'x-level': 'level' } })
  const forged = { uid: '1', 'x-nick': 'root', 'x-level': '9' }
  const { answeredBy, forwarded, exchange } = await kit.run(withCookie(token(), forged))
  t.equal(answeredBy, 'upstream')
  t.equal(exchange.userId, '2088000000000687')
  t.equal(exchange.principal?.region, 'cn-hangzhou')
  t.equal(forwarded?.headers.uid, '2088000000000687')
  t.equal(forwarded?.headers['x-nick'], encodeURIComponent('小明'))
  t.equal(forwarded?.headers['x-level'], undefined, 'an attribute that the session lacks')
  t.equal(outcomes(kit, 'valid'), 1)
})

t.test('every protocol is refused in its own words', async (t) => {
  const kit = kitOf()
  t.equal((await kit.run({ path: '/' })).status, 401)
  t.equal((await kit.run({ protocol: 'mmtp', operation: 'demo.echo' })).status, 2000)
  t.equal(outcomes(kit, 'missing'), 2)
  const header = { protocol: 'mmtp', operation: 'demo.echo', headers: { session: token() } } as const
  t.equal((await kit.run(header)).forwarded?.headers.uid, '2088000000000687')
  const rpc = { protocol: 'bolt', service: 'a.B', headers: { session: token(), UID: '1' } } as const
  t.equal((await kit.run(rpc)).forwarded?.headers.uid, '2088000000000687')
})

t.test('without a session a request passes as nobody where none is required', async (t) => {
  const kit = kitOf({ required: false, strip: true, uidHeader: { http1: 'x-user' } })
  for (const cookie of [
    'none',
    `${token()}x`,
    token({ expiresAt: START - 31_000, issuedAt: START - 90_000 }),
  ]) {
    const { forwarded, exchange } = await kit.run(withCookie(cookie, { 'x-user': '1' }))
    t.equal(exchange.userId, '')
    t.equal(exchange.principal, null)
    t.equal(forwarded?.headers['x-user'], undefined, 'what the caller claims is gone')
    t.equal(forwarded?.headers.cookie, 'a=b; c=d')
  }
})

t.test('a bad token is refused, whatever is wrong with it', async (t) => {
  const good = token()
  const foreign = token({}, 'pc')
  const cases: [fault: string, cookie: string][] = [
    ['malformed', ''.padEnd(40, 'x')],
    ['malformed', '%%%'],
    ['malformed', good.slice(0, 20)],
    ['malformed', `${good}=`],
    ['malformed', good.replace(/^(.{30})/, '$1.')],
    ['malformed', 'E'.repeat(5000)],
    ['malformed', legacySession()],
    ['forged', Buffer.from(good, 'base64url').subarray(0, -4).toString('base64url')],
    ['forged', `${good.slice(0, 60)}${good[60] === 'A' ? 'B' : 'A'}${good.slice(61)}`],
    ['forged', foreign],
    ['forged', sealSession(makeSession(), ring('main', 'z'), 'main').replace(/^.{16}/, good.slice(0, 16))],
    ['forged', sealSession(makeSession(), ring('main', 'a'), 'main', 'encrypt', 'of a store')],
    ['unknown-key', token({}, 'main', 'b')],
    ['expired', token({ issuedAt: START - 3_600_000, expiresAt: START - 30_000 })],
    ['expired', token({ loginAt: START - 31 * 86_400_000 })],
    ['early', token({ issuedAt: START + 60_000 })],
  ]
  for (const [fault, cookie] of cases) {
    const kit = kitOf()
    const { status, exchange } = await kit.run(withCookie(cookie))
    t.equal(status, 401, fault)
    t.equal(exchange.userId, '')
    t.equal(outcomes(kit, fault), 1, `${fault}: ${cookie.slice(0, 30)}`)
    t.equal(kit.logs.length, 0, 'a caller cannot fill the log')
  }
})

t.test('no changed byte and no cut of a token is accepted', async (t) => {
  const keys = ring('main', 'a')
  for (const mode of ['encrypt', 'sign'] as const) {
    const bytes = Buffer.from(sealSession(makeSession(), keys, 'main', mode), 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i] ^= 1 + (i % 255)
      if (typeof openSession(changed.toString('base64url'), keys, 'main') !== 'string') t.fail(`byte ${i}`)
      if (typeof openSession(bytes.subarray(0, i).toString('base64url'), keys, 'main') !== 'string')
        t.fail(`cut at ${i}`)
    }
  }
  fc.assert(
    fc.property(fc.string(), fc.uint8Array(), (text, bytes) => {
      const fromBytes = openSession(Buffer.from(bytes).toString('base64url'), keys, 'main')
      return typeof openSession(text, keys, 'main') === 'string' && typeof fromBytes === 'string'
    }),
  )
  t.pass()
})

t.test('clocks may differ by the skew', async (t) => {
  const kit = kitOf({}, { skew: '10s' })
  t.equal((await kit.run(withCookie(token({ issuedAt: START + 9000, loginAt: START + 9000 })))).status, 200)
  t.equal((await kit.run(withCookie(token({ issuedAt: START + 11_000 })))).status, 401)
  t.equal(
    (await kit.run(withCookie(token({ expiresAt: START - 9000, issuedAt: START - 99_000 })))).status,
    200,
  )
  t.equal(
    (await kit.run(withCookie(token({ expiresAt: START - 10_000, issuedAt: START - 99_000 })))).status,
    401,
  )
})

t.test('a verified token that is remembered still expires', async (t) => {
  const kit = kitOf()
  const cookie = token()
  t.equal((await kit.run(withCookie(cookie))).status, 200)
  kit.clock.advance(1_800_000 + 29_000)
  t.equal((await kit.run(withCookie(cookie))).status, 200)
  kit.clock.advance(1000)
  t.equal((await kit.run(withCookie(cookie))).status, 401)
  t.equal(outcomes(kit, 'expired'), 1)
})

t.test('a token is made anew once a share of its life is over, and all at once get the same', async (t) => {
  const kit = kitOf()
  const cookie = token()
  t.equal((await kit.run(withCookie(cookie))).headers['set-cookie'], undefined)
  kit.clock.advance(900_000)
  const { headers, exchange } = await kit.run(withCookie(cookie))
  const [, fresh, rest] = /^sid=([^;]+)(.*)$/.exec(headers['set-cookie']) ?? []
  t.equal(rest, '; Max-Age=1800; Path=/; Secure; HttpOnly; SameSite=Lax')
  t.equal(exchange.userId, '2088000000000687')
  const renewed = openSession(fresh, ring('main', 'a'), 'main')
  t.match(renewed, {
    id: makeSession().id,
    loginAt: START,
    issuedAt: START + 900_000,
    expiresAt: START + 2_700_000,
  })
  t.equal((await kit.run(withCookie(cookie))).headers['set-cookie'], headers['set-cookie'])
  t.equal((await kit.run(withCookie(fresh))).headers['set-cookie'], undefined)
  const byHeader = await kit.run({ protocol: 'mmtp', operation: 'a.b', headers: { session: cookie } })
  t.equal(byHeader.headers.session, fresh)
  t.equal(byHeader.headers['set-cookie'], undefined)
})

t.test('renewals end with the longest life of a login', async (t) => {
  const kit = kitOf({}, { life: '30m', maxLife: '1h' })
  const last = token({ loginAt: START - 2_400_000, issuedAt: START - 1_000_000, expiresAt: START + 800_000 })
  const { headers } = await kit.run(withCookie(last))
  const fresh = /^sid=([^;]+)/.exec(headers['set-cookie'])?.[1] as string
  t.match(openSession(fresh, ring('main', 'a'), 'main'), { expiresAt: START + 1_200_000 })
  kit.clock.advance(1_000_000)
  t.equal((await kit.run(withCookie(fresh))).headers['set-cookie'], undefined, 'cannot be made longer')
  kit.clock.advance(200_000)
  t.equal((await kit.run(withCookie(fresh))).status, 401)
})

t.test('realms cannot pollute one another', async (t) => {
  const realms = {
    wireless: { keys: keyTexts('a'), header: 'session', protocols: ['mmtp'] },
    pc: { keys: keyTexts('b'), cookie: 'pc-sid' },
  }
  const kit = testFilter(session, { realms }, { name: 'session' })
  const [wireless, pc] = [token({ userId: 'w' }, 'wireless'), token({ userId: 'p' }, 'pc', 'b')]
  const ask = (request: TestRequest) =>
    kit.run(request).then(({ exchange, status }) => exchange.userId || status)
  t.equal(await ask({ protocol: 'mmtp', operation: 'a.b', headers: { session: wireless } }), 'w')
  t.equal(await ask({ path: '/', headers: { cookie: `pc-sid=${pc}` } }), 'p')
  t.equal(await ask({ protocol: 'mmtp', operation: 'a.b', headers: { session: pc } }), 2000)
  t.equal(await ask({ path: '/', headers: { cookie: `pc-sid=${wireless}` } }), 401)
  t.equal(await ask({ path: '/', headers: { session: wireless } }), 401, 'wireless does not count over HTTP')
  t.equal(outcomes(kit, 'unknown-key', 'wireless') + outcomes(kit, 'unknown-key', 'pc'), 2)
  const onlyPc = testFilter(session, { realms, realm: 'pc' })
  const both = { session: wireless, cookie: `pc-sid=${pc}` }
  t.equal((await onlyPc.run({ path: '/', headers: both })).exchange.userId, 'p')
})

t.test('keys rotate by their file, and a key that is gone is gone at once', async (t) => {
  const file = path.join(t.testdir({ keys: `key-a ${secret('a')}\n` }), 'keys')
  const kit = kitOf({}, { keys: { file } })
  const old = token()
  t.equal((await kit.run(withCookie(old))).status, 200)
  await rewrite(kit, file, `# new first\nkey-b ${secret('b')}\nkey-a ${secret('a')}\n`)
  t.equal((await kit.run(withCookie(old))).status, 200, 'both keys hold')
  t.equal((await kit.run(withCookie(token({}, 'main', 'b')))).status, 200)
  kit.clock.advance(900_000)
  const fresh = /^sid=([^;]+)/.exec((await kit.run(withCookie(old))).headers['set-cookie'])?.[1] as string
  t.type(openSession(fresh, ring('main', 'b'), 'main'), 'object', 'the first key makes tokens')
  await rewrite(kit, file, 'key-c short\n')
  t.equal((await kit.run(withCookie(old))).status, 200, 'a wrong file changes nothing')
  t.match(kit.logs.at(-1), { level: 'error', fields: { problem: /at least 32 random bytes/ } })
  await rewrite(kit, file, `key-b ${secret('b')}\n`)
  t.equal((await kit.run(withCookie(old))).status, 401)
  t.equal(outcomes(kit, 'unknown-key'), 1)
  kit.close()
  t.equal(kit.clock.pending, 0)
})

t.test('sessions are revoked by their id, and users from a time on', async (t) => {
  const file = path.join(t.testdir({ revoked: '' }), 'revoked')
  const kit = kitOf({}, { revoked: file })
  const [one, two] = [token({ id: 'one' }), token({ id: 'two', userId: '7' })]
  const later = token({ id: 'three', userId: '7', loginAt: START + 10_000, issuedAt: START + 10_000 })
  for (const cookie of [one, two, later]) t.equal((await kit.run(withCookie(cookie))).status, 200)
  await rewrite(kit, file, `session one\nuser 7 ${new Date(START + 5000).toISOString()}\n`)
  t.equal((await kit.run(withCookie(one))).status, 401, 'although it was remembered')
  t.equal((await kit.run(withCookie(two))).status, 401)
  t.equal((await kit.run(withCookie(later))).status, 200)
  t.equal(outcomes(kit, 'revoked'), 2)
  await rewrite(kit, file, 'session one\nuser seven\n')
  t.match(kit.logs.at(-1), { fields: { problem: /line 2: expected "session ID" or "user ID TIME"/ } })
  t.equal((await kit.run(withCookie(two))).status, 401, 'the old list holds')
  kit.close()
})

t.test('a legacy session is accepted and rewritten to the new format', async (t) => {
  const legacy = {
    secret: secret('l'),
    cookie: 'OLDSESSION',
    attributes: { nick: 'user.nickName', mobile: 'user.mobile', none: 'user.constructor' },
    until: '2026-06-01',
  }
  const kit = kitOf({}, { legacy })
  const body = legacySession()
  t.ok(body.length > 6500 && body.length < 8000, `${body.length} bytes`)
  const old = signLegacy(body, 'l')
  for (const cookie of [old, encodeURIComponent(old)]) {
    const outcome = await kit.run({ path: '/', headers: { cookie: `OLDSESSION=${cookie}` } })
    t.equal(outcome.exchange.userId, '2088000000000687')
    const cookies = outcome.exchange.response?.headers.getAll('set-cookie') ?? []
    t.equal(cookies.length, 2)
    t.match(cookies[1], /^OLDSESSION=; Max-Age=0; Path=\//, 'the old cookie goes')
    const fresh = /^sid=([^;]+)/.exec(cookies[0])?.[1] as string
    t.ok(fresh.length <= 650)
    t.match(openSession(fresh, ring('main', 'a'), 'main'), {
      id: 'legacy-0001',
      loginAt: START,
      attributes: { nick: '小明', mobile: '138****0000', none: undefined },
    })
    t.equal((await kit.run(withCookie(fresh))).exchange.principal?.mobile, '138****0000')
  }
  const refuse = async (cookie: string) => {
    t.equal((await kit.run({ path: '/', headers: { cookie: `OLDSESSION=${cookie}` } })).status, 401)
  }
  await refuse(body)
  await refuse(signLegacy(body, 'x'))
  await refuse(signLegacy(body.slice(0, 4000), 'l'))
  await refuse(signLegacy(legacySession({ userId: undefined }), 'l'))
  await refuse(signLegacy(legacySession({ expireTime: START - 60_000 }), 'l'))
  await refuse(signLegacy(gzipSync(Buffer.alloc(50_000_000)).toString('base64').slice(0, 16_000), 'l'))
  await refuse(signLegacy(gzipSync(Buffer.alloc(1_000_000)).toString('base64'), 'l'))
  kit.clock.advance(151 * 86_400_000)
  await refuse(old)
})

t.test('an unsigned legacy session is believed on trusted listeners only', async (t) => {
  const kit = kitOf({}, { legacy: { unsigned: true, rewrite: false } })
  const request = withCookie(legacySession())
  t.equal((await kit.run({ ...request, trusted: true })).status, 200)
  t.equal((await kit.run({ ...request, trusted: true })).headers['set-cookie'], undefined)
  t.equal((await kit.run({ ...request, trusted: false })).status, 401, 'although it was remembered')
})

t.test('a typical session has at most 650 bytes, and what is larger is not made', async (t) => {
  const typical = makeSession({
    attributes: attributes({
      'login-id': 'someone@example.com',
      nick: '支付宝用户小明',
      device: 'Xr8mT2c0pQkDAEq9sU1vW3xY',
      channel: 'wireless-ios-10.5.60.8000',
      level: '2',
      roles: 'member,gold,merchant',
      tenant: 'ALIPW3CN',
      locale: 'zh-CN',
      'real-name': 'verified',
      region: 'cn-hangzhou',
      'risk-token': '0123456789abcdef0123456789abcdef',
    }),
  })
  for (const mode of ['encrypt', 'sign'] as const) {
    const made = sealSession(typical, ring('main', 'a'), 'main', mode)
    t.ok(made.length <= 650, `${mode}: ${made.length} bytes`)
    t.same(openSession(made, ring('main', 'a'), 'main'), typical)
  }
  const legacy = { unsigned: true, attributes: { context: 'context' } }
  const kit = kitOf({}, { legacy })
  const { status, headers } = await kit.run(withCookie(legacySession()))
  t.equal(status, 200)
  t.equal(headers['set-cookie'], undefined, 'the old one stays')
  t.match(kit.logs.at(-1)?.fields, { problem: /more than maxBytes 650/ })
})

t.test('any session survives its record, and any bytes the decoder', async (t) => {
  const text = fc.string({ minLength: 1 })
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 }).map((value) => value * 1000)
  const record = { id: text, userId: text, loginAt: seconds, issuedAt: seconds, expiresAt: seconds }
  const facts = fc.dictionary(fc.string(), fc.string())
  fc.assert(
    fc.property(fc.record(record), facts, (given, extra) => {
      const made = { ...given, attributes: attributes(extra) }
      t.same(decodeSession(encodeSession(made)), made)
    }),
  )
  fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeSession(bytes) === null))
  const bytes = encodeSession(makeSession())
  t.equal(bytes[0], 0x40, 'one record of the first structure')
  for (let cut = 0; cut < bytes.length; cut++) t.equal(decodeSession(bytes.subarray(0, cut)), null)
  t.equal(Object.getPrototypeOf(decodeSession(bytes)?.attributes), null)
})

t.test('a cookie is found by its whole name', async (t) => {
  const cases: [header: string | null, value: string | null][] = [
    [null, null],
    ['', null],
    ['sid=1', '1'],
    ['a=1;sid=2', '2'],
    ['a=1;  sid=2 ; b=3', '2'],
    ['xsid=1; sidx=2; sid-=3', null],
    ['xsid=1; sid=2', '2'],
    ['a=sid=1; sid=2', '2'],
    ['a=sid; sid="quoted"', 'quoted'],
    ['sid=', ''],
    ['sid', null],
    ['sid=1; sid=2', '1'],
  ]
  for (const [header, value] of cases) {
    t.equal(readCookie(header, 'sid'), value, String(header))
    t.equal(readFieldCookie(header, 'sid'), value, 'as the field cookie.NAME reads it')
  }
})

t.test('the business process begins and ends sessions by a header', async (t) => {
  const kit = kitOf({ required: false, grant: 'session-grant' })
  const grant = encodeURIComponent(JSON.stringify({ userId: '9', attributes: { level: 3 } }))
  const login = await kit.run({ path: '/login' }, { headers: { 'session-grant': grant } })
  t.equal(login.headers['session-grant'], undefined, 'is not for the caller')
  const cookie = /^sid=([^;]+)/.exec(login.headers['set-cookie'])?.[1] as string
  t.match((await kit.run(withCookie(cookie))).exchange, { userId: '9', principal: { level: '3' } })
  const logout = await kit.run(withCookie(cookie), { headers: { 'session-grant': 'end' } })
  t.match(logout.headers['set-cookie'], /^sid=; Max-Age=0;/)
  t.equal((await kit.run(withCookie(cookie))).exchange.userId, '', 'the token is of no use any more')
  const bad = await kit.run({ path: '/login' }, { headers: { 'session-grant': '{"user' } })
  t.equal(bad.headers['set-cookie'], undefined)
  const forged = await kit.run({ path: '/', headers: { 'session-grant': grant } })
  t.equal(forged.headers['set-cookie'], undefined, 'a caller cannot grant')
})

t.test('options that cannot work are refused, and no message shows a secret', async (t) => {
  const refused: [pattern: RegExp, options: Record<string, unknown>][] = [
    [/realms.main: the realm needs keys/, { realms: { main: {} } }],
    [
      /key 1: a secret is base64 of at least 32/,
      { realms: { main: { keys: [{ id: 'a', secret: 'cGxhbnRlZA==' }] } } },
    ],
    [/key 2: the id "key-a" is given twice/, { realms: { main: { keys: keyTexts('a', 'a') } } }],
    [/key 1: an id has 1 to 16/, { realms: { main: { keys: [{ id: 'a b', secret: secret('a') }] } } }],
    [
      /has a key of realm a/,
      {
        realms: { a: { keys: keyTexts('a') }, b: { keys: [{ id: 'x', secret: secret('a') }], cookie: 'b' } },
      },
    ],
    [
      /b: has the same cookie or header as a/,
      { realms: { a: { keys: keyTexts('a') }, b: { keys: keyTexts('b') } } },
    ],
    [/there is no realm "c"; the realms are a/, { realm: 'c', realms: { a: { keys: keyTexts('a') } } }],
    [/maxLife no shorter/, { realms: { a: { keys: keyTexts('a'), life: '2h', maxLife: '1h' } } }],
    [
      /sameSite None/,
      { realms: { a: { keys: keyTexts('a'), cookie: { name: 'x', sameSite: 'None', secure: false } } } },
    ],
    [/one of secret, secretFile, or unsigned/, { realms: { a: { keys: keyTexts('a'), legacy: {} } } }],
    [
      /"soon" is no date/,
      { realms: { a: { keys: keyTexts('a'), legacy: { unsigned: true, until: 'soon' } } } },
    ],
    [
      /keeps its sessions itself/,
      { grant: 'g', realms: { a: { store: { http: { url: 'http://127.0.0.1/' } } } } },
    ],
    [
      /redis or http, not both/,
      { realms: { a: { keys: keyTexts('a'), store: { redis: {}, http: { url: 'http://127.0.0.1/' } } } } },
    ],
    [/\/nowhere\/keys: ENOENT/, { realms: { a: { keys: { file: '/nowhere/keys' } } } }],
  ]
  for (const [pattern, options] of refused) {
    const error = t.throws(() => testFilter(session, options), pattern) as Error
    t.notMatch(`${error}`, /cGxhbnRlZA|YWFhYWFh/)
  }
  t.throws(() => parseKeyFile('one\n', 'main'), /line 1: expected an id and a secret/)
  t.throws(() => parseKeyFile('# none\n', 'main'), /there is no key/)
})

t.test('instances with the same options share a realm, and the last one closes it', async (t) => {
  const file = path.join(t.testdir({ keys: `key-a ${secret('a')}\n` }), 'keys')
  const kit = kitOf({}, { keys: { file } })
  t.equal(kit.clock.pending, 1)
  const services = {
    name: 'session',
    log: null,
    clock: kit.clock,
    timers: kit.clock,
    metrics: { counter: () => ({ value: 0 }), gauge: () => () => {} },
    slot: () => ({ index: 0, name: 'x' }),
    resolvePath: (text: string) => text,
  } as unknown as FilterServices
  const options = { realms: { main: { ...MAIN, keys: { file } } } }
  const second = session.create({ ...options, required: false }, services)
  t.equal(kit.clock.pending, 1, 'the file is watched once')
  kit.close()
  t.equal(kit.clock.pending, 1)
  second.close?.()
  t.equal(kit.clock.pending, 0)
})

let version = 0

/** Writes a file and has the filter look at it. */
async function rewrite(kit: FilterKit, file: string, text: string): Promise<void> {
  // The first look only notes what the file is like; each write gets a time of its own, however coarse the file system's is.
  await look(kit)
  writeFileSync(file, text)
  version++
  utimesSync(file, 1_700_000_000 + version, 1_700_000_000 + version)
  await look(kit)
}

async function look(kit: FilterKit): Promise<void> {
  kit.clock.advance(2000)
  // The look reads the file by promises and then waits for the timer again.
  while (kit.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
}
