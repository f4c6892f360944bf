import net from 'node:net'
import t, { type Test } from 'tap'
import { poolUsage } from '../../lib/buffer/pools.ts'
import type { PeerInfo, UpstreamHandler, UpstreamStream } from '../../lib/core/codec.ts'
import type { GatewayError } from '../../lib/core/errors.ts'
import { Exchange, ExchangeState } from '../../lib/core/exchange.ts'
import type { ProtocolName } from '../../lib/core/message.ts'
import { parseAddress } from '../../lib/net/address.ts'
import { Loop } from '../../lib/net/loop.ts'
import { Peer } from '../../lib/net/peer.ts'
import { mmtp } from '../../lib/protocols/mmtp/index.ts'
import { makeStats } from '../../lib/testing-exchange.ts'
import { TestDownstream, TestRequestHead } from '../../lib/testing-messages.ts'
import { Cluster, type ClusterOptions } from '../../lib/upstream/cluster.ts'
import { ManualLoop, makeContext, turn, until } from '../net/support.ts'
import { type LineRequest, LineServer, lineProtocol } from './line-protocol.ts'

const CODEC = {
  maxHeadBytes: 0,
  maxHeaders: 0,
  maxBodyBytes: 0,
  maxFrameBytes: 0,
  idleTimeoutMs: 0,
  maxStreams: 0,
  maxRequests: 0,
  cell: '',
  heartbeatMs: 0,
  app: '',
}
const LISTENER = { name: 'in', stats: makeStats(), trusted: true }
const PEER = { remoteAddress: '', remotePort: 0, localAddress: '', localPort: 0 }

/** A cluster and the half of a dispatcher that it needs. */
class Bench implements UpstreamHandler {
  readonly cluster: Cluster
  readonly done: string[] = []
  readonly failed: [path: string, code: string, detail: string][] = []
  readonly reused = new Map<string, boolean>()
  /** Opens a failed exchange again, as the dispatcher may. */
  repeats = false
  readonly loop: Loop

  constructor(
    options: Partial<ClusterOptions> & { readonly at?: readonly string[]; readonly loop?: Loop },
    lookup: (host: string) => Promise<string[]> = () => Promise.reject(new Error('no names here')),
  ) {
    const { at = [], loop = new Loop(), ...rest } = options
    this.loop = loop
    this.cluster = new Cluster(
      {
        name: 'lines',
        protocol: lineProtocol(1),
        endpoints: at.map((address) => ({ address: parseAddress(address), weight: 1 })),
        balancer: 'round-robin',
        codec: CODEC,
        connectTimeoutMs: 1000,
        queueTimeoutMs: 0,
        maxConnections: 100,
        sharedConnections: 1,
        sharing: 'all',
        maxPending: 100,
        dnsRefreshMs: 5000,
        ...rest,
      },
      { net: makeContext(loop), handler: this, stats: makeStats(), lookup },
    )
  }

  /** Starts an exchange; gives what `open` gave. */
  start(
    path: string,
    peer: PeerInfo = PEER,
    protocol: ProtocolName = 'http1',
  ): { exchange: Exchange; result: UpstreamStream | GatewayError | null } {
    const head = new TestRequestHead({ path, protocol })
    const timeouts = { onExchangeTimer: () => {} }
    const exchange = new Exchange(head, new TestDownstream(), peer, LISTENER, 0, timeouts)
    return { exchange, result: this.open(exchange) }
  }

  open(exchange: Exchange): UpstreamStream | GatewayError | null {
    exchange.attempts++
    exchange.state = ExchangeState.Connecting
    const result = this.cluster.open(exchange)
    if (result !== null && 'sendRequest' in result) this.onUpstreamReady(exchange, result)
    return result
  }

  onUpstreamReady(exchange: Exchange, stream: UpstreamStream): void {
    exchange.state = ExchangeState.Awaiting
    exchange.upstream = stream
    this.reused.set(exchange.request.path, stream.isReused)
    stream.sendRequest(exchange.request, true)
  }

