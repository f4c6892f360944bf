import t from 'tap'
import { GatewayError } from '../../lib/core/errors.ts'
import { type Exchange, ExchangeState } from '../../lib/core/exchange.ts'
import type { Filter } from '../../lib/core/filter.ts'
import type { Route } from '../../lib/core/route.ts'
import { deferred, Rig, settled } from './support.ts'

const GONE = new GatewayError('DOWNSTREAM_GONE')

/** A filter that notes its hooks. */
function noting(rig: () => Rig, name: string): Filter {
  const note = (hook: string) => (): void => void rig().log.push(`${name}.${hook}`)
  return {
    name,
    onRequest: note('onRequest'),
    onRoute: note('onRoute'),
    onResponse: note('onResponse'),
    onEnd: note('onEnd'),
  }
}

t.test('a request goes through hooks, route, upstream and back in the documented order', (t) => {
  const rig: Rig = new Rig({ filters: [noting(() => rig, 'a'), noting(() => rig, 'b')] })
  const call = rig.request({ path: '/x' })
  t.equal(call.exchange.state, ExchangeState.Awaiting)
  rig.clock.advance(5)
  const response = call.respond(200, false)
  call.respondBody('hello')
  call.respondBody(' world', true)
  t.same(rig.log, [
    'a.onRequest',
    'b.onRequest',
    'a.onRoute',
    'b.onRoute',
    'open',
    'up head GET /x last',
    'b.onResponse',
    'a.onResponse',
    'down head 200',
    'down body "hello"',
    'down body " world" last',
    'a.onEnd',
    'b.onEnd',
    'down finish',
  ])
  t.equal(call.down.body, 'hello world')
  t.equal(call.exchange.responseBytes, 11)
  t.equal(call.exchange.attempts, 1)
  t.equal(call.exchange.endMs - call.exchange.startMs, 5)
  t.equal(response.released, 1)
  t.same(rig.failures, [])
  for (const stats of [rig.listenerStats, rig.routeStats, rig.clusterStats]) {
    t.equal(stats.requests, 1)
    t.equal(stats.responses[2], 1)
    t.equal(stats.bytesOut, 11)
    t.equal(stats.errors, 0)
  }
  rig.verify(t)
  t.end()
})

t.test('a route rewrites path and authority and names the hash key before the cluster is asked', (t) => {
  const rig = new Rig({
    route: {
      rewritePath: (path) => `/v2${path}`,
      rewriteAuthority: 'other.local',
      hashKey: ({ request }) => request.path,
    },
  })
  const call = rig.request({ path: '/x' })
  t.equal(rig.up.path, '/v2/x')
  t.equal(call.request.authority, 'other.local')
  t.equal(call.exchange.hashKey, '/v2/x')
  call.respond()
  rig.verify(t)
  t.end()
})

t.test('a filter sends an exchange to another cluster, which gets the request as it came', (t) => {
  const choose = (name: string): Filter => ({
    name: 'elsewhere',
    onRoute(exchange) {
      exchange.clusterOverride = name
    },
  })
  const refuse = () => t.fail('the cluster of the route is not asked')
  const route = { rewritePath: () => '/changed', pick: refuse as unknown as Route['pick'] }
  const rig = new Rig({ route, filters: [choose('other')] })
  const call = rig.request({ path: '/x' })
  t.equal(rig.up.path, '/x')
  call.respond()
  rig.verify(t)
  const lost = new Rig({ route, filters: [choose('absent')] }).request()
  t.equal(lost.exchange.error?.code, 'NO_ENDPOINT')
  t.match(lost.exchange.error?.detail, /absent/)
  t.end()
})

t.test('a route that redirects answers without a cluster', (t) => {
  const rig = new Rig({ route: { redirect: { status: 302, location: () => '/elsewhere' }, pick: null } })
  const call = rig.request()
  t.equal(call.down.status, 302)
  t.equal(call.exchange.response?.headers.get('location'), '/elsewhere')
  t.same(rig.streams, [])
  rig.verify(t)
  t.end()
})

