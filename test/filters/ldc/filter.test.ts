/** The filter: where it finds the shard, what it writes and takes away, how it follows its file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import type { Exchange } from '../../../lib/core/exchange.ts'
import { Verdict } from '../../../lib/core/verdict.ts'
import { ldc } from '../../../lib/filters/ldc/index.ts'
import type { MmtpMarks } from '../../../lib/filters/ldc/marks.ts'
import { type FilterKit, testFilter } from '../../../lib/testing.ts'
import { makeExchange } from '../support.ts'
import { rulesValue } from './support.ts'

/** The filter's own hooks, and its look at the file. */
interface Hooks {
  onRoute(exchange: Exchange): Verdict
  refresh(): Promise<void>
}

function makeKit(changes: Record<string, unknown> = {}, options: Record<string, unknown> = {}): FilterKit {
  return testFilter(ldc, { rules: rulesValue(changes), ...options }, { name: 'ldc', node: { app: 'trade' } })
}

function hooks(kit: FilterKit): Hooks {
  return kit.filter as unknown as Hooks
}

/** One exchange through `onRoute`. */
function route(
  kit: FilterKit,
  request: Parameters<typeof makeExchange>[0],
  prepare?: (exchange: Exchange) => void,
) {
  const exchange = makeExchange(request)
  prepare?.(exchange)
  const verdict = hooks(kit).onRoute(exchange)
  const { clusterOverride = '' } = exchange as unknown as { clusterOverride?: string }
  return {
    exchange,
    verdict,
    cluster: clusterOverride,
    header: (name: string) => exchange.request.headers.get(name),
  }
}

const MMTP_CELL = (changes: Partial<MmtpMarks>) => (exchange: Exchange) => {
  Object.assign(exchange.request, { shard: 0xffff, marks: 0, hops: 5, ...changes })
}
const proven = (userId: string) => (exchange: Exchange) => {
  exchange.userId = userId
}

t.test('a request of the own zone goes on untouched', async (t) => {
  const { verdict, cluster, exchange } = route(makeKit(), { headers: { uid: '2088000000000057', a: 'b' } })
  t.equal(verdict, Verdict.Continue)
  t.equal(cluster, '')
  t.same((exchange.request.headers as unknown as { toObject(): object }).toObject(), {
    uid: '2088000000000057',
    a: 'b',
  })
})

t.test(
  'a request of another zone goes to the cluster of its cell, with all that the next gateway needs',
  async (t) => {
    const { verdict, cluster, header } = route(makeKit(), { path: '/' }, proven('2088000000000687'))
    t.equal(verdict, Verdict.Continue)
    t.equal(cluster, 'RZ02A-http1')
    t.same(
      ['shard', 'uid', 'hops', 'ver', 'origin', 'target'].map((name) => header(`x-ldc-${name}`)),
      ['68', '2088000000000687', '1', '118', 'RZ01', 'RZ02A'],
    )
  },
)

t.test('over Mmtp the marks go into the prefix and the frame', async (t) => {
  const request = { protocol: 'mmtp', operation: 'demo.pay' } as const
  const { cluster, exchange, header } = route(makeKit(), request, (exchange) => {
    MMTP_CELL({})(exchange)
    exchange.userId = '2088000000000687'
  })
  t.equal(cluster, 'RZ02A-mmtp')
  t.match(exchange.request, { shard: 68, marks: 0x80, hops: 3 }, 'the encoder takes one hop off')
  t.same(
    ['ldc-ver', 'origin-zone', 'target-cell', 'uid', 'x-ldc-hops'].map((name) => header(name)),
    ['118', 'RZ01', 'RZ02A', '2088000000000687', null],
  )
})

t.test('over Bolt and Dubbo the marks are headers and attachments', async (t) => {
  for (const protocol of ['bolt', 'dubbo'] as const) {
    const request = { protocol, service: 'com.x.Pay', headers: { uid: '2088000000000687' } }
    const { cluster, header } = route(makeKit(), request)
    t.equal(cluster, `RZ02A-${protocol}`)
    t.same(
      ['ldc.shard', 'ldc.hops', 'ldc.ver', 'rpc_trace_context.sofaCallerZone', 'ldc.target'].map((name) =>
        header(name),
      ),
      ['68', '1', '118', 'RZ01', 'RZ02A'],
    )
  }
})

