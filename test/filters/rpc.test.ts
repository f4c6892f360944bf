/** What the built-in filters do with RPCs, through the test kit. */
import t from 'tap'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import type { ProtocolName } from '../../lib/core/message.ts'
import { compileField } from '../../lib/filters/fields.ts'
import { FILTERS } from '../../lib/filters/index.ts'
import { makeInertServices } from '../../lib/filters/services.ts'
import { isSofaTraceId } from '../../lib/filters/trace-ids.ts'
import { contextPart, contextWith } from '../../lib/filters/trace-rpc.ts'
import { ManualClock, makeTestExchange, type TestRequest, testFilter } from '../../lib/testing.ts'
import { TestResponseHead } from '../../lib/testing-messages.ts'

function kitOf(name: string, options: Record<string, unknown> = {}) {
  return testFilter(FILTERS.get(name) as FilterDefinition, options, { name })
}

function rpc(protocol: ProtocolName, headers: Record<string, string> = {}): TestRequest {
  return {
    protocol,
    service: 'com.example.OrderService',
    version: '1.0',
    group: 'blue',
    app: 'shop',
    method: 'create',
    headers,
  }
}

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const BOLT_IDS = { 'rpc_trace_context.sofaTraceId': '0a0b-X_1', 'rpc_trace_context.sofaRpcId': '0.1.1' }
const CONTEXT = 'tcid=0a0b&spid=0.2&pspid=0.1&sample=false&_sys_a=b&mark=T&'

t.test('fields tell of service, version, group, application and target of an RPC', async (t) => {
  const exchange = makeTestExchange(rpc('bolt'), new ManualClock())
  const context = makeInertServices({ app: '', cell: '', labels: {} })('fields')
  const read = (name: string) => compileField(name, context)(exchange)
  t.equal(read('request.service'), 'com.example.OrderService')
  t.equal(read('request.version'), '1.0')
  t.equal(read('request.group'), 'blue')
  t.equal(read('request.app'), 'shop')
  t.equal(read('method'), 'create')
  t.equal(read('target'), 'com.example.OrderService.create')
  t.equal(read('path'), null)
  exchange.response = new TestResponseHead(7, 'bolt', { 'result-status': '1' }, Buffer.alloc(0))
  t.equal(read('status'), '7')
  t.equal(read('result_code'), null)
})

t.test('trace-context passes on the ids of an RPC as they came', async (t) => {
  for (const [protocol, headers] of [
    ['bolt', BOLT_IDS],
    ['bolt', { new_rpc_trace_context: CONTEXT }],
    ['dubbo', { 'dubbo.rpc.sofa.tracer': CONTEXT }],
    ['dubbo', { traceparent: PARENT }],
    ['bolt', { ...BOLT_IDS, traceparent: PARENT }],
  ] as const) {
    const { forwarded, exchange } = await kitOf('trace-context').run(rpc(protocol, headers))
    t.strictSame(forwarded?.headers, headers)
    const isW3c = 'traceparent' in headers
    t.equal(exchange.traceId, isW3c ? PARENT.slice(3, 35) : headers === BOLT_IDS ? '0a0b-X_1' : '0a0b')
  }
  const bolt = await kitOf('trace-context', { formats: ['sofa'] }).run(rpc('bolt', BOLT_IDS))
  t.match(bolt.exchange, { traceId: '0a0b-X_1', rpcId: '0.1.1' })
  const dubbo = await kitOf('trace-context').run(rpc('dubbo', { 'dubbo.rpc.sofa.tracer': CONTEXT }))
  t.match(dubbo.exchange, { traceId: '0a0b', rpcId: '0.2' })
})

t.test('trace-context makes ids for an RPC without any, by the names of its protocol', async (t) => {
  const bolt = await kitOf('trace-context').run(rpc('bolt'))
  const id = bolt.forwarded?.headers['rpc_trace_context.sofaTraceId'] ?? ''
  t.ok(isSofaTraceId(id))
  t.strictSame(bolt.forwarded?.headers, {
    'rpc_trace_context.sofaTraceId': id,
    'rpc_trace_context.sofaRpcId': '0',
  })
  t.match(bolt.exchange, { traceId: id, rpcId: '0' })
  const dubbo = await kitOf('trace-context').run(rpc('dubbo'))
  const { traceId } = dubbo.exchange
  t.ok(isSofaTraceId(traceId))
  t.strictSame(dubbo.forwarded?.headers, {
    'dubbo.rpc.sofa.tracer': `tcid=${traceId}&spid=0&pspid=&sample=true&`,
  })
  const w3c = await kitOf('trace-context', { formats: ['w3c'] }).run(rpc('dubbo'))
  t.strictSame(Object.keys(w3c.forwarded?.headers ?? {}), ['traceparent'])
})

