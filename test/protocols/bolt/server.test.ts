import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { ERROR_CODES, GatewayError } from '../../../lib/core/errors.ts'
import type { Exchange } from '../../../lib/core/exchange.ts'
import { sendableStatus } from '../../../lib/protocols/bolt/constants.ts'
import { BoltReply } from '../../../lib/protocols/bolt/response.ts'
import { status } from '../../../lib/protocols/bolt/status.ts'
import { draft } from '../../../lib/protocols/hessian/dialect.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import type { HessianObject } from '../../../lib/protocols/hessian/values.ts'
import {
  answer,
  type BoltServerRig,
  block,
  call,
  feed,
  frame,
  parseFrames,
  proxy,
  SERVICE_PAIRS,
  serverRig,
} from '../../support/bolt-wire.ts'

poisonReleasedSlabs(true)
t.afterEach((t) => {
  if (poolUsage().leased !== 0) t.fail(`${poolUsage().leased} leases are left`)
})

const KIB = 1024

function reply(rig: BoltServerRig, exchange: Exchange, made: BoltReply): void {
  exchange.downstream.sendResponse(made, made.body.length === 0)
  if (made.body.length > 0) exchange.downstream.sendBody(made.body, 0, made.body.length, true)
  rig.handler.finish(exchange)
}

function decode(content: Buffer): HessianObject {
  const reader = new HessianReader(draft)
  reader.reset(content, 0, content.length)
  return reader.readValue() as HessianObject
}

t.test('a request is reported with its whole content', (t) => {
  const rig = serverRig()
  feed(rig.codec, call({ id: 7, word: 1500 }))
  const { exchange, body, isComplete } = rig.handler.seen[0]!
  const { request } = exchange
  t.same([body, isComplete, request.bodyLength, request.budgetMs], ['content', true, 7, 1500])
  t.same([request.service, request.version, request.group, request.method], ['a.B', '1.0', '', 'hi'])
  t.same(
    [request.protocol, request.app, request.operation, request.path, request.isIdempotent],
    ['bolt', '', '', '', false],
  )
  t.equal(rig.codec.activeExchanges, 1)
  reply(rig, exchange, new BoltReply(0, 'X', Buffer.from('made')))
  t.match(parseFrames(rig.wire.take()), [
    { proto: 1, type: 0, command: 2, id: 7, codec: 1, word: 0, className: 'X', content: Buffer.from('made') },
  ])
  t.equal(rig.codec.activeExchanges, 0)
  t.end()
})

t.test('a request without content is complete with its head, and heads outlive their bytes', (t) => {
  const rig = serverRig()
  feed(
    rig.codec,
    call({
      content: '',
      headers: [
        ['service', 'x.Y:2.0:blue'],
        ['app', 'shop'],
      ],
    }),
  )
  const { exchange, isComplete } = rig.handler.seen[0]!
  t.equal(isComplete, true)
  const { request } = exchange
  t.same(
    [request.service, request.version, request.group, request.app, request.method],
    ['x.Y', '2.0', 'blue', 'shop', ''],
  )
  rig.handler.finishAll()
  t.end()
})

t.test('timeouts of 0 and -1 give no budget', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([call({ word: 0 }), call({ word: -1, id: 2 }), call({ word: 1, id: 3 })]))
  t.same(
    rig.handler.seen.map(({ exchange }) => exchange.request.budgetMs),
    [0, 0, 1],
  )
  rig.handler.finishAll()
  t.end()
})

t.test('names are found in any case, the last of a repeated one wins, nulls do not exist', (t) => {
  const rig = serverRig()
  const headers = [
    ['service', 'old.S:1.0'],
    ['X-User', 'u1'],
    [null, 'lost'],
    ['x-null', null],
    ['x-empty', ''],
    ['service', 'new.S:1.0'],
    ['x-用户', '中文 😀'],
  ] as const
  feed(rig.codec, call({ headers }))
  const { request } = rig.handler.seen[0]!.exchange
  t.same(rig.handler.seen[0]!.headers, {
    'X-User': 'u1',
    'x-empty': '',
    service: 'new.S:1.0',
    'x-用户': '中文 😀',
  })
  t.equal(request.service, 'new.S')
  t.equal(request.headers.get('x-user'), 'u1')
  t.equal(request.headers.get('X-USER'), 'u1')
  t.same(request.headers.getAll('service'), ['new.S:1.0'])
  t.equal(request.headers.has('x-null'), false)
  t.equal(request.headers.get('absent'), null)
  t.same(request.headers.getAll('absent'), [])
  request.headers.set('x-USER', 'u2')
  request.headers.add('x-user', 'u3')
  t.equal(request.headers.get('X-User'), 'u3')
  request.headers.remove('x-user')
  t.equal(request.headers.has('X-User'), false)
  t.throws(() => request.headers.set('a b', 'x'), TypeError)
  t.throws(() => request.headers.add('a', 'x\r\ny'), TypeError)
  rig.handler.finishAll()
  t.end()
})

