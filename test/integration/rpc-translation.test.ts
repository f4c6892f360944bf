/** Operations in JSON become calls of SOFARPC and Dubbo services: over HTTP, plain HTTP and Mmtp, with every way to fail. */
import t, { type Test } from 'tap'
import { connectMmtp } from '../../lib/mmtp.ts'
import { call, freePort, lastEntry, until } from '../support/http.ts'
import { type Rig, startRig } from '../support/rig.ts'
import { hostileResults } from '../support/rpc-hostile.ts'
import { KINDS, type RpcKind } from '../support/rpc-kinds.ts'
import { isQuiet } from '../support/rpc-rig.ts'
import { type Service, type ServiceAnswer, type ServiceCall, startService } from '../support/rpc-service.ts'

t.setTimeout(60_000)

const MIB = 1 << 20
const SERVICE = 'com.shop.OrderService'
const TYPES = {
  'com.shop.Order': {
    fields: {
      id: 'long',
      name: 'String',
      items: 'java.util.List<com.shop.Item>',
      state: 'com.shop.State',
      created: 'java.util.Date',
      extra: 'java.util.Map<String, Object>',
    },
  },
  'com.shop.Item': { fields: { sku: 'String', count: 'int', price: 'java.math.BigDecimal' } },
  'com.shop.State': { enum: ['NEW', 'PAID'] },
}

/** What came back, whatever it came over. */
interface Outcome {
  readonly code: number
  readonly memo: string
  readonly type: string
  readonly text: string
}

type Send = (operation: string, body: string | Buffer, headers?: Record<string, string>) => Promise<Outcome>

/** HTTP statuses of plain requests, by result code. */
const HTTP_STATUS: Readonly<Record<number, readonly number[]>> = {
  1000: [200],
  1002: [429, 503],
  3000: [404],
  3001: [400],
  3002: [400, 413],
  4001: [504],
  4002: [502, 503],
  6000: [500],
  6001: [500],
  6004: [500],
  6666: [500],
}

interface Setup {
  readonly rig: Rig
  readonly service: Service
  readonly operation: Send
  readonly plain: (operation: string, body: string | Buffer) => ReturnType<typeof call>
  readonly mmtp: Send
}

/** A route for an operation `shop.NAME` and for the path `/NAME`. */
function routesOf(name: string, to: object, timeout = '5s'): object[] {
  const target = { cluster: 'out', service: SERVICE, method: name, ...to }
  return [
    { match: { operation: `shop.${name}` }, to: target, timeout },
    { match: { path: `/${name}` }, to: target, timeout },
  ]
}

async function setUp(
  t: Test,
  kind: RpcKind,
  act: (call: ServiceCall) => ServiceAnswer,
  routes: readonly object[],
  more: object = {},
  limits: object = {},
): Promise<Setup> {
  const service = await startService(t, kind, act)
  const config = {
    node: { app: 'edge' },
    listeners: [
      { name: 'web', protocol: 'http1', address: '127.0.0.1:0' },
      { name: 'rpc', protocol: 'mmtp', address: '127.0.0.1:0', trusted: true },
    ],
    clusters: [
      { name: 'out', protocol: kind.name, endpoints: [`127.0.0.1:${service.port}`], limits },
      { name: 'gone', protocol: kind.name, endpoints: [`127.0.0.1:${await freePort()}`] },
    ],
    types: TYPES,
    routes,
    ...more,
  }
  const rig = await startRig(t, JSON.stringify(config))
  const caller = await connectMmtp(`127.0.0.1:${rig.port('rpc')}`)
  t.teardown(() => caller.close())
  const memoOf = (value: unknown): string => decodeURIComponent(String(value ?? ''))
  return {
    rig,
    service,
    operation: async (operation, body, headers = {}) => {
      const all = { 'operation-type': operation, 'content-type': 'application/json', ...headers }
      const answer = await call(rig.port('web'), { method: 'POST', path: '/mgw.htm', headers: all, body })
      t.equal(answer.status, 200, 'an operation has its outcome in its result code')
      return {
        code: Number(answer.headers['result-status']),
        memo: memoOf(answer.headers['result-memo']),
        type: String(answer.headers['content-type']),
        text: answer.text,
      }
    },
    plain: (operation, body) =>
      call(rig.port('web'), { method: 'POST', path: `/${operation.slice('shop.'.length)}`, body }),
    mmtp: async (operation, body, headers = {}) => {
      const {
        status,
        headers: came,
        body: bytes,
      } = await caller.call(operation, Buffer.from(body), { headers })
      const memo = memoOf(came['result-memo'])
      return { code: status, memo, type: String(came['content-type']), text: bytes.toString() }
    },
  }
}

