/** The `jwt` filter against tokens made by jose and by PyJWT, and against what is wrong with tokens. */
import { spawnSync } from 'node:child_process'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { SignJWT } from 'jose'
import t from 'tap'
import { jwt } from '../../lib/filters/jwt/index.ts'
import { type FilterKit, type TestRequest, testFilter } from '../../lib/testing.ts'

const SECRET = 'planted-secret-0123456789abcdef0123456789abcdef'
const ISSUER = 'https://login.example'
const folder = mkdtempSync(path.join(tmpdir(), 'meshgate-jwt-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}
const rsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsa2: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec: Pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed: Pair = generateKeyPairSync('ed25519')
const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'spki' }).toString()
const jwkOf = (key: KeyObject, more: Record<string, string> = {}): Record<string, unknown> => ({
  ...key.export({ format: 'jwk' }),
  ...more,
})

/** Seconds of the kit's clock at its start. */
const NOW = Date.UTC(2026, 0, 1) / 1000

interface Given {
  readonly alg?: string
  readonly kid?: string
  readonly key?: KeyObject | Uint8Array
  readonly claims?: Record<string, unknown>
}

/** A token by jose, good unless `claims` say otherwise; a claim that is undefined is left out. */
function token({ alg = 'RS256', kid, key = rsa.privateKey, claims = {} }: Given = {}): Promise<string> {
  const all = { iss: ISSUER, aud: 'shop', sub: 'user-1', iat: NOW - 10, exp: NOW + 600, ...claims }
  const header = kid === undefined ? { alg } : { alg, kid }
  return new SignJWT(all as never).setProtectedHeader(header).sign(key as never)
}

const RS_KEY = { algorithm: 'RS256', publicKey: pem(rsa.publicKey) }
const kitOf = (options: Record<string, unknown> = {}, issuer: Record<string, unknown> = {}): FilterKit => {
  const keys = { keys: [RS_KEY] }
  const places = Object.keys(issuer).some((name) => /^(keys|jwks)/.test(name)) ? {} : keys
  return testFilter(
    jwt,
    { issuers: [{ issuer: ISSUER, audience: 'shop', ...places, ...issuer }], ...options },
    { name: 'jwt' },
  )
}

const bearing = (text: string, more: Record<string, string> = {}): TestRequest => ({
  path: '/',
  headers: { authorization: `Bearer ${text}`, ...more },
})

/** Runs one request; `passed`, or the reason it was refused. */
async function tell(kit: FilterKit, request: TestRequest): Promise<string> {
  const { refusal, error, exchange } = await kit.run(request)
  if (error !== null) throw error
  if (refusal === null) return 'passed'
  t.equal(exchange.userId, '', 'nobody is proven')
  return `${refusal.code}: ${refusal.message}`
}

