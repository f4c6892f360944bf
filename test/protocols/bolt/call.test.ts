import { readFileSync } from 'node:fs'
import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import type { CallTarget, JsonRules, Translation, TypeDescriptions } from '../../../lib/core/route.ts'
import type { BoltCall } from '../../../lib/protocols/bolt/call.ts'
import { bolt } from '../../../lib/protocols/bolt/index.ts'
import { draft } from '../../../lib/protocols/hessian/dialect.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import { HessianWriter } from '../../../lib/protocols/hessian/writer.ts'
import type { CallResponse } from '../../../lib/protocols/rpc/call-response.ts'
import { TestRequestHead } from '../../../lib/testing-messages.ts'
import { answer, clientRig, exchangeFor, feed, parseFrames } from '../../support/bolt-wire.ts'

poisonReleasedSlabs(true)
t.afterEach((t) => {
  if (poolUsage().leased !== 0) t.fail(`${poolUsage().leased} leases are left`)
})

const turn = (): Promise<void> => Promise.resolve()
const RULES: JsonRules = { longs: 'string', dates: 'iso', exceptions: 'hidden', classes: false }

function target(parts: Partial<CallTarget> = {}): CallTarget {
  const parameters = ['java.lang.String']
  return {
    service: 'a.B',
    version: '1.0',
    group: '',
    method: 'hi',
    parameters,
    parameterNames: [],
    json: RULES,
    ...parts,
  }
}

/** Sends an operation through a client codec whose route leads to a call. */
function operation(
  body: Buffer | string | readonly string[],
  parts: Partial<CallTarget> = {},
  headers: Record<string, string> = {},
  types: TypeDescriptions = {},
  options: Parameters<typeof clientRig>[0] = {},
) {
  const rig = clientRig(options)
  const head = new TestRequestHead({ method: 'POST', path: '/mgw.htm', headers })
  const exchange = exchangeFor(head)
  const call = bolt.compileCall!(target(parts), types)
  exchange.translation = { call, service: '', version: '', group: '' } as unknown as Translation
  exchange.traceId = 'trace-of-log'
  exchange.deadlineMs = exchange.startMs + 3000
  const seen = rig.handler.expect(exchange)
  let found: CallResponse | null = null
  const { onResponse } = rig.handler
  rig.handler.onResponse = (exchange, response, last) => {
    found = response as CallResponse
    onResponse.call(rig.handler, exchange, response, last)
  }
  const stream = rig.codec.open(exchange)
  const pieces = Array.isArray(body) ? (body as string[]) : [body as string]
  if (pieces.length === 1 && pieces[0]?.length === 0) stream.sendRequest(head, true)
  else {
    stream.sendRequest(head, false)
    pieces.forEach((piece, i) => {
      const bytes = Buffer.from(piece)
      stream.sendBody(bytes, 0, bytes.length, i === pieces.length - 1)
    })
  }
  return { rig, seen, stream, answer: () => found as unknown as CallResponse }
}

function read(name: string): Buffer {
  const bytes = readFileSync(new URL(`../../vectors/bolt/${name}.resp.bin`, import.meta.url))
  bytes.writeInt32BE(1, bytes[0] === 1 ? 5 : 6)
  return bytes
}

t.test('the request is, byte for byte, what a Java client of the same call sends', (t) => {
  const { rig, stream } = operation('["bob"]')
  const [sent] = parseFrames(rig.wire.take())
  const content =
    '4fbc636f6d2e616c697061792e736f66612e7270632e636f72652e726571756573742e536f666152657175657374' +
    '950d7461726765744170704e616d650a6d6574686f644e616d651774617267657453657276696365556e697175654e616d65' +
    '0c7265717565737450726f70730d6d6574686f6441726753696773' +
    '6f904e02686907612e423a312e304d7a567400075b737472696e676e01106a6176612e6c616e672e537472696e677a03626f62'
  t.equal(sent?.content.toString('hex'), content)
  t.match(sent, { proto: 1, type: 1, command: 1, id: 1, codec: 1, word: 3000 })
  t.equal(sent?.className, 'com.alipay.sofa.rpc.core.request.SofaRequest')
  t.same(Object.fromEntries(sent!.headers), {
    service: 'a.B:1.0',
    sofa_head_target_service: 'a.B:1.0',
    sofa_head_method_name: 'hi',
    protocol: 'bolt',
    type: 'sync',
    app: 'gateway',
    'rpc_trace_context.sofaTraceId': 'trace-of-log',
    'rpc_trace_context.sofaRpcId': '0',
  })
  stream.cancel()
  t.end()
})

