/** What each built-in filter does, through the test kit. */
import t from 'tap'
import { GatewayError } from '../../lib/core/errors.ts'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import { FILTERS } from '../../lib/filters/index.ts'
import { Sampler } from '../../lib/filters/sampler.ts'
import {
  isSofaTraceId,
  parseTraceParent,
  SofaTraceIds,
  TraceParentPool,
} from '../../lib/filters/trace-ids.ts'
import { ManualClock, testFilter } from '../../lib/testing.ts'

function kitOf(name: string, options: Record<string, unknown> = {}) {
  return testFilter(FILTERS.get(name) as FilterDefinition, options, { name })
}

t.test('access-log', async (t) => {
  t.test('writes one line like Envoy’s for each exchange', async (t) => {
    const kit = kitOf('access-log', { path: 'a.log' })
    await kit.run({ path: '/x?y=1', headers: { 'user-agent': 'curl/8' } }, { body: 'four' })
    t.strictSame(kit.lines.get('a.log'), [
      '[2026-01-01T00:00:00.000Z] "GET /x?y=1 http1" 200 - 0 4 0 0 "192.0.2.1" "curl/8" "-" "test.local" "-"',
    ])
  })

  t.test('goes to stdout unless it is given a path', async (t) => {
    const kit = kitOf('access-log')
    await kit.run()
    t.equal(kit.lines.get('stdout')?.length, 1)
  })

  t.test('lets no caller end a line, a value or a column early', async (t) => {
    const evil = '"\\\u001b[31m\u0085\u2028é, x'
    const format = '"${request.header.user-agent}" "${query.q}"'
    const kit = kitOf('access-log', { format })
    await kit.run({ path: '/?q=a%0d%0a%22b', headers: { 'user-agent': 'plain' } })
    await kit.run({ path: `/?q=${encodeURIComponent(evil)}` })
    t.strictSame(kit.lines.get('stdout'), [
      '"plain" "a\\x0d\\x0a\\"b"',
      '"-" "\\"\\\\\\x1b[31m\\x85\\u2028é, x"',
    ])
    const digest = kitOf('access-log', { format: 'digest' })
    await digest.run({ operation: 'a,b' })
    await digest.run({ operation: 'ab' })
    const [odd, even] = digest.lines.get('stdout') as string[]
    t.equal(odd.split(',').length, even.split(',').length)
  })

  t.test('writes JSON with numbers as numbers and absent fields left out', async (t) => {
    const kit = kitOf('access-log', { format: 'json' })
    await kit.run({ path: '/"x"\n' }, { status: 404 })
    const line = JSON.parse((kit.lines.get('stdout') as string[])[0])
    t.match(line, {
      method: 'GET',
      target: '/"x"\n',
      status: 404,
      duration_ms: 0,
      client: '192.0.2.1',
      route: 'test',
    })
    t.notOk('flags' in line)
    const own = kitOf('access-log', {
      format: 'json',
      fields: { code: 'status', who: 'request.header.x-who' },
    })
    await own.run({ headers: { 'x-who': 'me' } })
    t.equal((own.lines.get('stdout') as string[])[0], '{"code":200,"who":"me"}')
  })

  t.test('believes no header that a number is one', async (t) => {
    const kit = kitOf('access-log', { format: 'json', fields: { code: 'result_code' } })
    await kit.run({}, { headers: { 'result-status': '1,"x":2' } })
    t.equal((kit.lines.get('stdout') as string[])[0], '{"code":"1,\\"x\\":2"}')
  })

  t.test('logs the sample that it is told, and every failure when told so', async (t) => {
    const none = kitOf('access-log', { sample: 0 })
    const errors = kitOf('access-log', { sample: 0, always: 'errors' })
    const some = kitOf('access-log', { sample: 0.25 })
    for (let i = 0; i < 2000; i++) {
      await none.run()
      await some.run()
    }
    for (const status of [200, 404, 500, 503]) await errors.run({}, { status })
    await errors.run({ protocol: 'mmtp', operation: 'x' }, { status: 4002 })
    t.strictSame(none.lines.get('stdout'), [])
    t.equal(errors.lines.get('stdout')?.length, 3)
    const count = some.lines.get('stdout')?.length ?? 0
    t.ok(count > 380 && count < 620, `logged ${count} of 2000`)
  })

  t.test('refuses formats that make no sense', async (t) => {
    t.throws(() => kitOf('access-log', { format: 'jsn' }), /none of text, json, digest/)
    t.throws(() => kitOf('access-log', { format: '${stat}' }), /there is no field "stat".*"status"/)
    t.throws(() => kitOf('access-log', { fields: { a: 'status' } }), /format: json/)
    t.throws(() => kitOf('access-log', { sample: 2 }), /sample/)
  })
})