t.test('the shard is found where the list says, in its order', async (t) => {
  const kit = makeKit()
  const cell = (request: Parameters<typeof makeExchange>[0], prepare?: (exchange: Exchange) => void) =>
    route(kit, request, prepare).cluster.slice(0, 5)
  const mmtp = { protocol: 'mmtp', operation: 'x' } as const
  t.equal(cell(mmtp, MMTP_CELL({ shard: 68, marks: 0x80 })), 'RZ02A')
  t.equal(cell(mmtp, MMTP_CELL({ shard: 68 })), '', 'not verified')
  t.equal(cell({ headers: { 'tri-unit-info': '{"userid":"68"}' } }), 'RZ02A')
  t.equal(cell({ headers: { 'tri-unit-info': '{"userid":68}' } }), 'RZ02A')
  t.equal(
    cell({ headers: { 'tri-unit-info': '{"userid":"07"}', uid: '2088000000000687' } }),
    '',
    'the first counts',
  )
  t.equal(
    cell({ headers: { 'tri-unit-info': 'broken {', uid: '2088000000000687' } }),
    'RZ02A',
    'the next is asked',
  )
  t.equal(cell({ headers: { cookie: 'a=b; zone_op=68' } }), 'RZ02A')
  t.equal(cell({ headers: { 'x-ldc-shard': '68' } }), 'RZ02A', 'another gateway says it')
  for (const uid of ['12', 'abcdef', '20880000000006x7']) t.equal(cell({ headers: { uid } }), '', uid)
})

t.test('what a phone says never beats the user of the session', async (t) => {
  const kit = makeKit()
  const claims = {
    trusted: false,
    headers: {
      'tri-unit-info': '{"userid":"68"}',
      'x-ldc-shard': '68',
      'x-ldc-target': 'RZ01A',
      cookie: 'zone_op=68',
    },
  }
  const { cluster, header } = route(kit, claims, proven('2088000000000057'))
  t.equal(cluster, '', 'shard 05')
  t.equal(header('x-ldc-shard'), '05', 'what the session proves is written instead')
  t.equal(header('x-ldc-uid'), '2088000000000057')
  const mmtp = route(kit, { protocol: 'mmtp', operation: 'x', trusted: false }, (exchange) => {
    MMTP_CELL({ shard: 68, marks: 0x80 })(exchange)
    exchange.userId = '2088000000000057'
  })
  t.equal(mmtp.cluster, '')
  t.match(mmtp.exchange.request, { shard: 5 })
  t.equal(
    route(kit, claims, proven('admin')).cluster,
    '',
    'a user without a shard is unsharded, not the phone’s',
  )
})

t.test('at the edge nothing but hints is believed, and marks are taken away', async (t) => {
  const kit = makeKit({ pressure: { rules: [{ id: 'p', shards: '00-99', zone: 'RZ0X' }] } })
  const names = ['shard', 'uid', 'hops', 'ver', 'origin', 'target', 'tag'].map((name) => `x-ldc-${name}`)
  const headers = {
    ...Object.fromEntries(names.map((name) => [name, '68'])),
    'tri-traffic-type': 'pressure',
    'tri-unit-info': '{"userid":"68"}',
    'x-ldc-cell': 'RZ02A',
  }
  const { cluster, header } = route(kit, { trusted: false, headers })
  t.equal(cluster, '')
  for (const name of Object.keys(headers)) t.equal(header(name), null, name)
  const hinted = route(kit, { trusted: false, headers: { ...headers, cookie: 'zone_op=68' } })
  t.equal(hinted.cluster, 'RZ02A-http1', 'a hint may choose')
  t.equal(hinted.header('x-ldc-shard'), null, 'but does not become the truth')
  t.equal(
    route(kit, { trusted: false, method: 'POST', headers: { cookie: 'zone_op=12' } }).verdict,
    Verdict.Continue,
  )
})