t.test('trace ids that the request bears go on; a version and a uniqueId make the name', (t) => {
  const headers = { 'sofa-traceid': '0a1b', 'sofa-rpcid': '0.3' }
  const { rig, stream } = operation(['["b', 'ob"', ']'], { version: '', group: 'blue' }, headers)
  const sent = Object.fromEntries(parseFrames(rig.wire.take())[0]!.headers)
  t.equal(sent['rpc_trace_context.sofaTraceId'], '0a1b')
  t.equal(sent['rpc_trace_context.sofaRpcId'], '0.3')
  t.equal(sent.service, 'a.B:1.0:blue')
  stream.cancel()
  const endless = operation('["bob"]', {}, { 'sofa-traceid': 'x'.repeat(40_000) })
  t.equal(parseFrames(endless.rig.wire.take())[0]?.headers.length, 6)
  endless.stream.cancel()
  t.end()
})

t.test('arguments are written with the types of the route', (t) => {
  const parts = { parameters: ['java.lang.String[]', 'int[]', 'double', 'boolean'] }
  const { rig, stream } = operation('[["a","b"],[1,2],2.5,true]', parts)
  const { content } = parseFrames(rig.wire.take())[0]!
  const captured = readFileSync(new URL('../../vectors/bolt/join.req.bin', import.meta.url))
  // Behind the signatures the arguments are those that Java wrote.
  const ours = content.subarray(content.lastIndexOf('boolean') + 7)
  const theirs = captured.subarray(captured.lastIndexOf('boolean') + 7)
  t.equal(ours.toString('hex'), theirs.toString('hex'))
  stream.cancel()
  t.end()
})

t.test('what does not fit is refused unsent, with the path of what is wrong', async (t) => {
  const cases: [string, string, RegExp | null][] = [
    ['', 'ARGUMENTS_MISSING', null],
    ['[1,2]', 'ARGUMENTS_INVALID', /expected an array of 1 argument/],
    ['[{"a":1}]', 'ARGUMENTS_INVALID', /^\$\[0\]/],
    ['{"a":', 'ARGUMENTS_INVALID', /not JSON/],
  ]
  for (const [body, code, message] of cases) {
    const { rig, seen } = operation(body)
    await turn()
    t.equal(seen.failure?.code, code, body)
    if (message !== null) t.match(seen.failure?.callerMessage, message)
    t.equal(rig.wire.take().length, 0)
    t.equal(rig.codec.activeStreams, 0)
  }
})

t.test('a body or a frame above the limit is refused unsent', async (t) => {
  const long = 'x'.repeat(600)
  for (const body of [`["${long}"]`, ['["', long, long, '"]']]) {
    const { rig, seen } = operation(body, {}, {}, {}, { maxFrameBytes: 700 })
    await turn()
    t.equal(seen.failure?.code, 'BODY_TOO_LARGE')
    t.equal(rig.wire.take().length, 0)
  }
})

t.test('results of a real server become JSON', (t) => {
  const ask = (name: string, parts: Partial<CallTarget> = {}) => {
    const { rig, seen } = operation('["x"]', parts)
    feed(rig.codec, read(name))
    t.equal(rig.codec.activeStreams, 0)
    t.same(
      [seen.status, seen.isComplete, seen.headers],
      [1000, true, { 'content-type': 'application/json' }],
      name,
    )
    return JSON.parse(seen.body)
  }
  t.equal(ask('echo'), 'hello')
  t.equal(ask('v2-echo'), 'hello')
  t.equal(ask('publish'), null)
  t.equal(ask('over-int'), 'int:5')
  const order = ask('create')
  t.match(order, {
    id: 'order-0001',
    userId: '9007199254740993',
    status: 'CREATED',
    note: 'created:order-0001',
    billing: null,
  })
  t.match(order.attrs, { channel: 'web', empty: '', nul: null })
  t.equal(order.created, new Date(1_700_000_000_123).toISOString())
  t.end()
})

t.test('failures of a real server become result codes and errors', (t) => {
  const ask = (name: string, json: Partial<JsonRules> = {}) => {
    const one = operation('["x"]', { json: { ...RULES, ...json } })
    feed(one.rig.codec, read(name))
    t.equal(one.rig.codec.activeStreams, 0)
    return { ...one.seen, answer: one.answer() }
  }
  t.match(ask('no-service'), {
    status: 6000,
    body: '',
    failure: null,
    answer: { failureDetail: /RPC-020100010/ },
  })
  t.match(ask('no-method'), { status: 6001, body: '', answer: { isFailure: true } })
  const hidden = ask('fail')
  t.equal(hidden.status, 6666)
  t.equal(`${hidden.body}${JSON.stringify(hidden.headers)}`.includes('bad order'), false)
  t.match(hidden.answer.failureDetail, /^com\.example\.gateway\.BizException: bad order[\s\S]* at /)
  const told = ask('fail', { exceptions: 'class-and-message' })
  t.same(JSON.parse(told.body), { class: 'com.example.gateway.BizException', message: 'bad order' })
  t.equal(decodeURIComponent(told.headers['result-memo']!), 'com.example.gateway.BizException: bad order')
  t.same(JSON.parse(ask('fail-npe', { exceptions: 'message' }).body), { message: 'npe x' })
  t.match(ask('err-content-garbage'), { status: 6004, failure: null })
  t.equal(ask('err-busy').failure?.code, 'UPSTREAM_REFUSED')
  const unknown = ask('err-no-processor')
  t.equal(unknown.failure?.code, 'UPSTREAM_PROTOCOL')
  t.match(unknown.failure?.detail, /status 2: No user processor found/)
  t.end()
})

