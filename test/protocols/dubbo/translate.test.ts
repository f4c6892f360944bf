import t from 'tap'
import type { GatewayError } from '../../../lib/core/errors.ts'
import { Exchange, ExchangeState } from '../../../lib/core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../../lib/core/message.ts'
import type { Call, CallTarget, JsonRules } from '../../../lib/core/route.ts'
import { dubbo } from '../../../lib/protocols/dubbo/index.ts'
import { DubboRequest } from '../../../lib/protocols/dubbo/request.ts'
import { final } from '../../../lib/protocols/hessian/dialect.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import { OutgoingRequest } from '../../../lib/protocols/mmtp/request.ts'
import { CONTEXT, feed, frame, parseFrames, Relay, routeTo, text, vectors } from '../../support/dubbo-wire.ts'

const frames = vectors()
const RULES: JsonRules = { longs: 'string', dates: 'iso', exceptions: 'class-and-message', classes: false }
const TARGET: CallTarget = {
  service: 'com.example.gateway.OrderService',
  version: '',
  group: '',
  method: 'echo',
  parameters: ['java.lang.String'],
  parameterNames: [],
  json: RULES,
}

function compile(target: Partial<CallTarget> = {}, types = {}): Call {
  if (dubbo.compileCall === null) throw new Error('Dubbo takes calls')
  return dubbo.compileCall({ ...TARGET, ...target }, types)
}

/** One operation on its way through a client codec. */
class Operation {
  readonly relay: Relay
  readonly exchange: Exchange
  response: ResponseHead | null = null
  body = ''
  failure: GatewayError | null = null

  constructor(call: Call | null, json: string, relay = new Relay({}, { app: 'gateway' }), pieces = 1) {
    this.relay = relay
    const bytes = Buffer.from(json)
    const head: RequestHead = new OutgoingRequest('demo.echo', bytes.length, 0)
    head.headers.set('trace-id', '0a0b0c0d1700000000000100123')
    head.headers.set('rpc-id', '0.1')
    const peer = { remoteAddress: '', remotePort: 0, localAddress: '', localPort: 0 }
    this.exchange = new Exchange(
      head,
      {} as Exchange['downstream'],
      peer,
      CONTEXT.listener,
      1000,
      CONTEXT.timeouts,
    )
    this.exchange.deadlineMs = 4_000
    this.exchange.translation = routeTo({ call }).translation
    relay.onResponse = (_exchange, response, last) => {
      this.response = response
      if (last) this.exchange.state = ExchangeState.Finished
    }
    relay.onResponseBody = (_exchange, piece, offset, end, last) => {
      this.body += piece.toString('utf8', offset, end)
      if (last) this.exchange.state = ExchangeState.Finished
    }
    relay.onUpstreamFailed = (_exchange, error) => {
      this.failure = error
    }
    const stream = relay.client.open(this.exchange)
    stream.sendRequest(head, bytes.length === 0)
    for (let i = 0; i < pieces && bytes.length > 0; i++) {
      const [from, to] = [i, i + 1].map((part) => Math.floor((bytes.length * part) / pieces))
      stream.sendBody(bytes, from, to, i === pieces - 1)
    }
  }

  /** The request's body that went out. */
  sent(): Buffer {
    const sent = parseFrames(this.relay.up.take())
    if (sent.length !== 1) throw new Error(`${sent.length} frames: ${this.failure?.message}`)
    return sent[0].body
  }

  answer(status: number, body: Buffer | string): this {
    const [{ id }] = parseFrames(this.relay.up.take())
    feed(this.relay.client, frame(0x02, status, id, body))
    return this
  }
}

function bodyOf(name: string): Buffer {
  const bytes = frames.get(name)
  if (bytes === undefined) throw new Error(`no vector ${name}`)
  return bytes.subarray(16)
}

t.test('the call begins as a real consumer’s does, and bears what it needs', (t) => {
  for (const pieces of [1, 3]) {
    const body = new Operation(
      compile({ version: '1.0', group: 'blue' }),
      '["hello"]',
      undefined,
      pieces,
    ).sent()
    const request = new DubboRequest(0xc2, body, 0, body.length)
    t.equal(request.service, 'com.example.gateway.OrderService')
    t.equal(request.version, '1.0')
    t.equal(request.method, 'echo')
    t.equal(request.group, 'blue')
    const attachments: Record<string, string> = {}
    request.headers.forEach((name, value) => {
      attachments[name] = value
    })
    t.same(attachments, {
      path: 'com.example.gateway.OrderService',
      interface: 'com.example.gateway.OrderService',
      version: '1.0',
      group: 'blue',
      'remote.application': 'gateway',
      timeout: '3000',
      'dubbo.rpc.sofa.tracer': 'tcid=0a0b0c0d1700000000000100123&spid=0.1&pspid=&sample=true&',
    })
  }
  const plain = new Operation(compile(), '"hello"').sent()
  const captured = bodyOf('echo.req')
  const { headers } = new DubboRequest(0xc2, captured, 0, captured.length)
  headers.locate()
  const { mapAt } = headers
  t.equal(captured[mapAt], 0x48)
  t.equal(
    plain.toString('latin1', 0, mapAt),
    captured.toString('latin1', 0, mapAt),
    'equal to the attachments',
  )
  t.end()
})