t.test('load tests are known by the marks of each protocol', async (t) => {
  const kit = makeKit({ pressure: { rules: [{ id: 'p', shards: '00-99', zone: 'RZ0X' }] } })
  const uid = '2088000000000057'
  const is = (request: Parameters<typeof makeExchange>[0], prepare?: (exchange: Exchange) => void) =>
    route(kit, request, prepare).cluster.startsWith('RZ0XA')
  t.ok(is({ headers: { uid, 'tri-traffic-type': 'pressure' } }))
  t.ok(is({ headers: { uid, baggage: 'a=b,mark=T' } }))
  t.notOk(is({ headers: { uid, baggage: 'bookmark=T,mark=F' } }))
  const bolt = (headers: Record<string, string>) =>
    is({ protocol: 'bolt', service: 'a.B', headers: { uid, ...headers } })
  t.ok(bolt({ 'rpc_trace_context.sofaPenAttrs': 'mark=T&' }))
  t.ok(bolt({ new_rpc_trace_context: 'tcid=1&spid=0&_sys_mark=T' }))
  t.notOk(bolt({ 'rpc_trace_context.sofaPenAttrs': '' }))
  t.ok(is({ protocol: 'mmtp', operation: 'x' }, MMTP_CELL({ shard: 5, marks: 0x81 })))
})

t.test(
  'load tests that stay in the cell may have a cluster of their own, and normal-only cells refuse them',
  async (t) => {
    const headers = { uid: '2088000000000057', 'tri-traffic-type': 'pressure' }
    const pressure = { shadowUpstream: true, cluster: 'shadow' }
    t.equal(route(makeKit({ pressure }), { headers }).cluster, 'shadow')
    t.equal(route(makeKit({ pressure }), { headers: { uid: headers.uid } }).cluster, '')
    const refused = route(makeKit({ pressure, self: { cell: 'RZ01B' } }), { headers })
    t.equal(refused.verdict, Verdict.Reply)
    t.equal(refused.exchange.refusal?.code, 'NO_ENDPOINT')
  },
)

t.test('a frozen shard refuses writes with a time to come back, and not reads', async (t) => {
  const kit = makeKit({ frozenRetryAfterMs: 250 })
  const headers = { uid: '2088000000000127' }
  t.match(await kit.run({ method: 'POST', headers }), {
    status: 429,
    refusal: { code: 'RATE_LIMITED', retryAfterMs: 250 },
  })
  t.match(
    await kit.run({ protocol: 'mmtp', operation: 'x', headers: { 'x-ldc-shard': '1', uid: headers.uid } }),
    {
      status: 1002,
    },
  )
  t.equal((await kit.run({ method: 'GET', headers })).answeredBy, 'upstream')
  t.equal(kit.counter('meshgate_ldc_decisions_total', { filter: 'ldc', outcome: 'frozen' }), 2)
})

t.test('in redirect mode callers are sent to the right cell', async (t) => {
  const headers = { uid: '2088000000000687' }
  const kit = makeKit({ crossZone: { mode: 'redirect', location: 'https://{cell}.example.com' } })
  t.match(await kit.run({ path: '/a?b=c', headers }), {
    status: 307,
    headers: { location: 'https://RZ02A.example.com/a?b=c', 'x-ldc-target': 'RZ02A' },
  })
  t.match(await kit.run({ protocol: 'mmtp', operation: 'x', headers }), {
    status: 1002,
    headers: { 'target-cell': 'RZ02A' },
  })
  const bare = makeKit({ crossZone: { mode: 'redirect' } })
  t.match(await bare.run({ headers }), { status: 421, headers: { 'x-ldc-target': 'RZ02A' } })
})

t.test(
  'a request that was sent here is served, sent on or refused, and loses the marks that were for us',
  async (t) => {
    const kit = makeKit()
    const sent = (ver: number, hops: number, method: string) =>
      route(kit, {
        method,
        headers: {
          'x-ldc-shard': '68',
          'x-ldc-target': 'RZ01A',
          'x-ldc-ver': `${ver}`,
          'x-ldc-hops': `${hops}`,
          'x-ldc-origin': 'GZ00',
        },
      })
    const served = sent(119, 1, 'POST')
    t.equal(served.cluster, '')
    t.same(
      ['target', 'ver', 'hops', 'origin', 'shard'].map((name) => served.header(`x-ldc-${name}`)),
      [null, null, null, 'GZ00', '68'],
    )
    const passedOn = sent(117, 1, 'POST')
    t.equal(passedOn.cluster, 'RZ02A-http1')
    t.same(
      ['hops', 'ver', 'origin'].map((name) => passedOn.header(`x-ldc-${name}`)),
      ['0', '118', 'RZ01'],
    )
    t.match(sent(117, 0, 'POST').exchange.localReply, { status: 421, resultCode: 1002 })
    t.equal(sent(117, 0, 'GET').verdict, Verdict.Continue)
    t.equal(kit.counter('meshgate_ldc_rule_conflicts_total', { filter: 'ldc' }), 4)
    const forged = route(kit, {
      headers: { 'x-ldc-shard': '68', 'x-ldc-target': 'RZ01A', 'x-ldc-ver': '1', 'x-ldc-hops': '99' },
    })
    t.equal(forged.header('x-ldc-hops'), '1', 'no more hops than the rules give')
  },
)