  onResponse(exchange: Exchange): void {
    exchange.state = ExchangeState.Finished
    this.done.push(exchange.request.path)
  }

  onUpstreamFailed(exchange: Exchange, error: GatewayError): void {
    if (this.repeats && exchange.attempts < 2) {
      const result = this.open(exchange)
      if (result === null || 'sendRequest' in result) return
    }
    exchange.state = ExchangeState.Finished
    this.failed.push([exchange.request.path, error.code, error.detail])
  }

  onInformational(): void {}
  onResponseBody(): void {}
  onResponseTrailers(): void {}
  onUpstreamDrain(): void {}

  /** Everything is answered or failed. */
  settled(count: number): Promise<void> {
    return until(() => this.done.length + this.failed.length === count, `${count} outcomes`)
  }

  /** Closes the cluster and checks that nothing is left. */
  async close(t: Test): Promise<void> {
    this.cluster.destroy()
    await until(
      () => this.cluster.hosts().every((host) => host.connections.size === 0),
      'the connections to close',
    )
    t.equal(this.cluster.queued, 0, 'nobody waits')
    const pending = this.loop instanceof ManualLoop ? this.loop.clock.pending : this.loop.wheel.count
    t.equal(pending, 0, 'no timer is left')
    await until(() => poolUsage().leased === 0, 'the leases')
  }
}

async function serve(): Promise<{ server: LineServer; at: string; port: number }> {
  const server = new LineServer()
  const port = await server.listen()
  return { server, at: `127.0.0.1:${port}`, port }
}

t.test('a connection is dialled once and used again, the last one first', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at] })
  t.equal(bench.start('/a').result, null, 'the first has to wait')
  await bench.settled(1)
  t.equal(bench.reused.get('/a'), false)
  for (const path of ['/b', '/c', '/d']) bench.start(path)
  await bench.settled(4)
  t.equal(server.accepted, 3)
  const last = server.requests.at(-1)?.socket
  for (let i = 0; i < 5; i++) {
    const { result } = bench.start(`/again-${i}`)
    t.ok(result !== null, 'at once')
    await bench.settled(5 + i)
  }
  t.equal(server.accepted, 3)
  const sockets = new Set(server.requests.slice(-5).map(({ socket }) => socket))
  t.same([...sockets], [last], 'the surplus ones grow idle')
  t.equal(bench.reused.get('/again-0'), true)
  t.same(bench.failed, [])
  await bench.close(t)
  await server.close()
})

t.test('connections are limited, exchanges wait their turn, and the queue has a bound', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at], maxConnections: 2, maxPending: 4 })
  const held: Parameters<LineServer['answer']>[0][] = []
  server.onLine = (request) => held.push(request)
  for (let i = 0; i < 4; i++) t.equal(bench.start(`/${i}`).result, null)
  t.equal(bench.cluster.queued, 4)
  t.match(bench.start('/too many').result, { code: 'UPSTREAM_OVERFLOW' })
  await until(() => held.length === 2, 'two requests')
  t.equal(bench.cluster.queued, 2)
  t.equal(bench.start('/4').result, null, 'there is room in the queue again')
  while (bench.done.length < 5) {
    await until(() => held.length > 0, 'a request')
    server.answer(held.shift() as (typeof held)[0])
    await turn()
  }
  t.same(bench.done.toSorted(), ['/0', '/1', '/2', '/3', '/4'])
  t.same(
    server.requests.map(({ path }) => path),
    ['/0', '/1', '/2', '/3', '/4'],
    'first come, first served',
  )
  t.equal(server.accepted, 2)
  await bench.close(t)
  await server.close()
})

