import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import type { UpstreamStream } from '../../../lib/core/codec.ts'
import type { Exchange } from '../../../lib/core/exchange.ts'
import type { RequestHead } from '../../../lib/core/message.ts'
import type { Route } from '../../../lib/core/route.ts'
import { bolt } from '../../../lib/protocols/bolt/index.ts'
import {
  answer,
  type BoltClientRig,
  type BoltProxy,
  call,
  clientRig,
  exchangeFor,
  FakeWire,
  feed,
  frame,
  parseFrames,
  proxy,
  RecordingUpstream,
  SERVICE_PAIRS,
  serverRig,
} from '../../support/bolt-wire.ts'
import { CLIENT_OPTIONS, CONTEXT, RecordingDownstream, SERVER_OPTIONS } from '../../support/mmtp-wire.ts'

poisonReleasedSlabs(true)
t.afterEach((t) => {
  if (poolUsage().leased !== 0) t.fail(`${poolUsage().leased} leases are left`)
})

const turn = (): Promise<void> => Promise.resolve()

/** Sends one call through a gateway and returns the frame that came out. */
function sent(gateway: BoltProxy, bytes: Buffer) {
  feed(gateway.down.codec, bytes)
  const frames = parseFrames(gateway.up.wire.take())
  t.equal(frames.length, 1)
  return frames[0]!
}

/** A call that came over Bolt, and the stream it goes out on. */
function open(rig: BoltClientRig, bytes: Buffer = call()) {
  const server = serverRig()
  feed(server.codec, bytes)
  const head = server.handler.seen[0]!.exchange.request
  const exchange = exchangeFor(head)
  const seen = rig.handler.expect(exchange)
  const stream = rig.codec.open(exchange)
  stream.sendRequest(head, false)
  stream.sendBody(Buffer.from('content'), 0, 7, true)
  server.handler.finishAll()
  return { exchange, seen, stream }
}

function route(translation: Partial<NonNullable<Route['translation']>>): Route {
  const all = { operation: '', method: '', path: '', service: '', version: '', group: '', call: null }
  return { translation: { ...all, ...translation } } as unknown as Route
}

t.test('the row of the table makes both codecs', (t) => {
  t.equal(bolt.name, 'bolt')
  t.equal(bolt.isMultiplexed, true)
  const options = { ...SERVER_OPTIONS, maxFrameBytes: 1000 }
  const server = bolt.createServer(new FakeWire(), options, new RecordingDownstream(), CONTEXT)
  const handler = new RecordingUpstream()
  const client = bolt.createClient(
    new FakeWire(),
    { ...CLIENT_OPTIONS, maxFrameBytes: 1000 },
    handler,
    handler,
  )
  t.equal(server.activeExchanges, 0)
  t.equal(client.capacity, 128)
  t.end()
})

t.test('calls of many callers share a connection, and answers in any order find their way', (t) => {
  const gateway = proxy()
  feed(
    gateway.down.codec,
    Buffer.concat([
      call({ id: 5, content: 'a' }),
      call({ id: -1, content: 'b' }),
      call({ id: 5, content: 'c' }),
    ]),
  )
  t.match(parseFrames(gateway.up.wire.take()), [
    { id: 1, content: Buffer.from('a') },
    { id: 3, content: Buffer.from('b') },
    { id: 5, content: Buffer.from('c') },
  ])
  t.equal(gateway.up.codec.activeStreams, 3)
  feed(
    gateway.up.codec,
    Buffer.concat([
      answer(5, { content: 'C' }),
      answer(1, { content: 'A', word: 4 }),
      answer(3, { content: 'B' }),
    ]),
  )
  t.match(parseFrames(gateway.down.wire.take()), [
    { id: 5, content: Buffer.from('C'), word: 0 },
    { id: 5, content: Buffer.from('A'), word: 4 },
    { id: -1, content: Buffer.from('B') },
  ])
  t.equal(gateway.up.codec.activeStreams, 0)
  t.end()
})