/** Waits for work outside the kit's clock. */
async function until(isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !isSo(); ) {
    if (Date.now() > end) throw new Error('it did not happen')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const FORGED = 'SESSION_EXPIRED: the signature of the token is wrong'
const UNKNOWN_KEY = 'SESSION_EXPIRED: the key of the token is unknown'
const EXPIRED = 'SESSION_EXPIRED: the token has expired'
const NOT_YET = 'SESSION_EXPIRED: the token is not valid yet'
const MALFORMED = 'SESSION_EXPIRED: the token is malformed'
const MISSING = 'SESSION_EXPIRED: the token is missing'
const NO_KEYS = 'AUTHORISATION_FAILED: the keys of the issuer are not available'

t.test('a token of every algorithm tells who the user is', async (t) => {
  const secret = Buffer.from(SECRET)
  const cases: [alg: string, key: KeyObject | Uint8Array, given: Record<string, unknown>][] = [
    ['RS256', rsa.privateKey, RS_KEY],
    ['PS384', rsa.privateKey, { algorithm: 'PS384', publicKey: pem(rsa.publicKey) }],
    ['ES256', ec.privateKey, { algorithm: 'ES256', publicKey: pem(ec.publicKey) }],
    ['EdDSA', ed.privateKey, { algorithm: 'EdDSA', publicKey: pem(ed.publicKey) }],
    ['Ed25519', ed.privateKey, { algorithm: 'EdDSA', publicKey: pem(ed.publicKey) }],
    ['HS256', secret, { algorithm: 'HS256', secret: SECRET }],
  ]
  for (const [alg, key, given] of cases) {
    const kit = kitOf({}, { keys: [given] })
    const { exchange, refusal } = await kit.run(bearing(await token({ alg, key })))
    t.equal(refusal, null, alg)
    t.equal(exchange.userId, 'user-1')
    t.match(exchange.principal, { iss: ISSUER, sub: 'user-1', aud: 'shop' })
  }
})

const python = process.env.MESHGATE_PYTHON ?? 'python3'
const hasPyjwt = spawnSync(python, ['-c', 'import jwt, cryptography']).status === 0
const needsPyjwt = hasPyjwt ? {} : { skip: `${python} has no PyJWT with cryptography` }

t.test('tokens made by PyJWT are accepted', needsPyjwt, async (t) => {
  const script = `
import json, sys, jwt
for case in json.load(sys.stdin):
    print(jwt.encode(case["claims"], case["key"], algorithm=case["alg"], headers={"kid": "k1"}))
`
  const claims = { iss: ISSUER, aud: ['shop', 'x'], sub: 'py-user', iat: NOW, nbf: NOW, exp: NOW + 60 }
  const privatePem = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString()
  const cases = [
    { alg: 'RS256', key: privatePem(rsa.privateKey), given: RS_KEY },
    {
      alg: 'ES256',
      key: privatePem(ec.privateKey),
      given: { algorithm: 'ES256', publicKey: pem(ec.publicKey) },
    },
    {
      alg: 'EdDSA',
      key: privatePem(ed.privateKey),
      given: { algorithm: 'EdDSA', publicKey: pem(ed.publicKey) },
    },
    { alg: 'HS256', key: SECRET, given: { algorithm: 'HS256', secret: SECRET } },
  ]
  const input = JSON.stringify(cases.map(({ alg, key }) => ({ alg, key, claims })))
  const { stdout, stderr, status } = spawnSync(python, ['-c', script], { input })
  t.equal(status, 0, stderr.toString())
  const made = stdout.toString().trim().split('\n')
  t.equal(made.length, cases.length)
  for (const [index, { alg, given }] of cases.entries()) {
    const { exchange, refusal } = await kitOf({}, { keys: [{ ...given, kid: 'k1' }] }).run(
      bearing(made[index]),
    )
    t.equal(refusal, null, alg)
    t.equal(exchange.userId, 'py-user')
  }
})

t.test('a token that was seen is not verified again, until it expires', async (t) => {
  const kit = kitOf({ skew: '0', claims: { 'x-user': 'sub' } })
  const text = await token({ claims: { exp: NOW + 60 } })
  const first = kit.filter.onRoute?.((await waiting(text)).exchange)
  t.ok(first instanceof Promise, 'the first time waits')
  await first
  const { exchange } = await waiting(text)
  t.equal(kit.filter.onRoute?.(exchange), 0, 'the second does not')
  t.equal(exchange.userId, 'user-1')
  t.equal(exchange.request.headers.get('x-user'), 'user-1')
  kit.clock.advance(59_999)
  t.equal(await tell(kit, bearing(text)), 'passed')
  kit.clock.advance(1)
  t.equal(await tell(kit, bearing(text)), EXPIRED)
  t.equal(kit.stats.failures, 0)

  const small = kitOf({ maxTokens: 2 })
  for (let i = 0; i < 5; i++)
    t.equal(await tell(small, bearing(await token({ claims: { sub: `u${i}` } }))), 'passed')
})

/** An exchange with a token that no filter saw. */
async function waiting(text: string): Promise<{ exchange: import('../../lib/core/exchange.ts').Exchange }> {
  return testFilter(() => ({ name: 'none', onRoute: () => undefined })).run(bearing(text))
}

t.test('forged, truncated and mangled tokens are refused', async (t) => {
  const kit = kitOf()
  const good = await token()
  const [header, payload, signature] = good.split('.')
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const other = encode({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'admin' })
  const cases: [text: string, outcome: string][] = [
    [await token({ key: rsa2.privateKey }), FORGED],
    [`${header}.${other}.${signature}`, FORGED],
    [`${header}.${payload}.${signature.slice(0, -4)}`, FORGED],
    [`${header}.${payload}.`, FORGED],
    [`${header}.${payload}`, MALFORMED],
    [header, MALFORMED],
    ['', MALFORMED],
    ['..', MALFORMED],
    [`${good}.x`, MALFORMED],
    [`${good}.${signature}`, MALFORMED],
    [`${encode([1])}.${payload}.${signature}`, MALFORMED],
    [`${encode('x')}.${payload}.${signature}`, MALFORMED],
    [`${header}.${Buffer.from('{"iss":').toString('base64url')}.${signature}`, MALFORMED],
    [`${encode({ alg: 'RS256', crit: ['exp2'], exp2: 1 })}.${payload}.${signature}`, MALFORMED],
    [`${encode({ alg: 'RS256', b64: false, crit: ['b64'] })}.${payload}.${signature}`, FORGED],
    [`${encode({ alg: 'toString' })}.${payload}.${signature}`, MALFORMED],
    [`${encode({ alg: ['RS256'] })}.${payload}.${signature}`, MALFORMED],
    ['x'.repeat(8193), 'SESSION_EXPIRED: the token is too long'],
  ]
  for (const [text, outcome] of cases) t.equal(await tell(kit, bearing(text)), outcome, text.slice(0, 80))
  t.equal(await tell(kit, { path: '/' }), MISSING)
  t.equal(await tell(kit, { path: '/', headers: { authorization: 'Basic eDp5' } }), MISSING)
  t.equal(await tell(kit, bearing(good)), 'passed')
  t.equal(
    await tell(kit, { path: '/', headers: { authorization: [`Bearer ${good}`, `Bearer ${good}`] } }),
    MALFORMED,
  )
})

t.test('alg none, and a public key taken for a secret, are refused', async (t) => {
  const kit = kitOf({}, { jwks: { keys: [jwkOf(rsa.publicKey, { kid: 'k1' })] } })
  const payload = (await token()).split('.')[1]
  const head = (alg: string): string => Buffer.from(JSON.stringify({ alg, kid: 'k1' })).toString('base64url')
  for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
    t.equal(await tell(kit, bearing(`${head(alg)}.${payload}.`)), 'SESSION_EXPIRED: the token is not signed')
  }
  const texts = [pem(rsa.publicKey), pem(rsa.publicKey).trim(), JSON.stringify(jwkOf(rsa.publicKey))]
  const der = rsa.publicKey.export({ format: 'der', type: 'spki' })
  for (const key of [...texts, der]) {
    const signed = `${head('HS256')}.${payload}`
    const signature = createHmac('sha256', key as string)
      .update(signed)
      .digest('base64url')
    t.equal(await tell(kit, bearing(`${signed}.${signature}`)), UNKNOWN_KEY)
  }
  const pss = await token({ alg: 'PS256', kid: 'k1' })
  t.equal(await tell(kit, bearing(pss)), UNKNOWN_KEY, 'another algorithm of the same key')
  const options = (key: Record<string, unknown>) => () => kitOf({}, { keys: [key] })
  t.throws(
    options({ algorithm: 'HS256', publicKey: pem(rsa.publicKey) }),
    /issuers\[0\]: keys\[0\] needs a "secret"/,
  )
  t.throws(options({ algorithm: 'RS256', secret: SECRET }), /needs a "publicKey" for RS256/)
  t.throws(options({ algorithm: 'ES256', publicKey: pem(rsa.publicKey) }), /is not on the curve of ES256/)
  t.throws(options({ algorithm: 'RS256', publicKey: pem(ec.publicKey) }), /is no RSA key/)
  t.throws(options({ algorithm: 'none', secret: SECRET }), /algorithm/)
  t.throws(options({ algorithm: 'HS512', secret: SECRET }), /has less than the 64 bytes that HS512 needs/)
  const rs = {
    keys: [{ kty: 'oct', k: Buffer.from(pem(rsa.publicKey)).toString('base64url'), alg: 'RS256' }],
  }
  const file = path.join(folder, 'confused.json')
  writeFileSync(file, JSON.stringify(rs))
  t.throws(
    () => kitOf({}, { jwksFile: file }),
    /confused\.json: has no key that can be used; keys\[0\] is a secret, which RS256 cannot use/,
  )
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
  t.throws(options({ algorithm: 'RS256', publicKey: pem(short.publicKey) }), /less than 2048 bits/)
})