t.test('an exchange that waits too long is told that there is no room', async (t) => {
  const { server, at } = await serve()
  const loop = new ManualLoop()
  const bench = new Bench({ at: [at], maxConnections: 1, queueTimeoutMs: 100, loop })
  server.onLine = () => {}
  bench.start('/served')
  await until(() => server.requests.length === 1, 'the first request')
  bench.start('/first')
  loop.clock.advance(60)
  const second = bench.start('/second')
  loop.clock.advance(39)
  t.same(bench.failed, [])
  loop.clock.advance(1)
  t.match(bench.failed, [['/first', 'UPSTREAM_OVERFLOW', /no connection within 100 ms/]])
  loop.clock.advance(60)
  t.equal(bench.failed.length, 2)
  t.equal(second.exchange.state, ExchangeState.Finished)
  t.equal(loop.clock.pending, 0, 'the queue is empty, so is its timer')
  await bench.close(t)
  await server.close()
})

t.test('a dial that fails fails those who wait for it, and the host is avoided for a while', async (t) => {
  const { server, at, port } = await serve()
  await server.close()
  const loop = new ManualLoop()
  const bench = new Bench({ at: [at], loop })
  bench.start('/a')
  bench.start('/b')
  await bench.settled(2)
  t.match(bench.failed, [
    ['/a', 'UPSTREAM_CONNECT_FAILED', /ECONNREFUSED/],
    ['/b', 'UPSTREAM_CONNECT_FAILED', /ECONNREFUSED/],
  ])
  const [host] = bench.cluster.hosts()
  await until(() => host?.connectFailures === 2, 'both dials')
  t.equal(host?.isUsable, false)
  loop.clock.advance(200)
  t.equal(host?.isUsable, true, '100 ms, doubled once')
  bench.start('/c')
  await bench.settled(3)
  loop.clock.advance(399)
  t.equal(host?.isUsable, false)
  loop.clock.advance(1)
  t.equal(host?.isUsable, true)
  for (let i = 0; i < 10; i++) {
    bench.start(`/more-${i}`)
    await bench.settled(4 + i)
  }
  loop.clock.advance(5000)
  t.equal(host?.isUsable, true, 'never avoided longer than five seconds')

  const next = new LineServer()
  await next.listen(port)
  bench.start('/back')
  await until(() => bench.done.length === 1, 'the recovery')
  t.same(bench.done, ['/back'])
  t.match(bench.cluster.report(), [
    { address: at, connectFailures: 13, isUsable: true, connections: 1, active: 0 },
  ])
  await bench.close(t)
  await next.close()
})

t.test('an exchange that is repeated inside its failure gets a dial of its own', async (t) => {
  const { server, at, port } = await serve()
  await server.close()
  const bench = new Bench({ at: [at] })
  bench.repeats = true
  const next = new LineServer()
  const original = bench.onUpstreamFailed.bind(bench)
  let listening: Promise<number> | null = null
  bench.onUpstreamFailed = (exchange, error) => {
    listening ??= next.listen(port)
    original(exchange, error)
  }
  bench.start('/a')
  await bench.settled(1)
  await listening
  t.same(bench.done, ['/a'], 'not failed by the same broken dial twice')
  await bench.close(t)
  await next.close()
})

t.test('while one endpoint cannot be reached the others serve', async (t) => {
  const good = await serve()
  const bad = await serve()
  await bad.server.close()
  for (const balancer of ['round-robin', 'least-request', 'random'] as const) {
    const bench = new Bench({ at: [bad.at, good.at], balancer })
    bench.repeats = true
    for (let i = 0; i < 20; i++) {
      bench.start(`/${i}`)
      await bench.settled(i + 1)
    }
    t.same(bench.failed, [], balancer)
    const [first] = bench.cluster.hosts()
    t.ok((first?.connectFailures ?? 0) <= 3, `${balancer}: the broken one is seldom tried`)
    await bench.close(t)
  }
  await good.server.close()
})