t.test('a described class becomes its object, an undescribed one a generic call', (t) => {
  const types = { 'com.example.Item': { fields: { sku: 'java.lang.String', qty: 'int' } } }
  const item = '[{"sku":"a","qty":3}]'
  const typed = new Operation(
    compile({ method: 'put', parameters: ['com.example.Item'] }, types),
    item,
  ).sent()
  const reader = new HessianReader(final)
  reader.reset(typed, 0, typed.length)
  const values = Array.from({ length: 5 }, () => reader.readValue())
  t.equal(values[3], 'put')
  t.equal(values[4], 'Lcom/example/Item;')
  t.match(reader.readValue(), { definition: { className: 'com.example.Item' }, values: ['a', 3] })
  const generic = new Operation(compile({ method: 'put', parameters: ['com.example.Item'] }), item).sent()
  reader.reset(generic, 0, generic.length)
  const leading = Array.from({ length: 6 }, () => reader.readValue())
  t.same(leading.slice(3), ['$invoke', 'Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;', 'put'])
  t.match(reader.readValue(), { type: '[string', items: ['com.example.Item'] })
  t.match(reader.readValue(), { type: '[object' })
  t.equal(new DubboRequest(0xc2, generic, 0, generic.length).headers.get('generic'), 'true')
  t.end()
})

t.test('captured values become JSON with 1000', (t) => {
  const result = (name: string, json: string, status = 1000): void => {
    const operation = new Operation(compile(), '["x"]').answer(20, bodyOf(`${name}.resp`))
    t.equal(operation.failure, null, name)
    t.equal(operation.response?.status, status, name)
    t.equal(operation.response?.statusKind, 'result')
    t.equal(operation.response?.headers.get('content-type'), 'application/json')
    t.equal(operation.body, json, name)
    t.equal(operation.relay.client.activeStreams, 0)
  }
  result('echo', '"hello"')
  result('echo-null', 'null')
  result('echo-unicode', '"héllo 中文 😀"')
  result('oneway.2', '1')
  result('blob-0', '""')
  const order = new Operation(compile(), '["x"]').answer(20, bodyOf('create.resp'))
  t.match(JSON.parse(order.body), {
    id: 'order-0001',
    userId: '9007199254740993',
    note: 'created:order-0001',
  })
  t.end()
})

t.test('exceptions of the service become 6666 by policy', (t) => {
  const thrown = (name: string, exceptions: JsonRules['exceptions']): Operation =>
    new Operation(compile({ json: { ...RULES, exceptions } }), '["x"]').answer(20, bodyOf(`${name}.resp`))
  for (const name of ['fail', 'generic-fail']) {
    const told = thrown(name, 'class-and-message')
    t.equal(told.response?.status, 6666, name)
    t.match(JSON.parse(told.body), { class: 'com.example.gateway.BizException' })
    t.match(
      decodeURIComponent(told.response?.headers.get('result-memo') ?? ''),
      /^com\.example\.gateway\.BizException/,
    )
    t.match(told.response?.failureDetail, /BizException/, 'in full for the log')
    const hidden = thrown(name, 'hidden')
    t.equal(hidden.response?.status, 6666)
    t.notMatch(
      `${hidden.body}${hidden.response?.headers.get('result-memo')}`,
      /BizException|bad order|reason/,
    )
  }
  t.end()
})