/** The same over all three; fails where they differ from what is expected. */
async function everyway(
  t: Test,
  setup: Setup,
  operation: string,
  body: string,
  code: number,
  memo: RegExp | null = null,
): Promise<string> {
  let text = ''
  for (const send of [setup.operation, setup.mmtp]) {
    const outcome = await send(operation, body)
    const over = send === setup.mmtp ? 'Mmtp' : 'HTTP'
    t.equal(outcome.code, code, `${operation} over ${over}: ${outcome.memo} ${outcome.text.slice(0, 200)}`)
    if (memo !== null) t.match(outcome.memo, memo, `${operation} over ${over}`)
    if (code === 1000) t.match(outcome.type, /^application\/json/)
    t.notMatch(`${outcome.memo}${outcome.text}`, /Secret\.java|stackTrace/, 'no stack goes out')
    text = outcome.text
  }
  const plain = await setup.plain(operation, body)
  t.ok(
    HTTP_STATUS[code]?.includes(plain.status),
    `${operation} over plain HTTP: ${plain.status} ${plain.text.slice(0, 200)}`,
  )
  t.notMatch(plain.text, /Secret\.java|stackTrace/)
  if (code === 1000) t.equal(plain.text, text)
  return text
}

const ORDER = {
  id: '9007199254740993',
  name: 'é 中文 😀',
  items: [
    { sku: 'a', count: 1, price: 1.25 },
    { sku: 'b', count: 2, price: null },
  ],
  state: 'PAID',
  created: '2023-11-14T22:13:20.123Z',
  extra: { a: [1, true, null], b: { c: 'd' } },
}