t.test('a second attempt goes elsewhere, even when every endpoint is avoided', async (t) => {
  const back = await serve()
  const gone = await serve()
  await back.server.close()
  await gone.server.close()
  for (const balancer of ['round-robin', 'least-request', 'random', 'weighted'] as const) {
    const bench = new Bench({ at: [gone.at, back.at], balancer, loop: new ManualLoop() })
    bench.repeats = true
    bench.start('/nobody')
    await bench.settled(1)
    t.equal(bench.failed.length, 1)
    const next = new LineServer()
    await next.listen(back.port)
    for (let i = 0; i < 10; i++) bench.start(`/${i}`)
    await bench.settled(11)
    t.equal(bench.done.length, 10, balancer)
    await bench.close(t)
    await next.close()
  }
})

t.test('a connection that ends before its greeting is a dial that failed: nothing was sent', async (t) => {
  const refusing = net.createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.resetAndDestroy())
  })
  const closing = net.createServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end(),
  )
  for (const server of [refusing, closing]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const at = `127.0.0.1:${(server.address() as net.AddressInfo).port}`
    const bench = new Bench({ at: [at], protocol: mmtp, codec: { ...CODEC, maxStreams: 10 } })
    bench.start('/a')
    bench.start('/b')
    await bench.settled(2)
    t.match(bench.failed, [
      ['/a', 'UPSTREAM_CONNECT_FAILED', /closed before it could be used/],
      ['/b', 'UPSTREAM_CONNECT_FAILED', /closed before it could be used/],
    ])
    t.match(bench.cluster.report(), [{ connectFailures: 1, isUsable: false }])
    await bench.close(t)
    await new Promise((resolve) => server.close(resolve))
  }
})

t.test('a dial that takes too long is a timeout', async (t) => {
  const { server, at } = await serve()
  const loop = new ManualLoop()
  const bench = new Bench({ at: [at], connectTimeoutMs: 50, loop })
  bench.start('/slow')
  loop.clock.advance(50)
  t.match(bench.failed, [['/slow', 'UPSTREAM_CONNECT_TIMEOUT', /within 50 ms/]])
  await bench.close(t)
  await server.close()
})

t.test('an exchange that is given up leaves the queue, and the connection comes for the next', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at], maxConnections: 1 })
  const first = bench.start('/left')
  bench.start('/stays')
  bench.cluster.abandon(first.exchange)
  first.exchange.state = ExchangeState.Finished
  bench.cluster.abandon(first.exchange)
  t.equal(bench.cluster.queued, 1)
  await bench.settled(1)
  t.same(bench.done, ['/stays'])
  const alone = bench.start('/alone')
  await bench.settled(2)
  t.equal(alone.result !== null, true)
  await bench.close(t)
  await server.close()
})

t.test(
  'a connection that dies is forgotten, its exchange fails, and those who wait get a new one',
  async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({ at: [at], maxConnections: 1 })
    server.onLine = (request) => {
      if (request.path === '/dies') request.socket.resetAndDestroy()
      else server.answer(request)
    }
    bench.start('/dies')
    bench.start('/waits')
    await bench.settled(2)
    t.match(bench.failed, [['/dies', 'UPSTREAM_RESET']])
    t.same(bench.done, ['/waits'])
    t.equal(server.accepted, 2)
    // An idle connection that the business process closes is not handed out.
    for (const socket of server.sockets) socket.end()
    await until(() => bench.cluster.report()[0]?.connections === 0, 'the idle one to go')
    bench.start('/new')
    await bench.settled(3)
    t.equal(bench.reused.get('/new'), false)
    await bench.close(t)
    await server.close()
  },
)

t.test('a stream that is cancelled frees its place', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at], maxConnections: 1 })
  server.onLine = (request) => {
    if (request.path !== '/cancelled') server.answer(request)
  }
  const first = bench.start('/cancelled')
  await until(() => server.requests.length === 1, 'the request')
  bench.start('/waits')
  first.exchange.state = ExchangeState.Finished
  first.exchange.upstream?.cancel()
  await bench.settled(1)
  t.same(bench.done, ['/waits'])
  await bench.close(t)
  await server.close()
})