t.test('an answer takes the version, the switch and the serializer of its request', (t) => {
  const rig = serverRig()
  const parts = [
    { id: 1 },
    { id: -2, proto: 2, version: 1, switchByte: 1 },
    { id: 3, proto: 2, version: 2, switchByte: 0 },
    { id: 4, proto: 2, version: 2, switchByte: 0x7f, codec: 11 },
  ]
  feed(rig.codec, Buffer.concat(parts.map((part) => call(part))))
  for (const { exchange } of [...rig.handler.seen].reverse()) {
    reply(rig, exchange, new BoltReply(4, '', Buffer.alloc(0)))
  }
  const frames = parseFrames(rig.wire.take()).reverse()
  t.match(
    frames.map(({ proto, version, switchByte, id, codec, word }) => [
      proto,
      version,
      switchByte,
      id,
      codec,
      word,
    ]),
    [
      [1, 0, 0, 1, 1, 4],
      [2, 1, 1, -2, 1, 4],
      [2, 2, 0, 3, 1, 4],
      [2, 2, 0x7f, 4, 11, 4],
    ],
  )
  t.same(
    frames.map(({ crc }) => crc !== null),
    [false, false, false, true],
  )
  t.end()
})

t.test('nothing is ever sent for a one-way request', (t) => {
  const rig = serverRig()
  feed(rig.codec, call({ type: 2, word: -1 }))
  const { exchange } = rig.handler.seen[0]!
  reply(rig, exchange, new BoltReply(2, 'X', Buffer.from('y')))
  feed(rig.codec, call({ type: 2, headers: Buffer.from('bad') }))
  exchange.downstream.reset(new GatewayError('INTERNAL'))
  t.equal(rig.wire.take().length, 0)
  t.equal(rig.handler.protocolErrors.length, 1)
  t.equal(rig.wire.isClosed, false)
  t.end()
})

t.test('heartbeats are answered whatever their version, with no checksum', (t) => {
  const rig = serverRig()
  const beat = { command: 0, word: -1, headers: [] }
  feed(
    rig.codec,
    Buffer.concat([
      frame({ ...beat, id: 5 }),
      frame({ ...beat, id: 6, proto: 2, switchByte: 1 }),
      frame({ ...beat, id: 7, type: 2 }),
      frame({ type: 0, command: 0, id: 8 }),
    ]),
  )
  t.match(parseFrames(rig.wire.take()), [
    { proto: 1, type: 0, command: 0, id: 5, word: 0 },
    { proto: 2, version: 2, switchByte: 0, type: 0, command: 0, id: 6, word: 0 },
  ])
  t.equal(rig.handler.seen.length, 0)
  t.end()
})

t.test('responses and GoAway from a caller are tolerated', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([answer(3), frame({ command: 100, word: -1 }), call()]))
  t.equal(rig.codec.strayFrames, 1)
  t.equal(rig.handler.seen.length, 1)
  rig.handler.finishAll()
  t.end()
})

