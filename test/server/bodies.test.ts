import t from 'tap'
import { poolUsage } from '../../lib/buffer/pools.ts'
import { GatewayError } from '../../lib/core/errors.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import type { Filter } from '../../lib/core/filter.ts'
import { Hold } from '../../lib/server/hold.ts'
import { PlainHeaders } from '../../lib/testing-messages.ts'
import { deferred, Rig, settled } from './support.ts'

const KIB = 1024

// — pieces that wait ————————————————————————————————————————————————————————————————————————————————

t.test('held pieces come out in order and their blocks go back', (t) => {
  const hold = new Hold()
  const pieces = [10, 0, 2000, 5, 70_000, 3].map((length, i) => Buffer.alloc(length, 65 + i))
  for (const piece of pieces) hold.push(piece, 0, piece.length)
  const whole = Buffer.concat(pieces)
  t.equal(hold.length, whole.length)
  t.notOk(hold.isEmpty)
  const got: Buffer[] = []
  hold.drainTo((bytes, length) => got.push(Buffer.from(bytes.subarray(0, length))))
  t.ok(Buffer.concat(got).equals(whole))
  t.equal(hold.length, 0)
  t.equal(poolUsage().leased, 0)
  for (const piece of pieces) hold.push(piece, 0, piece.length)
  t.ok(hold.take().equals(whole))
  hold.push(pieces[0] as Buffer, 2, 6)
  hold.clear()
  hold.clear()
  t.equal(hold.take().length, 0)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('many small pieces share their blocks', (t) => {
  const hold = new Hold()
  for (let i = 0; i < 1024; i++) hold.push(Buffer.from('x'), 0, 1)
  t.equal(poolUsage().leased, 1)
  hold.clear()
  t.end()
})

t.test('held trailers are a copy', (t) => {
  const hold = new Hold()
  const trailers = new PlainHeaders({ 'x-sum': '1' })
  hold.end(trailers)
  trailers.set('x-sum', '2')
  t.notOk(hold.isEmpty)
  t.equal(hold.trailers?.get('x-sum'), '1')
  hold.clear()
  t.ok(hold.isEmpty)
  t.end()
})

// — streaming ————————————————————————————————————————————————————————————————————————————————————————

t.test('bodies flow piece by piece, and trailers end them', (t) => {
  const rig = new Rig()
  const call = rig.request({ method: 'POST' }, -1)
  call.body('a')
  call.body('b')
  call.trailers()
  call.respond(200, false)
  call.respondBody('c')
  call.respondTrailers()
  t.same(rig.log, [
    'open',
    'up head POST /',
    'up body "a"',
    'up body "b"',
    'up trailers',
    'down head 200',
    'down body "c"',
    'down trailers',
    'down finish',
  ])
  t.equal(call.exchange.requestBytes, 2)
  rig.verify(t)
  t.end()
})

t.test('what arrives before there is a stream is held, in order, trailers too', (t) => {
  for (const end of ['last', 'empty last', 'trailers'] as const) {
    const rig = new Rig({ open: () => null })
    const call = rig.request({ method: 'POST' }, -1)
    call.body('a')
    call.body('b', end === 'last')
    if (end === 'empty last') call.body('', true)
    if (end === 'trailers') call.trailers()
    rig.dispatcher.onUpstreamReady(call.exchange, rig.stream())
    t.equal(rig.up.body, 'ab')
    t.equal(rig.up.phase, 'ended', end)
    call.respond()
    rig.verify(t)
  }
  t.end()
})

t.test('a response that arrives while its hook waits is held, in order, trailers too', async (t) => {
  for (const end of ['last', 'empty last', 'trailers'] as const) {
    const gate = deferred()
    const rig = new Rig({ filters: [{ name: 'w', onResponse: () => gate.promise }] })
    const call = rig.request()
    call.respond(200, false)
    call.respondBody('a')
    call.respondBody('b', end === 'last')
    if (end === 'empty last') call.respondBody('', true)
    if (end === 'trailers') call.respondTrailers()
    gate.resolve()
    await settled()
    t.equal(call.down.body, 'ab')
    t.equal(call.down.phase, 'ended', end)
    rig.verify(t)
  }
})

t.test('an answer before the request is complete ends the exchange and gives up the rest', (t) => {
  const rig = new Rig()
  const call = rig.request({ method: 'POST' }, -1)
  call.body('a')
  call.respond(413)
  t.equal(call.down.status, 413)
  t.ok(call.isOver)
  t.equal(rig.up.phase, 'cancelled')
  call.body('late', true)
  rig.verify(t)
  t.end()
})

t.test(
  'the end of the request while the answer is still with its hooks does not end the exchange',
  async (t) => {
    const gate = deferred()
    const rig = new Rig({ filters: [{ name: 'w', onResponse: () => gate.promise }] })
    const call = rig.request({ method: 'POST' }, -1)
    call.respond(200)
    call.body('rest', true)
    t.notOk(call.isOver)
    t.equal(call.exchange.upstream, null, 'but the stream is over')
    gate.resolve()
    await settled()
    t.equal(call.down.phase, 'ended')
    rig.verify(t)
  },
)

t.test('a stream that is over is let go of, because its connection may serve another exchange', async (t) => {
  for (const outcome of ['reply', 'throw', 'gone', 'continue'] as const) {
    const gate = deferred<void>()
    const filter: Filter = {
      name: 'w',
      async onResponse(exchange: Exchange) {
        if (exchange.localReply !== null || exchange.error !== null) return undefined
        await gate.promise
        if (outcome === 'throw') throw new Error('a defect')
        return outcome === 'reply' ? exchange.reply(403) : undefined
      },
    }
    const rig = new Rig({ filters: [filter] })
    const call = rig.request()
    call.respond(200, false)
    call.respondBody('x', true)
    t.equal(call.exchange.upstream, null)
    call.drain()
    if (outcome === 'gone') call.fail(new GatewayError('DOWNSTREAM_GONE'))
    gate.resolve()
    await settled()
    await settled()
    t.notOk(
      rig.log.some((entry) => entry === 'up cancel' || entry === 'up resume'),
      outcome,
    )
    rig.verify(t)
  }
})

// — back-pressure ——————————————————————————————————————————————————————————————————————————————————————

t.test('a slow business process holds back the caller, once, until it drains', (t) => {
  const rig = new Rig()
  const call = rig.request({ method: 'POST' }, -1)
  rig.up.isWritable = false
  call.body('a')
  call.body('b')
  t.ok(call.down.isPaused)
  rig.up.isWritable = true
  rig.dispatcher.onUpstreamDrain(call.exchange)
  rig.dispatcher.onUpstreamDrain(call.exchange)
  t.notOk(call.down.isPaused)
  rig.up.isWritable = false
  call.body('c', true)
  t.notOk(call.down.isPaused, 'nothing follows the last piece')
  call.respond()
  t.equal(rig.up.body, 'abc')
  rig.verify(t)
  t.end()
})

t.test('a slow caller holds back the business process, once, until it drains', (t) => {
  const rig = new Rig()
  const call = rig.request()
  call.respond(200, false)
  call.down.isWritable = false
  call.respondBody('a')
  call.respondBody('b')
  t.ok(rig.up.isPaused)
  call.drain()
  call.drain()
  t.notOk(rig.up.isPaused)
  call.respondBody('c', true)
  t.equal(call.down.body, 'abc')
  rig.verify(t)
  t.end()
})

t.test('a caller that sends more than is held is paused until there is a stream that takes it', (t) => {
  for (const isSlow of [false, true]) {
    const rig = new Rig({ open: () => null })
    const call = rig.request({ method: 'POST' }, -1)
    call.body(Buffer.alloc(63 * KIB, 'a'))
    t.notOk(call.down.isPaused)
    call.body(Buffer.alloc(KIB, 'b'))
    t.ok(call.down.isPaused)
    const stream = rig.stream()
    stream.isWritable = !isSlow
    rig.dispatcher.onUpstreamReady(call.exchange, stream)
    t.equal(call.down.isPaused, isSlow)
    if (isSlow) rig.dispatcher.onUpstreamDrain(call.exchange)
    t.notOk(call.down.isPaused)
    call.body('c', true)
    t.equal(stream.body.length, 64 * KIB + 1)
    call.respond()
    rig.verify(t)
  }
  t.end()
})

t.test(
  'an answer larger than is held is paused until its hook is done and the caller takes it',
  async (t) => {
    for (const isSlow of [false, true]) {
      const gate = deferred()
      const rig = new Rig({ filters: [{ name: 'w', onResponse: () => gate.promise }] })
      const call = rig.request()
      call.respond(200, false)
      call.respondBody(Buffer.alloc(64 * KIB, 'a'))
      t.ok(rig.up.isPaused)
      call.down.isWritable = !isSlow
      gate.resolve()
      await settled()
      t.equal(rig.up.isPaused, isSlow)
      if (isSlow) call.drain()
      t.notOk(rig.up.isPaused)
      call.respondBody('c', true)
      t.equal(call.down.body.length, 64 * KIB + 1)
      rig.verify(t)
    }
  },
)

t.test('a caller that is paused while its exchange ends is not touched after finish', (t) => {
  const rig = new Rig()
  const call = rig.request({ method: 'POST' }, -1)
  rig.up.isWritable = false
  call.body('a')
  t.ok(call.down.isPaused)
  call.respond(200)
  t.ok(call.isOver)
  rig.dispatcher.onUpstreamDrain(call.exchange)
  rig.verify(t)
  t.end()
})

// — gathering ————————————————————————————————————————————————————————————————————————————————————————

function gatherer(
  side: 'request' | 'response' | 'both',
  act: (exchange: Exchange) => void = () => {},
): Filter {
  return {
    name: 'g',
    needsBody: side,
    onRoute: (exchange) => {
      if (side !== 'response') act(exchange)
    },
    onResponse: (exchange) => {
      if (side !== 'request') act(exchange)
    },
  }
}

t.test('a gathered request body is whole before onRoute, and may be replaced', (t) => {
  for (const end of ['last', 'trailers', 'none'] as const) {
    const seen: (string | undefined)[] = []
    const rig = new Rig({
      filters: [
        gatherer('request', (exchange) => {
          seen.push(exchange.requestBody?.toString())
          exchange.requestBody = Buffer.from('other')
        }),
      ],
    })
    const call = rig.request({ method: 'POST' }, end === 'none' ? null : -1)
    if (end !== 'none') {
      call.body('one ')
      t.same(rig.streams, [], 'nothing goes out before')
      call.body('two', end === 'last')
      if (end === 'trailers') call.trailers()
    }
    t.same(seen, [end === 'none' ? '' : 'one two'])
    t.equal(rig.up.body, 'other')
    t.equal(rig.up.phase, 'ended')
    call.respond()
    rig.verify(t)
  }
  t.end()
})

t.test('a request body above the limit is refused, announced or not', (t) => {
  const announced = new Rig({ filters: [gatherer('request')], gatherLimit: 10 })
  const refused = announced.request({ method: 'POST' }, 11)
  t.equal(refused.down.body, 'BODY_TOO_LARGE')
  announced.verify(t)

  const chunked = new Rig({ filters: [gatherer('request')], gatherLimit: 10 })
  const call = chunked.request({ method: 'POST' }, -1)
  call.body('0123456789')
  t.notOk(call.isOver)
  call.body('x')
  t.equal(call.down.body, 'BODY_TOO_LARGE')
  t.same(chunked.streams, [])
  call.body('more', true)
  chunked.verify(t)
  t.end()
})

t.test('a body that came while a hook before the route waited is gathered, too', async (t) => {
  for (const [length, isWhole, limit] of [
    [100 * KIB, false, 1_000_000],
    [100, true, 1_000_000],
    [100, true, 99],
  ] as const) {
    const gate = deferred()
    const rig = new Rig({
      filters: [{ name: 'w', onRequest: () => gate.promise }, gatherer('request')],
      gatherLimit: limit,
    })
    const call = rig.request({ method: 'POST' }, -1)
    call.body(Buffer.alloc(length, 'a'), isWhole)
    t.equal(call.down.isPaused, length > 64 * KIB)
    gate.resolve()
    await settled()
    if (limit < length) t.equal(call.down.body, 'BODY_TOO_LARGE')
    else {
      t.notOk(call.down.isPaused, 'the rest is asked for')
      if (!isWhole) call.body('b', true)
      t.equal(rig.up.body.length, isWhole ? length : length + 1)
      call.respond()
    }
    rig.verify(t)
  }
})

t.test('a gathered response body is whole before onResponse, and may be replaced', (t) => {
  for (const end of ['last', 'trailers', 'none'] as const) {
    const seen: (string | undefined)[] = []
    const rig = new Rig({
      filters: [
        gatherer('response', (exchange) => {
          seen.push(exchange.responseBody?.toString())
          exchange.responseBody = Buffer.from('other')
        }),
      ],
    })
    const call = rig.request()
    call.respond(200, end === 'none')
    if (end !== 'none') {
      call.respondBody('one ')
      call.respondBody('two', end === 'last')
      if (end === 'trailers') call.respondTrailers()
    }
    t.same(seen, [end === 'none' ? '' : 'one two'])
    t.equal(call.down.body, 'other')
    t.equal(call.down.phase, 'ended')
    t.equal(call.exchange.responseBytes, 5)
    rig.verify(t)
  }
  t.end()
})

t.test('a response body above the limit becomes an error', (t) => {
  const rig = new Rig({ filters: [gatherer('response')], gatherLimit: 10 })
  const call = rig.request()
  call.respond(200, false)
  call.respondBody('0123456789')
  call.respondBody('x')
  t.equal(call.down.body, 'UPSTREAM_PROTOCOL')
  t.equal(rig.up.phase, 'cancelled')
  rig.verify(t)
  t.end()
})

t.test('a filter that asks for response bodies sees those of replies and errors, too', (t) => {
  const rig = new Rig({
    filters: [
      gatherer('response', (exchange) => {
        exchange.responseBody = Buffer.from(`<${exchange.responseBody}>`)
      }),
      {
        name: 'reply',
        onRequest: (exchange) =>
          exchange.request.path === '/reply' ? exchange.reply(200, 'mine') : undefined,
      },
    ],
    open: () => new GatewayError('NO_ENDPOINT'),
  })
  t.equal(rig.request({ path: '/reply' }).down.body, '<mine>')
  t.equal(rig.request({ path: '/' }).down.body, '<NO_ENDPOINT>')
  rig.verify(t)
  t.end()
})

t.test('an upstream that fails or is too slow while its response is gathered is answered for', (t) => {
  for (const how of ['fail', 'timeout'] as const) {
    const rig = new Rig({ filters: [gatherer('response')], route: { timeoutMs: 100 } })
    const call = rig.request()
    call.respond(200, false)
    call.respondBody('part')
    if (how === 'fail') call.upstreamFails(new GatewayError('UPSTREAM_RESET'))
    else rig.clock.advance(100)
    t.equal(call.down.body, how === 'fail' ? 'UPSTREAM_RESET' : 'UPSTREAM_TIMEOUT')
    rig.verify(t)
  }
  t.end()
})

t.test('a request that ends after its gathering was given up does not go on', (t) => {
  for (const end of ['last', 'trailers'] as const) {
    const rig = new Rig({
      filters: [gatherer('request'), { name: 'w', onResponse: () => new Promise<void>(() => {}) }],
      route: { timeoutMs: 100 },
    })
    const call = rig.request({ method: 'POST' }, -1)
    call.body('part')
    rig.clock.advance(100)
    t.notOk(call.isOver, 'the error waits for a hook')
    if (end === 'last') call.body('', true)
    else call.trailers()
    t.same(rig.streams, [])
    call.fail(new GatewayError('DOWNSTREAM_GONE'))
    rig.verify(t)
  }
  t.end()
})