t.test('trace-context', async (t) => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

  t.test('makes both kinds of ids when none came', async (t) => {
    const { forwarded, exchange } = await kitOf('trace-context').run()
    const headers = forwarded?.headers ?? {}
    t.match(headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    t.match(headers['sofa-traceid'], /^[0-9a-f]{8}\d{13}[1-9]\d{3}\d+$/)
    t.equal(headers['sofa-rpcid'], '0')
    t.equal(exchange.traceId, headers.traceparent.slice(3, 35))
    t.equal(exchange.spanId, headers.traceparent.slice(36, 52))
    t.equal(exchange.rpcId, '0')
  })

  t.test('passes valid ids on untouched: a proxy takes no rpc number', async (t) => {
    const came = {
      traceparent: parent,
      tracestate: 'a=b',
      'SOFA-TraceId': 'c0000202-X_1',
      'SOFA-RpcId': '0.1.1',
    }
    const { forwarded, exchange } = await kitOf('trace-context').run({ headers: came })
    t.match(forwarded?.headers, {
      traceparent: parent,
      tracestate: 'a=b',
      'sofa-traceid': 'c0000202-X_1',
      'sofa-rpcid': '0.1.1',
    })
    t.match(exchange, { traceId: parent.slice(3, 35), spanId: parent.slice(36, 52), rpcId: '0.1.1' })
  })

  t.test('starts a new trace where the one that came is malformed, and drops its tracestate', async (t) => {
    const zeros = '0'.repeat(32)
    const malformed = [
      '',
      'x',
      `${parent}, ${parent}`,
      parent.toUpperCase(),
      parent.slice(0, -1),
      `${parent}-extra`,
      parent.replace('00-', 'ff-'),
      parent.replace('0af7651916cd43dd8448eb211c80319c', zeros),
      parent.replace('b7ad6b7169203331', zeros.slice(16)),
      parent.replace('-01', '-0g'),
    ]
    for (const traceparent of malformed) {
      const { forwarded } = await kitOf('trace-context').run({ headers: { traceparent, tracestate: 'a=b' } })
      t.match(forwarded?.headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, traceparent)
      t.notMatch(forwarded?.headers.traceparent, parent.slice(3, 35))
      t.notOk('tracestate' in (forwarded?.headers ?? {}))
    }
  })

  t.test('continues a trace of a later version in the form that it knows', async (t) => {
    t.match(parseTraceParent(`${parent.replace('00-', '01-').replace(/01$/, '0f')}-more`), { header: parent })
    t.equal(parseTraceParent(`${parent.replace('00-', '01-')}more`), null)
  })

  t.test('replaces SOFA ids that are malformed and keeps the two together', async (t) => {
    const run = async (headers: Record<string, string>) =>
      (await kitOf('trace-context').run({ headers })).forwarded?.headers ?? {}
    for (const bad of ['', 'a b', 'é', 'x'.repeat(65), 'a,b']) {
      const headers = await run({ 'sofa-traceid': bad, 'sofa-rpcid': '0.7' })
      t.not(headers['sofa-traceid'], bad)
      t.equal(headers['sofa-rpcid'], '0', 'an rpcId without its trace means nothing')
    }
    t.equal((await run({ 'sofa-traceid': 'abc' }))['sofa-rpcid'], '0')
    t.equal((await run({ 'sofa-traceid': 'abc', 'sofa-rpcid': 'a b' }))['sofa-rpcid'], '0')
  })

  t.test('uses Mmtp’s names over Mmtp', async (t) => {
    const kit = kitOf('trace-context', { formats: ['sofa'] })
    const made = await kit.run({ protocol: 'mmtp', operation: 'a' })
    t.ok(isSofaTraceId(made.forwarded?.headers['trace-id'] ?? ''))
    t.equal(made.exchange.traceId, made.forwarded?.headers['trace-id'])
    const kept = await kit.run({
      protocol: 'mmtp',
      operation: 'a',
      headers: { 'trace-id': '0a0b', 'rpc-id': '0.3' },
    })
    t.strictSame(kept.forwarded?.headers, { 'trace-id': '0a0b', 'rpc-id': '0.3' })
    t.match(kept.exchange, { traceId: '0a0b', rpcId: '0.3' })
  })

  t.test('believes nobody when told so, or at the edge only', async (t) => {
    const trust = async (options: object, trusted: boolean) => {
      const kit = kitOf('trace-context', options as Record<string, unknown>)
      const { forwarded } = await kit.run({
        trusted,
        headers: { traceparent: parent, 'sofa-traceid': 'abc' },
      })
      const isKept = forwarded?.headers.traceparent === parent
      t.equal(forwarded?.headers['sofa-traceid'] === 'abc', isKept)
      return isKept
    }
    t.equal(await trust({}, false), true)
    t.equal(await trust({ trust: false }, true), false)
    t.equal(await trust({ trust: 'listener' }, true), true)
    t.equal(await trust({ trust: 'listener' }, false), false)
  })

  t.test('makes only the formats it is told, and logs the first', async (t) => {
    const w3c = await kitOf('trace-context', { formats: ['w3c'] }).run()
    t.strictSame(Object.keys(w3c.forwarded?.headers ?? {}), ['traceparent'])
    const sofaFirst = await kitOf('trace-context', { formats: ['sofa', 'w3c'] }).run()
    t.equal(sofaFirst.exchange.traceId, sofaFirst.forwarded?.headers['sofa-traceid'])
    const unsampled = await kitOf('trace-context', { formats: ['w3c'], sample: 0 }).run()
    t.match(unsampled.forwarded?.headers.traceparent, /-00$/)
  })

  t.test('makes ids that do not repeat', async (t) => {
    const ids = new SofaTraceIds(new ManualClock(), '192.0.2.2', 19753)
    const seen = new Set(Array.from({ length: 8001 }, () => ids.next()))
    t.equal(seen.size, 8001)
    t.strictSame(
      [...seen].filter((id) => !/^c0000202\d{13}([1-8]\d{3}|9000)19753$/.test(id)),
      [],
    )
    const pool = new TraceParentPool('00')
    const made = new Set(Array.from({ length: 5000 }, () => pool.next()))
    t.equal(made.size, 5000)
    t.strictSame(
      [...made].filter((header) => !/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/.test(header)),
      [],
    )
  })
})

