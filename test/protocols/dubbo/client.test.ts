import t from 'tap'
import { PlainRequest } from '../../../lib/buffer/plain-request.ts'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import type { RequestHead } from '../../../lib/core/message.ts'
import { feed, frame, hi, parseFrames, Relay } from '../../support/dubbo-wire.ts'
import { exchangeFor } from '../../support/mmtp-wire.ts'

poisonReleasedSlabs(true)

const ANSWER = '9103626f62'

/** A relay with `count` requests on their way; their upstream ids in order. */
function running(count: number, relay = new Relay()): { relay: Relay; ids: string[] } {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    ids.push(...relay.request(frame(0xc2, 0, `${i + 1}`.padStart(16, 'f'), hi())).map(({ id }) => id))
  }
  return { relay, ids }
}

t.test('ids are our own, the caller gets its eight bytes back, in whatever order the answers come', (t) => {
  const { relay, ids } = running(3)
  t.same(ids, ['0000000000000001', '0000000000000003', '0000000000000005'])
  const answers = [2, 0, 1].flatMap((index) => relay.answer(frame(0x02, 20, ids[index], ANSWER)))
  t.same(
    answers.map(({ id }) => id),
    ['fffffffffffffff3', 'fffffffffffffff1', 'fffffffffffffff2'],
  )
  t.equal(relay.client.activeStreams, 0)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('every status is passed through, unknown ones too', (t) => {
  for (const status of [0, 20, 25, 30, 31, 35, 40, 50, 60, 70, 80, 90, 99, 100, 105, 255]) {
    const { relay, ids } = running(1)
    const [answer] = relay.answer(frame(0x02, status, ids[0], ANSWER))
    t.match(answer, { status, flag: 0x02, id: 'fffffffffffffff1', body: Buffer.from(ANSWER, 'hex') })
    t.equal(relay.last().response?.isFailure, status !== 20)
  }
  t.end()
})

t.test('kinds with exceptions are failures, in both serializations', (t) => {
  const isFailure = (flag: number, hex: string): boolean | undefined => {
    const { relay, ids } = running(1)
    relay.answer(frame(flag, 20, ids[0], hex))
    return relay.last().response?.isFailure
  }
  for (const kind of [0, 3]) {
    t.equal(isFailure(0x02, `9${kind}4e`), true)
    t.equal(isFailure(0x17, `00000002bd0${kind}00000001af`), true)
  }
  for (const kind of [1, 2, 4, 5]) {
    t.equal(isFailure(0x02, `9${kind}4e`), false)
    t.equal(isFailure(0x17, `00000002bd0${kind}`), false)
  }
  t.equal(isFailure(0x02, ''), false)
  t.equal(isFailure(0x16, '90'), false, 'a serialization that is not read')
  t.end()
})

t.test('unknown, repeated and late answers are dropped', (t) => {
  const { relay, ids } = running(2)
  t.same(relay.answer(frame(0x02, 20, '63', ANSWER)), [], 'unknown')
  t.same(relay.answer(frame(0x02, 20, '1'.padStart(9, '1'), ANSWER)), [], 'high half set')
  t.equal(relay.answer(frame(0x02, 20, ids[0], ANSWER)).length, 1)
  t.same(relay.answer(frame(0x02, 20, ids[0], ANSWER)), [], 'repeated')
  relay.seen[1].exchange.upstream?.cancel()
  t.equal(relay.client.activeStreams, 0)
  t.same(relay.answer(frame(0x02, 20, ids[1], ANSWER)), [], 'late')
  t.notOk(relay.up.isClosed)
  relay.finishAll()
  const next = running(1, relay)
  t.equal(next.ids[0], '0000000000000005', 'no id is used again')
  relay.finishAll()
  t.end()
})

t.test('one-way requests end with a success of ours and keep no place', (t) => {
  const relay = new Relay()
  const [sent] = relay.request(frame(0x82, 0, '7', hi()))
  t.equal(sent.flag, 0x82)
  t.equal(relay.client.activeStreams, 0)
  t.equal(relay.last().response, null)
  queueMicrotask(() => {
    t.equal(relay.last().response?.status, 20)
    t.same(relay.sent(), [], 'the caller hears nothing')
    t.equal(relay.server.activeExchanges, 0)
    t.same(relay.answer(frame(0x02, 20, sent.id, ANSWER)), [], 'nor of an answer that came all the same')
    t.end()
  })
})

t.test('half an answer, then the end', (t) => {
  const { relay, ids } = running(2)
  feed(relay.client, frame(0x02, 20, ids[0], ANSWER).subarray(0, 18))
  relay.client.onClose(new Error('ECONNRESET'))
  t.same(
    relay.seen.map(({ failure }) => failure?.code),
    ['UPSTREAM_RESET', 'UPSTREAM_RESET'],
  )
  t.same(
    relay.sent().map(({ status }) => status),
    [35, 35],
  )
  t.equal(relay.client.activeStreams, 0)
  t.equal(relay.client.capacity, 0)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('FIN fails what runs and closes', (t) => {
  const { relay } = running(1)
  relay.client.onEnd()
  t.equal(relay.last().failure?.code, 'UPSTREAM_RESET')
  t.ok(relay.up.isClosed)
  t.equal(relay.client.isReusable, false)
  t.end()
})

t.test('garbage behind valid frames: the answers count, the rest fails', (t) => {
  for (const garbage of [
    '00',
    'dabc',
    'dabb02140000000000000001ffffffff',
    'dabb0214000000000000000100800000',
  ]) {
    const { relay, ids } = running(2)
    const answers = relay.answer(
      Buffer.concat([frame(0x02, 20, ids[0], ANSWER), Buffer.from(garbage, 'hex')]),
    )
    t.same(
      answers.map(({ status }) => status),
      [20, 50],
    )
    t.equal(relay.seen[1].failure?.code, 'UPSTREAM_PROTOCOL', garbage)
    t.ok(relay.up.isClosed)
    t.equal(poolUsage().leased, 0)
  }
  t.end()
})

t.test('a frame from the provider that does not end', (t) => {
  const { relay, ids } = running(1)
  feed(relay.client, frame(0x02, 20, ids[0], ANSWER).subarray(0, 18))
  relay.up.clock += 15_000
  relay.client.onTimer()
  t.equal(relay.last().failure?.code, 'UPSTREAM_PROTOCOL')
  t.ok(relay.up.isClosed)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('READONLY: no more streams, what runs finishes, then the connection closes', (t) => {
  for (const [flag, hex] of [
    [0xa2, '0152'],
    [0xb7, '000000024a52'],
  ] as const) {
    const { relay, ids } = running(1)
    t.ok(relay.client.capacity > 0)
    feed(relay.client, frame(flag, 0, '9', hex))
    t.equal(relay.client.capacity, 0)
    t.equal(relay.client.isReusable, false)
    t.ok(relay.capacityCalls > 0)
    t.notOk(relay.up.isClosed)
    t.equal(relay.answer(frame(0x02, 20, ids[0], ANSWER)).length, 1)
    t.ok(relay.up.isClosed)
  }
  const { relay } = running(1)
  for (const hex of ['0157', '4e', '', '52', '015200']) feed(relay.client, frame(0xa2, 0, '9', hex))
  t.equal(relay.client.isReusable, true, 'other events do nothing')
  relay.finishAll()
  t.end()
})

t.test('heartbeats go out in silence, and silence for three of them ends the connection', (t) => {
  const relay = new Relay({}, { heartbeatMs: 60_000 })
  const tick = (ms: number) => {
    relay.up.clock += ms
    relay.client.onTimer()
    return parseFrames(relay.up.take())
  }
  t.equal(relay.up.timerMs, 60_000)
  t.same(tick(59_000), [])
  const [beat] = tick(1_000)
  t.match(beat, { flag: 0xe2, status: 0, id: '0000000000000001', body: Buffer.from('4e', 'hex') })
  t.same(tick(1_000), [], 'one at a time')
  feed(relay.client, frame(0x22, 20, beat.id, '4e'))
  t.same(tick(58_000), [])
  t.equal(tick(2_000).length, 1)
  t.equal(tick(60_000).length, 1)
  t.notOk(relay.up.isClosed)
  const [request] = relay.request(frame(0xc2, 0, '7', hi()))
  t.equal(request.id, '0000000000000007', 'heartbeats take ids of the same row')
  t.equal(tick(60_000).length, 0)
  t.ok(relay.up.isClosed, '180 s after the last sign of life')
  t.equal(relay.last().failure?.code, 'UPSTREAM_RESET')
  t.end()
})

t.test('a busy connection needs no heartbeat', (t) => {
  const relay = new Relay({}, { heartbeatMs: 10_000 })
  for (let i = 0; i < 5; i++) {
    relay.up.clock += 5_000
    const { ids } = running(1, relay)
    relay.answer(frame(0x02, 20, ids[0], ANSWER))
    relay.client.onTimer()
    t.same(parseFrames(relay.up.take()), [])
  }
  t.end()
})

t.test('heartbeats in fastjson2 where the calls are', (t) => {
  const relay = new Relay({}, { heartbeatMs: 1_000 })
  const body = Buffer.concat(
    ['2.0.2', 'a.B', '1', 'hi', ''].map((value) =>
      Buffer.concat([Buffer.from([0, 0, 0, value.length + 1, 0x49 + value.length]), Buffer.from(value)]),
    ),
  )
  relay.request(frame(0xd7, 0, '7', body))
  relay.up.clock += 1_000
  relay.client.onTimer()
  t.match(parseFrames(relay.up.take())[0], { flag: 0xf7, body: Buffer.from('00000001af', 'hex') })
  relay.finishAll()
  t.end()
})

t.test('without heartbeats an unused connection closes in the end', (t) => {
  const relay = new Relay({}, { idleTimeoutMs: 10_000 })
  const { ids } = running(1, relay)
  relay.up.clock += 20_000
  relay.client.onTimer()
  t.notOk(relay.up.isClosed, 'something runs')
  relay.answer(frame(0x02, 20, ids[0], ANSWER))
  relay.up.clock += 10_000
  relay.client.onTimer()
  t.ok(relay.up.isClosed)
  t.end()
})

t.test('the provider’s own heartbeats are answered, its calls refused', (t) => {
  const relay = new Relay()
  feed(relay.client, frame(0xe2, 0, 'abc', '4e'))
  feed(relay.client, frame(0xc2, 0, 'abd', hi()))
  feed(relay.client, frame(0x82, 0, 'abe', hi()))
  const [beat, refusal, ...more] = parseFrames(relay.up.take())
  t.match(beat, { flag: 0x22, status: 20, id: '0000000000000abc' })
  t.match(refusal, { flag: 0x02, status: 60, id: '0000000000000abd' })
  t.same(more, [])
  t.end()
})

t.test('capacity and the number of requests a connection lives', (t) => {
  const { relay, ids } = running(2, new Relay({}, { maxStreams: 2, maxRequests: 3 }))
  t.equal(relay.client.capacity, 0)
  t.equal(relay.client.isReusable, true)
  relay.answer(frame(0x02, 20, ids[0], ANSWER))
  t.equal(relay.client.capacity, 1)
  const { ids: last } = running(1, relay)
  t.equal(relay.client.isReusable, false)
  relay.answer(frame(0x02, 20, ids[1], ANSWER))
  t.notOk(relay.up.isClosed)
  relay.answer(frame(0x02, 20, last[0], ANSWER))
  t.ok(relay.up.isClosed, 'with its last answer')
  t.end()
})

t.test('a drain waits for what runs; a stream opened before sends nothing after the end', (t) => {
  const { relay, ids } = running(1)
  const { exchange } = relay.last()
  relay.client.drain()
  t.notOk(relay.up.isClosed)
  relay.answer(frame(0x02, 20, ids[0], ANSWER))
  t.ok(relay.up.isClosed)
  const dead = new Relay()
  dead.forwards = false
  dead.request(frame(0xc2, 0, '7', hi()))
  const stream = dead.client.open(dead.last().exchange)
  dead.client.onClose(null)
  stream.sendRequest(dead.last().exchange.request, false)
  stream.sendBody(hi(), 0, hi().length, true)
  queueMicrotask(() => {
    t.equal(dead.last().failure?.code, 'UPSTREAM_REFUSED')
    t.equal(dead.up.take().length, 0)
    t.ok(exchange)
    t.end()
  })
})

t.test('the first stream of a connection is not a reused one', (t) => {
  const { relay } = running(2)
  t.same(
    relay.seen.map(({ exchange }) => exchange.upstream?.isReused),
    [false, true],
  )
  relay.finishAll()
  t.end()
})

t.test('a request of another RPC protocol is refused', (t) => {
  const relay = new Relay()
  const head = Object.assign(new PlainRequest(), {
    protocol: 'bolt',
    bodyLength: 1,
  }) as unknown as RequestHead
  const exchange = exchangeFor(head)
  relay.seen.push({ exchange, gone: null, failure: null, response: null })
  relay.fail = () => undefined
  relay.client.open(exchange).sendRequest(head, true)
  queueMicrotask(() => {
    t.equal(relay.last().failure?.code, 'FEATURE_UNSUPPORTED')
    t.end()
  })
})