t.test('bytes that are no frame close the connection, and what ran on it ends', (t) => {
  const cases: Record<string, Buffer> = {
    'protocol byte': Buffer.from('050101', 'hex'),
    'zero byte': Buffer.alloc(64),
    'http text': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    type: frame({ type: 3 }),
    command: frame({ command: 153 }),
    'response command in a request': frame({ command: 2 }),
    'request command in a response': frame({ type: 0, command: 1 }),
    'v2 version 0': frame({ proto: 2, version: 0 }),
    'v2 version 3': frame({ proto: 2, version: 3 }),
    'switch 0x80': frame({ proto: 2, switchByte: 0x80 }),
    'wrong checksum': call({ proto: 2, switchByte: 1, crc: 1 }),
    'long class name': frame({ className: 'x'.repeat(32_768) }),
    'long header block': frame({ headers: Buffer.alloc(32_768) }),
    'negative content length': Buffer.concat([call({ content: '' }).subarray(0, 18), Buffer.alloc(4, 0xff)]),
  }
  for (const [name, bytes] of Object.entries(cases)) {
    for (const cut of [0, 1, 13, 21]) {
      const rig = serverRig()
      feed(rig.codec, call({ id: 9 }))
      feed(rig.codec, bytes.subarray(0, cut))
      feed(rig.codec, bytes.subarray(cut))
      feed(rig.codec, call({ id: 10 }))
      t.ok(rig.wire.isClosed, name)
      t.equal(rig.handler.seen.length, 1, name)
      t.equal(rig.handler.seen[0]?.failure?.code, 'DOWNSTREAM_GONE', name)
      t.same(
        rig.handler.protocolErrors.map(({ code }) => code),
        ['BAD_REQUEST'],
        name,
      )
      t.equal(rig.wire.take().length, 0, name)
      t.equal(rig.codec.activeExchanges, 0)
    }
  }
  t.end()
})

t.test('garbage behind valid frames does not take them back', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([call({ id: 1, type: 2 }), call({ id: 2 }), Buffer.from('garbage')]))
  t.equal(rig.handler.seen.length, 2)
  t.ok(rig.wire.isClosed)
  t.end()
})

t.test('a frame above the limit is refused before anything of it is kept', (t) => {
  const rig = serverRig({ maxFrameBytes: 1000 })
  const long = call({ id: 5, content: Buffer.alloc(2000) })
  feed(rig.codec, long.subarray(0, 10))
  feed(rig.codec, long.subarray(10, 30))
  t.match(parseFrames(rig.wire.take()), [{ id: 5, type: 0, command: 2, word: 9 }])
  t.equal(rig.handler.protocolErrors[0]?.code, 'BODY_TOO_LARGE')
  t.same(rig.handler.statuses, [9])
  t.ok(rig.wire.isClosed)
  const oneWay = serverRig({ maxFrameBytes: 1000 })
  feed(oneWay.codec, call({ type: 2, content: Buffer.alloc(2000) }))
  t.equal(oneWay.wire.take().length, 0)
  t.ok(oneWay.wire.isClosed)
  const exact = serverRig({ maxFrameBytes: call().length })
  feed(exact.codec, call())
  t.equal(exact.handler.seen.length, 1)
  exact.handler.finishAll()
  t.end()
})

t.test('a length alone allocates nothing', (t) => {
  const rig = serverRig({ maxFrameBytes: 1 << 30 })
  const head = call({ content: '' })
  head.writeUInt32BE(900 << 20, 18)
  feed(rig.codec, head)
  t.ok(process.memoryUsage().arrayBuffers < 100 << 20)
  t.equal(rig.handler.seen.length, 0)
  rig.codec.onClose(null)
  t.end()
})

t.test('header blocks with impossible lengths are answered with 9, and the connection goes on', (t) => {
  const good = block([['service', 'a.B:1.0']])
  const lengths = (...numbers: number[]) => {
    const bytes = Buffer.alloc(numbers.length * 4)
    numbers.forEach((number, i) => {
      bytes.writeInt32BE(number, i * 4)
    })
    return bytes
  }
  const cases: Record<string, Buffer> = {
    'three bytes left': Buffer.concat([good, Buffer.alloc(3)]),
    'seven bytes left': Buffer.concat([good, Buffer.alloc(7)]),
    'key past the end': lengths(5, 0),
    'value past the end': Buffer.concat([lengths(0), lengths(1)]),
    'key of 2 GiB': lengths(0x7f7f7f7f, 0x7f7f7f7f),
    'key of length -2': lengths(-2, 0),
    'value of length -2': lengths(0, -2),
    'the most negative key': lengths(-0x80000000, 0),
    'key that takes the value length': lengths(3, 0),
    'null key and nothing': lengths(-1),
  }
  const rig = serverRig()
  let id = 0
  for (const [name, headers] of Object.entries(cases)) {
    feed(rig.codec, call({ id: ++id, headers }))
    t.match(parseFrames(rig.wire.take()), [{ id, type: 0, command: 2, word: 9, headers: [] }], name)
  }
  t.equal(rig.handler.protocolErrors.length, id)
  t.ok(rig.handler.statuses.every((status) => status === 9))
  feed(rig.codec, call({ headers: lengths(-1, -1, 0, -1, 0, 0) }))
  t.same(rig.handler.seen[0]?.headers, { '': '' })
  t.equal(rig.wire.isClosed, false)
  rig.handler.finishAll()
  t.end()
})