t.test('headers', async (t) => {
  t.test('removes, then sets, then adds, on both ways', async (t) => {
    const kit = kitOf('headers', {
      request: { remove: ['x-b'], set: { 'X-A': 'set' }, add: { 'x-b': 'added', 'x-c': '2' } },
      response: { remove: ['server'], set: { 'x-gateway': 'meshgate' } },
    })
    const { forwarded, headers } = await kit.run(
      { headers: { 'x-a': ['1', '2'], 'x-b': 'old', 'x-c': '1' } },
      { headers: { server: 'y', 'x-gateway': 'old' } },
    )
    t.strictSame(forwarded?.headers, { 'x-a': 'set', 'x-b': 'added', 'x-c': '1, 2' })
    t.strictSame(headers, { 'x-gateway': 'meshgate' })
  })

  t.test('removes only a given value when told so', async (t) => {
    const kit = kitOf('headers', { request: { remove: [{ name: 'x-a', value: '1' }] } })
    t.strictSame((await kit.run({ headers: { 'x-a': '1' } })).forwarded?.headers, {})
    t.strictSame((await kit.run({ headers: { 'x-a': '2' } })).forwarded?.headers, { 'x-a': '2' })
  })

  t.test('takes values from the exchange and leaves a header alone that has none', async (t) => {
    const kit = kitOf('headers', {
      request: { set: { 'x-from': '${client.ip} at ${node.cell}', 'x-user': '${cookie.uid}' } },
      response: { set: { 'x-path': '${path}', 'x-route': '${route}' } },
    })
    const { forwarded, headers } = await kit.run({ path: '/p', headers: { 'x-user': 'kept' } })
    t.strictSame(forwarded?.headers, { 'x-user': 'kept', 'x-from': '192.0.2.1 at RZ01A' })
    t.strictSame(headers, { 'x-path': '/p', 'x-route': 'test' })
  })

  t.test('never lets a value make a second header', async (t) => {
    const kit = kitOf('headers', { request: { set: { 'x-q': '${query.q}' } } })
    const valueOf = async (q: string) => (await kit.run({ path: `/?q=${q}` })).forwarded?.headers['x-q']
    t.equal(await valueOf('a%0d%0ax-evil:%201'), 'a%0D%0Ax-evil: 1')
    t.equal(await valueOf('%00'), '%00')
    t.equal(await valueOf('%E4%BD%A0'), '%E4%BD%A0')
    t.equal(await valueOf(encodeURIComponent('\u010a')), '%C4%8A', 'its low byte is a line feed')
  })

  t.test('refuses names that rules may not touch and values that cannot be sent', async (t) => {
    const refused = (name: string, pattern: RegExp) => {
      t.throws(() => kitOf('headers', { request: { set: { [name]: 'x' } } }), pattern)
      t.throws(() => kitOf('headers', { response: { remove: [name] } }), pattern)
    }
    refused('Connection', /one hop/)
    refused('transfer-encoding', /one hop/)
    refused('Content-Length', /written by meshgate/)
    refused('host', /rewrite/)
    refused('a b', /no header name/)
    refused('x-ldc-cell', /written by meshgate/)
    refused('uid', /written by meshgate/)
    t.throws(() => kitOf('headers', { request: { set: { 'x-a': 'a\r\nb' } } }), /request.set.x-a: .*CR, LF/)
    t.throws(() => kitOf('headers', { request: { set: { 'x-a': '${pth}' } } }), /request.set.x-a: .*"path"/)
  })
})

