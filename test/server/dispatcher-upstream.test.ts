import t from 'tap'
import { GatewayError } from '../../lib/core/errors.ts'
import { ExchangeState } from '../../lib/core/exchange.ts'
import type { Filter } from '../../lib/core/filter.ts'
import { Rig } from './support.ts'

const GONE = new GatewayError('DOWNSTREAM_GONE')

// — the upstream side ———————————————————————————————————————————————————————————————————————————————

t.test('an exchange that waits for a stream goes on when it comes', (t) => {
  const rig = new Rig({ open: () => null })
  const call = rig.request()
  t.equal(call.exchange.state, ExchangeState.Connecting)
  const stream = rig.stream()
  rig.dispatcher.onUpstreamReady(call.exchange, stream)
  t.equal(stream.phase, 'ended')
  call.respond()
  t.equal(call.down.status, 200)
  rig.verify(t)
  t.end()
})

t.test('a stream that comes for an exchange that is over is given back', (t) => {
  const rig = new Rig({ open: () => null })
  const call = rig.request()
  call.fail(GONE)
  t.ok(rig.log.includes('abandon'))
  const stream = rig.stream()
  rig.dispatcher.onUpstreamReady(call.exchange, stream)
  t.equal(stream.phase, 'cancelled')
  rig.verify(t)
  t.end()
})

for (const state of ['Filtering', 'Connecting', 'Awaiting', 'Answering', 'Responding'] as const) {
  t.test(
    `a caller that leaves in ${state} ends the exchange once, and the upstream work with it`,
    async (t) => {
      const rig = new Rig({
        filters: [
          {
            name: 'w',
            ...(state === 'Filtering' ? { onRequest: () => new Promise<void>(() => {}) } : {}),
            ...(state === 'Answering' ? { onResponse: () => new Promise<void>(() => {}) } : {}),
          },
        ].map((filter) => ({ ...filter, onEnd: () => {} })),
        ...(state === 'Connecting' ? { open: () => null } : {}),
      })
      const call = rig.request()
      let response: { released: number } | null = null
      if (state === 'Answering' || state === 'Responding') {
        response = call.respond(200, false)
        call.respondBody('part')
      }
      t.equal(call.exchange.state, ExchangeState[state])
      call.fail(GONE)
      call.fail(GONE)
      t.equal(call.exchange.error, GONE)
      if (rig.streams.length > 0) t.equal(rig.up.phase, 'cancelled')
      if (state === 'Connecting') t.ok(rig.log.includes('abandon'))
      if (response !== null) t.equal(response.released, 1)
      t.equal(rig.listenerStats.responses[0], 1)
      rig.dispatcher.onDownstreamDrain(call.exchange)
      rig.dispatcher.onUpstreamDrain(call.exchange)
      call.respondBody('late', true)
      call.respondTrailers()
      call.body('late', true)
      call.trailers()
      rig.dispatcher.onExchangeTimer(call.exchange)
      call.upstreamFails(new GatewayError('UPSTREAM_RESET'))
      rig.verify(t)
    },
  )

  t.test(`a caller that breaks its own request in ${state} is told while that is possible`, (t) => {
    const rig = new Rig({
      filters: [
        {
          name: 'w',
          ...(state === 'Filtering' ? { onRequest: () => new Promise<void>(() => {}) } : {}),
          ...(state === 'Answering'
            ? {
                onResponse: (exchange) => (exchange.error === null ? new Promise<void>(() => {}) : undefined),
              }
            : {}),
        } as Filter,
      ].map((filter) => ({ ...filter, onEnd: () => {} })),
      ...(state === 'Connecting' ? { open: () => null } : {}),
    })
    const call = rig.request({ method: 'POST' }, -1)
    if (state === 'Answering' || state === 'Responding') call.respond(200, false)
    t.equal(call.exchange.state, ExchangeState[state])
    call.fail(new GatewayError('BODY_TOO_LARGE'), true)
    if (state === 'Responding') t.equal(call.down.phase, 'reset')
    else t.equal(call.down.body, 'BODY_TOO_LARGE')
    rig.verify(t)
    t.end()
  })
}

t.test('an upstream failure before the response becomes an answer, later it cuts the response off', (t) => {
  const rig = new Rig()
  const early = rig.request({ method: 'POST' })
  early.upstreamFails(new GatewayError('UPSTREAM_RESET'))
  t.equal(early.down.body, 'UPSTREAM_RESET')
  const late = rig.request()
  late.respond(200, false)
  late.respondBody('part')
  late.upstreamFails(new GatewayError('UPSTREAM_RESET'))
  t.equal(late.down.phase, 'reset')
  t.equal(late.down.body, 'part')
  t.same(rig.failures, ['UPSTREAM_RESET', 'UPSTREAM_RESET'])
  rig.verify(t)
  t.end()
})