t.test('a request that no route matches fails with NO_ROUTE', (t) => {
  const rig = new Rig({ match: () => null })
  const call = rig.request()
  t.equal(call.down.body, 'NO_ROUTE')
  t.same(rig.failures, ['NO_ROUTE'])
  t.equal(rig.listenerStats.errors, 1)
  rig.verify(t)
  t.end()
})

// — verdicts ————————————————————————————————————————————————————————————————————————————————————————

const PHASES = ['onRequest', 'onRoute', 'onResponse'] as const

for (const phase of PHASES) {
  for (const isAsync of [false, true]) {
    const how = isAsync ? 'after a wait' : 'at once'
    const wrap = <T>(value: T): T | Promise<T> => (isAsync ? Promise.resolve(value) : value)

    t.test(`${phase} may reply ${how}`, async (t) => {
      const rig = new Rig({
        filters: [{ name: 'f', [phase]: (exchange: Exchange) => wrap(exchange.reply(403, 'no')) } as Filter],
      })
      const call = rig.request()
      await settled()
      if (phase === 'onResponse') {
        t.equal(rig.streams.length, 1)
        call.respond(200, false)
        await settled()
        t.equal(rig.up.phase, 'cancelled', 'the rest of the answer is not wanted')
      } else t.equal(rig.streams.length, 0)
      t.equal(call.down.status, 403)
      t.equal(call.down.body, 'no')
      t.same(rig.failures, [])
      rig.verify(t)
    })

    t.test(`${phase} may refuse ${how}`, async (t) => {
      const rig = new Rig({
        filters: [
          {
            name: 'f',
            [phase]: (exchange: Exchange) => wrap(exchange.refuse('RATE_LIMITED', { retryAfterMs: 7 })),
          } as Filter,
        ],
      })
      const call = rig.request()
      await settled()
      if (phase === 'onResponse') call.respond()
      await settled()
      t.equal(call.down.body, 'RATE_LIMITED')
      t.equal(call.exchange.error?.retryAfterMs, 7)
      t.same(rig.failures, ['RATE_LIMITED'])
      rig.verify(t)
    })

    t.test(`${phase} that throws ${how} fails its own exchange only`, async (t) => {
      const filter: Filter = {
        name: 'f',
        [phase]: () => {
          if (isAsync) return Promise.reject(new Error('a defect'))
          throw new Error('a defect')
        },
      }
      const rig = new Rig({ filters: [filter] })
      const call = rig.request()
      await settled()
      if (phase === 'onResponse') {
        call.respond(200, false)
        await settled()
        t.equal(rig.up.phase, 'cancelled')
      }
      t.equal(call.down.status, 500)
      t.equal(call.down.body, 'FILTER_FAILED')
      t.match(call.exchange.error, { code: 'FILTER_FAILED', cause: { message: 'a defect' } })
      t.same(rig.failures, ['FILTER_FAILED'])
      rig.verify(t)
    })
  }

  t.test(`an exchange that ${phase} suspends goes on with the hook behind it`, async (t) => {
    const gate = deferred()
    const rig: Rig = new Rig({
      filters: [
        noting(() => rig, 'a'),
        { name: 'w', [phase]: () => gate.promise } as Filter,
        noting(() => rig, 'b'),
      ],
    })
    const call = rig.request()
    if (phase === 'onResponse') {
      call.respond(200, false)
      call.respondBody('held', true)
    } else t.ok(call.request.retained > 0, 'the head outlives the read')
    const before = [...rig.log]
    await settled()
    t.same(rig.log, before, 'nothing happens meanwhile')
    t.equal(call.down.phase, 'none')
    gate.resolve()
    await settled()
    if (phase !== 'onResponse') call.respond()
    else t.equal(call.down.body, 'held')
    for (const name of ['a', 'b']) {
      for (const hook of [...PHASES, 'onEnd']) {
        t.equal(rig.log.filter((entry) => entry === `${name}.${hook}`).length, 1, `${name}.${hook} ran once`)
      }
    }
    rig.verify(t)
  })

  t.test(`a caller that leaves while ${phase} waits is not answered when the hook is done`, async (t) => {
    const gate = deferred()
    const rig = new Rig({ filters: [{ name: 'w', [phase]: () => gate.promise } as Filter] })
    const call = rig.request()
    if (phase === 'onResponse') call.respond(200, false)
    call.fail(GONE)
    t.ok(call.isOver)
    gate.resolve()
    await settled()
    t.equal(call.down.phase, 'none')
    t.same(rig.failures, ['DOWNSTREAM_GONE'])
    t.equal(rig.listenerStats.responses[0], phase === 'onResponse' ? 1 : 1)
    rig.verify(t)
  })
}