t.test('rate-limit', async (t) => {
  t.test('lets the burst pass, then the rate', async (t) => {
    const kit = kitOf('rate-limit', { qps: 10, burst: 3 })
    const pass = async () => (await kit.run()).refusal === null
    t.strictSame([await pass(), await pass(), await pass(), await pass()], [true, true, true, false])
    kit.clock.advance(99)
    t.equal(await pass(), false)
    kit.clock.advance(1)
    t.equal(await pass(), true)
    t.equal(await pass(), false)
    kit.clock.advance(60_000)
    t.strictSame([await pass(), await pass(), await pass(), await pass()], [true, true, true, false])
  })

  t.test('holds the rate exactly over time, also for odd ones', async (t) => {
    for (const qps of [0.5, 3, 7, 333]) {
      const kit = kitOf('rate-limit', { qps, burst: 1 })
      let passed = 0
      for (let i = 0; i < 1000; i++) {
        if ((await kit.run()).refusal === null) passed++
        kit.clock.advance(10)
      }
      // 10 s in steps of 10 ms: a request has to wait for the next step.
      const spacing = Math.ceil(1000 / qps / 10) * 10
      t.ok(passed <= qps * 10 + 1, `${passed} at ${qps}`)
      t.ok(passed >= Math.floor(10_000 / spacing) - 1, `${passed} at ${qps}`)
    }
  })

  t.test('refuses in the words of each protocol and says when to come back', async (t) => {
    const kit = kitOf('rate-limit', { qps: 2, burst: 1, message: 'slow down' })
    await kit.run()
    const http = await kit.run()
    t.match(http, {
      status: 429,
      answeredBy: 'filter',
      refusal: { code: 'RATE_LIMITED', retryAfterMs: 500, message: 'slow down' },
    })
    const mmtp = await kit.run({ protocol: 'mmtp', operation: 'a' })
    t.equal(mmtp.status, 1002)
    t.equal(kit.counter('meshgate_rate_limited_total', { filter: 'rate-limit', outcome: 'refused' }), 2)
  })

  t.test('has a bucket for each key', async (t) => {
    const kit = kitOf('rate-limit', { qps: 1, burst: 1, key: 'client.ip' })
    const pass = async (clientIp: string) => (await kit.run({ clientIp })).refusal === null
    t.strictSame(
      [await pass('a'), await pass('b'), await pass('a'), await pass('b')],
      [true, true, false, false],
    )
  })

  t.test('joins several keys without confusing them', async (t) => {
    const kit = kitOf('rate-limit', { qps: 1, burst: 1, key: ['request.header.a', 'request.header.b'] })
    const pass = async (a: string, b: string) => (await kit.run({ headers: { a, b } })).refusal === null
    t.equal(await pass('1:x', 'y'), true)
    t.equal(await pass('1', 'x1:y'), true)
    t.equal(await pass('1:x', 'y'), false)
    t.equal((await kit.run({})).refusal, null, 'those without share a bucket')
    t.not((await kit.run({})).refusal, null)
  })

  t.test('remembers a bounded number of keys, the longest unused goes first', async (t) => {
    const kit = kitOf('rate-limit', { qps: 0.001, burst: 1, key: 'request.header.k', maxKeys: 2 })
    const pass = async (k: string) => (await kit.run({ headers: { k } })).refusal === null
    const long = 'x'.repeat(60_000)
    t.strictSame(
      [await pass('a'), await pass(long), await pass('a'), await pass('c')],
      [true, true, false, true],
    )
    t.equal(await pass('a'), false, 'was used last')
    t.equal(await pass(long), true, 'was forgotten')
  })

  t.test('only counts in shadow mode', async (t) => {
    const kit = kitOf('rate-limit', { qps: 1, burst: 1, shadow: true })
    for (let i = 0; i < 5; i++) t.equal((await kit.run()).answeredBy, 'upstream')
    t.equal(kit.counter('meshgate_rate_limited_total', { filter: 'rate-limit', outcome: 'shadowed' }), 4)
  })

  t.test('refuses a rate of nothing and a key that does not exist', async (t) => {
    t.throws(() => kitOf('rate-limit', { qps: 0 }), /qps/)
    t.throws(() => kitOf('rate-limit', {}), /qps/)
    t.throws(() => kitOf('rate-limit', { qps: 1, key: 'client.pi' }), /client.ip/)
  })
})