t.test('a cluster without an endpoint or without room is answered', (t) => {
  for (const code of ['NO_ENDPOINT', 'UPSTREAM_OVERFLOW'] as const) {
    const rig = new Rig({ open: () => new GatewayError(code) })
    const call = rig.request()
    t.equal(call.down.body, code)
    t.equal(call.exchange.attempts, 1)
    rig.verify(t)
  }
  t.end()
})

// — repeating —————————————————————————————————————————————————————————————————————————————————————————

t.test('a failed attempt is repeated once, and only where that does no harm', (t) => {
  const cases = [
    ['UPSTREAM_RESET', 'GET', true, true],
    ['UPSTREAM_RESET', 'GET', false, false],
    ['UPSTREAM_RESET', 'POST', true, false],
    ['UPSTREAM_REFUSED', 'POST', false, true],
    ['UPSTREAM_CONNECT_FAILED', 'POST', false, true],
    ['UPSTREAM_CONNECT_TIMEOUT', 'POST', false, true],
    ['UPSTREAM_PROTOCOL', 'GET', true, false],
    ['UPSTREAM_TIMEOUT', 'GET', true, false],
    ['NO_ENDPOINT', 'GET', true, false],
  ] as const
  for (const [code, method, isReused, isRepeated] of cases) {
    const rig = new Rig()
    rig.open = () => {
      const stream = rig.stream()
      stream.isReused = isReused
      return stream
    }
    const call = rig.request({ method })
    call.upstreamFails(new GatewayError(code))
    t.equal(rig.streams.length, isRepeated ? 2 : 1, `${code} of a ${method}, reused ${isReused}`)
    if (isRepeated) {
      t.equal(rig.up.phase, 'ended', 'the request was sent again')
      call.upstreamFails(new GatewayError(code))
      t.equal(rig.streams.length, 2, 'but not a third time')
      t.equal(call.exchange.attempts, 2)
    }
    t.equal(call.down.body, code)
    t.same(rig.failures, [code])
    rig.verify(t)
  }
  t.end()
})

t.test('a stale connection is not noticed by the caller', (t) => {
  const rig = new Rig()
  rig.open = () => {
    const stream = rig.stream()
    stream.isReused = rig.streams.length === 1
    return stream
  }
  const call = rig.request()
  call.upstreamFails(new GatewayError('UPSTREAM_RESET'))
  call.respond(204)
  t.equal(call.down.status, 204)
  t.equal(call.exchange.error, null)
  t.same(rig.failures, [])
  rig.verify(t)
  t.end()
})

t.test('a dial that fails is repeated; a request whose body went out is not', (t) => {
  const rig = new Rig({ open: () => null })
  const waiting = rig.request({ method: 'POST' }, -1)
  waiting.body('held')
  rig.dispatcher.onUpstreamFailed(waiting.exchange, new GatewayError('UPSTREAM_CONNECT_FAILED'))
  t.equal(waiting.exchange.state, ExchangeState.Connecting)
  rig.dispatcher.onUpstreamReady(waiting.exchange, rig.stream())
  t.equal(rig.up.body, 'held', 'what was held is still there')
  waiting.upstreamFails(new GatewayError('UPSTREAM_REFUSED'))
  t.equal(waiting.down.body, 'UPSTREAM_REFUSED')

  rig.open = () => rig.stream()
  const sent = rig.request({ method: 'POST' }, -1)
  sent.body('gone')
  sent.upstreamFails(new GatewayError('UPSTREAM_REFUSED'))
  t.equal(sent.exchange.attempts, 1)
  t.equal(sent.down.body, 'UPSTREAM_REFUSED')
  rig.verify(t)
  t.end()
})

t.test('a gathered request is repeated whole', (t) => {
  const rig = new Rig({ filters: [{ name: 'g', needsBody: 'request', onRoute: () => {} }] })
  const call = rig.request({ method: 'POST' }, -1)
  call.body('one ')
  call.body('two', true)
  t.equal(rig.up.body, 'one two')
  call.upstreamFails(new GatewayError('UPSTREAM_REFUSED'))
  t.equal(rig.streams.length, 2)
  t.equal(rig.up.body, 'one two')
  call.respond()
  rig.verify(t)
  t.end()
})

t.test('a codec that fails inside a send is survived', (t) => {
  for (const code of ['UPSTREAM_REFUSED', 'INTERNAL'] as const) {
    for (const at of ['head', 'body'] as const) {
      const rig = new Rig()
      rig.open = (exchange) => {
        const stream = rig.stream()
        stream.onSend = () => {
          if (rig.streams.length > 1 || (at === 'body' && stream.body === '')) return
          stream.phase = 'failed'
          rig.dispatcher.onUpstreamFailed(exchange, new GatewayError(code))
        }
        return stream
      }
      const call = rig.request({ method: 'POST' }, at === 'head' ? null : 3)
      if (at === 'body') call.body('abc', true)
      const isRepeated = at === 'head' && code === 'UPSTREAM_REFUSED'
      t.equal(call.exchange.attempts, isRepeated ? 2 : 1)
      if (isRepeated) call.respond()
      t.equal(call.down.body, isRepeated ? '' : code)
      rig.verify(t)
    }
  }
  t.end()
})