t.test('answers that nobody waits for are dropped and counted', (t) => {
  const gateway = proxy()
  const [one] = [sent(gateway, call({ id: 8 }))]
  feed(gateway.up.codec, Buffer.concat([answer(99), answer(2), answer(-7), answer(one.id), answer(one.id)]))
  t.equal(gateway.up.codec.lateResponses, 4)
  t.equal(parseFrames(gateway.down.wire.take()).length, 1)
  t.equal(gateway.up.wire.isClosed, false)
  t.end()
})

t.test('an answer after the timeout is dropped, and its id is not used meanwhile', (t) => {
  const rig = clientRig()
  const first = open(rig)
  first.stream.cancel()
  t.equal(rig.codec.activeStreams, 0)
  const second = open(rig)
  feed(rig.codec, Buffer.concat([answer(1, { content: 'late' }), answer(3, { content: 'right' })]))
  t.equal(rig.codec.lateResponses, 1)
  t.equal(first.seen.head, null)
  t.same([second.seen.body, second.seen.isComplete], ['right', true])
  t.end()
})

t.test('the timeout that goes on is what is left of the budget and of the deadline', (t) => {
  const ask = (word: number, spentMs: number, deadlineMs: number, type = 1) => {
    const gateway = proxy()
    gateway.up.wire.clock += spentMs
    gateway.change = (exchange) => {
      exchange.deadlineMs = deadlineMs === 0 ? 0 : exchange.startMs + deadlineMs
    }
    const { word: left } = sent(gateway, call({ word, type }))
    gateway.down.codec.onClose(null)
    return left
  }
  t.equal(ask(3000, 0, 0), 3000)
  t.equal(ask(3000, 200, 0), 2800)
  t.equal(ask(3000, 200, 1000), 800)
  t.equal(ask(0, 10, 0), 0)
  t.equal(ask(-1, 10, 0), -1)
  t.equal(ask(-1, 10, 500), 490)
  t.equal(ask(0, 10, 500), 490)
  t.equal(ask(3000, 1000, 1000), 1)
  t.equal(ask(-1, 0, 500, 2), -1)
  t.equal(ask(1, 0, 0), 1)
  t.end()
})

t.test('a call whose budget is spent is not sent', async (t) => {
  const gateway = proxy()
  gateway.up.wire.clock += 3000
  feed(gateway.down.codec, call({ id: 4 }))
  t.equal(gateway.up.wire.take().length, 0)
  await turn()
  t.match(parseFrames(gateway.down.wire.take()), [{ id: 4, word: 7 }])
  t.equal(gateway.exchanges[0]?.error?.code, 'DEADLINE_EXCEEDED')
  t.equal(gateway.up.codec.activeStreams, 0)
})

t.test('the first call decides the version of a connection, the others are converted', (t) => {
  const v1 = proxy()
  sent(v1, call({ id: 1 }))
  const fromV2 = sent(v1, call({ id: 2, proto: 2, switchByte: 1, headers: [['service', 'a:1']] }))
  t.match(fromV2, {
    proto: 1,
    type: 1,
    command: 1,
    id: 3,
    word: 3000,
    headers: [['service', 'a:1']],
    content: Buffer.from('content'),
  })
  feed(v1.up.codec, answer(3, { content: 'r', headers: [['k', 'v']] }))
  const [back] = parseFrames(v1.down.wire.take())
  t.match(back, {
    proto: 2,
    version: 2,
    switchByte: 1,
    type: 0,
    id: 2,
    content: Buffer.from('r'),
    headers: [['k', 'v']],
  })
  t.not(back?.crc, null)
  v1.down.codec.onClose(null)

  const v2 = proxy()
  t.match(sent(v2, call({ id: 1, proto: 2, switchByte: 1 })), { proto: 2, version: 2, switchByte: 1 })
  const fromV1 = sent(v2, call({ id: 2, type: 1 }))
  t.match(fromV1, {
    proto: 2,
    version: 1,
    switchByte: 0,
    crc: null,
    id: 3,
    className: 'com.alipay.sofa.rpc.core.request.SofaRequest',
  })
  t.match(sent(v2, call({ proto: 2, version: 1, switchByte: 1 })), {
    proto: 2,
    version: 1,
    switchByte: 1,
    crc: null,
  })
  feed(v2.up.codec, Buffer.concat([answer(3, { proto: 2, version: 1 }), answer(1, { proto: 1 })]))
  t.match(parseFrames(v2.down.wire.take()), [
    { proto: 1, id: 2, content: Buffer.from('result') },
    { proto: 2, version: 2, switchByte: 1, id: 1 },
  ])
  v2.down.codec.onClose(null)
  t.end()
})