t.test('times, issuer, audience and claims are checked, with 30 s for clocks that differ', async (t) => {
  const kit = kitOf()
  const cases: [claims: Record<string, unknown>, outcome: string][] = [
    [{ exp: NOW - 29 }, 'passed'],
    [{ exp: NOW - 30 }, EXPIRED],
    [{ exp: undefined }, 'SESSION_EXPIRED: a claim of the token is missing or malformed'],
    [{ exp: 'soon' }, 'SESSION_EXPIRED: a claim of the token is missing or malformed'],
    [{ nbf: NOW + 30 }, 'passed'],
    [{ nbf: NOW + 31 }, NOT_YET],
    [{ iat: NOW + 30 }, 'passed'],
    [{ iat: NOW + 31 }, NOT_YET],
    [{ iat: undefined }, 'passed'],
    [{ iss: 'https://other.example' }, 'SESSION_EXPIRED: the issuer of the token is unknown'],
    [{ iss: undefined }, 'SESSION_EXPIRED: the issuer of the token is unknown'],
    [{ iss: [ISSUER] }, 'SESSION_EXPIRED: the issuer of the token is unknown'],
    [{ aud: 'bank' }, 'SESSION_EXPIRED: the token is for another audience'],
    [{ aud: ['bank', 'shop'] }, 'passed'],
    [{ aud: undefined }, 'SESSION_EXPIRED: the token is for another audience'],
    [{ sub: undefined }, 'SESSION_EXPIRED: a claim of the token is missing or malformed'],
    [{ sub: '' }, 'SESSION_EXPIRED: a claim of the token is missing or malformed'],
    [{ sub: { a: 1 } }, 'SESSION_EXPIRED: a claim of the token is missing or malformed'],
  ]
  for (const [claims, outcome] of cases) {
    t.equal(await tell(kit, bearing(await token({ claims }))), outcome, JSON.stringify(claims))
  }
  const aged = kitOf({ maxAge: '1m', skew: '0' })
  t.equal(await tell(aged, bearing(await token({ claims: { iat: NOW - 60 } }))), EXPIRED)
  t.equal(
    await tell(aged, bearing(await token({ claims: { iat: undefined } }))),
    'SESSION_EXPIRED: a claim of the token is missing or malformed',
  )
  const young = await token({ claims: { iat: NOW - 59 } })
  t.equal(await tell(aged, bearing(young)), 'passed')
  aged.clock.advance(1000)
  t.equal(await tell(aged, bearing(young)), EXPIRED, 'also when it was seen')
})