t.test('a hook that fails on the way out of an error is left out, and the error still arrives', (t) => {
  let runs = 0
  const filter: Filter = {
    name: 'f',
    onResponse: () => {
      runs++
      throw new Error('always')
    },
  }
  const rig = new Rig({ filters: [filter], match: () => null })
  const call = rig.request()
  t.equal(runs, 1)
  t.equal(call.down.body, 'FILTER_FAILED')
  rig.verify(t)

  runs = 0
  const second = new Rig({ filters: [filter] })
  const other = second.request()
  other.respond()
  t.equal(runs, 2, 'once for the answer, once for the error made of it')
  t.equal(other.down.body, 'FILTER_FAILED')
  second.verify(t)
  t.end()
})

t.test('a reply that no protocol can send fails its exchange', (t) => {
  for (const name of ['Content-Type', 'x\r\ny']) {
    const rig = new Rig({
      filters: [{ name: 'f', onRequest: (exchange) => exchange.reply(200, '', { [name]: 'x' }) }],
    })
    const call = rig.request()
    t.equal(call.down.body, 'FILTER_FAILED')
    t.match(call.exchange.error, { cause: { name: 'TypeError' } })
    rig.verify(t)
  }
  t.end()
})

t.test('whatever throws in matching or acting on a route fails its exchange', (t) => {
  const boom = (): never => {
    throw new Error('a defect')
  }
  const setups = [
    { match: boom },
    { route: { rewritePath: boom } },
    { route: { hashKey: boom } },
    { route: { pick: boom } },
    { route: { redirect: { status: 302, location: boom } as const } },
    { route: { redirect: { status: 302, location: () => '/a\r\nb' } as const } },
  ]
  for (const setup of setups) {
    const rig = new Rig(setup)
    const call = rig.request()
    t.equal(call.down.body, 'INTERNAL')
    rig.verify(t)
  }
  t.end()
})

t.test('onEnd that throws does not keep the exchange', (t) => {
  const rig = new Rig({
    filters: [
      {
        name: 'f',
        onEnd: () => {
          throw new Error('a defect')
        },
      },
    ],
  })
  rig.request().respond()
  rig.verify(t)
  t.end()
})

t.test(
  'a response that is replaced while its hook waits goes out at once, and the late hook changes nothing',
  async (t) => {
    const gates = [deferred(), deferred()]
    let runs = 0
    const rig = new Rig({
      filters: [{ name: 'w', onResponse: () => (gates[runs++] as (typeof gates)[0]).promise }],
      route: { timeoutMs: 100 },
    })
    const call = rig.request()
    call.respond(200, false)
    rig.clock.advance(100)
    t.equal(call.down.body, 'UPSTREAM_TIMEOUT')
    t.equal(runs, 1)
    t.ok(call.isOver)
    gates[0]?.resolve()
    await settled()
    rig.verify(t)
  },
)

// — the rest ——————————————————————————————————————————————————————————————————————————————————————————

t.test('interim responses pass while the answer is awaited, and not later', (t) => {
  const rig = new Rig()
  const call = rig.request()
  rig.dispatcher.onInformational(call.exchange, { ...call.respond(103, false), status: 103 } as never)
  t.notOk(rig.log.includes('down 103'))
  call.respondBody('', true)
  const second = rig.request()
  const hint = { status: 103 } as never
  rig.dispatcher.onInformational(second.exchange, hint)
  t.ok(rig.log.includes('down 103'))
  second.respond()
  rig.dispatcher.onInformational(second.exchange, hint)
  rig.verify(t)
  t.end()
})