t.test(
  'an answer of a business process with an unknown status does not cost the caller its connection',
  (t) => {
    const gateway = proxy()
    for (const [came, told] of [
      [19, 3],
      [10, 3],
      [0xffff, 3],
      [18, 18],
      [16, 16],
      [9, 9],
    ] as const) {
      const { id } = sent(gateway, call())
      feed(gateway.up.codec, answer(id, { word: came }))
      t.equal(parseFrames(gateway.down.wire.take())[0]?.word, told)
    }
    t.end()
  },
)

t.test('a status that a filter assigns is sent', (t) => {
  const gateway = proxy()
  gateway.changeResponse = (response) => {
    response.status = 4
  }
  sent(gateway, call({ id: 6 }))
  feed(gateway.up.codec, answer(1))
  t.match(parseFrames(gateway.down.wire.take()), [{ id: 6, word: 4, content: Buffer.from('result') }])
  t.end()
})

t.test('failure is a status, or a header that says so', (t) => {
  const rig = clientRig()
  const found: boolean[] = []
  const { onResponse } = rig.handler
  rig.handler.onResponse = (exchange, response, last) => {
    found.push(response.isFailure)
    t.equal(response.statusKind, 'bolt')
    onResponse.call(rig.handler, exchange, response, last)
  }
  const key = 'sofa_head_response_error'
  const cases: Parameters<typeof answer>[1][] = [
    {},
    { word: 2 },
    { headers: [[key, 'true']] },
    { headers: [[key, 'false']] },
    {
      headers: [
        [key, 'true'],
        [key, 'false'],
      ],
    },
    { headers: [['sofa_head_response_errox', 'true']] },
  ]
  cases.forEach((parts, i) => {
    open(rig)
    feed(rig.codec, answer(2 * i + 1, parts))
  })
  t.same(found, [false, true, true, false, false, false])
  t.end()
})

t.test('a route renames the service where both headers name it', (t) => {
  const gateway = proxy()
  const ask = (translation: Parameters<typeof route>[0], headers: readonly (readonly [string, string])[]) => {
    gateway.change = (exchange) => {
      exchange.translation = route(translation).translation
    }
    const { headers: out } = sent(gateway, call({ headers }))
    return Object.fromEntries(out)
  }
  const both = [
    ['service', 'a.B:2.0:x'],
    ['sofa_head_target_service', 'a.B:2.0:x'],
    ['sofa_head_method_name', 'm'],
  ] as const
  t.same(ask({ service: 'c.D' }, both), {
    service: 'c.D:2.0:x',
    sofa_head_target_service: 'c.D:2.0:x',
    sofa_head_method_name: 'm',
  })
  t.same(ask({ version: '3.0' }, [['service', 'a.B:1.0']]), { service: 'a.B:3.0' })
  t.same(ask({ service: 'c.D', version: '1.1', group: 'g' }, [['service', 'a.B']]), { service: 'c.D:1.1:g' })
  t.same(ask({ service: 'c.D' }, [['service', 'a.B']]), { service: 'c.D:1.0' })
  t.same(ask({}, both), Object.fromEntries(both))
  gateway.down.codec.onClose(null)
  t.end()
})

t.test('a one-way call is over as soon as it is sent', async (t) => {
  const gateway = proxy()
  t.match(sent(gateway, call({ type: 2, word: -1 })), { type: 2, word: -1, id: 1 })
  t.equal(gateway.up.codec.activeStreams, 0)
  t.equal(gateway.down.codec.activeExchanges, 1)
  await turn()
  t.equal(gateway.down.codec.activeExchanges, 0)
  t.equal(gateway.exchanges[0]?.response?.isFailure, false)
  t.equal(gateway.down.wire.take().length, 0)
  feed(gateway.up.codec, answer(1))
  t.equal(gateway.up.codec.lateResponses, 1)
})