t.test('an issuer’s keys verify its own tokens only', async (t) => {
  const issuers = [
    { issuer: ISSUER, audience: 'shop', keys: [RS_KEY] },
    {
      issuer: 'https://b.example',
      audience: ['bank'],
      keys: [{ algorithm: 'ES256', publicKey: pem(ec.publicKey) }],
    },
  ]
  const kit = testFilter(jwt, { issuers })
  const ofB = { iss: 'https://b.example', aud: 'bank' }
  t.equal(await tell(kit, bearing(await token({ claims: ofB, alg: 'ES256', key: ec.privateKey }))), 'passed')
  t.equal(await tell(kit, bearing(await token({ claims: ofB }))), UNKNOWN_KEY)
  t.equal(await tell(kit, bearing(await token({ alg: 'ES256', key: ec.privateKey }))), UNKNOWN_KEY)
  t.throws(
    () => testFilter(jwt, { issuers: [issuers[0], issuers[0]] }),
    /issuers\[1\]: issuer .* stands there twice/,
  )
})

t.test('claims become headers, and what the caller wrote there goes', async (t) => {
  const kit = kitOf({
    claims: {
      'x-user-id': 'sub',
      'x-roles': 'roles',
      'x-city': 'address.city',
      'x-org': 'https://a.b/org',
      'x-all': 'address',
    },
  })
  const claims = { roles: ['a', 'b'], address: { city: 'Zürich 100%' }, 'https://a.b/org': 7, flag: true }
  const forgedHeaders = { 'x-user-id': 'admin', x_user_id: 'admin', 'X-Org': 'evil', 'x-other': 'kept' }
  const { forwarded, exchange } = await kit.run(bearing(await token({ claims }), forgedHeaders))
  t.equal(forwarded?.headers['x-user-id'], 'user-1')
  t.equal(forwarded?.headers.x_user_id, undefined)
  t.equal(forwarded?.headers['x-roles'], 'a b')
  t.equal(decodeURIComponent(forwarded?.headers['x-city'] ?? ''), 'Zürich 100%')
  t.equal(forwarded?.headers['x-org'], '7')
  t.strictSame(JSON.parse(decodeURIComponent(forwarded?.headers['x-all'] ?? '')), claims.address)
  t.equal(forwarded?.headers['x-other'], 'kept')
  t.match(exchange.principal, { sub: 'user-1', roles: 'a b', flag: 'true', 'https://a.b/org': '7' })
  t.ok(Object.isFrozen(exchange.principal))

  const bare = await kit.run(bearing(await token(), forgedHeaders))
  t.equal(bare.forwarded?.headers['x-org'], undefined, 'a claim that is absent leaves no header')
  const injected = await kit.run(bearing(await token({ claims: { roles: 'a\r\nx-admin: 1' } })))
  t.equal(injected.forwarded?.headers['x-roles'], 'a%0D%0Ax-admin%3A%201')
  t.throws(() => kitOf({ claims: { uid: 'sub' } }), /claims: header "uid" is written by meshgate itself/)

  const open = kitOf({ optional: true, claims: { 'x-user-id': 'sub' } })
  const anonymous = await open.run({ path: '/', headers: forgedHeaders })
  t.equal(anonymous.answeredBy, 'upstream')
  t.equal(anonymous.forwarded?.headers['x-user-id'], undefined)
  t.equal(anonymous.exchange.userId, '')
  t.equal(await tell(open, bearing('x.y.z')), MALFORMED, 'a bad token is no absent one')
})