/** A SofaResponse with the given fields. */
function sofaResponse(write: (writer: HessianWriter) => void): Buffer {
  const writer = new HessianWriter(draft)
  write(writer)
  return Buffer.from(writer.bytes())
}

t.test('other failures', (t) => {
  const ask = (parts: Parameters<typeof answer>[1]) => {
    const { rig, seen, answer: found } = operation('["x"]')
    feed(rig.codec, answer(1, parts))
    return { ...seen, code: seen.failure?.code, answer: found() }
  }
  const refused = (message: string) =>
    sofaResponse((writer) => {
      writer.beginObject('com.alipay.sofa.rpc.core.response.SofaResponse', [
        'appResponse',
        'errorMsg',
        'isError',
      ])
      writer.writeNull()
      writer.writeString(message)
      writer.writeBoolean(true)
    })
  t.equal(ask({ word: 7, content: '' }).code, 'UPSTREAM_TIMEOUT')
  t.equal(ask({ word: 16, content: '' }).code, 'UPSTREAM_RESET')
  t.equal(ask({ word: 6, content: '' }).code, 'UPSTREAM_PROTOCOL')
  t.equal(ask({ word: 999, content: 'x' }).code, 'UPSTREAM_PROTOCOL')
  t.equal(ask({ codec: 12 }).code, 'UPSTREAM_PROTOCOL')
  t.equal(ask({ content: '' }).code, 'UPSTREAM_PROTOCOL')
  t.equal(ask({ content: Buffer.alloc(32, 0xff) }).code, 'UPSTREAM_PROTOCOL')
  t.equal(ask({ content: read('echo').subarray(66, 120) }).code, 'UPSTREAM_PROTOCOL')
  t.match(ask({ content: refused('RPC-020100001: filter said no') }), { status: 4002, body: '' })
  t.match(ask({ content: refused('it broke') }), {
    status: 6666,
    answer: { failureDetail: 'it broke' },
  })
  const cycle = sofaResponse((writer) => {
    writer.beginObject('com.alipay.sofa.rpc.core.response.SofaResponse', ['isError', 'appResponse'])
    writer.writeBoolean(false)
    writer.beginObject('a.Node', ['next'])
    writer.writeRef(1)
  })
  t.match(ask({ content: cycle }), { status: 6004, body: '', answer: { failureDetail: /^\$/ } })
  const empty = sofaResponse((writer) => {
    writer.beginObject('com.alipay.sofa.rpc.core.response.SofaResponse', ['isError'])
    writer.writeBoolean(false)
  })
  t.equal(ask({ content: empty }).code, 'UPSTREAM_PROTOCOL')
  t.end()
})

t.test('calls share nothing: one that failed leaves no trace in the next', async (t) => {
  const types = { 'a.Item': { fields: { sku: 'java.lang.String' } } }
  const parts = { parameters: ['a.Item', 'a.Item'] }
  const bad = operation('[{"sku":"1"},{"sku":2}]', parts, {}, types)
  const good = operation('[{"sku":"1"},{"sku":"2"}]', parts, {}, types)
  await turn()
  t.equal(bad.seen.failure?.code, 'ARGUMENTS_INVALID')
  const { content } = parseFrames(good.rig.wire.take())[0]!
  const reader = new HessianReader(draft)
  reader.reset(content, 0, content.length)
  reader.readValue()
  const items = [reader.readValue(), reader.readValue()]
  t.match(items, [
    { className: 'a.Item', values: ['1'] },
    { className: 'a.Item', values: ['2'] },
  ])
  t.equal(reader.position, content.length)
  good.stream.cancel()
})

t.test('a target that cannot be called says why', (t) => {
  t.throws(() => bolt.compileCall!(target({ parameterNames: ['a', 'b'] }), {}), /parameterNames/)
  t.throws(() => bolt.compileCall!(target({ service: 'x'.repeat(20_000) }), {}), /shorter names/)
  t.equal((bolt.compileCall!(target(), {}) as BoltCall).method, 'hi')
  t.end()
})