t.test('bytes that are no frame fail what runs and close the connection', (t) => {
  const cases: Record<string, Buffer> = {
    protocol: Buffer.from([9]),
    text: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    type: frame({ type: 7 }),
    command: frame({ type: 0, command: 5 }),
    checksum: answer(1, { proto: 2, switchByte: 1, crc: 5 }),
    lengths: frame({ type: 0, className: 'x'.repeat(40_000) }),
  }
  for (const [name, bytes] of Object.entries(cases)) {
    const rig = clientRig()
    const one = open(rig)
    const two = open(rig)
    feed(rig.codec, bytes)
    t.same([one.seen.failure?.code, two.seen.failure?.code], ['UPSTREAM_PROTOCOL', 'UPSTREAM_PROTOCOL'], name)
    t.ok(rig.wire.isClosed)
    t.same([rig.codec.isReusable, rig.codec.capacity, rig.codec.activeStreams], [false, 0, 0])
    feed(rig.codec, answer(1))
    rig.codec.onClose(null)
  }
  t.end()
})

t.test('garbage behind a good answer does not spoil it', (t) => {
  const rig = clientRig()
  const one = open(rig)
  const two = open(rig)
  feed(rig.codec, Buffer.concat([answer(1), Buffer.from('garbage')]))
  t.equal(one.seen.isComplete, true)
  t.equal(two.seen.failure?.code, 'UPSTREAM_PROTOCOL')
  t.end()
})

t.test('an answer with a malformed header block fails its call only', (t) => {
  const gateway = proxy()
  sent(gateway, call({ id: 1 }))
  sent(gateway, call({ id: 2 }))
  feed(gateway.up.codec, answer(1, { headers: Buffer.alloc(16, 0x7f) }))
  t.match(parseFrames(gateway.down.wire.take()), [{ id: 1, word: 2 }])
  t.equal(gateway.exchanges[0]?.error?.code, 'UPSTREAM_PROTOCOL')
  feed(gateway.up.codec, answer(3))
  t.match(parseFrames(gateway.down.wire.take()), [{ id: 2, word: 0 }])
  t.end()
})

t.test('an answer above the limit is skipped and fails its call only', (t) => {
  for (const cut of [0, 10, 20, 300, 1500]) {
    const rig = clientRig({ maxFrameBytes: 1000 })
    const one = open(rig)
    const two = open(rig)
    const bytes = Buffer.concat([answer(1, { content: Buffer.alloc(2000) }), answer(3)])
    feed(rig.codec, bytes.subarray(0, cut))
    feed(rig.codec, bytes.subarray(cut))
    t.equal(one.seen.failure?.code, 'UPSTREAM_PROTOCOL')
    t.match(one.seen.failure?.detail, /2046 bytes|above 1000/)
    t.equal(two.seen.isComplete, true, `cut at ${cut}`)
    t.equal(rig.wire.isClosed, false)
    feed(rig.codec, answer(77, { content: Buffer.alloc(2000) }))
    t.equal(rig.codec.lateResponses, 1)
  }
  t.end()
})

t.test('half a frame and then death: the call fails, nothing is left', (t) => {
  for (const end of ['fin', 'reset'] as const) {
    const rig = clientRig()
    const { seen } = open(rig)
    feed(rig.codec, answer(1).subarray(0, 25))
    t.equal(poolUsage().leased, 1)
    if (end === 'fin') rig.codec.onEnd()
    else rig.codec.onClose(new Error('ECONNRESET'))
    t.equal(seen.failure?.code, 'UPSTREAM_RESET')
    t.equal(poolUsage().leased, 0)
    t.equal(rig.codec.isReusable, false)
    rig.codec.onClose(null)
  }
  t.end()
})

