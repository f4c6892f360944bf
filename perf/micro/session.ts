/**
 * What a session costs: the compact token against gzip of JSON, decoded and verified each time, and out of the cache; and the hook
 * of the filter with each.
 *
 *     node perf/micro/session.ts
 */
import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Filter } from '../../lib/core/filter.ts'
import { session } from '../../lib/filters/session/index.ts'
import { makeKeyRing } from '../../lib/filters/session/keys.ts'
import { openLegacy } from '../../lib/filters/session/legacy.ts'
import type { Session } from '../../lib/filters/session/payload.ts'
import { openSession, sealSession } from '../../lib/filters/session/token.ts'
import { ManualClock, makeTestExchange, testFilter } from '../../lib/testing.ts'
import { measure } from './filter-measure.ts'

const secret = Buffer.alloc(32, 'k')
const keyText = { id: 'k1', secret: secret.toString('base64') }
const keys = makeKeyRing([keyText], 'main')
const clock = new ManualClock()
const now = clock.wallNow()

const SESSION: Session = {
  id: 'c2Vzc2lvbi1pZC0xMjM0NTY',
  userId: '2088000000000687',
  loginAt: now,
  issuedAt: now,
  expiresAt: now + 1_800_000,
  attributes: {
    'login-id': 'someone@example.com',
    nick: '小明',
    device: 'Xr8mT2c0pQkDAEq9sU1vW3xY',
    channel: 'wireless-ios-10.5.60.8000',
    level: '2',
    roles: 'member,gold,merchant',
    tenant: 'ALIPW3CN',
    locale: 'zh-CN',
    'real-name': 'verified',
    region: 'cn-hangzhou',
    'risk-token': '0123456789abcdef0123456789abcdef',
  },
}

/** A session as it was before: everything that some module once wanted, about 7 KB in the cookie. */
function legacyText(): string {
  let context = ''
  let state = 12_345
  while (context.length < 7800) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    context += state.toString(36)
  }
  const permissions = Array.from({ length: 60 }, (_, index) => `permission.of.module.${index}`)
  const json = {
    sessionId: SESSION.id,
    userId: SESSION.userId,
    loginTime: SESSION.loginAt,
    expireTime: SESSION.expiresAt,
    attributes: SESSION.attributes,
    permissions,
    context,
  }
  const body = gzipSync(JSON.stringify(json)).toString('base64')
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

const encrypted = sealSession(SESSION, keys, 'main')
const signed = sealSession(SESSION, keys, 'main', 'sign')
const legacy = legacyText()
const attributes = Object.fromEntries(
  Object.keys(SESSION.attributes).map((name) => [name, `attributes.${name}`]),
)
const format = { secret, fields: {}, attributes }

console.log(`encrypted ${encrypted.length} B, signed ${signed.length} B, legacy ${legacy.length} B\n`)
for (const made of [
  openSession(encrypted, keys, 'main'),
  openSession(signed, keys, 'main'),
  openLegacy(legacy, format),
])
  if (typeof made === 'string') throw new Error(made)

const COUNT = 10_000
const compact = measure('open an encrypted token', () => openSession(encrypted, keys, 'main'), COUNT)
measure('open a signed token', () => openSession(signed, keys, 'main'), COUNT)
const before = measure('open a legacy session', () => openLegacy(legacy, format), 1000)
measure('make an encrypted token', () => sealSession(SESSION, keys, 'main'), COUNT)
console.log(`legacy ÷ compact: ${(before / compact).toFixed(1)}\n`)

function hook(cache: number, cookie: string): () => unknown {
  const realm = {
    keys: [keyText],
    cookie: 'sid',
    cache,
    legacy: { secret: keyText.secret, attributes, rewrite: false },
  }
  const kit = testFilter(session, { realms: { main: realm } })
  const filter = kit.filter as Required<Filter>
  const exchange = makeTestExchange({ path: '/', headers: {} }, kit.clock)
  const header = `zone_op=07; sid=${cookie}; lang=zh`
  const headers = {
    get: (name: string) => (name === 'cookie' ? header : null),
    has: () => false,
    set: () => {},
  }
  Object.defineProperty(exchange.request, 'headers', { value: headers })
  if (filter.onRoute(exchange) !== 0) throw new Error('refused')
  return () => filter.onRoute(exchange)
}

measure('onRoute, compact, verified before', hook(1000, encrypted), 100_000)
measure('onRoute, compact, verified each time', hook(0, encrypted), COUNT)
measure('onRoute, legacy, verified before', hook(1000, legacy), 3000)
measure('onRoute, legacy, verified each time', hook(0, legacy), 1000)