// — multiplexed ————————————————————————————————————————————————————————————————————————————————————————

t.test('a multiplexed protocol shares its connections evenly', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at], protocol: lineProtocol(100), sharedConnections: 2 })
  bench.start('/first')
  await bench.settled(1)
  await until(() => bench.cluster.report()[0]?.connections === 2, 'both connections')
  server.onLine = () => {}
  for (let i = 0; i < 40; i++) t.ok(bench.start(`/${i}`).result !== null)
  t.equal(bench.cluster.hosts()[0]?.active, 40)
  await until(() => server.requests.length === 41, 'all requests')
  const counts = [...server.sockets].map(
    (socket) => server.requests.slice(1).filter((request) => request.socket === socket).length,
  )
  t.same(counts, [20, 20])
  t.equal(server.accepted, 2)
  await bench.close(t)
  t.equal(bench.failed.length, 40)
  await server.close()
})

t.test(
  'without room on any shared connection exchanges wait for a stream, not for another connection',
  async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({ at: [at], protocol: lineProtocol(3), sharedConnections: 1 })
    const held: Parameters<LineServer['answer']>[0][] = []
    server.onLine = (request) => held.push(request)
    for (let i = 0; i < 8; i++) bench.start(`/${i}`)
    await until(() => held.length === 3, 'three requests')
    t.equal(bench.cluster.queued, 5)
    for (let i = 0; i < 8; i++) {
      await until(() => held.length > i, 'the next')
      server.answer(held[i] as (typeof held)[0])
    }
    await bench.settled(8)
    t.equal(server.accepted, 1)
    t.same(bench.failed, [])
    await bench.close(t)
    await server.close()
  },
)

t.test('a connection that drains is replaced while its exchanges still run', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at], protocol: lineProtocol(2), sharedConnections: 1 })
  server.onLine = (request) => {
    if (!request.path.startsWith('/long')) server.answer(request)
  }
  bench.start('/long-1')
  bench.start('/long-2')
  await until(() => server.requests.length === 2, 'the long ones')
  const waiting = bench.start('/waits')
  t.equal(waiting.result, null)
  server.requests[0]?.socket.write('goaway\n')
  await until(() => bench.done.includes('/waits'), 'the one that waits')
  t.equal(server.accepted, 2)
  bench.start('/next')
  await until(() => bench.done.includes('/next'), 'the next one')
  for (const request of server.requests.slice(0, 2)) server.answer(request)
  await bench.settled(4)
  await until(() => server.sockets.size === 1, 'the old connection to close')
  t.same(bench.failed, [])
  await bench.close(t)
  await server.close()
})

// — drain and names ————————————————————————————————————————————————————————————————————————————————————

t.test('a closed cluster lets its exchanges finish and opens nothing', async (t) => {
  const { server, at } = await serve()
  const bench = new Bench({ at: [at], maxConnections: 2 })
  const held: Parameters<LineServer['answer']>[0][] = []
  server.onLine = (request) => held.push(request)
  bench.start('/runs')
  await until(() => held.length === 1, 'the request')
  bench.start('/dials')
  bench.cluster.close()
  t.match(bench.failed, [['/dials', 'UPSTREAM_CONNECT_FAILED', /removed/]])
  t.match(bench.start('/late').result, { code: 'NO_ENDPOINT' })
  server.answer(held[0] as (typeof held)[0])
  await until(() => bench.done.length === 1, 'the running one')
  await until(() => server.sockets.size === 0, 'the connection to close')
  await bench.close(t)
  await server.close()
})