// — time ——————————————————————————————————————————————————————————————————————————————————————————————

t.test('a route timeout counts from the head of the request, in every state before the response', (t) => {
  for (const state of ['Connecting', 'Awaiting', 'Answering'] as const) {
    const rig = new Rig({
      filters: [
        {
          name: 'w',
          onResponse: ({ error }) =>
            state === 'Answering' && error === null ? new Promise<void>(() => {}) : undefined,
        },
      ],
      route: { timeoutMs: 300 },
      ...(state === 'Connecting' ? { open: () => null } : {}),
    })
    const call = rig.request()
    if (state === 'Answering') call.respond(200, false)
    rig.clock.advance(299)
    t.notOk(call.isOver)
    rig.clock.advance(1)
    t.equal(call.down.body, 'UPSTREAM_TIMEOUT', state)
    if (state === 'Connecting') t.ok(rig.log.includes('abandon'))
    else t.equal(rig.up.phase, 'cancelled')
    rig.verify(t)
  }
  t.end()
})

t.test('a hook before the route may wait a minute, one on the route as long as the route says', (t) => {
  for (const [hook, waitMs, code] of [
    ['onRequest', 60_000, 'FILTER_FAILED'],
    ['onRoute', 300, 'UPSTREAM_TIMEOUT'],
  ] as const) {
    const rig = new Rig({
      filters: [{ name: 'w', [hook]: () => new Promise<void>(() => {}) } as Filter],
      route: { timeoutMs: 300 },
    })
    const call = rig.request()
    rig.clock.advance(waitMs - 1)
    t.notOk(call.isOver)
    rig.clock.advance(1)
    t.equal(call.down.body, code)
    rig.verify(t)
  }
  t.end()
})

t.test("the caller's budget holds where it is shorter than the route's timeout", (t) => {
  for (const [timeoutMs, budgetMs, overMs, code] of [
    [300, 100, 100, 'DEADLINE_EXCEEDED'],
    [100, 300, 100, 'UPSTREAM_TIMEOUT'],
    [0, 100, 100, 'DEADLINE_EXCEEDED'],
  ] as const) {
    const rig = new Rig({ route: { timeoutMs } })
    // A start at which adding and subtracting the budget does not give the budget.
    rig.clock.advance(0.1 + 0.2)
    const call = rig.request({ budgetMs })
    rig.clock.advance(overMs + 0.001)
    t.equal(call.down.body, code, `timeout ${timeoutMs}, budget ${budgetMs}`)
    rig.verify(t)
  }
  t.end()
})

t.test('a try that takes too long ends, and the next one has its own time', (t) => {
  const rig = new Rig({ route: { timeoutMs: 1000, perTryTimeoutMs: 100 } })
  const slow = rig.request()
  rig.clock.advance(100)
  t.equal(slow.down.body, 'UPSTREAM_TIMEOUT')
  t.equal(rig.streams[0]?.phase, 'cancelled')

  const second = rig.request()
  rig.clock.advance(90)
  second.upstreamFails(new GatewayError('UPSTREAM_REFUSED'))
  rig.clock.advance(90)
  t.notOk(second.isOver, 'the time of the first try does not count')
  second.respond()
  t.equal(second.down.status, 200)

  const answered = rig.request()
  rig.clock.advance(50)
  answered.respond(200, false)
  rig.clock.advance(5000)
  t.notOk(answered.isOver, 'a body may take longer')
  answered.respondBody('', true)
  rig.verify(t)
  t.end()
})

t.test('a body that makes no progress is cut off, one that does is not', (t) => {
  const rig = new Rig({ route: { timeoutMs: 1000 } })
  const flowing = rig.request()
  flowing.respond(200, false)
  for (let i = 0; i < 20; i++) {
    rig.clock.advance(200_000)
    flowing.respondBody('x')
  }
  t.notOk(flowing.isOver)
  flowing.respondBody('', true)
  const stalled = rig.request()
  stalled.respond(200, false)
  stalled.respondBody('x')
  rig.clock.advance(1_000_000)
  t.equal(stalled.down.phase, 'reset')
  t.equal(rig.up.phase, 'cancelled')
  rig.verify(t)
  t.end()
})

t.test('without a timeout an exchange waits as long as it takes', (t) => {
  const rig = new Rig()
  const call = rig.request()
  rig.clock.advance(10_000_000)
  t.notOk(call.isOver)
  call.respond()
  rig.verify(t)
  t.end()
})