t.test(
  'two gateways pass an Mmtp request on at most twice, and leave a hop for the business process',
  async (t) => {
    const swapped = [
      { id: 'a', shards: '00-49', zone: 'RZ02' },
      { id: 'b', shards: '50-99', zone: 'RZ01' },
    ]
    const kits = {
      RZ01: makeKit({ version: 119, rules: swapped }),
      RZ02: makeKit({ version: 119, self: { cell: 'RZ02A' } }),
    }
    const exchange = makeExchange({ protocol: 'mmtp', operation: 'x' })
    MMTP_CELL({ shard: 5, marks: 0x82 })(exchange)
    Object.assign(exchange.request, { isIdempotent: true })
    let at: keyof typeof kits = 'RZ01'
    let forwards = 0
    while (forwards < 5) {
      const aimed = exchange as unknown as { clusterOverride: string }
      aimed.clusterOverride = ''
      hooks(kits[at]).onRoute(exchange)
      if (aimed.clusterOverride === '') break
      at = aimed.clusterOverride.slice(0, 4) as keyof typeof kits
      const marks = exchange.request as unknown as { hops: number }
      marks.hops--
      forwards++
    }
    t.ok(forwards >= 1 && forwards <= 2, `${forwards} forwards`)
    t.ok((exchange.request as unknown as { hops: number }).hops >= 1)
  },
)

t.test('a trusted peer may name the cell, from the listeners that are permitted', async (t) => {
  const headers = { uid: '2088000000000057', 'x-ldc-cell': 'RZ02A' }
  const named = route(makeKit(), { headers })
  t.equal(named.cluster, 'RZ02A-http1')
  t.equal(named.header('x-ldc-cell'), null)
  t.equal(route(makeKit(), { headers, trusted: false }).cluster, '')
  t.equal(route(makeKit({ override: { header: 'X-Ldc-Cell', listeners: ['ops'] } }), { headers }).cluster, '')
  t.equal(
    route(makeKit({ override: { header: 'x-ldc-cell', listeners: ['test'] } }), { headers }).cluster,
    'RZ02A-http1',
  )
})

t.test('a caller with a wrong hint or none is told the right one', async (t) => {
  const kit = makeKit()
  const hint = async (request: Parameters<FilterKit['run']>[0]) =>
    (await kit.run(request)).headers['x-ldc-zone-hint']
  t.equal(await hint({ headers: { cookie: 'zone_op=07' } }), '07/RZ01')
  t.equal(await hint({ headers: { uid: '2088000000000057' } }), undefined, 'a gateway that knows needs none')
  t.equal(await hint({}), undefined)
})

t.test('an observing filter counts and logs, and changes nothing', async (t) => {
  const kit = makeKit({}, { observe: true })
  const frozen = route(kit, { method: 'POST', headers: { uid: '2088000000000127', 'x-ldc-cell': 'RZ02A' } })
  t.equal(frozen.verdict, Verdict.Continue)
  t.equal(frozen.header('x-ldc-cell'), 'RZ02A')
  t.equal(frozen.cluster, '')
  t.match(kit.logs.at(-1), { fields: { outcome: 'frozen', shard: 12 } })
  t.equal(kit.counter('meshgate_ldc_decisions_total', { filter: 'ldc', outcome: 'frozen' }), 1)
})