t.test('fault', async (t) => {
  t.test('delays, then forwards', async (t) => {
    const kit = kitOf('fault', { delay: { for: '200ms' } })
    const running = kit.run()
    t.equal(kit.clock.pending, 1)
    kit.clock.advance(200)
    const { answeredBy, exchange } = await running
    t.equal(answeredBy, 'upstream')
    t.equal(exchange.endMs - exchange.startMs, 200)
    t.equal(exchange.flag, 'DI')
    t.equal(kit.stats.suspensions, 1)
    t.equal(kit.counter('meshgate_faults_injected_total', { filter: 'fault', kind: 'delay' }), 1)
  })

  t.test('takes its timer back when the exchange ends first', async (t) => {
    const kit = kitOf('fault', { delay: { for: '1h' } })
    void kit.run()
    t.equal(kit.clock.pending, 1)
    kit.endWaiting()
    t.equal(kit.clock.pending, 0)
  })

  t.test('aborts with a status, a result code, or as an injected fault', async (t) => {
    const status = await kitOf('fault', { abort: { status: 418 } }).run()
    t.match(status, { status: 418, answeredBy: 'filter', exchange: { flag: 'FI' } })
    const code = await kitOf('fault', { abort: { resultCode: 4001 } }).run({
      protocol: 'mmtp',
      operation: 'a',
    })
    t.equal(code.status, 4001)
    const refused = await kitOf('fault', { abort: {} }).run()
    t.match(refused, { refusal: { code: 'FAULT_INJECTED' } })
  })

  t.test('delays first when it does both', async (t) => {
    const kit = kitOf('fault', { delay: { for: '1s' }, abort: { status: 503 } })
    const running = kit.run()
    kit.clock.advance(1000)
    t.match(await running, { status: 503 })
  })

  t.test('strikes the percentage that it is told', async (t) => {
    const kit = kitOf('fault', { abort: { status: 500, percent: 30 } })
    let hit = 0
    for (let i = 0; i < 2000; i++) if ((await kit.run()).status === 500) hit++
    t.ok(hit > 480 && hit < 720, `${hit} of 2000`)
  })

  t.test('strikes only requests with the header', async (t) => {
    const any = kitOf('fault', { header: 'X-Fault', abort: { status: 500 } })
    t.equal((await any.run()).status, 200)
    t.equal((await any.run({ headers: { 'x-fault': '' } })).status, 500)
    const exact = kitOf('fault', { header: 'x-fault: on', abort: { status: 500 } })
    t.equal((await exact.run({ headers: { 'x-fault': 'off' } })).status, 200)
    t.equal((await exact.run({ headers: { 'x-fault': 'on' } })).status, 500)
  })

  t.test('refuses options that do nothing', async (t) => {
    t.throws(() => kitOf('fault', {}), /give "delay", "abort" or both/)
    t.throws(() => kitOf('fault', { delay: { for: 'soon' } }), /for/)
    t.throws(() => kitOf('fault', { header: 'a b', abort: {} }), /no header name/)
  })
})