t.test('Java serialization is refused; unknown serializers are not ours to judge', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([call({ id: 1, codec: 2 }), call({ id: 2, codec: 99 })]))
  t.match(parseFrames(rig.wire.take()), [{ id: 1, word: 18 }])
  t.equal(rig.handler.protocolErrors[0]?.code, 'FEATURE_UNSUPPORTED')
  t.equal(rig.handler.seen.length, 1)
  rig.handler.finishAll()
  t.end()
})

t.test(
  'every error is answered with a status that a Java client knows, and with text where it expects one',
  (t) => {
    const rig = serverRig()
    for (const code of ERROR_CODES) {
      feed(rig.codec, call({ id: 4, codec: 11 }))
      const { exchange } = rig.handler.seen.at(-1)!
      reply(rig, exchange, exchange.downstream.errorReply(new GatewayError(code, 'a secret')) as BoltReply)
      const [sent] = parseFrames(rig.wire.take())
      t.equal(sent?.word, status[code], code)
      t.equal(sendableStatus(status[code]), status[code])
      if (sent?.word !== 2) {
        t.same([sent?.className, sent?.content.length, sent?.codec], ['', 0, 11], code)
        continue
      }
      t.equal(sent.codec, 1)
      t.equal(sent.className, 'com.alipay.remoting.rpc.exception.RpcServerException')
      const thrown = decode(sent.content)
      t.equal(thrown.className, sent.className)
      t.equal(thrown.get('cause'), thrown)
      t.equal(sent.content.includes('a secret'), false)
      t.match(thrown.get('detailMessage'), /^[a-z]/)
    }
    t.same(
      [
        status.UPSTREAM_TIMEOUT,
        status.RATE_LIMITED,
        status.NO_ROUTE,
        status.NO_ENDPOINT,
        status.UPSTREAM_RESET,
        status.BAD_REQUEST,
      ],
      [7, 4, 6, 6, 16, 9],
    )
    const own = new GatewayError('INTERNAL')
    own.callerMessage = 'no entry'
    feed(rig.codec, call())
    const { exchange } = rig.handler.seen.at(-1)!
    reply(rig, exchange, exchange.downstream.errorReply(own) as BoltReply)
    t.equal(decode(parseFrames(rig.wire.take())[0]!.content).get('detailMessage'), 'no entry')
    t.end()
  },
)

t.test('what a filter answers is a result or an exception with its text', (t) => {
  const rig = serverRig()
  const ask = (httpStatus: number, text: string) => {
    feed(rig.codec, call())
    const { exchange } = rig.handler.seen.at(-1)!
    const made = exchange.downstream.localReply(httpStatus, 1000, Buffer.from(text)) as BoltReply
    made.headers.set('x-made', 'here')
    reply(rig, exchange, made)
    return parseFrames(rig.wire.take())[0]!
  }
  const result = ask(200, 'mocked 中')
  t.same([result.word, result.className], [0, 'com.alipay.sofa.rpc.core.response.SofaResponse'])
  t.same(result.headers, [['x-made', 'here']])
  const value = decode(result.content)
  t.same([value.get('isError'), value.get('errorMsg'), value.get('appResponse')], [false, null, 'mocked 中'])
  const refused = ask(403, 'go away')
  t.same([refused.word, decode(refused.content).get('detailMessage')], [2, 'go away'])
  t.equal(decode(ask(401, '').content).get('detailMessage'), 'refused (401)')
  t.end()
})