t.test('trace-context puts its own ids in place of those of a caller whom it does not believe', async (t) => {
  const kit = kitOf('trace-context', { formats: ['sofa'], trust: false })
  const flat = await kit.run(rpc('bolt', { ...BOLT_IDS, 'rpc_trace_context.samp': 'true' }))
  t.strictSame(flat.forwarded?.headers, {
    'rpc_trace_context.samp': 'true',
    'rpc_trace_context.sofaTraceId': flat.exchange.traceId,
    'rpc_trace_context.sofaRpcId': '0',
  })
  t.not(flat.exchange.traceId, '0a0b-X_1')
  const context = await kit.run(rpc('bolt', { new_rpc_trace_context: CONTEXT }))
  t.strictSame(context.forwarded?.headers, {
    new_rpc_trace_context: `tcid=${context.exchange.traceId}&spid=0&pspid=&sample=false&_sys_a=b&mark=T&`,
  })
  const both = await kit.run(rpc('bolt', { ...BOLT_IDS, new_rpc_trace_context: CONTEXT }))
  t.notMatch(JSON.stringify(both.forwarded?.headers), /0a0b/)
})

t.test('trace-context takes the parts of a context by their whole names', async (t) => {
  t.equal(contextPart(CONTEXT, 'spid'), '0.2')
  t.equal(contextPart('pspid=1&xtcid=2', 'spid'), null)
  t.equal(contextPart('tcid', 'tcid'), null)
  t.equal(contextPart('a=b&tcid=', 'tcid'), '')
  t.equal(contextPart(null, 'tcid'), null)
  t.equal(contextWith('&&a', 'x', '0'), 'tcid=x&spid=0&pspid=&a&')
  for (const bad of ['tcid=&spid=0', 'tcid=a b&spid=0', 'spid=0.1', '']) {
    const { exchange } = await kitOf('trace-context').run(rpc('dubbo', { 'dubbo.rpc.sofa.tracer': bad }))
    t.ok(isSofaTraceId(exchange.traceId))
    t.equal(exchange.rpcId, '0')
  }
})

t.test('headers writes names to RPCs as they are configured, to others in lower case', async (t) => {
  const rules = {
    request: {
      set: { 'X-Lane': '${request.app}', user_id: '7' },
      add: { callerCell: 'RZ01' },
      remove: ['X-Debug'],
    },
    response: { set: { 'X-Gate': 'yes', from_cell: 'a' } },
  }
  const came = { 'x-LANE': 'old', 'x-debug': '1' }
  for (const protocol of ['bolt', 'dubbo'] as const) {
    const { forwarded, headers } = await kitOf('headers', rules).run(rpc(protocol, came))
    t.strictSame(forwarded?.headers, { 'X-Lane': 'shop', user_id: '7', callerCell: 'RZ01' })
    t.strictSame(headers, { 'X-Gate': 'yes', from_cell: 'a' })
  }
  const http = await kitOf('headers', rules).run({ headers: came })
  t.strictSame(http.forwarded?.headers, { 'x-lane': 'old', callercell: 'RZ01' })
  t.strictSame(http.headers, { 'x-gate': 'yes' })
  const mmtp = await kitOf('headers', rules).run({ protocol: 'mmtp', operation: 'a' })
  t.strictSame(mmtp.headers, { 'x-gate': 'yes' })
})

t.test('headers removes a name with an underscore from every protocol', async (t) => {
  const kit = kitOf('headers', { request: { remove: ['user_id'] } })
  t.strictSame((await kit.run({ headers: { user_id: '1', a: 'b' } })).forwarded?.headers, { a: 'b' })
  t.strictSame((await kit.run(rpc('dubbo', { USER_ID: '1' }))).forwarded?.headers, {})
  t.throws(() => kitOf('direct-reply', { headers: { user_id: '1' } }), /underscore/)
})

t.test('rate-limit, fault and direct-reply answer an RPC in its own numbers', async (t) => {
  const limit = kitOf('rate-limit', { qps: 1, burst: 1, key: ['request.service', 'request.app'] })
  const statusOf = async (request: TestRequest) => (await limit.run(request)).status
  t.equal(await statusOf(rpc('bolt')), 0)
  t.equal(await statusOf(rpc('bolt')), 4)
  t.equal(await statusOf(rpc('dubbo')), 100)
  t.equal(await statusOf({ ...rpc('dubbo'), app: 'other' }), 20)
  t.equal(await statusOf({ ...rpc('dubbo'), service: 'com.example.Other' }), 20)
  const refused = kitOf('fault', { abort: {}, header: 'x-fault' })
  t.equal((await refused.run(rpc('bolt', { 'X-Fault': '1' }))).status, 2)
  t.equal((await refused.run(rpc('dubbo', { 'X-Fault': '1' }))).status, 70)
  t.equal((await refused.run(rpc('dubbo'))).status, 20)
  const closed = kitOf('direct-reply', { status: 503, body: 'closed' })
  t.match(await closed.run(rpc('bolt')), { status: 2, body: 'closed', answeredBy: 'filter' })
  t.match(await kitOf('direct-reply').run(rpc('dubbo')), { status: 20 })
})

t.test('access-log takes an RPC for failed by what its protocol says', async (t) => {
  const kit = kitOf('access-log', { sample: 0, always: 'errors', format: '${target} ${status}' })
  await kit.run(rpc('bolt'), { status: 0 })
  await kit.run(rpc('bolt'), { status: 2 })
  await kit.run(rpc('dubbo'), { status: 20 })
  await kit.run(rpc('dubbo'), { status: 31 })
  await kit.run({ protocol: 'mmtp', operation: 'a' }, { status: 1001 })
  await kit.run({}, { status: 404 })
  t.strictSame(kit.lines.get('stdout'), [
    'com.example.OrderService.create 2',
    'com.example.OrderService.create 31',
    'a 1001',
  ])
})
