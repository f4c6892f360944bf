/** Bolt and Dubbo through the whole gateway: who gets which answer, where calls go, and what is changed on the way. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { connectMmtp } from '../../lib/mmtp.ts'
import { call, connectRaw, echo, lastEntry, logLines, until } from '../support/http.ts'
import { startBusiness, startRig } from '../support/rig.ts'
import { KINDS, type RpcKind, type RpcMessage } from '../support/rpc-kinds.ts'
import { isQuiet, rpcConfig, startRpc } from '../support/rpc-rig.ts'
import { connectRpc, type RpcSocket, startRpcBusiness } from '../support/rpc-socket.ts'

const MIB = 1 << 20
const LOG = '{ use: access-log, path: access.log, format: json, fields: FIELDS }'

/** What of a frame a gateway has to change: id, deadline and checksum are zeroed. */
function withoutHop(kind: RpcKind, frame: Buffer): Buffer {
  const copy = Buffer.from(frame)
  if (kind.name === 'dubbo') return copy.fill(0, 4, 12)
  const extra = (copy[0] as number) - 1
  copy.fill(0, 5 + extra, 9 + extra)
  if (copy[1 + extra] !== 0) copy.fill(0, 10 + 2 * extra, 14 + 2 * extra)
  if (hasChecksum(kind, copy)) copy.fill(0, copy.length - 4)
  return copy
}

function hasChecksum(kind: RpcKind, frame: Buffer): boolean {
  return kind.name === 'bolt' && frame[0] === 2 && frame[1] === 2 && ((frame[11] as number) & 1) === 1
}

/** Captured calls that a gateway passes on, with the answers of the real server. */
const CAPTURED = {
  bolt: `echo echo-unicode echo-null echo-64k create slow fail fail-npe blob-0 join over-int publish headers no-service no-method
    generic-invoke generic-typed generic-fail future alive err-no-processor err-codec-11 err-content-garbage err-busy
    v2-echo v2-echo-null v2-echo-64k v2-create v2-fail v2-fail-npe v2-join v2-no-service err-v2-crc-off`,
  dubbo: `echo echo-unicode echo-null echo-64k create slow fail fail-strange blob-0 join over-int publish headers no-service
    generic-invoke generic-fail echo-service future alive err-method err-path-only-front err-path-only-attachment
    err-busy fastjson2-echo fastjson2-create fastjson2-headers`,
} as const