t.test('an answer that is cut off is replaced, and one that never comes is not forgotten', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([call({ id: 1 }), call({ id: 2 })]))
  const [first, second] = rig.handler.seen.map(({ exchange }) => exchange)
  first!.downstream.sendResponse(new BoltReply(0, 'X', Buffer.from('ab')), false)
  first!.downstream.sendBody(Buffer.from('a'), 0, 1, false)
  first!.downstream.reset(new GatewayError('UPSTREAM_RESET'))
  first!.downstream.sendBody(Buffer.from('b'), 0, 1, true)
  rig.handler.finish(first!)
  rig.handler.finish(second!)
  t.match(parseFrames(rig.wire.take()), [
    { id: 1, word: 16 },
    { id: 2, word: 3 },
  ])
  t.end()
})

t.test('a body in pieces goes out as one frame', (t) => {
  const rig = serverRig()
  feed(rig.codec, call())
  const { downstream } = rig.handler.seen[0]!.exchange
  downstream.sendResponse(new BoltReply(0, 'X', Buffer.alloc(0)), false)
  downstream.sendBody(Buffer.from('-ab-'), 1, 3, false)
  downstream.sendBody(Buffer.from('cd'), 0, 2, false)
  downstream.sendBody(Buffer.alloc(0), 0, 0, true)
  t.equal(parseFrames(rig.wire.take())[0]?.content.toString(), 'abcd')
  rig.handler.finishAll()
  t.end()
})

t.test('reading stops while the caller does not take its answers, or has too many calls under way', (t) => {
  const rig = serverRig({ maxStreams: 2 })
  feed(rig.codec, Buffer.concat([call({ id: 1 }), call({ id: 2 }), call({ id: 3 })]))
  t.same(rig.wire.events, ['pause'])
  t.equal(rig.handler.seen.length, 3)
  rig.handler.finish(rig.handler.seen[1]!.exchange)
  t.same(rig.wire.events, ['pause'])
  rig.handler.finish(rig.handler.seen[0]!.exchange)
  t.same(rig.wire.events, ['pause', 'resume'])
  rig.wire.isWritable = false
  feed(rig.codec, frame({ command: 0 }))
  rig.handler.finishAll()
  t.same(rig.wire.events, ['pause', 'resume', 'pause'])
  rig.wire.isWritable = true
  rig.codec.onDrain()
  t.same(rig.wire.events, ['pause', 'resume', 'pause', 'resume'])
  t.end()
})

t.test('an idle connection is closed, one with a running call is not', (t) => {
  const rig = serverRig({ idleTimeoutMs: 90_000 })
  t.equal(rig.wire.timerMs, 90_000)
  feed(rig.codec, call())
  rig.wire.clock += 100_000
  rig.codec.onTimer()
  t.equal(rig.wire.isClosed, false)
  rig.handler.finishAll()
  feed(rig.codec, frame({ command: 0 }))
  rig.wire.clock += 89_000
  rig.codec.onTimer()
  t.equal(rig.wire.isClosed, false)
  rig.wire.clock += 1_000
  rig.codec.onTimer()
  t.ok(rig.wire.isClosed)
  t.end()
})

t.test('a frame that never ends closes the connection', (t) => {
  for (const length of [3, 25]) {
    const rig = serverRig({ idleTimeoutMs: 0 })
    feed(rig.codec, call().subarray(0, length))
    t.equal(rig.wire.timerMs, 30_000)
    rig.wire.clock += 30_000
    rig.codec.onTimer()
    t.ok(rig.wire.isClosed)
    t.equal(rig.handler.protocolErrors[0]?.code, 'REQUEST_TIMEOUT')
  }
  t.end()
})

t.test('FIN lets running calls finish; a half frame before it is forgotten', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([call({ id: 1 }), call({ id: 2 }).subarray(0, 30)]))
  rig.codec.onEnd()
  t.equal(rig.wire.isClosed, false)
  reply(rig, rig.handler.seen[0]!.exchange, new BoltReply(4, '', Buffer.alloc(0)))
  t.match(parseFrames(rig.wire.take()), [{ id: 1, word: 4 }])
  t.same(rig.wire.events, ['close'])
  t.end()
})

t.test('a caller that vanishes ends its calls', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([call({ id: 1 }), call({ id: 2 }), call({ id: 3 })]))
  rig.handler.finish(rig.handler.seen[0]!.exchange)
  rig.codec.onClose(new Error('reset'))
  t.same(
    rig.handler.seen.map(({ failure }) => failure?.code),
    [undefined, 'DOWNSTREAM_GONE', 'DOWNSTREAM_GONE'],
  )
  t.equal(rig.codec.activeExchanges, 0)
  t.end()
})