t.test('refusals of the provider become codes of the operation', (t) => {
  const outcome = (status: number, message: string, call = compile()): string | number | undefined => {
    const operation = new Operation(call, '["x"]').answer(status, text(message))
    return operation.failure?.code ?? operation.response?.status
  }
  const generic = compile({ parameters: ['com.example.Unknown'] })
  const decode = 'Fail to decode request due to: RpcInvocation [methodName=echo, parameterTypes=null]'
  const absent = compile({ service: 'com.example.Absent' })
  t.equal(outcome(40, decode, absent), 6000, 'a service that never answered')
  const present = compile({ service: 'com.example.Present' })
  new Operation(present, '["x"]').answer(20, Buffer.from('92', 'hex'))
  t.equal(outcome(40, decode, present), 6001, 'a service that has answered')
  t.equal(outcome(40, decode), 6001)
  t.equal(outcome(40, decode.replace('echo', '$invoke'), generic), 6000)
  t.equal(outcome(40, 'something else'), 'UPSTREAM_PROTOCOL')
  t.equal(outcome(60, 'no such service'), 6000)
  t.equal(outcome(70, 'org.apache.dubbo.rpc.RpcException: No such method echo in class'), 6001)
  t.equal(outcome(70, 'RemotingException: Not found exported service: a.B'), 6000)
  t.equal(outcome(70, 'other'), 'UPSTREAM_PROTOCOL')
  t.equal(outcome(100, 'thread pool is exhausted'), 'UPSTREAM_REFUSED')
  t.equal(outcome(30, ''), 'UPSTREAM_TIMEOUT')
  t.equal(outcome(31, ''), 'UPSTREAM_TIMEOUT')
  for (const status of [0, 25, 35, 50, 80, 90, 99, 105])
    t.equal(outcome(status, 'x'), 'UPSTREAM_PROTOCOL', `${status}`)
  const captured = (name: string): string | number | undefined => {
    const bytes = frames.get(`${name}.resp`) as Buffer
    const operation = new Operation(compile({ method: 'echx' }), '["x"]').answer(bytes[3], bytes.subarray(16))
    return operation.failure?.code ?? operation.response?.status
  }
  t.equal(captured('err-method'), 6001)
  t.equal(captured('err-path-only-attachment'), 6000)
  t.equal(captured('err-busy'), 'UPSTREAM_REFUSED')
  t.equal(captured('fail-strange'), 'UPSTREAM_PROTOCOL')
  t.end()
})

t.test('answers that cannot be read fail their call only', (t) => {
  const call = compile()
  for (const hex of ['', '96', '4e', '91', '9405', '9160', '93', 'ff']) {
    const relay = new Relay()
    const operation = new Operation(call, '["x"]', relay).answer(20, hex)
    t.equal(operation.failure?.code, 'UPSTREAM_PROTOCOL', hex)
    t.notOk(relay.up.isClosed)
    t.equal(new Operation(call, '["x"]', relay).answer(20, '910161').body, '"a"', 'the next one works')
  }
  const bomb = Buffer.concat([Buffer.from([0x91]), Buffer.alloc(10_000, 0x79), Buffer.from([0x90])])
  t.equal(new Operation(call, '["x"]').answer(20, bomb).failure?.code, 'UPSTREAM_PROTOCOL')
  const cycle = new Operation(call, '["x"]').answer(20, '91795190')
  t.equal(cycle.response?.status, 6004, 'a list that holds itself')
  t.equal(cycle.body, '')
  const other = new Operation(call, '["x"]')
  const [{ id }] = parseFrames(other.relay.up.take())
  feed(other.relay.client, frame(0x17, 20, id, '00000002bd02'))
  t.equal(other.failure?.code, 'UPSTREAM_PROTOCOL', 'another serialization')
  t.end()
})

t.test('what cannot become a call is refused after the call that asked for it', (t) => {
  const failures: [string, Operation, string, RegExp][] = [
    ['no arguments', new Operation(compile(), ''), 'ARGUMENTS_MISSING', /empty/],
    [
      'another type',
      new Operation(compile({ parameters: ['int'] }), '["x"]'),
      'ARGUMENTS_INVALID',
      /\$\[0\]/,
    ],
    ['too many', new Operation(compile(), '["x","y"]'), 'ARGUMENTS_INVALID', /expected an array of 1/],
    ['no JSON', new Operation(compile(), '["x'), 'ARGUMENTS_INVALID', /not JSON/],
    ['no call', new Operation(null, '["x"]'), 'NO_ROUTE', /service, method/],
    [
      'too long',
      new Operation(compile(), `["${'x'.repeat(300)}"]`, new Relay({}, { maxFrameBytes: 400 })),
      'BODY_TOO_LARGE',
      /above 400/,
    ],
    [
      'too long in pieces',
      new Operation(compile(), `["${'x'.repeat(800)}"]`, new Relay({}, { maxFrameBytes: 400 }), 3),
      'BODY_TOO_LARGE',
      /400/,
    ],
    ['another protocol’s', new Operation({ method: 'x' }, '[]'), 'INTERNAL', /another protocol/],
  ]
  for (const [, operation] of failures) t.equal(operation.failure, null)
  queueMicrotask(() => {
    for (const [name, operation, code, message] of failures) {
      t.equal(operation.failure?.code, code, name)
      t.match(operation.failure?.message, message, name)
      t.equal(operation.relay.up.take().length, 0)
      t.equal(operation.relay.client.activeStreams, 0)
    }
    t.end()
  })
})

t.test('targets that make no sense are refused when they are compiled', (t) => {
  t.throws(() => compile({ parameters: ['int', '???'] }), /parameters\[1\]/)
  t.throws(() => compile({ parameters: ['int'], parameterNames: ['a', 'b'] }), /parameterNames/)
  t.end()
})