t.test('a frame that never ends breaks the connection', (t) => {
  const rig = clientRig({ idleTimeoutMs: 0 })
  const { seen } = open(rig)
  feed(rig.codec, answer(1).subarray(0, 25))
  t.equal(rig.wire.timerMs, 30_000)
  rig.wire.clock += 30_000
  rig.codec.onTimer()
  t.equal(seen.failure?.code, 'UPSTREAM_PROTOCOL')
  t.ok(rig.wire.isClosed)
  t.end()
})

t.test('a silent peer is sent heartbeats, and given up after three that it missed', (t) => {
  const rig = clientRig({ heartbeatMs: 15_000, idleTimeoutMs: 0 })
  const { seen } = open(rig, call({ proto: 2, switchByte: 1 }))
  rig.wire.take()
  t.equal(rig.wire.timerMs, 15_000)
  rig.wire.clock += 15_000
  rig.codec.onTimer()
  const [beat] = parseFrames(rig.wire.take())
  t.match(beat, { proto: 2, switchByte: 0, crc: null, type: 1, command: 0, word: -1, id: 2, className: '' })
  t.equal(rig.wire.timerMs, 1_000)
  rig.wire.clock += 1_000
  rig.codec.onTimer()
  t.equal(parseFrames(rig.wire.take()).length, 1)
  rig.wire.clock += 500
  feed(rig.codec, frame({ type: 0, command: 0, id: 4 }))
  rig.wire.clock += 500
  rig.codec.onTimer()
  t.equal(rig.wire.take().length, 0)
  t.equal(rig.wire.timerMs, 14_500)
  rig.wire.clock += 14_500
  for (let missed = 0; missed < 3; missed++) {
    rig.codec.onTimer()
    t.equal(parseFrames(rig.wire.take())[0]?.command, 0)
    t.equal(seen.failure, null)
    rig.wire.clock += 1_000
  }
  rig.codec.onTimer()
  t.equal(seen.failure?.code, 'UPSTREAM_RESET')
  t.same(rig.wire.events, ['destroy'])
  t.equal(rig.wire.take().length, 0)
  t.end()
})

t.test('an unused connection beats in v1 and stays with it; without heartbeats none are sent', (t) => {
  const rig = clientRig({ heartbeatMs: 1000, idleTimeoutMs: 0 })
  rig.wire.clock += 1000
  rig.codec.onTimer()
  t.equal(rig.wire.take().toString('hex'), '01010000010000000201ffffffff0000000000000000')
  open(rig, call({ proto: 2 }))
  t.equal(parseFrames(rig.wire.take())[0]?.proto, 1)
  rig.codec.onClose(null)
  const quiet = clientRig({ heartbeatMs: 0, idleTimeoutMs: 0 })
  t.equal(quiet.wire.timerMs, 0)
  t.end()
})

t.test('a connection without calls is closed after its time, heartbeats or not', (t) => {
  const rig = clientRig({ heartbeatMs: 1000, idleTimeoutMs: 5000 })
  const { stream } = open(rig)
  rig.wire.clock += 6000
  rig.codec.onTimer()
  t.equal(rig.wire.isClosed, false)
  feed(rig.codec, frame({ type: 0, command: 0, id: 2 }))
  stream.cancel()
  rig.codec.onTimer()
  t.ok(rig.wire.isClosed)
  t.equal(rig.codec.isReusable, false)
  t.end()
})

t.test('GoAway: nothing new, what runs is answered, then the connection closes', (t) => {
  const rig = clientRig()
  const { seen } = open(rig)
  feed(rig.codec, frame({ command: 100, word: -1 }))
  t.same([rig.codec.isReusable, rig.codec.capacity, rig.wire.isClosed], [false, 0, false])
  t.equal(rig.handler.capacityCalls, 1)
  feed(rig.codec, answer(1))
  t.equal(seen.isComplete, true)
  t.ok(rig.wire.isClosed)
  const idle = clientRig()
  feed(idle.codec, frame({ type: 2, command: 100 }))
  t.ok(idle.wire.isClosed)
  t.end()
})