t.test(
  'a cluster without a resolved name has no endpoint, and gets one when the name resolves',
  async (t) => {
    const { server, port } = await serve()
    const loop = new ManualLoop()
    let isThere = false
    const bench = new Bench({ at: [`order.local:${port}`], loop }, async () => {
      if (!isThere) throw new Error('ENOTFOUND')
      return ['127.0.0.1']
    })
    await bench.cluster.start()
    t.match(bench.start('/early').result, { code: 'NO_ENDPOINT' })
    t.match(bench.cluster.report(), [{ resolved: [], isUsable: false }])
    isThere = true
    loop.clock.advance(1000)
    await until(() => bench.cluster.hosts().length === 1, 'the name')
    bench.start('/now')
    await bench.settled(1)
    t.same(bench.done, ['/now'])
    t.match(bench.cluster.report(), [
      { address: `order.local:${port}`, resolved: [`127.0.0.1:${port}`], isUsable: true },
    ])
    await bench.close(t)
    await server.close()
  },
)

t.test(
  'when a name changes its addresses, hosts that stay keep their connections and the others drain',
  async (t) => {
    const { server, port } = await serve()
    const second = new LineServer()
    const third = new LineServer()
    await second.listen(port, '127.0.0.2')
    await third.listen(port, '127.0.0.3')
    const loop = new ManualLoop()
    let addresses = ['127.0.0.1', '127.0.0.2']
    const bench = new Bench({ at: [`order.local:${port}`], loop, maxConnections: 1 }, async () => addresses)
    bench.repeats = true
    await bench.cluster.start()
    bench.start('/1')
    bench.start('/2')
    await bench.settled(2)
    t.same([server.accepted, second.accepted], [1, 1])

    second.onLine = () => {}
    bench.start('/to-first')
    bench.start('/held by second')
    await until(() => second.requests.length === 2, 'the held request')
    await bench.settled(3)
    bench.start('/to-first-too')
    const queued = bench.start('/queued at second')
    t.equal(queued.result, null)
    await bench.settled(4)
    addresses = ['127.0.0.1', '127.0.0.3']
    loop.clock.advance(5000)
    await until(() => bench.done.includes('/queued at second'), 'the queued one, on another host')
    t.not(queued.exchange.endpoint, `127.0.0.2:${port}`)
    t.equal(second.sockets.size, 1, 'the running one finishes')
    second.answer(second.requests[1] as (typeof second.requests)[0])
    await until(() => bench.done.includes('/held by second'), 'the held one')
    await until(() => second.sockets.size === 0, 'the old host to drain')
    for (let i = 0; i < 4; i++) {
      bench.start(`/after-${i}`)
      await bench.settled(7 + i)
    }
    t.equal(server.accepted, 1, 'the host that stayed kept its connection')
    t.equal(second.accepted, 1)
    t.ok(third.requests.length > 0)
    t.same(bench.failed, [])
    await bench.close(t)
    for (const one of [server, second, third]) await one.close()
  },
)

t.test('destroy closes the connections of hosts that left, too', async (t) => {
  const { server, port } = await serve()
  const loop = new ManualLoop()
  let addresses = ['127.0.0.1']
  const bench = new Bench({ at: [`order.local:${port}`], loop }, async () => addresses)
  await bench.cluster.start()
  server.onLine = () => {}
  bench.start('/held')
  await until(() => server.requests.length === 1, 'the request')
  addresses = ['127.0.0.9']
  loop.clock.advance(5000)
  await until(() => bench.cluster.report()[0]?.resolved[0] === `127.0.0.9:${port}`, 'the change')
  t.equal(server.sockets.size, 1)
  await bench.close(t)
  await until(() => server.sockets.size === 0, 'the connection to be closed')
  t.match(bench.failed, [['/held', 'UPSTREAM_RESET']])
  await server.close()
})

// — a connection of their own for every caller ———————————————————————————————————————————————————————————

/** Paths of the requests that each connection carried. */
function pathsBySocket(server: LineServer): string[][] {
  const paths = new Map<net.Socket, string[]>()
  for (const { socket, path } of server.requests) paths.set(socket, [...(paths.get(socket) ?? []), path])
  return [...paths.values()].map((list) => list.sort())
}

function caller(port: number): Peer {
  return new Peer('127.0.0.1', port, '127.0.0.1', 80)
}

