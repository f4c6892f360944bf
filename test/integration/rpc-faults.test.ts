/** Peers of Bolt and Dubbo that fail in every way: the call or connection concerned ends with the right error, all else goes on. */
import { once } from 'node:events'
import t from 'tap'
import { poolUsage } from '../../lib/buffer/pools.ts'
import { freePort, lastEntry, logLines, until } from '../support/http.ts'
import { startRawBusiness, startRig } from '../support/rig.ts'
import { brokenAnswers, brokenRequests, FRAME_LIMIT } from '../support/rpc-broken.ts'
import { KINDS, type RpcMessage } from '../support/rpc-kinds.ts'
import { isQuiet, rpcConfig, startRpc } from '../support/rpc-rig.ts'
import { connectRpc, type RpcSocket } from '../support/rpc-socket.ts'

const MIB = 1 << 20
const LOG = '{ use: access-log, path: access.log, format: json }'

t.setTimeout(90_000)

/** Calls that wait at a business process. */
type Held = { message: RpcMessage; peer: RpcSocket }[]

for (const kind of KINDS) {
  const { statuses } = kind
  const [one, two, three] = kind.ids as [string, string, string]

  t.test(`${kind.name}: the route's timeout ends a call, and what comes too late is dropped`, async (t) => {
    const held: Held = []
    const { connect, business, rig, connections } = await startRpc(
      t,
      kind,
      { route: ', timeout: 60ms', filters: LOG },
      (message, peer) => held.push({ message, peer }),
    )
    const caller = await connect()
    caller.send(kind.call(one), kind.call(two, { text: 'served' }))
    await business.until('both are there', () => held.length === 2)
    const [late, served] = held as [Held[0], Held[0]]
    served.peer.send(kind.answer(served.message.id, { text: 'served' }))
    t.equal((await caller.answer(two)).text, 'served')
    t.equal((await caller.answer(one)).status, statuses.timeout)
    t.match(await lastEntry(rig, 2), { flags: 'UT', status: statuses.timeout })
    late.peer.send(kind.answer(late.message.id, { text: 'too late' }))
    business.act = (message, peer) => peer.send(kind.answer(message.id, { text: 'next' }))
    t.equal((await caller.ask(kind.call(three))).text, 'next')
    t.equal(caller.messages.length, 3, 'nothing else came')
    t.equal(connections(), 1)
  })

  t.test(
    `${kind.name}: the timeout that a caller gives ends its call, and the business process is told it`,
    async (t) => {
      const held: Held = []
      // Of a Dubbo call it is known once its attachments were looked for, which routes alone do not ask for.
      const setup = kind.name === 'dubbo' ? { filters: 'trace-context' } : {}
      const { connect, business } = await startRpc(t, kind, setup, (message, peer) =>
        held.push({ message, peer }),
      )
      const caller = await connect()
      const startMs = performance.now()
      t.equal((await caller.ask(kind.call(one, { timeoutMs: 80 }))).status, statuses.timeout)
      const ms = performance.now() - startMs
      t.ok(ms > 70 && ms < 2000, `after ${ms} ms`)
      const told = business.calls[0]?.timeoutMs ?? 0
      t.ok(told > 0 && told <= 80, `told ${told}`)
    },
  )

  t.test(`${kind.name}: answers that come twice, or to nobody, disturb nobody`, async (t) => {
    const { connect, connections, rig } = await startRpc(t, kind, {}, (message, peer) => {
      const answer = kind.answer(message.id, { text: message.text })
      const strays = ['0000007d', '7ffffffe', 'fffffffd', '00000000'].map((id) =>
        kind.answer(id.padStart(kind.ids[0]?.length ?? 8, id.startsWith('f') ? 'f' : '0'), { text: 'stray' }),
      )
      peer.send(...strays, answer, answer, ...strays, answer)
    })
    const caller = await connect()
    for (let i = 0; i < 20; i++) caller.send(kind.call(kind.ids[i % 4] as string, { text: `${i}` }))
    await caller.until('all answers', () => caller.messages.length >= 20)
    t.equal((await caller.ask(kind.call(kind.ids[5] as string, { text: 'last' }))).text, 'last')
    t.same(
      caller.messages.map(({ text }) => text).toSorted(),
      [...Array.from({ length: 20 }, (_, i) => `${i}`), 'last'].toSorted(),
    )
    t.equal(connections(), 1)
    t.ok(isQuiet(rig))
  })

  t.test(`${kind.name}: no route, nobody there, another protocol there`, async (t) => {
    const clusters = `
  - { name: refused, protocol: ${kind.name}, endpoints: [127.0.0.1:${await freePort()}] }
  - { name: web, protocol: http1, endpoints: [127.0.0.1:${await startRawBusiness(t, () => undefined)}] }`
    const rig = await startRig(
      t,
      `
listeners: [{ name: in, protocol: ${kind.name}, address: 127.0.0.1:0 }]
clusters: ${clusters}
filters: [${LOG}]
routes:
  - { match: { service: to.refused }, to: { cluster: refused } }
  - { match: { headers: { lane: web } }, to: { cluster: web }, timeout: 500ms }
`,
    )
    const caller = await connectRpc(t, kind, rig.port())
    const cases = [
      [{ service: 'to.nowhere' }, statuses.noRoute, 'NR'],
      [{ service: 'to.refused' }, statuses.unreachable, 'UF'],
      [{ headers: { lane: 'web' } }, statuses.unsupported, 'DPE'],
    ] as const
    for (const [i, [parts, status, flags]] of cases.entries()) {
      caller.messages.length = 0
      t.equal((await caller.ask(kind.call(one, parts))).status, status, flags)
      t.match(await lastEntry(rig, i + 1), { status, flags })
    }
    caller.messages.length = 0
    for (const [parts] of cases) caller.send(kind.call(two, { ...parts, isOneWay: true }))
    await caller.ask(kind.call(three, { service: 'to.nowhere' }))
    await until('one-way calls end too', () => isQuiet(rig))
    t.equal(caller.messages.length, 1)
  })

  t.test(`${kind.name}: a business process that dies, at any byte of its answers`, async (t) => {
    const held: Held = []
    const { connect, business, rig } = await startRpc(t, kind, { filters: LOG }, (message, peer) =>
      held.push({ message, peer }),
    )
    const caller = await connect()
    let lines = 0
    let wholes = 0
    const answerLength = kind.answer(one, { text: 'half' }).length
    for (const cut of [0, 1, 2, 15, 16, 21, answerLength - 1]) {
      for (const end of ['destroy', 'end', 'resetAndDestroy'] as const) {
        held.length = 0
        caller.messages.length = 0
        caller.send(kind.call(one), kind.call(two), kind.call(three))
        await business.until('all run', () => held.length === 3)
        const [first, second] = held as [Held[0], Held[0]]
        first.peer.send(kind.answer(first.message.id, { text: 'whole' }))
        const half = kind.answer(second.message.id, { text: 'half' }).subarray(0, cut)
        const { socket } = first.peer
        socket.write(half, () => socket[end]())
        const answers = await Promise.all([one, two, three].map((id) => caller.answer(id)))
        lines += 3
        if (answers[0]?.text === 'whole') wholes++
        // A reset may overtake what was sent before it.
        if (end !== 'resetAndDestroy') t.equal(answers[0]?.text, 'whole', `${end} after ${cut}`)
        for (const { status } of answers.slice(1)) t.equal(status, statuses.reset, `${end} after ${cut}`)
      }
    }
    business.act = (message, peer) => peer.send(kind.answer(message.id, { text: 'back' }))
    t.equal((await caller.ask(kind.call(kind.ids[5] as string))).text, 'back')
    const flags = (await logLines(rig, lines + 1)).map(
      (line) => JSON.parse(line)['flags'] as string | undefined,
    )
    t.equal(flags.filter((flag) => flag === 'UC').length, flags.length - 1 - wholes)
  })

  t.test(
    `${kind.name}: half an answer does not hold up anything but its connection's next bytes`,
    async (t) => {
      const held: Held = []
      const { connect, business } = await startRpc(t, kind, { route: ', timeout: 50ms' }, (message, peer) =>
        held.push({ message, peer }),
      )
      const caller = await connect()
      caller.send(kind.call(one))
      await business.until('it is there', () => held.length === 1)
      const [{ message, peer }] = held as [Held[0]]
      const answer = kind.answer(message.id, { text: 'x'.repeat(1000) })
      peer.send(answer.subarray(0, 500))
      t.equal((await caller.answer(one)).status, statuses.timeout)
      peer.send(answer.subarray(500))
      business.act = (call, at) => at.send(kind.answer(call.id, { text: 'next' }))
      t.equal((await caller.ask(kind.call(two))).text, 'next')
      t.equal(business.connections.length, 1)
    },
  )

  t.test(`${kind.name}: what a caller sends wrong ends its call or its connection, no other`, async (t) => {
    const held: Held = []
    const listener = `, limits: { frame: ${FRAME_LIMIT} }`
    const routes = `  - { match: { service: bad.Body, headers: { lane: grey } }, to: { cluster: out } }
  - { match: { service: a.B }, to: { cluster: out } }`
    const { connect, business, rig } = await startRpc(t, kind, { listener, routes }, (message, peer) =>
      held.push({ message, peer }),
    )
    const healthy = await connect()
    healthy.send(kind.call(one, { text: 'long' }))
    await business.until('it runs', () => held.length === 1)
    const [long] = held as [Held[0]]
    business.act = (message, peer) => peer.send(kind.answer(message.id, { text: message.text }))
    for (const { name, bytes, status, closes } of brokenRequests(kind)) {
      for (const isInPieces of [false, true]) {
        const caller = await connect()
        if (isInPieces) {
          caller.send(bytes.subarray(0, 10))
          await new Promise((resolve) => setTimeout(resolve, 1))
          caller.send(bytes.subarray(10))
        } else caller.send(bytes)
        if (status !== null) {
          await caller.until(`an answer to ${name}`, () => caller.messages.length > 0)
          t.same(
            caller.messages.map((message) => message.status),
            [status],
            name,
          )
        }
        if (closes) {
          await caller.untilOver()
          t.equal(caller.messages.length, status === null ? 0 : 1, name)
        } else t.equal((await caller.ask(kind.call(two, { text: name }))).text, name)
        caller.socket.destroy()
      }
      healthy.messages.length = 0
      t.equal((await healthy.ask(kind.call(three, { text: name }))).text, name, 'others go on')
    }
    long.peer.send(kind.answer(long.message.id, { text: 'done' }))
    t.equal((await healthy.answer(one)).text, 'done')
    t.equal(business.connections.length, 1)
    await until('nothing is left', () => isQuiet(rig))
  })

  t.test(
    `${kind.name}: what a business process answers wrong ends that call, or its connection with all its calls`,
    async (t) => {
      for (const { name, bytes, status, closes } of brokenAnswers(kind)) {
        const held: Held = []
        const cluster = `, limits: { frame: ${FRAME_LIMIT} }`
        const { connect, business, rig } = await startRpc(t, kind, { cluster }, (message, peer) =>
          held.push({ message, peer }),
        )
        const caller = await connect()
        caller.send(kind.call(one), kind.call(two))
        await business.until('both run', () => held.length === 2)
        const [first, second] = held as [Held[0], Held[0]]
        first.peer.send(bytes(first.message.id))
        t.equal((await caller.answer(one)).status, status, name)
        if (closes) t.equal((await caller.answer(two)).status, status, `${name}: the other call`)
        else {
          second.peer.send(kind.answer(second.message.id, { text: 'goes on' }))
          t.equal((await caller.answer(two)).text, 'goes on', name)
        }
        business.act = (message, peer) => peer.send(kind.answer(message.id, { text: 'next' }))
        t.equal((await caller.ask(kind.call(three))).text, 'next', name)
        t.equal(business.connections.length, closes ? 2 : 1, name)
        await until('nothing is left', () => isQuiet(rig))
      }
    },
  )

  t.test(`${kind.name}: a business process that calls back is refused, and goes on`, async (t) => {
    const { connect, business } = await startRpc(t, kind)
    const caller = await connect()
    await caller.ask(kind.call(one))
    const [peer] = business.connections as [RpcSocket]
    peer.send(kind.call(two, { service: 'call.Back' }), kind.call(three, { isOneWay: true }))
    t.equal((await peer.answer(two)).status, statuses.noRoute)
    t.equal((await caller.ask(kind.call(three, { text: 'on' }))).text, 'on')
    t.equal(peer.answers.length, 1)
  })

  t.test(`${kind.name}: callers that leave take their calls with them`, async (t) => {
    const held: Held = []
    const { connect, business, rig, connections } = await startRpc(t, kind, {}, (message, peer) =>
      held.push({ message, peer }),
    )
    const callers = await Promise.all(Array.from({ length: 12 }, connect))
    for (const caller of callers) caller.send(...kind.ids.map((id) => kind.call(id)))
    await business.until('all run', () => held.length === 12 * kind.ids.length)
    for (const [i, { socket }] of callers.entries()) {
      if (i % 3 === 0) socket.destroy()
      else if (i % 3 === 1) socket.resetAndDestroy()
      // Half a frame, then nothing.
      else socket.write(kind.call(one).subarray(0, 20), () => socket.destroy())
    }
    await until(
      'calls of those who reset are over',
      () => rig.gateway.dispatcher.live === 8 * kind.ids.length,
    )
    // An end of what is sent may be no end of what is read: the others' calls go on.
    for (const { message, peer } of held) peer.send(kind.answer(message.id))
    await until('all calls are over', () => isQuiet(rig))
    business.act = (message, peer) => peer.send(kind.answer(message.id, { text: 'next' }))
    t.equal((await (await connect()).ask(kind.call(one))).text, 'next')
    t.equal(connections(), 1)
  })

  t.test(`${kind.name}: a caller that ends its side is still answered`, async (t) => {
    const held: Held = []
    const { connect, business } = await startRpc(t, kind, {}, (message, peer) => held.push({ message, peer }))
    const caller = await connect()
    caller.send(kind.call(one))
    caller.socket.end()
    await business.until('it runs', () => held.length === 1)
    const [{ message, peer }] = held as [Held[0]]
    peer.send(kind.answer(message.id, { text: 'in the end' }))
    t.equal((await caller.answer(one)).text, 'in the end')
    await caller.untilOver()
  })

  t.test(
    `${kind.name}: a full cluster is busy, and a full connection of callers waits or is busy`,
    async (t) => {
      const held: Held = []
      const cluster = ', maxStreams: 3, limits: { connections: 1, pending: 0 }'
      const { connect, business } = await startRpc(t, kind, { cluster }, (message, peer) =>
        held.push({ message, peer }),
      )
      const caller = await connect()
      caller.send(kind.call(one))
      await business.until('one runs', () => held.length === 1)
      caller.send(...kind.ids.slice(1, 5).map((id) => kind.call(id)))
      await caller.until('the others are refused', () => caller.messages.length === 2)
      t.same(
        caller.messages.map(({ status }) => status),
        [statuses.busy, statuses.busy],
      )
      await business.until('three run', () => held.length === 3)
      for (const { message, peer } of held) peer.send(kind.answer(message.id))
      await caller.until('and are answered', () => caller.messages.length === 5)
    },
  )

  t.test(`${kind.name}: who reads no answers is not called for, and does not fill the memory`, async (t) => {
    const CALLS = 32
    const large = kind.answer(one, { text: 'x'.repeat(MIB) })
    const listener = ', maxStreams: 4'
    const { connect, business, rig } = await startRpc(t, kind, { listener }, (message, peer) =>
      peer.send(kind.withId(large, message.id)),
    )
    const slow = await connect()
    slow.socket.pause()
    for (let i = 0; i < CALLS; i++) {
      slow.send(kind.call(i.toString(16).padStart(one.length, '0'), { timeoutMs: 60_000 }))
      if (i % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const fast = await connect()
    t.equal((await fast.ask(kind.call(one))).text.length, MIB, 'others are served')
    const queued = [...(rig.gateway.listeners.get('in')?.part.connections ?? [])].reduce(
      (sum, connection) => sum + connection.queuedBytes,
      0,
    )
    t.ok(queued < 16 * MIB, `${Math.round(queued / MIB)} MiB are queued`)
    t.ok(poolUsage().leased < 3000, `${poolUsage().leased} slabs are leased`)
    t.ok(business.calls.length < CALLS, `${business.calls.length} calls were passed on`)
    slow.socket.resume()
    await slow.until('all are answered in the end', () => slow.messages.length === CALLS)
    t.same([...new Set(slow.messages.map(({ status }) => status))], [statuses.ok])
  })

  t.test(`${kind.name}: who asks for very much at once and reads none of it is cut off, alone`, async (t) => {
    const CALLS = 40
    const large = kind.answer(one, { text: 'x'.repeat(MIB) })
    const listener = ', limits: { frame: 2MiB }'
    const { connect, rig } = await startRpc(t, kind, { listener }, (message, peer) =>
      peer.send(kind.withId(large, message.id)),
    )
    const greedy = await connect()
    greedy.socket.pause()
    const ids = Array.from({ length: CALLS }, (_, i) => i.toString(16).padStart(one.length, '0'))
    greedy.send(...ids.map((id) => kind.call(id, { timeoutMs: 60_000 })))
    const connections = () => [...(rig.gateway.listeners.get('in')?.part.connections ?? [])]
    await until('it is gone', () => rig.gateway.dispatcher.total === CALLS && connections().length === 0)
    const other = await connect()
    t.equal((await other.ask(kind.call(one))).text.length, MIB, 'others are served')
    greedy.socket.destroy()
    await until('nothing is left', () => isQuiet(rig))
  })

  t.test(`${kind.name}: a business process that reads nothing does not fill the memory`, async (t) => {
    const CALLS = 24
    let go: (() => void) | null = null
    const port = await startRawBusiness(t, (socket) => {
      socket.pause()
      go = () => socket.resume()
    })
    const rig = await startRig(
      t,
      rpcConfig(kind, port, { route: ', timeout: 200ms', cluster: ', limits: { pending: 4 }' }),
    )
    const callers = await Promise.all(Array.from({ length: 4 }, () => connectRpc(t, kind, rig.port())))
    const large = kind.call(one, { text: 'x'.repeat(MIB) })
    for (const caller of callers)
      for (let i = 0; i < CALLS / 4; i++) caller.send(kind.withId(large, kind.ids[i % 8] as string))
    await until('it is connected', () => go !== null)
    await until('all calls end', () => callers.every(({ messages }) => messages.length === CALLS / 4))
    const seen = new Set(callers.flatMap(({ messages }) => messages.map(({ status }) => status)))
    for (const status of seen)
      t.ok(status === statuses.timeout || status === statuses.busy, `status ${status}`)
    go!()
    await until('nothing is left', () => isQuiet(rig))
  })
}

t.test('dubbo: heartbeats that nobody answers end the connection and its calls', async (t) => {
  const kind = KINDS[1]!
  const held: Held = []
  const { connect, business } = await startRpc(t, kind, { cluster: ', heartbeat: 30ms' }, (message, peer) =>
    held.push({ message, peer }),
  )
  business.beat = () => undefined
  const caller = await connect()
  t.equal((await caller.ask(kind.call('1'.padStart(16, '0')))).status, kind.statuses.reset)
  t.ok(business.connections[0]!.ofType('heartbeat').length >= 1)
  await business.until('it is closed', () => business.connections[0]?.isOver === true)
})

t.test('bolt: more calls than a connection may have at once wait, and all are served', async (t) => {
  const kind = KINDS[0]!
  let running = 0
  let most = 0
  const { connect } = await startRpc(t, kind, { listener: ', maxStreams: 4' }, (message, peer) => {
    most = Math.max(most, ++running)
    setTimeout(() => {
      running--
      peer.send(kind.answer(message.id, { text: message.text }))
    }, 1)
  })
  const caller = await connect()
  for (let i = 0; i < 100; i++) caller.send(kind.call(i.toString(16).padStart(8, '0'), { text: `${i}` }))
  await caller.until('all answers', () => caller.messages.length === 100)
  t.equal(new Set(caller.messages.map(({ text }) => text)).size, 100)
  t.comment(`${most} ran at once`)
})

t.test(
  'a flood of small calls, one-way calls, heartbeats and broken frames, from many at once',
  async (t) => {
    for (const kind of KINDS) {
      const listener = `, limits: { frame: ${FRAME_LIMIT} }`
      const { connect, rig, business } = await startRpc(t, kind, { listener })
      const broken = brokenRequests(kind).filter(({ closes }) => closes)
      const floods = Array.from({ length: 30 }, async (_, i) => {
        const caller = await connect()
        for (let j = 0; j < 20; j++) {
          caller.send(
            kind.call(kind.ids[j % 8] as string, { text: `${i}-${j}` }),
            kind.call(kind.ids[0] as string, { isOneWay: true }),
            kind.heartbeat(kind.ids[1] as string),
          )
          if (j % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        await caller.until('answers', () => caller.answers.length === 20)
        caller.send(broken[i % broken.length]?.bytes as Buffer)
        if (i % 2 === 0) caller.socket.destroy()
        await Promise.race([caller.untilOver(), once(caller.socket, 'close')])
      })
      await Promise.all(floods)
      t.equal((await (await connect()).ask(kind.call(kind.ids[0] as string, { text: 'calm' }))).text, 'calm')
      t.ok(business.calls.length >= 1200)
      await until('nothing is left', () => isQuiet(rig))
    }
  },
)