t.test('the user of a session and of a token are one', async (t) => {
  const kit = kitOf()
  const { exchange } = await waiting(await token())
  exchange.userId = 'someone-else'
  await kit.filter.onRoute?.(exchange)
  t.equal(exchange.refusal?.code, 'ACCESS_DENIED')
  t.equal(exchange.userId, 'someone-else')
  t.equal(exchange.principal, null)
  const silent = kitOf({ user: '' })
  const second = await silent.run(bearing(await token({ claims: { sub: undefined } })))
  t.equal(second.refusal, null)
  t.equal(second.exchange.userId, '')
  const numbers = kitOf({ user: 'uid' })
  const whole = await numbers.run(bearing(await token({ claims: { uid: 2_088_000_000_000_687 } })))
  t.equal(whole.exchange.userId, '2088000000000687')
  const inexact = await token({ claims: { uid: 2 ** 60 } })
  t.match(await tell(numbers, bearing(inexact)), /a claim of the token/)
})

t.test('tokens come in Authorization, another header or a cookie, over each protocol', async (t) => {
  const text = await token()
  const cookie = kitOf({ cookie: 'jwt' })
  t.equal(await tell(cookie, { path: '/', headers: { cookie: `a=b; jwt=${text}` } }), 'passed')
  t.equal(await tell(cookie, bearing(text)), 'passed')
  t.equal(
    await tell(cookie, { path: '/', headers: { authorization: 'Basic eDp5', cookie: `jwt=${text}` } }),
    'passed',
  )
  t.equal(await tell(cookie, { path: '/', headers: { cookie: 'a=b' } }), MISSING)
  const header = kitOf({ header: 'X-Token' })
  t.equal(await tell(header, { path: '/', headers: { 'x-token': text } }), 'passed')
  t.equal(await tell(header, bearing(text)), MISSING)
  const kit = kitOf()
  const headers = { authorization: `bearer ${text}` }
  t.equal(await tell(kit, { protocol: 'mmtp', operation: 'demo.a', headers }), 'passed')
  t.equal(
    await tell(kit, { protocol: 'dubbo', service: 'a.B', headers: { Authorization: `Bearer ${text}` } }),
    'passed',
  )
})