t.test('sharing: caller', async (t) => {
  const one = caller(1)
  const other = caller(2)

  await t.test('no two callers share a connection, translated requests share one', async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({ at: [at], protocol: lineProtocol(100), sharing: 'caller' })
    bench.start('/a1', one)
    bench.start('/b1', other)
    bench.start('/t1', caller(3), 'mmtp')
    await bench.settled(3)
    // A copy of the addresses is another caller: the object stands for the connection.
    bench.start('/c', caller(1))
    bench.start('/a2', one)
    bench.start('/t2', caller(4), 'mmtp')
    bench.start('/b2', other)
    await bench.settled(7)
    t.same(pathsBySocket(server).sort(), [['/a1', '/a2'], ['/b1', '/b2'], ['/c'], ['/t1', '/t2']])
    t.match(bench.cluster.report(), [{ connections: 4, active: 0 }])
    await bench.close(t)
    await server.close()
  })

  await t.test('a caller that goes takes its connection along', async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({ at: [at], protocol: lineProtocol(100), sharing: 'caller' })
    const gone = caller(1)
    server.onLine = (request) => {
      if (request.path !== '/runs') server.answer(request)
    }
    bench.start('/done', gone)
    bench.start('/other', other)
    await bench.settled(2)
    bench.start('/runs', gone)
    await until(() => server.requests.length === 3, 'the request')
    gone.onClose()
    t.match(bench.cluster.report(), [{ connections: 2, active: 1 }], 'what runs is finished')
    server.answer(server.requests[2] as LineRequest)
    await bench.settled(3)
    await until(() => server.sockets.size === 1, 'the close')
    bench.start('/still', other)
    await bench.settled(4)
    t.equal(server.accepted, 2)
    t.same(bench.failed, [])
    await bench.close(t)
    await server.close()
  })

  await t.test('a request that waits when its caller goes is sent', async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({ at: [at], protocol: lineProtocol(100), sharing: 'caller' })
    const gone = caller(1)
    bench.start('/one-way', gone)
    gone.onClose()
    await bench.settled(1)
    t.same(bench.done, ['/one-way'])
    await bench.close(t)
    await server.close()
  })

  await t.test('all callers together keep the limit of connections', async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({
      at: [at],
      protocol: lineProtocol(100),
      sharing: 'caller',
      maxConnections: 1,
    })
    const gone = caller(1)
    bench.start('/a', gone)
    await bench.settled(1)
    const { exchange } = bench.start('/given-up', caller(3))
    bench.start('/b', other)
    t.equal(bench.cluster.queued, 2)
    bench.cluster.abandon(exchange)
    t.equal(bench.cluster.queued, 1)
    gone.onClose()
    await bench.settled(2)
    t.same(bench.done, ['/a', '/b'], 'the place of one that is gone is taken')
    await bench.close(t)
    await server.close()
  })

  await t.test('a connection that the process closed is opened again', async (t) => {
    const { server, at } = await serve()
    const bench = new Bench({ at: [at], protocol: lineProtocol(100), sharing: 'caller' })
    bench.start('/a', one)
    await bench.settled(1)
    for (const socket of server.sockets) socket.end()
    await until(() => bench.cluster.report()[0]?.connections === 0, 'the close')
    bench.start('/b', one)
    await bench.settled(2)
    t.same(bench.done, ['/a', '/b'])
    await bench.close(t)
    await server.close()
  })

  await t.test('an address that refuses one caller is avoided for all', async (t) => {
    const { server, at, port } = await serve()
    const bench = new Bench({ at: [at], protocol: lineProtocol(100), sharing: 'caller' })
    await server.close()
    bench.start('/a', one)
    await bench.settled(1)
    t.match(bench.failed, [['/a', 'UPSTREAM_CONNECT_FAILED', `127.0.0.1:${port}`]])
    t.match(bench.cluster.report(), [{ connectFailures: 1, isUsable: false, connections: 0 }])
    await bench.close(t)
  })
})