t.test('a business process that calls us is told that there is nobody; its heartbeats are answered', (t) => {
  const rig = clientRig()
  feed(
    rig.codec,
    Buffer.concat([
      call({ id: 3 }),
      call({ id: 4, type: 2 }),
      frame({ command: 0, id: 5, proto: 2, word: -1 }),
    ]),
  )
  t.match(parseFrames(rig.wire.take()), [
    { type: 0, command: 2, id: 3, word: 6 },
    { proto: 2, type: 0, command: 0, id: 5 },
  ])
  t.end()
})

t.test(
  'there is no room beyond the streams, after the last request, or while the peer takes nothing',
  (t) => {
    const rig = clientRig({ maxStreams: 2, maxRequests: 3 })
    t.equal(rig.codec.capacity, 2)
    const one = open(rig)
    t.equal(one.stream.isReused, false)
    const two = open(rig)
    t.equal(two.stream.isReused, true)
    t.equal(rig.codec.capacity, 0)
    one.stream.cancel()
    t.equal(rig.codec.capacity, 1)
    rig.wire.isWritable = false
    t.equal(rig.codec.capacity, 0)
    rig.wire.isWritable = true
    const calls = rig.handler.capacityCalls
    rig.codec.onDrain()
    t.equal(rig.handler.capacityCalls, calls + 1)
    const three = open(rig)
    t.equal(rig.codec.isReusable, false)
    two.stream.cancel()
    t.equal(rig.wire.isClosed, false)
    three.stream.cancel()
    t.ok(rig.wire.isClosed)
    t.end()
  },
)

t.test('a drain closes at once when nothing runs, else after the last answer', (t) => {
  const idle = clientRig()
  idle.codec.drain()
  t.ok(idle.wire.isClosed)
  const rig = clientRig()
  open(rig)
  rig.codec.drain()
  t.equal(rig.wire.isClosed, false)
  feed(rig.codec, answer(1))
  t.ok(rig.wire.isClosed)
  t.end()
})

t.test('a stream on a connection that died meanwhile is refused unsent', async (t) => {
  const rig = clientRig()
  const server = serverRig()
  feed(server.codec, call())
  const head = server.handler.seen[0]!.exchange.request
  const exchange = exchangeFor(head)
  const seen = rig.handler.expect(exchange)
  const stream = rig.codec.open(exchange)
  rig.codec.onEnd()
  stream.sendRequest(head, false)
  stream.sendBody(Buffer.from('x'), 0, 1, true)
  t.equal(seen.failure, null)
  await turn()
  t.equal(seen.failure?.code, 'UPSTREAM_REFUSED')
  server.handler.finishAll()
})

t.test('a content in pieces, or changed by a filter, goes out as one frame with its own length', (t) => {
  const rig = clientRig()
  const server = serverRig()
  feed(server.codec, call({ headers: SERVICE_PAIRS }))
  const exchange: Exchange = server.handler.seen[0]!.exchange
  const seen = rig.handler.expect(exchange)
  const stream: UpstreamStream = rig.codec.open(exchange)
  stream.sendRequest(exchange.request, false)
  stream.sendBody(Buffer.from('a longer'), 0, 8, false)
  stream.sendBody(Buffer.from('- content'), 1, 9, true)
  t.match(parseFrames(rig.wire.take()), [
    { content: Buffer.from('a longer content'), headers: SERVICE_PAIRS },
  ])
  rig.codec.onClose(null)
  t.equal(seen.failure?.code, 'UPSTREAM_RESET')
  exchange.state = 0
  server.handler.finish(exchange)
  t.end()
})

t.test('requests of other protocols need a call', async (t) => {
  for (const [protocol, code] of [
    ['dubbo', 'FEATURE_UNSUPPORTED'],
    ['http1', 'NO_ROUTE'],
    ['mmtp', 'NO_ROUTE'],
  ] as const) {
    const rig = clientRig()
    const exchange = exchangeFor({ protocol } as RequestHead)
    const seen = rig.handler.expect(exchange)
    rig.codec.open(exchange).sendRequest(exchange.request, true)
    await turn()
    t.equal(seen.failure?.code, code)
    t.equal(rig.codec.activeStreams, 0)
    t.equal(rig.wire.take().length, 0)
  }
})