t.test(
  'the file is followed: a push holds for the very next request, a bad one leaves the old rules',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'meshgate-ldc-'))
    const file = join(folder, 'rules.yaml')
    const write = (changes: Record<string, unknown>) => writeFileSync(file, stringify(rulesValue(changes)))
    write({ frozen: [] })
    const kit = testFilter(ldc, { rules: file }, { name: 'ldc' })
    t.teardown(() => {
      kit.close()
      rmSync(folder, { recursive: true })
    })
    const pay = { method: 'POST', headers: { uid: '2088000000000057' } }
    t.equal((await kit.run(pay)).status, 200)
    write({ version: 119, frozen: ['05'] })
    await hooks(kit).refresh()
    t.equal((await kit.run(pay)).status, 429)
    for (const changes of [
      { version: 118, frozen: [] },
      { version: 120, frozen: [], rules: [] },
    ]) {
      write(changes)
      await hooks(kit).refresh()
      t.equal((await kit.run(pay)).status, 429, 'the old rules go on serving')
      t.match(kit.logs.at(-1), { level: 'error', message: /refused; the old ones go on serving/ })
    }
    t.equal(kit.counter('meshgate_ldc_rules_refused_total', { filter: 'ldc' }), 2)
    writeFileSync(file, 'a: [')
    for (let look = 0; look < 3; look++) await hooks(kit).refresh()
    t.equal((await kit.run(pay)).status, 429)
    rmSync(file)
    for (let look = 0; look < 3; look++) await hooks(kit).refresh()
    t.equal(kit.counter('meshgate_ldc_rules_refused_total', { filter: 'ldc' }), 4, 'each said once')
    write({ version: 121, frozen: [] })
    await hooks(kit).refresh()
    t.equal((await kit.run(pay)).status, 200)
    t.equal(JSON.parse(readFileSync(`${file}.last-good`, 'utf8')).version, 121)
  },
)

t.test('without its file a gateway starts from the last good rules, and never from older ones', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshgate-ldc-'))
  const file = join(folder, 'rules.yaml')
  const start = () => testFilter(ldc, { rules: file }, { name: 'ldc' })
  t.teardown(() => rmSync(folder, { recursive: true }))
  t.throws(start, /cannot read the zone rules .* no last good ones/)
  writeFileSync(file, 'version: 1')
  t.throws(start, /zones: is empty/)
  writeFileSync(file, JSON.stringify(rulesValue({ frozen: ['05'] })))
  const first = start()
  await hooks(first).refresh()
  writeFileSync(file, JSON.stringify(rulesValue({ version: 119, frozen: ['05'] })))
  await hooks(first).refresh()
  first.close()
  t.equal(first.clock.pending, 0, 'no timer is left')
  const pay = { method: 'POST', headers: { uid: '2088000000000057' } }
  rmSync(file)
  const second = start()
  t.equal((await second.run(pay)).status, 429)
  t.match(second.logs.at(-1), { level: 'error', message: /last good ones serve/ })
  second.close()
  writeFileSync(file, JSON.stringify(rulesValue({ version: 118, frozen: [] })))
  const third = start()
  t.equal((await third.run(pay)).status, 429)
  t.match(third.logs.at(-1), { level: 'error', message: /refused/ })
  third.close()
  writeFileSync(`${file}.last-good`, '{"ver')
  const fourth = start()
  t.equal((await fourth.run(pay)).status, 200, 'a damaged one is left alone')
  fourth.close()
})

t.test('a changed file is found by looking at it from time to time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshgate-ldc-'))
  const file = join(folder, 'rules.json')
  writeFileSync(file, JSON.stringify(rulesValue({ frozen: [] })))
  const kit = testFilter(ldc, { rules: file, pollMs: 100 }, { name: 'ldc' })
  t.teardown(() => {
    kit.close()
    rmSync(folder, { recursive: true })
  })
  writeFileSync(file, JSON.stringify(rulesValue({ version: 119, frozen: ['05', '06'] })))
  kit.clock.advance(100)
  while (kit.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal((await kit.run({ method: 'POST', headers: { uid: '2088000000000057' } })).status, 429)
})

t.test('at the edge the mark of a load test is taken out of the baggage, and nothing else', async (t) => {
  const kit = makeKit()
  const edge = (protocol: 'http1' | 'bolt', headers: Record<string, string>) => {
    const target = protocol === 'bolt' ? { service: 'a.B' } : {}
    return route(kit, { protocol, headers, trusted: false, ...target }).header
  }
  t.equal(edge('http1', { baggage: 'a=b,mark=T,bookmark=T' })('baggage'), 'a=b,mark=F,bookmark=T')
  t.equal(edge('http1', { baggage: 'a=b' })('baggage'), 'a=b')
  const name = 'new_rpc_trace_context'
  t.equal(edge('bolt', { [name]: 'tcid=1&_sys_mark=T' })(name), 'tcid=1&_sys_mark=F')
  const mmtp = route(kit, { protocol: 'mmtp', operation: 'x', trusted: false }, MMTP_CELL({ marks: 0x83 }))
  t.match(mmtp.exchange.request, { marks: 0x02 })
})
