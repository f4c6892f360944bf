/**
 * What `sign` and `jwt` cost a request, hooks only, beside the cryptography that they cannot do without.
 *
 *     node perf/micro/sign.ts
 */
import { createHmac, createSecretKey, hash, timingSafeEqual } from 'node:crypto'
import { SignJWT } from 'jose'
import { Exchange } from '../../lib/core/exchange.ts'
import type { Filter, FilterDefinition } from '../../lib/core/filter.ts'
import type { RequestHead } from '../../lib/core/message.ts'
import { jwt } from '../../lib/filters/jwt/index.ts'
import { makeServices, SlotRegistry } from '../../lib/filters/services.ts'
import { compileSigner } from '../../lib/filters/sign/algorithms.ts'
import { sign } from '../../lib/filters/sign/index.ts'
import { stringToSign } from '../../lib/filters/sign/message.ts'
import { NonceCache } from '../../lib/filters/sign/nonces.ts'
import { TestDownstream } from '../../lib/testing-messages.ts'
import { measure } from './filter-measure.ts'

const COUNT = 100_000
const NOW = 1_795_187_693_051
const SECRET = '0123456789abcdef0123456789abcdef'
const OPERATION = 'alipay.demo.order.create'
const BODY = Buffer.from(JSON.stringify([{ _requestBody: { name: 'x'.repeat(200), amount: 12 } }]))

/** The few headers that are read; what a codec pays for finding them is not the filters'. */
class BenchHeaders {
  readonly values: Record<string, string>
  constructor(values: Record<string, string>) {
    this.values = values
  }
  get(name: string): string | null {
    return this.values[name] ?? null
  }
  set(): void {}
  remove(): void {}
}

const ignore = (): void => {}
const clock = { now: () => 1_000_000, wallNow: () => NOW }
const servicesFor = makeServices(
  {
    log: {
      trace: ignore,
      debug: ignore,
      info: ignore,
      warn: ignore,
      error: ignore,
      isLevelEnabled: () => false,
    },
    metrics: { counter: () => ({ value: 0 }), histogram: () => ({ record: ignore }), gauge: () => ignore },
    clock,
    timers: { schedule: ignore, cancel: ignore },
    node: { app: 'bench', cell: 'RZ01A', labels: {} },
    resolvePath: (path) => path,
    openLog: () => ({ write: ignore, close: ignore }),
  },
  new SlotRegistry(),
)
const filterOf = <Options>(definition: FilterDefinition<Options>, options: Options): Filter =>
  definition.create(options as never, servicesFor('bench'))

const listener = { name: 'in', stats: null as never, trusted: true }
const peer = { remoteAddress: '192.0.2.1', remotePort: 4000, localAddress: '', localPort: 0 }
const downstream = new TestDownstream()

function exchangeWith(headers: BenchHeaders): Exchange {
  const request = { protocol: 'mmtp', operation: OPERATION, service: '', method: 'POST', headers }
  const exchange = new Exchange(request as unknown as RequestHead, downstream, peer, listener, 0, {
    onExchangeTimer: ignore,
  })
  exchange.requestBody = BODY
  return exchange
}

const signer = compileSigner('hmac-sha256', Buffer.from(SECRET), 'base64')
const text = stringToSign(OPERATION, String(NOW), 'device-0123456789', BODY)
const signature = signer(text)
const keyObject = createSecretKey(Buffer.from(SECRET))
const [left, right] = [Buffer.from(signature), Buffer.from(signature)]

console.log('cryptography alone')
measure(`sha256 of a body of ${BODY.length} bytes`, () => hash('sha256', BODY, 'base64'), COUNT)
measure('HMAC by createHmac', () => createHmac('sha256', keyObject).update(text).digest('base64'), COUNT)
measure('HMAC by two one-shot hashes, as here', () => signer(text), COUNT)
measure('timingSafeEqual', () => timingSafeEqual(left, right), COUNT)
const both = measure(
  'body, HMAC and comparison together',
  () => {
    const made = signer(stringToSign(OPERATION, String(NOW), 'device-0123456789', BODY))
    return timingSafeEqual(left, right) && made
  },
  COUNT,
)

console.log('\nsign')
const headers = new BenchHeaders({
  sign: signature,
  ts: String(NOW),
  did: 'device-0123456789',
  'app-id': 'APP1',
  'workspace-id': 'default',
})
const keys = [{ appId: 'APP1', workspaceId: 'default', secret: SECRET }]
const signFilter = filterOf(sign, { keys, replay: false })
const exchange = exchangeWith(headers)
if (signFilter.onRoute?.(exchange) !== 0) throw new Error('the signature is refused')
const whole = measure('onRoute, without replay guard', () => signFilter.onRoute?.(exchange), COUNT)
console.log(`${'  beyond cryptography'.padEnd(58)} ${(whole - both).toFixed(1).padStart(8)} ns`)
const nonces = new NonceCache(100_000, { value: 0 })
// Twice as many as have a place, so that each comes as a new one.
const signatures = Array.from({ length: 200_000 }, (_, i) => hash('sha256', String(i), 'base64'))
let next = 0
const remember = () => {
  next = next + 1 === signatures.length ? 0 : next + 1
  return nonces.admit(signatures[next], NOW, NOW, false)
}
measure('a signature remembered, in a full cache', remember, COUNT)

console.log('\njwt')
const makeToken = (sub: string): Promise<string> =>
  new SignJWT({ iss: 'a', aud: 'b', sub, exp: NOW / 1000 + 600 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(SECRET))
const token = await makeToken('user-1')
const issuers = [{ issuer: 'a', audience: 'b', keys: [{ algorithm: 'HS256' as const, secret: SECRET }] }]
const jwtFilter = filterOf(jwt, { issuers, claims: { 'x-user': 'sub' } })
const bearing = exchangeWith(new BenchHeaders({ authorization: `Bearer ${token}` }))
if ((await jwtFilter.onRoute?.(bearing)) !== 0) throw new Error('the token is refused')
const digest = measure(
  `sha256 of a token of ${token.length} bytes`,
  () => hash('sha256', token, 'base64'),
  COUNT,
)
const hit = measure('onRoute, a token that was seen', () => jwtFilter.onRoute?.(bearing), COUNT)
console.log(`${'  beyond cryptography'.padEnd(58)} ${(hit - digest).toFixed(1).padStart(8)} ns`)
const fresh: Exchange[] = []
for (let i = 0; i < 3000; i++) {
  fresh.push(exchangeWith(new BenchHeaders({ authorization: `Bearer ${await makeToken(`u${i}`)}` })))
}
const start = performance.now()
for (const one of fresh) await jwtFilter.onRoute?.(one)
const each = ((performance.now() - start) / fresh.length) * 1000
console.log(`${'a token verified for the first time'.padEnd(58)} ${each.toFixed(1).padStart(8)} µs`)