for (const kind of KINDS) {
  const isBolt = kind.name === 'bolt'

  t.test(
    `${kind.name}: JSON arguments arrive as Java values, and the result comes back as JSON`,
    async (t) => {
      const results: Record<string, unknown> = {
        create: {
          $class: 'com.shop.Item',
          $: {
            sku: 'back',
            count: { $class: 'int', $: 3 },
            price: { $class: 'java.math.BigDecimal', $: { value: '9.90' } },
          },
        },
        nothing: null,
        big: { $class: 'java.lang.Long', $: '9007199254740993' },
        pair: [true, 1.5, 'x'],
      }
      const routes = [
        ...routesOf('create', { parameters: ['com.shop.Order'], version: '2.0', group: 'blue' }),
        ...routesOf('nothing', { parameters: [] }),
        ...routesOf('big', { parameters: ['long'], json: { longs: 'number' } }),
        ...routesOf('pair', { parameters: ['int', 'String'], parameterNames: ['count', 'text'] }),
      ]
      const setup = await setUp(t, kind, ({ method }) => ({ result: results[method] }), routes)
      const { service } = setup

      const created = await everyway(t, setup, 'shop.create', JSON.stringify([ORDER]), 1000)
      t.match(JSON.parse(created), { sku: 'back', count: 3 })
      t.equal(Number(JSON.parse(created).price), 9.9)
      t.equal(service.seen.length, 3)
      for (const seen of service.seen) {
        t.match(seen, { service: SERVICE, version: '2.0', group: 'blue', method: 'create', isGeneric: false })
        t.same(seen.types, [isBolt ? 'com.shop.Order' : 'Lcom/shop/Order;'])
        t.equal(seen.message.app, 'edge')
        t.ok(
          seen.message.timeoutMs > 3000 && seen.message.timeoutMs <= 5000,
          `timeout ${seen.message.timeoutMs}`,
        )
        const [order] = seen.arguments
        t.match(order, {
          id: '9007199254740993',
          name: ORDER.name,
          extra: { a: [1, true, null], b: { c: 'd' } },
        })
        t.same(
          order.items.map(({ sku, count }: any) => [sku, count]),
          [
            ['a', 1],
            ['b', 2],
          ],
        )
        t.equal(order.items[0].price.value ?? order.items[0].price, '1.25')
        t.equal(order.state.name ?? order.state, 'PAID')
        t.equal(new Date(order.created).toISOString(), ORDER.created)
      }
      await everyway(t, setup, 'shop.create', JSON.stringify(ORDER), 1000)
      await everyway(t, setup, 'shop.create', JSON.stringify([{ _requestBody: ORDER }]), 1000)
      t.equal(await everyway(t, setup, 'shop.nothing', '', 1000), 'null')
      t.equal(await everyway(t, setup, 'shop.nothing', '[]', 1000), 'null')
      const big = await everyway(t, setup, 'shop.big', '["9007199254740993"]', 1000)
      t.match(big, /^\d+$/, 'a number, of which the reader loses digits')
      t.equal(JSON.parse(big), 2 ** 53)
      t.equal(await everyway(t, setup, 'shop.pair', '{"text": "x", "count": 7}', 1000), '[true,1.5,"x"]')
      t.same(service.seen.at(-1)?.arguments, [7, 'x'])
      t.equal(service.connections.length, 1)
    },
  )

  t.test(
    `${kind.name}: JSON that does not fit is refused with the path of what is wrong, and no call is made`,
    async (t) => {
      const routes = [
        ...routesOf('create', { parameters: ['com.shop.Order'] }),
        ...routesOf('add', {
          parameters: ['int', 'java.util.List<com.shop.Item>'],
          parameterNames: ['count', 'items'],
        }),
      ]
      const setup = await setUp(t, kind, () => ({ result: 'called' }), routes)
      const cases: [operation: string, body: string, code: number, memo: RegExp][] = [
        ['create', '', 3001, /argument/],
        ['add', ' \n', 3001, /argument/],
        ['create', '[1', 3002, /not JSON/],
        ['create', '[{"id": 1}] x', 3002, /not JSON/],
        ['create', '"text"', 3002, /^\$: expected .*com\.shop\.Order/],
        ['create', '[]', 3002, /expected an array of 1 argument/],
        ['create', '[{"id": "x"}]', 3002, /^\$\[0\]\.id: expected .*"x"/],
        [
          'create',
          '[{"items": [{"count": 1}, {"count": 1}, {"count": "many"}]}]',
          3002,
          /^\$\[0\]\.items\[2\]\.count: expected .*got "many"/,
        ],
        ['create', '[{"items": {"0": 1}}]', 3002, /^\$\[0\]\.items: expected/],
        ['create', '[{"items": [{"price": true}]}]', 3002, /^\$\[0\]\.items\[0\]\.price: expected/],
        ['create', '[{"state": "GONE"}]', 3002, /^\$\[0\]\.state: .*NEW, PAID/],
        ['create', '[{"created": "yesterday"}]', 3002, /^\$\[0\]\.created: expected/],
        ['create', '[{"nmae": "x"}]', 3002, /^\$\[0\]\.nmae: .*name/],
        ['create', '[{"__proto__": {"polluted": true}}]', 3002, /^\$\[0\]\.__proto__: /],
        ['create', '[{"constructor": 1}]', 3002, /^\$\[0\]\.constructor: /],
        ['create', '[{"id": 9223372036854775808}]', 3002, /^\$\[0\]\.id: expected/],
        ['add', '[1, [], 2]', 3002, /expected an array of 2 arguments \(int count, /],
        ['add', '{"items": []}', 3002, /count.* missing/],
        ['add', '{"count": 1, "itmes": []}', 3002, /^\$\.itmes: .*items/],
        ['add', '[1.5, []]', 3002, /^\$\[0\]: expected .*1\.5/],
        ['add', '[null, []]', 3002, /^\$\[0\]: /],
        ['create', `[${'['.repeat(10_000)}`, 3002, /./],
        ['create', `[{"extra": {"a": ${'['.repeat(5000)}${']'.repeat(5000)}}}]`, 3002, /./],
      ]
      for (const [operation, body, code, memo] of cases)
        await everyway(t, setup, `shop.${operation}`, body, code, memo)
      const invalid = Buffer.concat([Buffer.from('[{"name": "'), Buffer.of(0xff, 0xfe), Buffer.from('"}]')])
      t.equal((await setup.operation('shop.create', invalid)).code, 3002, 'invalid UTF-8')
      await everyway(t, setup, 'shop.unknown', '[]', 3000)
      t.equal(setup.service.seen.length, 0)
      t.equal(({} as any).polluted, undefined)
    },
  )

  t.test(`${kind.name}: keys that are special elsewhere are not special in maps`, async (t) => {
    const routes = routesOf('keep', { parameters: ['java.util.Map<String, Object>'] })
    const setup = await setUp(t, kind, () => ({ result: 'kept' }), routes)
    const odd =
      '[{"__proto__": {"polluted": true}, "constructor": {"prototype": 1}, "toString": null, "": 0}]'
    await everyway(t, setup, 'shop.keep', odd, 1000)
    const bytes = setup.service.seen[0]?.message.content.toString('latin1') as string
    for (const key of ['__proto__', 'polluted', 'constructor', 'prototype', 'toString'])
      t.ok(bytes.includes(key), key)
    t.equal(({} as any).polluted, undefined)
    const many = JSON.stringify([
      Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`key${i}`, i])),
    ])
    t.equal((await setup.operation('shop.keep', many)).code, 1000)
    t.equal(Object.keys(setup.service.seen.at(-1)?.arguments[0]).length, 20_000)
  })

  t.test(`${kind.name}: a caller does not choose classes`, async (t) => {
    const routes = [
      ...routesOf('any', { parameters: ['Object'] }),
      ...routesOf('item', { parameters: ['com.shop.Item'] }),
      ...routesOf('open', { parameters: ['com.shop.Undescribed'] }),
    ]
    const setup = await setUp(t, kind, () => ({ result: 1 }), routes)
    const gadget = '[{"class": "javax.evil.Gadget", "a": 1}]'
    await everyway(t, setup, 'shop.item', gadget, 3002, /^\$\[0\]\.class: /)
    await everyway(t, setup, 'shop.open', gadget, 3002, /^\$\[0\]\.class: /)
    await everyway(t, setup, 'shop.any', gadget, 1000)
    t.equal(setup.service.seen.length, 3)
    // As an entry of an untyped map, never as the class of an object.
    for (const { arguments: values } of setup.service.seen)
      t.strictSame({ ...values[0] }, { class: 'javax.evil.Gadget', a: 1 })
  })

  t.test(`${kind.name}: what the service answers other than a result`, async (t) => {
    const thrown = { class: 'com.shop.SoldOut', message: 'nothing left: 中' }
    const noService = isBolt
      ? { refused: `RPC-020100010: RPC cannot find service: [${SERVICE}:1.0]` }
      : { status: 70, text: 'org.apache.dubbo.remoting.RemotingException: Not found exported service: x' }
    const noMethod = isBolt
      ? { refused: 'RPC-020100011: Cannot find invoke method: [x], service: [y]' }
      : {
          status: 40,
          text: 'Fail to decode request due to: RpcInvocation [methodName=noMethod, parameterTypes=null]',
        }
    const answers: Record<string, ServiceAnswer> = {
      hidden: { thrown },
      shown: { thrown },
      full: { thrown },
      noService,
      noMethod,
      busy: isBolt ? { status: 4 } : { status: 100, text: 'thread pool is exhausted' },
      timeout: isBolt ? { status: 7 } : { status: 31, text: 'too late' },
      failed: isBolt ? { status: 2, text: 'server broke' } : { status: 80, text: 'server broke' },
      unread: isBolt ? { status: 18, text: 'no such class' } : { status: 25, text: 'no such class' },
      strange: { status: isBolt ? 77 : 33 },
      silent: 'silence',
      dead: 'death',
      empty: { content: Buffer.alloc(0) },
      garbage: { content: Buffer.alloc(100, 0xee) },
    }
    const json = (exceptions: string): object => ({ parameters: ['int'], json: { exceptions } })
    const routes = [
      ...routesOf('hidden', { parameters: ['int'] }),
      ...routesOf('shown', json('message')),
      ...routesOf('full', json('class-and-message')),
      ...[
        'noService',
        'noMethod',
        'busy',
        'timeout',
        'failed',
        'unread',
        'strange',
        'dead',
        'empty',
        'garbage',
      ].flatMap((name) => routesOf(name, { parameters: ['int'] })),
      ...routesOf('silent', { parameters: ['int'] }, '60ms'),
      ...routesOf('gone', { parameters: ['int'], cluster: 'gone' }),
      ...routesOf('limited', { parameters: ['int'] }),
    ]
    const limited = routes.slice(-2).map((route) => Object.assign(route, { filters: { 'rate-limit': true } }))
    t.equal(limited.length, 2)
    const filters = [{ use: 'rate-limit', enabled: false, qps: 0.0001, burst: 1, key: 'route' }]
    const setup = await setUp(t, kind, ({ method }) => answers[method] ?? { result: 1 }, routes, { filters })
    const fails = (name: string, code: number, memo: RegExp | null = null): Promise<string> =>
      everyway(t, setup, `shop.${name}`, '[1]', code, memo)

    t.equal(await fails('hidden', 6666, /^(?!.*(SoldOut|nothing left)).+/), '{}')
    t.same(JSON.parse(await fails('shown', 6666, /^nothing left: 中$/)), { message: thrown.message })
    t.same(JSON.parse(await fails('full', 6666, /^com\.shop\.SoldOut: nothing left: 中$/)), thrown)
    await fails('noService', 6000, /service/)
    await fails('noMethod', 6001, /method/)
    await fails('busy', 1002)
    await fails('timeout', 4001)
    await fails('silent', 4001)
    await fails('failed', 4002, /^(?!.*server broke)/)
    await fails('unread', isBolt ? 6004 : 4002)
    await fails('strange', 4002)
    await fails('dead', 4002)
    await fails('gone', 4002)
    await fails('empty', 4002)
    await fails('garbage', 4002)
    t.equal((await setup.operation('shop.limited', '[1]')).code, 1000)
    t.equal((await setup.mmtp('shop.limited', '[1]')).code, 1002)
    await until('nothing is left', () => isQuiet(setup.rig))
  })

  t.test(`${kind.name}: an exception that is hidden from the caller is in the log in full`, async (t) => {
    const thrown = { class: 'com.shop.SoldOut', message: 'nothing left' }
    const filters = [
      {
        use: 'access-log',
        path: 'access.log',
        format: 'json',
        fields: { target: 'target', status: 'status', result: 'result_code', detail: 'error_detail' },
      },
    ]
    const setup = await setUp(t, kind, () => ({ thrown }), routesOf('hidden', { parameters: ['int'] }), {
      filters,
    })
    t.equal((await setup.mmtp('shop.hidden', '[1]')).text, '{}')
    const entry = await lastEntry(setup.rig, 1)
    t.match(entry, { target: 'shop.hidden', status: 6666, result: 6666 })
    t.match(
      String(entry['detail']),
      /com\.shop\.SoldOut: nothing left[\s\S]*at com\.shop\.Secret\.inside\(Secret\.java:42\)/,
    )
  })

  t.test(`${kind.name}: hostile results`, async (t) => {
    const results = hostileResults(kind)
    let raw: Buffer = Buffer.alloc(0)
    const setup = await setUp(t, kind, () => ({ raw }), routesOf('get', { parameters: [] }))
    for (const { name, bytes, codes, json } of results) {
      raw = bytes
      const startMs = performance.now()
      for (const send of [setup.operation, setup.mmtp]) {
        const outcome = await send('shop.get', '')
        t.ok(
          codes.includes(outcome.code),
          `${name}: ${outcome.code} ${outcome.memo} ${outcome.text.slice(0, 100)}`,
        )
        if (outcome.code === 1000) {
          t.doesNotThrow(() => JSON.parse(outcome.text), name)
          if (json !== undefined) t.equal(outcome.text, json, name)
        }
      }
      const ms = performance.now() - startMs
      t.ok(ms < 500, `${name}: took ${Math.round(ms)} ms`)
    }
    raw = Buffer.of(0x91)
    t.equal((await setup.operation('shop.get', '')).text, '1', 'and the connection serves on')
    t.equal(setup.service.connections.length, 1)
    t.equal(({} as any).polluted, undefined)
  })

  t.test(`${kind.name}: large bodies, and bodies above the limits`, async (t) => {
    const act = ({ arguments: [text] }: ServiceCall): ServiceAnswer => ({
      result: text === 'more' ? 'x'.repeat(3 * MIB) : text,
    })
    const limits = { frame: 2 * MIB }
    const { operation, mmtp } = await setUp(
      t,
      kind,
      act,
      routesOf('echo', { parameters: ['String'] }),
      {},
      limits,
    )
    const text = 'abc é 中 '.repeat(MIB / 12)
    for (const send of [operation, mmtp]) {
      t.ok((await send('shop.echo', JSON.stringify([text]))).text === JSON.stringify(text))
      t.equal((await send('shop.echo', JSON.stringify(['x'.repeat(3 * MIB)]))).code, 3002)
      t.equal((await send('shop.echo', '["more"]')).code, 4002)
      t.equal((await send('shop.echo', '["on"]')).text, '"on"')
    }
  })

  t.test(`${kind.name}: many operations at once share a connection with RPCs`, async (t) => {
    const setup = await setUp(
      t,
      kind,
      ({ arguments: [n] }) => ({ result: n }),
      routesOf('same', { parameters: ['int'] }),
    )
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        (i % 3 === 0 ? setup.operation : setup.mmtp)('shop.same', `[${i}]`),
      ),
    )
    for (const [i, { text }] of outcomes.entries()) if (text !== `${i}`) t.fail(`${i} got ${text}`)
    t.equal(setup.service.connections.length, 1)
  })

  t.test(`${kind.name}: trace ids and budgets of operations reach the service`, async (t) => {
    const routes = routesOf('same', { parameters: ['int'] })
    const setup = await setUp(t, kind, () => ({ result: 1 }), routes, { filters: ['trace-context'] })
    const traceId = '0a0fe8b9170000000000010017'
    const idsOf = ({ message: { headers } }: ServiceCall): unknown =>
      isBolt
        ? [headers['rpc_trace_context.sofaTraceId'], headers['rpc_trace_context.sofaRpcId']]
        : /tcid=(\w+)&spid=([\d.]+)/.exec(headers['dubbo.rpc.sofa.tracer'] ?? '')?.slice(1)
    await setup.operation('shop.same', '[1]', { 'SOFA-TraceId': traceId, 'SOFA-RpcId': '0.1' })
    await setup.mmtp('shop.same', '[1]', { 'trace-id': traceId, 'rpc-id': '0.1' })
    for (const seen of setup.service.seen) t.same(idsOf(seen), [traceId, '0.1'])
    await setup.operation('shop.same', '[1]')
    t.match(idsOf(setup.service.seen[2] as ServiceCall), [/^\w{25,}$/, '0'])
  })

  t.test(`${kind.name}: without a method to call, an operation has no route`, async (t) => {
    const routes = [{ match: {}, to: { cluster: 'out' } }]
    const setup = await setUp(t, kind, () => ({ result: 1 }), routes)
    t.equal((await setup.operation('shop.any', '[1]')).code, 3000)
    t.equal((await setup.mmtp('shop.any', '[1]')).code, 3000)
    t.equal((await setup.plain('shop.any', '[1]')).status, 404)
    t.equal(setup.service.seen.length, 0)
  })
}