t.test('keys of a file are taken up as it changes, and a withdrawn key ends what it verified', async (t) => {
  const file = path.join(folder, 'jwks.json')
  const write = (value: unknown): void => {
    writeFileSync(`${file}.new`, typeof value === 'string' ? value : JSON.stringify(value))
    renameSync(`${file}.new`, file)
  }
  const looked = async (): Promise<void> => {
    kit.clock.advance(2000)
    await until(() => kit.clock.pending > 0)
  }
  const one = jwkOf(rsa.publicKey, { kid: 'one' })
  const two = jwkOf(rsa2.publicKey, { kid: 'two', alg: 'RS256', use: 'sig' })
  const kit = kitOf({}, { jwksFile: file })
  const ofOne = bearing(await token({ kid: 'one' }))
  const ofTwo = bearing(await token({ kid: 'two', key: rsa2.privateKey }))
  t.equal(await tell(kit, ofOne), NO_KEYS)
  const secret = { kty: 'oct', alg: 'HS256', kid: 'hs', k: Buffer.from(SECRET).toString('base64url') }
  write({ keys: [one, secret, { ...two, use: 'enc' }, { kty: 'new' }] })
  await looked()
  t.equal(await tell(kit, ofOne), 'passed')
  t.equal(await tell(kit, ofTwo), UNKNOWN_KEY)
  t.equal(
    await tell(kit, bearing(await token({ alg: 'HS256', kid: 'hs', key: Buffer.from(SECRET) }))),
    'passed',
  )
  write({ keys: [one, two] })
  await looked()
  t.equal(await tell(kit, ofOne), 'passed')
  t.equal(await tell(kit, ofTwo), 'passed')
  for (const broken of [
    `{"keys":[{"k":"${SECRET}`,
    { keys: [] },
    { keys: 'x' },
    { keys: [{ kty: 'oct', k: 'c2hvcnQ', alg: 'HS256' }] },
  ]) {
    write(broken)
    await looked()
    t.equal(await tell(kit, ofOne), 'passed')
  }
  t.equal(kit.logs.filter(({ level }) => level === 'error').length, 5)
  write({ keys: [two] })
  await looked()
  t.equal(await tell(kit, ofOne), UNKNOWN_KEY, 'though it was verified before')
  t.equal(await tell(kit, ofTwo), 'passed')
  t.notMatch(JSON.stringify(kit.logs), new RegExp(`${SECRET}|${secret.k}|c2hvcnQ`))
  kit.close()
  t.equal(kit.clock.pending, 0)
})