t.test('direct-reply', async (t) => {
  t.test('answers text, JSON or nothing', async (t) => {
    const text = await kitOf('direct-reply', { body: 'hi' }).run()
    t.match(text, {
      status: 200,
      body: 'hi',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      forwarded: null,
    })
    const json = await kitOf('direct-reply', {
      status: 201,
      json: { ok: [true] },
      headers: { 'X-A': 'b' },
    }).run()
    t.match(json, {
      status: 201,
      body: '{"ok":[true]}',
      headers: { 'content-type': 'application/json', 'x-a': 'b' },
    })
    const empty = await kitOf('direct-reply', { status: 204 }).run()
    t.match(empty, { status: 204, body: '' })
    t.strictSame(empty.headers, {})
    const typed = await kitOf('direct-reply', { body: '<a/>', headers: { 'Content-Type': 'text/xml' } }).run()
    t.strictSame(typed.headers, { 'content-type': 'text/xml' })
  })

  t.test('gives the result code over Mmtp', async (t) => {
    const code = async (options: Record<string, unknown>) =>
      (await kitOf('direct-reply', options).run({ protocol: 'mmtp', operation: 'a' })).status
    t.equal(await code({}), 1000)
    t.equal(await code({ status: 503 }), 1001)
    t.equal(await code({ status: 503, resultCode: 4002 }), 4002)
  })

  t.test('refuses what cannot be sent', async (t) => {
    t.throws(() => kitOf('direct-reply', { body: 'a', json: 1 }), /not both/)
    t.throws(() => kitOf('direct-reply', { headers: { 'x-a': 'a\nb' } }), /headers.x-a/)
    t.throws(() => kitOf('direct-reply', { headers: { connection: 'close' } }), /one hop/)
    t.throws(() => kitOf('direct-reply', { status: 42 }), /status/)
  })
})

t.test('Sampler', async (t) => {
  const count = (fraction: number) => {
    const sampler = new Sampler(fraction, 42)
    let taken = 0
    for (let i = 0; i < 100_000; i++) if (sampler.take()) taken++
    return taken
  }
  t.equal(count(0), 0)
  t.equal(count(1), 100_000)
  t.ok(Math.abs(count(0.01) - 1000) < 150)
  t.ok(Math.abs(count(0.5) - 50_000) < 1000)
})

t.test('the kit shows a failed hook as the gateway answers it', async (t) => {
  const kit = testFilter(() => ({
    name: 'bad',
    onRoute: async () => {
      throw new RangeError('oops')
    },
  }))
  const outcome = await kit.run()
  t.match(outcome, { answeredBy: 'failure', status: 500, forwarded: null })
  t.ok(outcome.error instanceof GatewayError)
  t.match(outcome.error?.cause, { message: 'oops' })
})