t.test('a tunnel carries both directions and ends when both have ended, in either order', (t) => {
  for (const first of ['caller', 'upstream'] as const) {
    const rig = new Rig()
    const call = rig.request()
    call.respond(101, false)
    t.equal(call.down.status, 101)
    rig.up.phase = 'body'
    call.body('ping')
    call.respondBody('pong')
    t.equal(rig.up.body, 'ping')
    t.equal(call.down.body, 'pong')
    if (first === 'caller') {
      call.body('', true)
      t.notOk(call.isOver, 'half closed')
      call.respondBody('more')
      call.respondBody('', true)
    } else {
      call.respondBody('', true)
      t.notOk(call.isOver, 'half closed')
      call.body('more')
      call.body('', true)
    }
    t.ok(call.isOver)
    t.equal(call.down.body, first === 'caller' ? 'pongmore' : 'pong')
    rig.verify(t)
  }
  t.end()
})

t.test('a filter may replace the answer that would open a tunnel', (t) => {
  for (const act of ['reply', 'throw'] as const) {
    const rig = new Rig({
      filters: [
        {
          name: 'f',
          onResponse: (exchange) => {
            if (exchange.response?.status !== 101) return undefined
            if (act === 'throw') throw new Error('a defect')
            return exchange.reply(403, 'no tunnels')
          },
        },
      ],
    })
    const call = rig.request()
    call.respond(101, false)
    t.ok(call.isOver)
    t.equal(call.down.status, act === 'reply' ? 403 : 500)
    t.equal(rig.up.phase, 'cancelled')
    rig.verify(t)
  }
  t.end()
})

t.test('a connection may begin its next exchange inside finish', (t) => {
  const rig = new Rig()
  const first = rig.request()
  let second: ReturnType<Rig['request']> | null = null
  first.down.onFinish = () => {
    second = rig.request({ path: '/second' })
  }
  first.respond()
  t.equal(rig.dispatcher.live, 1)
  ;(second as unknown as typeof first).respond()
  rig.verify(t)
  t.end()
})

t.test('an exchange keeps to the runtime it began with, which is retired after its last exchange', (t) => {
  const closed: string[] = []
  const make = (name: string): Filter => ({
    name,
    onRequest: () => void rig.log.push(`${name} request`),
    onResponse: () => void rig.log.push(`${name} response`),
    close: () => void closed.push(name),
  })
  const rig: Rig = new Rig({ filters: [{ name: 'none', onRequest: () => {} }] })
  const old = rig.makeRuntime([make('old')])
  rig.runtime = old
  const first = rig.request()
  const second = rig.request()
  const next = rig.makeRuntime([make('new')])
  rig.runtime = next
  let over = 0
  old.retire(() => over++)
  const third = rig.request()
  first.respond()
  t.same([over, closed], [0, []])
  third.respond()
  second.respond()
  t.same([over, closed], [1, ['old']])
  t.same(
    rig.log.filter((entry) => /(old|new) /.test(entry)),
    ['old request', 'old request', 'new request', 'old response', 'new response', 'old response'],
  )
  t.equal(old.live, 0)
  rig.verify(t)
  next.retire(() => over++)
  t.same([over, closed], [2, ['old', 'new']], 'one without exchanges retires at once')
  t.end()
})

t.test('a broken connection without an exchange is reported', (t) => {
  const rig = new Rig()
  rig.dispatcher.onProtocolError(new GatewayError('BAD_REQUEST'), { remoteAddress: '' } as never, 400)
  t.same(rig.log, ['protocol error BAD_REQUEST'])
  t.end()
})

t.test('a status that no hundred stands for is counted as a failure', (t) => {
  const rig = new Rig()
  rig.request().respond(999)
  t.equal(rig.listenerStats.responses[5], 1)
  t.ok(rig.listenerStats.responses.every((count) => Number.isInteger(count)))
  rig.verify(t)
  t.end()
})