/** A server of a key set whose answer the test chooses. */
async function keyServer(): Promise<{
  url: string
  asked: number
  answer: { status: number; body: string }
  close(): void
}> {
  const state = { url: '', asked: 0, answer: { status: 200, body: '' }, close: (): void => {} }
  const server = createServer((_request, response) => {
    state.asked++
    response.writeHead(state.answer.status, { location: '/elsewhere' })
    response.end(state.answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  state.close = () => {
    server.closeAllConnections()
    server.close()
  }
  return state
}

t.test('keys of a URL', async (t) => {
  const server = await keyServer()
  t.teardown(() => server.close())
  const one = jwkOf(rsa.publicKey, { kid: 'one' })
  const two = jwkOf(rsa2.publicKey, { kid: 'two' })
  const set = (...keys: unknown[]): string => JSON.stringify({ keys })
  const ofOne = bearing(await token({ kid: 'one' }))
  const ofTwo = bearing(await token({ kid: 'two', key: rsa2.privateKey }))
  const turn = async (kit: FilterKit, ms: number): Promise<void> => {
    kit.clock.advance(ms)
    await until(() => kit.clock.pending > 0)
  }
  const remote = (options: Record<string, unknown> = {}): FilterKit =>
    kitOf(options, { jwksUrl: `${server.url}?secret=planted` })

  t.test('unreachable at start: requests are refused until it answers', async (t) => {
    const kit = remote()
    t.equal(server.asked, 0, 'making the filter asks nothing')
    t.equal(await tell(kit, ofOne), NO_KEYS)
    const wrong = [
      { status: 503, body: set(one) },
      { status: 302, body: set(one) },
      { status: 200, body: '<html>' },
      { status: 200, body: '{}' },
      { status: 200, body: set({ kty: 'oct', alg: 'HS256', k: Buffer.from(SECRET).toString('base64url') }) },
      { status: 200, body: ' '.repeat(300_000) + set(one) },
    ]
    for (const [index, answer] of wrong.entries()) {
      server.answer = answer
      await turn(kit, index === 0 ? 0 : 1000 * 2 ** (index - 1))
      t.equal(server.asked, index + 1, 'after 1, 2, 4 … s')
      t.equal(await tell(kit, ofOne), NO_KEYS)
    }
    server.answer = { status: 200, body: set(one) }
    await turn(kit, 32_000)
    t.equal(await tell(kit, ofOne), 'passed')
    t.equal(kit.logs.filter(({ level }) => level === 'warn').length, wrong.length)
    t.notMatch(JSON.stringify(kit.logs), /planted/)
    kit.close()
    t.equal(kit.clock.pending, 0)
  })

  t.test('gone later: known keys serve on, but not for ever', async (t) => {
    server.answer = { status: 200, body: set(one) }
    const kit = remote({ refresh: '10m', staleAfter: '1h' })
    await turn(kit, 0)
    const long = bearing(await token({ kid: 'one', claims: { exp: NOW + 90_000 } }))
    t.equal(await tell(kit, long), 'passed')
    server.answer = { status: 500, body: '' }
    await turn(kit, 600_000)
    const unseen = bearing(await token({ kid: 'one', claims: { exp: NOW + 90_000, sub: 'late' } }))
    t.equal(await tell(kit, unseen), 'passed')
    kit.close()
    const stale = remote({ refresh: '2h', staleAfter: '1h' })
    server.answer = { status: 200, body: set(one) }
    await turn(stale, 0)
    stale.clock.advance(3_600_001)
    t.equal(await tell(stale, unseen), NO_KEYS)
    stale.close()
  })

  t.test(
    'a new key is fetched in the background when a token names it, at most twice a minute',
    async (t) => {
      server.answer = { status: 200, body: set(one) }
      const kit = remote()
      await turn(kit, 0)
      server.answer = { status: 200, body: set(one, two) }
      const before = server.asked
      for (let i = 0; i < 20; i++) t.equal(await tell(kit, ofTwo), UNKNOWN_KEY)
      kit.clock.advance(29_000)
      t.equal(server.asked, before)
      kit.clock.advance(1000)
      t.equal(await tell(kit, ofTwo), UNKNOWN_KEY)
      await turn(kit, 0)
      t.equal(server.asked, before + 1)
      t.equal(await tell(kit, ofTwo), 'passed')
      kit.close()
    },
  )

  t.test('startup: wait holds requests until the first answer', async (t) => {
    server.answer = { status: 200, body: set(one) }
    const kit = remote({ startup: 'wait' })
    const early = tell(kit, ofOne)
    kit.clock.advance(0)
    t.equal(await early, 'passed')
    kit.close()
    server.answer = { status: 500, body: '' }
    const failing = remote({ startup: 'wait' })
    const refused = tell(failing, ofOne)
    failing.clock.advance(0)
    t.equal(await refused, NO_KEYS)
    t.equal(await tell(failing, ofOne), NO_KEYS, 'and none waits after a first failure')
    failing.close()
  })

  t.test('nobody listens', async (t) => {
    const gone = await keyServer()
    gone.close()
    const kit = kitOf({}, { jwksUrl: gone.url })
    await turn(kit, 0)
    t.equal(await tell(kit, ofOne), NO_KEYS)
    t.match(kit.logs.at(-1), { level: 'warn', fields: { reason: 'ECONNREFUSED' } })
    kit.close()
  })

  t.test('is https, without a password in it', async (t) => {
    for (const jwksUrl of ['http://login.example/jwks', 'ftp://127.0.0.1/', 'nonsense']) {
      t.throws(() => kitOf({}, { jwksUrl }), /jwksUrl: /, jwksUrl)
    }
    let message = ''
    try {
      kitOf({}, { jwksUrl: 'https://user:planted@login.example/jwks' })
    } catch (error) {
      message = (error as Error).message
    }
    t.match(message, /must hold no user and no password/)
    t.notMatch(message, /planted/)
    t.doesNotThrow(() => kitOf({}, { jwksUrl: 'https://login.example/jwks' }).close())
  })
})

t.test('a configuration that is wrong is refused and shows no secret', async (t) => {
  const cases: [issuer: Record<string, unknown>, message: RegExp][] = [
    [{ keys: [RS_KEY], jwksFile: 'x' }, /give one of "keys", "jwks", "jwksFile" and "jwksUrl"/],
    [{ jwks: { keys: [{ kty: 'oct', k: SECRET, alg: 'HS256' }] } }, /jwks holds secrets/],
    [{ jwks: { keys: [jwkOf(rsa.privateKey)] } }, /jwks holds secrets/],
    [{ jwks: { keys: [{ kty: 'RSA', n: 'AQAB' }] } }, /is no public key/],
    [{ keys: [{ algorithm: 'HS256', secret: 'planted' }] }, /less than the 32 bytes/],
    [{ keys: [{ algorithm: 'RS256', publicKey: 'planted' }] }, /no public key in PEM/],
    [{ audience: [], keys: [RS_KEY] }, /audience/],
  ]
  for (const [issuer, expected] of cases) {
    let message = ''
    try {
      kitOf({}, issuer)
    } catch (error) {
      message = (error as Error).message
    }
    t.match(message, expected)
    t.notMatch(message, /planted/)
  }
})

t.test('no text of a refusal, a log or an error holds a token', async (t) => {
  const kit = kitOf({}, { keys: [{ algorithm: 'HS256', secret: SECRET }] })
  const bad = await token({ alg: 'HS256', key: Buffer.from(`x${SECRET}`) })
  const outcome = await kit.run(bearing(bad))
  const shown = JSON.stringify([outcome.refusal, outcome.body, outcome.headers, kit.logs, [...kit.lines]])
  t.notMatch(shown, bad.slice(-20))
  t.notMatch(shown, SECRET)
  t.equal(kit.counter('meshgate_jwt_total', { filter: 'jwt', outcome: 'forged' }), 1)
})