t.test('a drain waits for running calls, and says GoAway only where it is told to', (t) => {
  const idle = serverRig()
  idle.codec.drain(1000)
  t.same(idle.wire.events, ['close'])
  t.equal(idle.wire.take().length, 0)

  const mesh = serverRig({ boltGoAway: true })
  feed(mesh.codec, call({ proto: 2 }))
  mesh.codec.drain(1000)
  t.match(parseFrames(mesh.wire.take()), [
    { proto: 2, type: 1, command: 100, word: -1, className: '', headers: [] },
  ])
  t.equal(mesh.wire.isClosed, false)
  mesh.handler.finishAll()
  t.ok(mesh.wire.isClosed)

  const slow = serverRig()
  feed(slow.codec, call())
  slow.codec.drain(500)
  feed(slow.codec, call({ id: 2 }))
  t.equal(slow.handler.seen.length, 2)
  slow.wire.clock += 500
  slow.codec.onTimer()
  t.ok(slow.wire.isClosed)
  t.equal(slow.handler.seen[1]?.failure?.code, 'DOWNSTREAM_GONE')
  t.end()
})

t.test('header changes write a new block, and what does not fit is not added', (t) => {
  const gateway = proxy()
  gateway.change = ({ request: { headers } }) => {
    headers.remove('x-a')
    headers.set('sofa_head_method_name', 'other')
    headers.add('X-New', 'ünï')
    headers.add('x-long', 'v'.repeat(32_700))
    headers.set('x-keep', 'v'.repeat(32_700))
  }
  const headers = [...SERVICE_PAIRS, ['x-a', '1'], [null, null], ['x-keep', 'kept'], ['x-a', '2']] as const
  feed(gateway.down.codec, call({ headers }))
  const [sent] = parseFrames(gateway.up.wire.take())
  t.same(sent?.headers, [
    ['service', 'a.B:1.0'],
    ['(null)', '(null)'],
    ['x-keep', 'kept'],
    ['sofa_head_method_name', 'other'],
    ['X-New', 'ünï'],
  ])
  t.equal(sent?.content.toString(), 'content')
  t.equal(sent?.className, 'com.alipay.sofa.rpc.core.request.SofaRequest')
  gateway.changeResponse = (response) => response.headers.set('x-via', 'meshgate')
  feed(gateway.up.codec, answer(1, { headers: [['a', 'b']], content: 'r' }))
  t.match(parseFrames(gateway.down.wire.take()), [
    {
      id: 1,
      headers: [
        ['a', 'b'],
        ['x-via', 'meshgate'],
      ],
      content: Buffer.from('r'),
      className: 'SofaResponse',
    },
  ])
  t.equal(gateway.down.codec.activeExchanges + gateway.up.codec.activeStreams, 0)
  t.end()
})

t.test('a block that was full to the last byte takes nothing more, one byte less takes it', (t) => {
  const fill = (length: number) => block([['f', 'x'.repeat(length - 9)]])
  for (const [length, isAdded] of [
    [32_767 - 10, true],
    [32_767 - 9, false],
  ] as const) {
    const gateway = proxy()
    gateway.change = ({ request }) => request.headers.add('k', 'v')
    feed(gateway.down.codec, call({ headers: fill(length) }))
    t.equal(parseFrames(gateway.up.wire.take())[0]?.headers.length, isAdded ? 2 : 1)
    gateway.down.codec.onClose(null)
  }
  t.end()
})

t.test('long contents are lent, with the checksum behind them', (t) => {
  const gateway = proxy()
  const content = Buffer.alloc(100 * KIB, 'abc')
  for (const part of [{}, { proto: 2, switchByte: 1 }, { proto: 2, version: 1 }]) {
    feed(gateway.down.codec, call({ ...part, id: 77, content }))
    const [sent] = parseFrames(gateway.up.wire.take())
    t.ok(sent?.content.equals(content))
    feed(gateway.up.codec, answer(sent!.id, { ...part, content }))
    const [back] = parseFrames(gateway.down.wire.take())
    t.ok(back?.content.equals(content))
    t.equal(back?.id, 77)
  }
  t.end()
})