for (const kind of KINDS) {
  const { statuses } = kind

  t.test(
    `${kind.name}: many callers share one connection, whatever their ids and the order of answers`,
    async (t) => {
      const held: { message: RpcMessage; peer: RpcSocket }[] = []
      const { business, connect, connections } = await startRpc(t, kind, {}, (message, peer) =>
        held.push({ message, peer }),
      )
      const callers = await Promise.all(Array.from({ length: 24 }, connect))
      for (const [i, caller] of callers.entries())
        caller.send(...kind.ids.map((id) => kind.call(id, { text: `caller ${i} call ${id}` })))
      const count = callers.length * kind.ids.length
      await business.until('all calls are there', () => held.length === count)
      t.equal(connections(), 1)
      t.equal(business.connections.length, 1)
      t.equal(new Set(held.map(({ message }) => message.id)).size, count, 'each has an id of its own there')
      // Neither in order nor in reverse: 61 and the count have no common divisor.
      for (let i = 0; i < count; i++) {
        const { message, peer } = held[(i * 61) % count] as (typeof held)[number]
        peer.send(kind.answer(message.id, { text: `to ${message.text}` }))
      }
      for (const [i, caller] of callers.entries()) {
        await caller.until('all answers', () => caller.answers.length === kind.ids.length)
        t.same(
          new Set(caller.answers.map(({ text }) => text)),
          new Set(kind.ids.map((id) => `to caller ${i} call ${id}`)),
        )
        for (const { id, text } of caller.answers) t.ok(text.endsWith(id), `${text} came as ${id}`)
      }
    },
  )

  t.test(`${kind.name}: one caller may use an id again before its first call is answered`, async (t) => {
    const held: RpcMessage[] = []
    const { business, connect } = await startRpc(t, kind, {}, (message) => held.push(message))
    const caller = await connect()
    const id = kind.ids[1] as string
    caller.send(kind.call(id, { text: 'one' }), kind.call(id, { text: 'two' }))
    await business.until('both are there', () => held.length === 2)
    for (const message of held.toReversed())
      business.connections[0]?.send(kind.answer(message.id, { text: message.text }))
    await caller.until('both answers', () => caller.answers.length === 2)
    t.same(
      caller.answers.map((answer) => [answer.id, answer.text]),
      [
        [id, 'two'],
        [id, 'one'],
      ],
    )
  })

  t.test(`${kind.name}: captured frames arrive as they were sent, and so do their answers`, async (t) => {
    const vector = (name: string): Buffer =>
      readFileSync(new URL(`../vectors/${kind.name}/${name}.bin`, import.meta.url))
    let arrived: Buffer = Buffer.alloc(0)
    let answer: Buffer = arrived
    const { connect, business } = await startRpc(t, kind, { route: ', timeout: 0' }, (message, peer) => {
      arrived = message.raw
      const frame = Buffer.from(answer)
      const at = kind.name === 'dubbo' ? 4 : 4 + (frame[0] as number)
      arrived.copy(frame, at, at, at + (kind.name === 'dubbo' ? 8 : 4))
      if (hasChecksum(kind, frame)) frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4)
      peer.send(frame)
    })
    const pass = async (caller: RpcSocket, name: string): Promise<void> => {
      const request = vector(`${name}.req`)
      answer = vector(`${name}.resp`)
      const { raw } = await caller.ask(request)
      caller.messages.length = 0
      t.ok(withoutHop(kind, arrived).equals(withoutHop(kind, request)), `${name}: the request`)
      t.ok(raw.equals(answer), `${name}: the answer`)
    }
    const names = CAPTURED[kind.name].split(/\s+/)
    const isV2 = (name: string): boolean => name.includes('v2-')
    const caller = await connect()
    for (const name of names.filter((one) => !isV2(one))) await pass(caller, name)
    // A connection to a business process keeps to the version of Bolt that it began with.
    business.connections[0]?.socket.destroy()
    const other = await connect()
    for (const name of names.filter(isV2)) await pass(other, name)
  })

  t.test(`${kind.name}: one-way calls arrive as such, and nothing comes back`, async (t) => {
    const { business, connect, rig } = await startRpc(t, kind)
    const caller = await connect()
    for (let i = 0; i < 50; i++)
      caller.send(kind.call(kind.ids[0] as string, { text: `told ${i}`, isOneWay: true }))
    t.equal((await caller.ask(kind.call(kind.ids[1] as string, { text: 'asked' }))).text, 'asked')
    await business.until('all are there', () => business.calls.length === 51)
    t.same(
      business.calls.filter(({ type }) => type === 'one-way').map(({ text }) => text),
      Array.from({ length: 50 }, (_, i) => `told ${i}`),
    )
    if (kind.name === 'bolt') t.equal(business.calls[0]?.timeoutMs, -1)
    // The business process answered them all the same; nobody waits for that.
    t.equal(caller.messages.length, 1)
    t.ok(isQuiet(rig))
    t.equal(rig.gateway.listeners.get('in')?.part.stats.requests, 51)
  })

  t.test(`${kind.name}: heartbeats end at the gateway, on both sides`, async (t) => {
    const { business, connect, connections } = await startRpc(t, kind, { cluster: ', heartbeat: 30ms' })
    const caller = await connect()
    await caller.ask(kind.call(kind.ids[0] as string))
    const [peer] = business.connections as [RpcSocket]
    await business.until('the business process is asked', () => peer.ofType('heartbeat').length >= 2)
    t.equal(connections(), 1, 'answered heartbeats keep the connection')
    t.equal(caller.ofType('heartbeat').length, 0)
    caller.send(kind.heartbeat(kind.ids[2] as string))
    await caller.until('our heartbeat is answered', () => caller.ofType('heartbeat-answer').length === 1)
    t.equal(caller.ofType('heartbeat-answer')[0]?.id, kind.ids[2])
    t.ok(caller.ofType('heartbeat-answer')[0]?.raw.equals(kind.beatAnswer(kind.ids[2] as string)))
    peer.send(kind.heartbeat(kind.ids[1] as string))
    await business.until(
      'and that of the business process',
      () => peer.ofType('heartbeat-answer').length === 1,
    )
    t.ok(peer.ofType('heartbeat-answer')[0]?.raw.equals(kind.beatAnswer(kind.ids[1] as string)))
    t.equal((await caller.ask(kind.call(kind.ids[3] as string, { text: 'still' }))).text, 'still')
    t.equal(business.connections.length, 1)
  })

  t.test(`${kind.name}: idle connections end, busy and beating ones do not`, async (t) => {
    const held: RpcMessage[] = []
    const { connect, business } = await startRpc(
      t,
      kind,
      { listener: ', timeouts: { idle: 80ms }' },
      (message) => held.push(message),
    )
    const [idle, busy, beating] = (await Promise.all([connect(), connect(), connect()])) as [
      RpcSocket,
      RpcSocket,
      RpcSocket,
    ]
    busy.send(kind.call(kind.ids[0] as string, { text: 'slow' }))
    const beats = setInterval(() => beating.send(kind.heartbeat(kind.ids[0] as string)), 20)
    t.teardown(() => clearInterval(beats))
    await idle.untilOver()
    await beating.until('many heartbeats', () => beating.messages.length > 8)
    t.notOk(busy.isOver)
    t.notOk(beating.isOver)
    const [message] = held as [RpcMessage]
    business.connections[0]?.send(kind.answer(message.id, { text: 'done' }))
    t.equal((await busy.answer(kind.ids[0] as string)).text, 'done')
    clearInterval(beats)
    await beating.untilOver()
  })

  t.test(`${kind.name}: routes by service, version, group, method, header and application`, async (t) => {
    const names = ['exact', 'below', 'version', 'group', 'method', 'header', 'prefix', 'app', 'rest'] as const
    const servers = await Promise.all(
      names.map((name) =>
        startRpcBusiness(t, kind, (message, peer) => peer.send(kind.answer(message.id, { text: name }))),
      ),
    )
    const clusters = names.map(
      (name, i) =>
        `  - { name: ${name}, protocol: ${kind.name}, endpoints: [127.0.0.1:${servers[i]?.port}] }`,
    )
    const rig = await startRig(
      t,
      `
listeners: [{ name: in, protocol: ${kind.name}, address: 127.0.0.1:0 }]
clusters:
${clusters.join('\n')}
routes:
  - { match: { service: com.shop.Order }, to: { cluster: exact } }
  - { match: { service: com.shop.* }, to: { cluster: below } }
  - { match: { service: com.shop.Order, version: '2.0' }, to: { cluster: version } }
  - { match: { service: com.shop.Order, version: '2.0', group: blue }, to: { cluster: group } }
  - { match: { service: com.shop.Order, method: [create, cancel], version: '3.0' }, to: { cluster: method } }
  - { match: { service: com.shop.Stock, headers: { lane: grey } }, to: { cluster: header } }
  - { match: { service: com.shop.Stock, headers: { lane: { prefix: canary- } } }, to: { cluster: prefix } }
  - { match: { service: com.shop.Stock, app: [till, shop], headers: { lane: { present: false } } }, to: { cluster: app } }
  - { match: { service: '*' }, to: { cluster: rest } }
`,
    )
    const caller = await connectRpc(t, kind, rig.port())
    const cases = [
      ['exact', { service: 'com.shop.Order' }],
      ['exact', { service: 'com.shop.Order', version: '3.0', method: 'Create' }],
      ['below', { service: 'com.shop.order' }],
      ['below', { service: 'com.shop.deep.Down' }],
      ['version', { service: 'com.shop.Order', version: '2.0' }],
      ['version', { service: 'com.shop.Order', version: '2.0', group: 'Blue' }],
      ['group', { service: 'com.shop.Order', version: '2.0', group: 'blue' }],
      ['method', { service: 'com.shop.Order', version: '3.0', method: 'cancel' }],
      ['below', { service: 'com.shop.Stock' }],
      ['header', { service: 'com.shop.Stock', headers: { lane: 'grey' }, app: 'till' }],
      ['header', { service: 'com.shop.Stock', headers: { LANE: 'grey' } }],
      ['prefix', { service: 'com.shop.Stock', headers: { lane: 'canary-7' } }],
      ['below', { service: 'com.shop.Stock', headers: { lane: '' }, app: 'shop' }],
      ['app', { service: 'com.shop.Stock', app: 'shop' }],
      ['rest', { service: 'com.shops.Order' }],
    ] as const
    const id = kind.ids[0] as string
    for (const [expected, parts] of cases) {
      t.equal((await caller.ask(kind.call(id, parts))).text, expected, JSON.stringify(parts))
      caller.messages.length = 0
    }
  })

  t.test(`${kind.name}: a route may rename what is called`, async (t) => {
    const routes = `
  - { match: { service: old.A }, to: { cluster: out, service: new.A } }
  - { match: { service: old.B }, to: { cluster: out, service: 'new.B:2.0:blue' } }
  - { match: { service: old.C }, to: { cluster: out, version: '3.0' } }
  - { match: { service: old.D }, to: { cluster: out, group: green } }
  - { match: { service: old.E }, to: { cluster: out, service: ${'new.much.longer.than.before.'.repeat(8)}E } }`
    const { connect, business } = await startRpc(t, kind, { routes })
    const caller = await connect()
    const seen = async (parts: object): Promise<string[]> => {
      caller.messages.length = 0
      t.equal((await caller.ask(kind.call(kind.ids[1] as string, { ...parts, text: 'é中' }))).text, 'é中')
      const { service, version, group, headers } = business.calls.at(-1) as RpcMessage
      if (kind.name === 'bolt') t.equal(headers['sofa_head_target_service'], headers['service'])
      else
        t.same([headers['path'], headers['version']], [service, version], 'in front and in the attachments')
      return [service, version, group]
    }
    t.same(await seen({ service: 'old.A', group: 'own' }), ['new.A', '1.0', 'own'])
    t.same(await seen({ service: 'old.B', group: 'own' }), ['new.B', '2.0', 'blue'])
    t.same(await seen({ service: 'old.C' }), ['old.C', '3.0', ''])
    t.same(await seen({ service: 'old.D', version: '7' }), ['old.D', '7', 'green'])
    t.same(await seen({ service: 'old.E' }), [`${'new.much.longer.than.before.'.repeat(8)}E`, '1.0', ''])
  })

  t.test(`${kind.name}: headers are added, replaced and removed on the way`, async (t) => {
    const filters = `{ use: headers,
      request: { remove: [secret, Mixed], set: { lane: grey, 'rpc_req_baggage.user': u1 }, add: { X-Caller: '\${request.app}' } },
      response: { remove: [inner], set: { Via: meshgate } } }`
    const { connect, business } = await startRpc(t, kind, { filters }, (message, peer) =>
      peer.send(kind.answer(message.id, { text: message.text, headers: { inner: '1', outer: '2' } })),
    )
    const caller = await connect()
    const headers = { secret: 's', MIXED: 'm', Lane: 'old', keep: 'é 中' }
    const answer = await caller.ask(
      kind.call(kind.ids[2] as string, { headers, app: 'till', text: 'x'.repeat(70_000) }),
    )
    const came = business.calls[0]?.headers as Record<string, string>
    t.match(came, { keep: 'é 中', lane: 'grey', 'rpc_req_baggage.user': 'u1', 'X-Caller': 'till' })
    for (const name of ['secret', 'MIXED', 'Lane']) t.notOk(name in came, name)
    t.equal(answer.text, 'x'.repeat(70_000))
    t.match(answer.headers, { outer: '2', Via: 'meshgate' })
    t.notOk('inner' in answer.headers)
  })

  t.test(`${kind.name}: a mebibyte both ways, in one piece and in crumbs`, async (t) => {
    const { connect, business } = await startRpc(t, kind)
    const text = Buffer.alloc(MIB, 'abcdefghijklmnopq').toString()
    const caller = await connect()
    const answer = await caller.ask(kind.call(kind.ids[1] as string, { text }))
    t.ok(answer.text === text)
    const frame = kind.call(kind.ids[2] as string, { text: 'crumbs' })
    for (const byte of frame) {
      caller.send(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.equal((await caller.answer(kind.ids[2] as string)).text, 'crumbs')
    const many = await Promise.all(
      Array.from({ length: 3 }, async () =>
        (await connect()).ask(kind.call(kind.ids[3] as string, { text })),
      ),
    )
    for (const one of many) t.ok(one.text === text)
    t.equal(business.connections.length, 1)
  })

  t.test(`${kind.name}: direct replies, faults, limits and filters of users`, async (t) => {
    const user = `
export default () => ({
  name: 'user',
  onRoute(exchange) {
    const { headers, service } = exchange.request
    headers.set('Seen-By', \`\${service}.\${exchange.request.method} \${headers.get('LANE')}\`)
    if (headers.has('refuse')) return exchange.refuse('RATE_LIMITED')
    if (headers.has('throw')) throw new Error('as asked')
    headers.remove('lane')
  },
  onResponse(exchange) {
    exchange.response.headers.set('Answered', String(exchange.response.status))
  },
})`
    const filters = `{ use: ./user.mjs }, { use: direct-reply, name: mock, enabled: false, body: 'mocked é' },
      { use: direct-reply, name: closed, enabled: false, status: 503, body: 'closed today' },
      { use: fault, name: abort, enabled: false, abort: {} }, { use: fault, name: delay, enabled: false, delay: { for: 30ms } },
      { use: rate-limit, enabled: false, qps: 0.001, burst: 1 }`
    const routes = ['mock', 'closed', 'abort', 'delay', 'rate-limit'].map(
      (name) =>
        `  - { match: { service: on.${name.replace('-', '')} }, to: { cluster: out }, filters: { ${name}: true } }`,
    )
    const setup = {
      routes: `${routes.join('\n')}\n  - { match: { service: '*' }, to: { cluster: out } }`,
      filters,
    }
    const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-user-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    await writeFile(path.join(folder, 'user.mjs'), user)
    const placed = { ...setup, filters: filters.replace('./user.mjs', path.join(folder, 'user.mjs')) }
    const { business, rig } = await startRpc(t, kind, placed)
    const caller = await connectRpc(t, kind, rig.port())
    const ask = (parts: object): Promise<RpcMessage> => {
      caller.messages.length = 0
      return caller.ask(kind.call(kind.ids[1] as string, parts))
    }
    t.match(await ask({ service: 'on.mock' }), { status: statuses.ok, text: 'mocked é' })
    t.match(await ask({ service: 'on.closed' }), { status: statuses.refused, text: 'closed today' })
    t.match(await ask({ service: 'on.abort' }), { status: statuses.injected, text: /a fault was injected/ })
    const startMs = performance.now()
    t.match(await ask({ service: 'on.delay', text: 'late' }), { status: statuses.ok, text: 'late' })
    t.ok(performance.now() - startMs >= 29)
    t.match(await ask({ service: 'on.ratelimit', text: 'first' }), { status: statuses.ok, text: 'first' })
    t.equal((await ask({ service: 'on.ratelimit' })).status, statuses.busy)
    const before = business.calls.length
    t.equal((await ask({ headers: { refuse: '1' } })).status, statuses.busy)
    t.equal((await ask({ headers: { throw: '1' } })).status, kind.name === 'bolt' ? 2 : 80)
    t.equal(business.calls.length, before, 'refused calls do not arrive')
    const answer = await ask({ service: 'a.B', headers: { Lane: 'grey' } })
    t.equal(answer.headers['Answered'], String(statuses.ok))
    t.equal(business.calls.at(-1)?.headers['Seen-By'], 'a.B.hi grey')
    t.notOk('Lane' in (business.calls.at(-1)?.headers ?? {}))
    caller.send(kind.call(kind.ids[0] as string, { service: 'on.closed', isOneWay: true }))
    t.match(await ask({ text: 'behind' }), { text: 'behind' }, 'a one-way call is refused in silence')
    t.equal(caller.messages.length, 1)
  })

  t.test(`${kind.name}: access log and trace ids`, async (t) => {
    const fields = `{ service: request.service, version: request.version, method: method, target: target, protocol: protocol, app: request.app,
      status: status, flags: flags, trace: trace_id, rpc: rpc_id, lane: request.header.Lane }`
    const filters = `trace-context, ${LOG.replace('FIELDS', fields)}`
    const { connect, business, rig } = await startRpc(t, kind, { filters })
    const caller = await connect()
    await caller.ask(kind.call(kind.ids[1] as string, { app: 'till', headers: { lane: 'grey' } }))
    const made = await lastEntry(rig, 1)
    const status = statuses.ok
    t.match(made, {
      service: 'a.B',
      version: '1.0',
      method: 'hi',
      target: 'a.B.hi',
      protocol: kind.name,
      app: 'till',
      status,
    })
    t.match(made, { rpc: '0', lane: 'grey', trace: /^[0-9a-f]{8}\d{13}\d{4}\d+$/ })
    const idsOf = (headers: Readonly<Record<string, string>>): unknown =>
      kind.name === 'bolt'
        ? [headers['rpc_trace_context.sofaTraceId'], headers['rpc_trace_context.sofaRpcId']]
        : /tcid=(\w+)&spid=([\d.]+)/.exec(headers['dubbo.rpc.sofa.tracer'] ?? '')?.slice(1)
    t.same(
      idsOf(business.calls[0]?.headers ?? {}),
      [made['trace'], made['rpc']],
      'the business process gets them',
    )

    const traceId = '0a0fe8b9170000000000010017'
    const known: Record<string, string> =
      kind.name === 'bolt'
        ? { 'rpc_trace_context.sofaTraceId': traceId, 'rpc_trace_context.sofaRpcId': '0.1.2' }
        : { 'dubbo.rpc.sofa.tracer': `tcid=${traceId}&spid=0.1.2&pspid=0.1&sample=true&` }
    const request = kind.call(kind.ids[2] as string, { headers: known })
    await caller.ask(request)
    t.match(await lastEntry(rig, 2), { trace: traceId, rpc: '0.1.2' })
    t.ok(
      withoutHop(kind, business.calls[1]?.raw as Buffer).equals(withoutHop(kind, request)),
      'and nothing is changed',
    )

    business.act = (message, peer) =>
      peer.send(kind.answer(message.id, { status: kind.name === 'bolt' ? 18 : 70, text: '' }))
    await caller.ask(kind.call(kind.ids[3] as string, { service: 'c.D', method: 'create' }))
    t.match(await lastEntry(rig, 3), { target: 'c.D.create', status: kind.name === 'bolt' ? 18 : 70 })
    caller.send(kind.call(kind.ids[3] as string, { isOneWay: true, method: 'tell' }))
    t.match(JSON.parse((await logLines(rig, 4))[3] ?? '{}'), { target: 'a.B.tell', status: statuses.ok })
  })

  t.test(`${kind.name}: a changed configuration leaves running calls alone`, async (t) => {
    const held: { message: RpcMessage; peer: RpcSocket }[] = []
    const { rig, connect, business } = await startRpc(t, kind, {}, (message, peer) =>
      held.push({ message, peer }),
    )
    const next = await startRpcBusiness(t, kind, (message, peer) =>
      peer.send(kind.answer(message.id, { text: 'new' })),
    )
    const caller = await connect()
    caller.send(...kind.ids.slice(0, 4).map((id) => kind.call(id)))
    await business.until('they run', () => held.length === 4)
    await rig.reconfigure(rpcConfig(kind, next.port))
    t.equal((await caller.ask(kind.call(kind.ids[4] as string))).text, 'new', 'on the same connection')
    for (const { message, peer } of held) peer.send(kind.answer(message.id, { text: 'old' }))
    for (const id of kind.ids.slice(0, 4)) t.equal((await caller.answer(id)).text, 'old')
    await business.until('the old connection is closed', () => held[0]?.peer.isOver === true)
    await rig
      .reconfigure(rpcConfig(kind, next.port, { route: ', filters: { none: true }' }))
      .catch(() => undefined)
    caller.messages.length = 0
    t.equal((await caller.ask(kind.call(kind.ids[0] as string))).text, 'new', 'a wrong one changes nothing')
  })

  for (const isMesh of kind.name === 'bolt' ? [false, true] : [false]) {
    t.test(`${kind.name}: a drain finishes what runs${isMesh ? ', and tells meshes' : ''}`, async (t) => {
      const held: { message: RpcMessage; peer: RpcSocket }[] = []
      const listener = isMesh ? ', boltGoAway: true' : ''
      const { rig, connect, business } = await startRpc(
        t,
        kind,
        { listener, more: 'drain: { grace: 3s }' },
        (message, peer) => held.push({ message, peer }),
      )
      const [busy, idle] = (await Promise.all([connect(), connect()])) as [RpcSocket, RpcSocket]
      await idle
        .send(kind.heartbeat(kind.ids[0] as string))
        .until('it is known', () => idle.messages.length === 1)
      busy.send(kind.call(kind.ids[1] as string))
      await business.until('it runs', () => held.length === 1)
      const drained = rig.gateway.drain()
      const tells = kind.name === 'dubbo' || isMesh
      if (tells) {
        await busy.until('the notice', () => busy.ofType('event').length === 1)
        const notice = busy.ofType('event')[0] as RpcMessage
        if (isMesh) t.equal(notice.raw.readUInt16BE(2), 100)
        else t.same([notice.raw[2], notice.content.toString('hex')], [0xa2, '0152'])
      }
      t.notOk(busy.isOver)
      // What was on its way when the notice came is served too.
      busy.send(kind.call(kind.ids[2] as string))
      await business.until('it runs too', () => held.length === 2)
      for (const { message, peer } of held) peer.send(kind.answer(message.id, { text: 'done' }))
      for (const id of kind.ids.slice(1, 3)) t.equal((await busy.answer(id)).text, 'done')
      await Promise.all([busy.untilOver(), idle.untilOver(), drained])
      t.equal(busy.ofType('event').length, tells ? 1 : 0)
    })
  }
}

t.test('a business process that stops gracefully gets no more calls on that connection', async (t) => {
  const notices = {
    bolt: '01010064010000000901ffffffff0000000000000000',
    dubbo: 'dabba2000000000000000000000000020152',
  }
  for (const kind of KINDS) {
    const held: { message: RpcMessage; peer: RpcSocket }[] = []
    const { connect, business } = await startRpc(t, kind, {}, (message, peer) => held.push({ message, peer }))
    const caller = await connect()
    caller.send(kind.call(kind.ids[0] as string))
    await business.until('it runs', () => held.length === 1)
    business.connections[0]?.send(Buffer.from(notices[kind.name], 'hex'))
    business.act = (message, peer) => peer.send(kind.answer(message.id, { text: 'second' }))
    await until('a call goes elsewhere', () => {
      caller.send(kind.call(kind.ids[1] as string))
      return business.connections.length === 2
    })
    for (const { message, peer } of held) peer.send(kind.answer(message.id, { text: 'first' }))
    t.equal((await caller.answer(kind.ids[0] as string)).text, 'first')
    await business.until('the first connection ends', () => business.connections[0]?.isOver === true)
    await caller.until('all answers', () => caller.answers.length > 1)
  }
})

t.test('one port serves HTTP/1.1, Mmtp, Bolt and Dubbo', async (t) => {
  const web = await startBusiness(t, (request, response) => void echo(request, response))
  const servers = await Promise.all(KINDS.map((kind) => startRpcBusiness(t, kind)))
  const rig = await startRig(
    t,
    `
listeners: [{ name: in, protocol: auto, address: 127.0.0.1:0 }]
clusters:
  - { name: web, protocol: http1, endpoints: [127.0.0.1:${web}] }
  - { name: bolt, protocol: bolt, endpoints: [127.0.0.1:${servers[0]?.port}] }
  - { name: dubbo, protocol: dubbo, endpoints: [127.0.0.1:${servers[1]?.port}] }
filters: [{ use: access-log, path: access.log, format: '\${protocol}' }]
routes:
  - { match: { path: / }, to: { cluster: web } }
  - { match: { operation: demo.call }, to: { cluster: web, path: /operation } }
  - { match: { service: over.bolt }, to: { cluster: bolt } }
  - { match: { service: over.dubbo }, to: { cluster: dubbo } }
`,
  )
  t.equal((await call(rig.port(), { path: '/plain' })).status, 200)
  const mmtp = await connectMmtp(`127.0.0.1:${rig.port()}`)
  t.match(JSON.parse((await mmtp.call('demo.call', '{}')).body.toString()), { url: '/operation' })
  await mmtp.close()
  for (const kind of KINDS) {
    const whole = await connectRpc(t, kind, rig.port())
    const id = kind.ids[1] as string
    t.equal((await whole.ask(kind.call(id, { service: `over.${kind.name}` }))).text, 'text')
    const crumbs = await connectRpc(t, kind, rig.port())
    for (const byte of kind.call(id, { service: `over.${kind.name}`, text: 'bytes' })) {
      crumbs.send(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.equal((await crumbs.answer(id)).text, 'bytes')
    const beating = await connectRpc(t, kind, rig.port())
    beating.send(kind.heartbeat(id))
    await beating.until('a heartbeat may be the first', () => beating.messages.length === 1)
    const other = KINDS.find((one) => one !== kind) as RpcKind
    const wrong = await whole.ask(kind.call(kind.ids[2] as string, { service: `over.${other.name}` }))
    t.equal(wrong.status, kind.statuses.unsupported, 'one is not turned into the other')
  }
  const garbage = await connectRaw(t, rig.port())
  garbage.send(Buffer.from('dabb0200000000000000000700000000', 'hex'))
  t.match(await garbage.untilOver(), /^HTTP\/1\.1 400 /, 'an answer opens no connection')
  t.same((await logLines(rig, 8)).toSorted(), [
    'bolt',
    'bolt',
    'bolt',
    'dubbo',
    'dubbo',
    'dubbo',
    'http1',
    'mmtp',
  ])
})
