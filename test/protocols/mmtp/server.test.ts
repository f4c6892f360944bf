import { crc32 } from 'node:zlib'
import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { ERROR_CODES, GatewayError } from '../../../lib/core/errors.ts'
import { Code, codeName } from '../../../lib/protocols/mmtp/constants.ts'
import { OutgoingResponse } from '../../../lib/protocols/mmtp/response.ts'
import { MmtpServer, serverSettings } from '../../../lib/protocols/mmtp/server.ts'
import { Settings } from '../../../lib/protocols/mmtp/settings.ts'
import { status } from '../../../lib/protocols/mmtp/status.ts'
import {
  block,
  CONTEXT,
  FakeWire,
  type Frame,
  feed,
  frame,
  hello,
  RecordingDownstream,
  request,
  SERVER_OPTIONS,
  type ServerRig,
  serverRig,
  tlv32,
} from '../../support/mmtp-wire.ts'

poisonReleasedSlabs(true)
t.afterEach((t) => {
  if (poolUsage().leased !== 0) t.fail(`${poolUsage().leased} leases are left`)
})

const KIB = 1024

function answer(rig: ServerRig, index: number, body: string, resultCode = 1000): void {
  const { exchange } = rig.handler.seen[index]!
  const reply = new OutgoingResponse(resultCode, Buffer.from(body))
  exchange.downstream.sendResponse(reply, body === '')
  if (body !== '') exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
  rig.handler.finish(exchange)
}

/** Type, id and code of each frame, in short: `11:1`, `13:1 Loop`, `32:0 Abuse`. */
function brief(frames: readonly Frame[]): string[] {
  return frames.map(({ type, id, body }) => {
    const code = type === 0x13 ? body.readUInt16BE(0) : type === 0x32 ? body.readUInt16BE(4) : -1
    return `${type.toString(16)}:${id}${code >= 0 ? ` ${codeName(code)}` : ''}`
  })
}

function cancel(id: number, code = 8): Buffer {
  return frame(0x13, 0, id, Buffer.from([0, code]))
}

function window(id: number, increment: number): Buffer {
  const body = Buffer.alloc(4)
  body.writeUInt32BE(increment)
  return frame(0x14, 0, id, body)
}

t.test('head and body that come together leave as one frame with END', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  answer(rig, 0, '{"ok":true}')
  const [only, ...more] = rig.wire.frames()
  t.match(only, { type: 0x11, flags: 1, id: 1, routeLength: 8, hops: 0 })
  t.equal(only!.body.toString(), '{"ok":true}')
  t.equal(only!.meta.readUInt16BE(0), 1000)
  t.same(more, [])
  t.equal(rig.codec.places, 0)
  t.end()
})

t.test('a head whose body comes later goes out alone, and DATA follows', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([request(1), request(3)]))
  const [first, second] = rig.handler.seen.map(({ exchange }) => exchange.downstream)
  const body = Buffer.from('abcdef')
  first!.sendResponse(new OutgoingResponse(1000, body), false)
  second!.sendResponse(new OutgoingResponse(1000, Buffer.alloc(0)), true)
  first!.sendBody(body, 0, 3, false)
  rig.wire.flush()
  first!.sendBody(body, 3, 6, true)
  const frames = rig.wire.frames()
  t.same(
    frames.map(({ type, id, flags, body }) => [type, id, flags, body.toString()]),
    [
      [0x11, 1, 0, ''],
      [0x11, 3, 1, ''],
      [0x12, 1, 0, 'abc'],
      [0x12, 1, 1, 'def'],
    ],
  )
  rig.handler.finishAll()
  t.end()
})

t.test('a head that was flushed is not patched any more', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  const { downstream } = rig.handler.seen[0]!.exchange
  downstream.sendResponse(new OutgoingResponse(1000, Buffer.from('x')), false)
  rig.wire.flush()
  downstream.sendBody(Buffer.from('x'), 0, 1, true)
  t.same(brief(rig.wire.frames()), ['11:1', '12:1'])
  rig.handler.finishAll()
  t.end()
})

t.test('an answer that ends before its request is followed by CANCEL(NONE), and the rest is dropped', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1, { flags: 0, body: 'abc' }))
  answer(rig, 0, 'early')
  t.same(brief(rig.wire.frames()), ['11:1', '13:1 None'])
  feed(rig.codec, Buffer.concat([frame(0x12, 0, 1, 'def'), frame(0x12, 1, 1, 'ghi'), request(3)]))
  t.equal(rig.handler.seen[0]!.body, 'abc')
  t.equal(rig.handler.seen.length, 2)
  t.same(rig.wire.events, [])
  rig.handler.finishAll()
  t.end()
})

t.test('body frames longer than a slab stream through, whatever the cuts', (t) => {
  const body = Buffer.alloc(200 * KIB)
  for (let i = 0; i < body.length; i++) body[i] = 97 + ((i * 31) % 26)
  const trailer = Buffer.alloc(4)
  trailer.writeUInt32BE(crc32(body))
  for (const step of [1_000, 16_000, 65_535, body.length + 200]) {
    const rig = serverRig()
    const received: Buffer[] = []
    const { onRequestBody } = rig.handler
    rig.handler.onRequestBody = (exchange, bytes, offset, end, last) => {
      received.push(Buffer.from(bytes.subarray(offset, end)))
      onRequestBody.call(rig.handler, exchange, bytes, offset, end, last)
    }
    const bytes = Buffer.concat([request(1, { flags: 5, body: Buffer.concat([body, trailer]) }), request(3)])
    for (let at = 0; at < bytes.length; at += step) feed(rig.codec, bytes.subarray(at, at + step))
    t.ok(Buffer.concat(received).equals(body), `in steps of ${step}`)
    t.same(
      rig.handler.seen.map(({ isComplete }) => isComplete),
      [true, true],
    )
    if (step < 65_536) t.ok(received.length > 1, 'in pieces')
    rig.handler.finishAll()
  }
  t.end()
})

t.test('a streamed body with a wrong checksum fails its exchange and nothing else', (t) => {
  const rig = serverRig()
  const bytes = Buffer.concat([request(1, { flags: 5, body: Buffer.alloc(100 * KIB, 1) }), request(3)])
  for (let at = 0; at < bytes.length; at += 4_093) feed(rig.codec, bytes.subarray(at, at + 4_093))
  const [first, second] = rig.handler.seen
  t.equal(first!.failure?.code, 'BAD_REQUEST')
  t.equal(first!.isComplete, false)
  t.equal(second!.isComplete, true)
  t.same(brief(rig.wire.frames()), ['13:1 Checksum'])
  rig.handler.finishAll()
  t.end()
})

t.test('credit is given back in steps of a quarter window, once a frame', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1, { flags: 0, body: Buffer.alloc(60 * KIB) }))
  t.same(rig.wire.frames(), [], 'less than a quarter is owed')
  feed(rig.codec, frame(0x12, 0, 1, Buffer.alloc(60 * KIB)))
  const [first] = rig.wire.frames()
  t.same([first?.type, first?.id, first?.body.readUInt32BE(0)], [0x14, 1, 120 * KIB])
  for (let i = 0; i < 40; i++) feed(rig.codec, frame(0x12, 0, 1, Buffer.alloc(60 * KIB)))
  t.same(rig.wire.events, [], 'a sender that keeps to its windows is never cut off')
  rig.handler.finishAll()
  t.end()
})

t.test('a paused stream gets no credit, on the connection neither, until it is resumed', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1, { flags: 0 }))
  const { downstream } = rig.handler.seen[0]!.exchange
  downstream.pause()
  for (let i = 0; i < 4; i++) feed(rig.codec, frame(0x12, 0, 1, Buffer.alloc(64 * KIB)))
  t.same(rig.wire.frames(), [])
  downstream.resume()
  t.same(
    rig.wire.frames().map(({ type, id, body }) => [type, id, body.readUInt32BE(0)]),
    [
      [0x14, 0, 256 * KIB],
      [0x14, 1, 256 * KIB],
    ],
  )
  rig.handler.finishAll()
  t.end()
})

t.test('bytes past a window close the connection', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1, { flags: 0 }))
  rig.handler.seen[0]!.exchange.downstream.pause()
  for (let i = 0; i < 4; i++) feed(rig.codec, frame(0x12, 0, 1, Buffer.alloc(64 * KIB)))
  feed(rig.codec, frame(0x12, 0, 1, 'x'))
  t.same(brief(rig.wire.frames()), ['32:0 Flow'])
  t.equal(rig.handler.seen[0]!.failure?.code, 'DOWNSTREAM_GONE')
  t.end()
})

t.test('an answer waits for the windows of its stream and of the connection', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  const seen = rig.handler.seen[0]!
  const { downstream } = seen.exchange
  const body = Buffer.alloc(300 * KIB, 'b')
  downstream.sendResponse(new OutgoingResponse(1000, body), false)
  t.equal(downstream.isWritable, true)
  downstream.sendBody(body, 0, body.length, true)
  t.equal(downstream.isWritable, false)
  rig.handler.finish(seen.exchange)
  t.equal(rig.codec.places, 1, 'the place is kept while bytes wait')
  const sum = (frames: Frame[]): number => frames.reduce((total, { body }) => total + body.length, 0)
  t.equal(sum(rig.wire.frames()), 256 * KIB)
  feed(rig.codec, window(1, 20 * KIB))
  t.equal(sum(rig.wire.frames()), 20 * KIB)
  feed(rig.codec, window(1, 100 * KIB))
  const rest = rig.wire.frames()
  t.equal(sum(rest), 24 * KIB)
  t.equal(rest.at(-1)!.flags, 1)
  t.equal(rig.codec.places, 0)
  t.equal(rig.codec.out.queuedBytes, 0)
  t.end()
})

t.test('sources hear when there is room again', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  const seen = rig.handler.seen[0]!
  const { downstream } = seen.exchange
  const body = Buffer.alloc(257 * KIB)
  downstream.sendResponse(new OutgoingResponse(1000, body), false)
  downstream.sendBody(body, 0, body.length, false)
  t.equal(seen.drains, 0)
  feed(rig.codec, window(1, 64 * KIB))
  t.equal(seen.drains, 1)
  rig.wire.isWritable = false
  t.equal(downstream.isWritable, false)
  rig.codec.onDrain()
  t.equal(seen.drains, 1, 'not while the wire is full')
  rig.wire.isWritable = true
  rig.codec.onDrain()
  t.equal(seen.drains, 2)
  rig.handler.finishAll()
  t.end()
})

t.test('bytes that wait for a window for ten seconds cost the stream', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([request(1), request(3)]))
  const body = Buffer.alloc(257 * KIB)
  const { exchange } = rig.handler.seen[0]!
  exchange.downstream.sendResponse(new OutgoingResponse(1000, body), false)
  exchange.downstream.sendBody(body, 0, body.length, false)
  rig.wire.take()
  t.ok(rig.wire.timerMs <= 10_000)
  rig.wire.clock += 9_000
  rig.codec.onTimer()
  t.same(
    brief(rig.wire.frames()).filter((text) => text.startsWith('13')),
    [],
  )
  rig.wire.clock += 1_000
  rig.codec.onTimer()
  t.ok(brief(rig.wire.frames()).includes('13:1 Stalled'))
  t.equal(rig.handler.seen[0]!.failure?.code, 'DOWNSTREAM_GONE')
  t.equal(rig.handler.seen[1]!.failure, null)
  rig.handler.finishAll()
  t.end()
})

t.test('a cancelled stream keeps its place until its exchange is over', (t) => {
  const own = new Settings()
  own.maxStreams = 2
  const rig = serverRig(true, {}, own)
  const { handler } = rig
  const failed: string[] = []
  handler.onDownstreamFailed = (_exchange, error) => failed.push(error.code)
  feed(rig.codec, Buffer.concat([request(1), request(3), cancel(1), cancel(3), request(5)]))
  t.same(failed, ['DOWNSTREAM_GONE', 'DOWNSTREAM_GONE'])
  t.same(brief(rig.wire.frames()), ['13:5 Refused'])
  handler.finish(handler.seen[0]!.exchange)
  feed(rig.codec, request(7))
  t.equal(handler.seen.length, 3)
  handler.finishAll()
  t.equal(rig.codec.places, 0)
  t.equal(rig.codec.activeExchanges, 0)
  t.end()
})

t.test('nothing is sent on a stream that was cancelled', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([request(1), cancel(1)]))
  const { downstream } = rig.handler.seen[0]!.exchange
  downstream.sendResponse(new OutgoingResponse(1000, Buffer.from('x')), false)
  downstream.sendBody(Buffer.from('x'), 0, 1, true)
  downstream.reset(new GatewayError('INTERNAL'))
  downstream.finish()
  t.same(rig.wire.frames(), [])
  t.end()
})

t.test('more cancels than the budget end the connection', (t) => {
  const rig = serverRig()
  for (let id = 1; id <= 401; id += 2) feed(rig.codec, Buffer.concat([request(id), cancel(id)]))
  t.equal(brief(rig.wire.frames()).at(-1), '32:0 Abuse')
  t.equal(rig.handler.seen.length, 201)
  const slow = serverRig()
  for (let id = 1; id <= 1001; id += 2) {
    slow.wire.clock += 20
    feed(slow.codec, Buffer.concat([request(id), cancel(id)]))
  }
  t.same(slow.wire.events, [], '50 a second are allowed')
  t.end()
})

t.test('stream errors count like cancels', (t) => {
  const rig = serverRig()
  for (let id = 1; id <= 401; id += 2) feed(rig.codec, request(id, { opKind: 1 }))
  t.equal(brief(rig.wire.frames()).at(-1), '32:0 Abuse')
  t.end()
})

t.test('floods of other frames end the connection', (t) => {
  const ping = frame(0x30, 0, 0, Buffer.alloc(8))
  const pong = frame(0x31, 0, 0, Buffer.alloc(8))
  const settings = frame(0x03, 0, 0, '', tlv32(2, 5))
  const cases: [string, Buffer, number][] = [
    ['SETTINGS', settings, 10],
    ['WINDOW', window(0, 1), 50],
    ['ignorable', frame(0x9a, 0, 0, 'x'), 100],
    ['unasked PONG', pong, 100],
    ['PING', ping, 10],
  ]
  for (const [name, bytes, allowed] of cases) {
    const rig = serverRig()
    for (let i = 0; i < allowed; i++) feed(rig.codec, bytes)
    t.same(rig.wire.events, [], `${allowed} ${name}`)
    feed(rig.codec, bytes)
    t.equal(brief(rig.wire.frames()).at(-1), '32:0 Abuse', `${name} once more`)
  }
  t.end()
})

t.test('every frame sent earns two WINDOWs', (t) => {
  const rig = serverRig()
  for (let id = 1; id <= 21; id += 2) {
    feed(rig.codec, request(id))
    answer(rig, rig.handler.seen.length - 1, 'body')
  }
  for (let i = 0; i < 72; i++) feed(rig.codec, window(0, 1))
  t.same(rig.wire.events, [])
  feed(rig.codec, window(0, 1))
  t.same(rig.wire.events, ['close'])
  t.end()
})

t.test('replies to control frames that nobody reads are bounded', (t) => {
  const rig = serverRig()
  rig.wire.queuedBytes = 1
  let pings = 0
  while (!rig.wire.isClosed && pings < 5_000) {
    rig.wire.clock += 500
    feed(rig.codec, frame(0x30, 0, 0, Buffer.alloc(8)))
    pings++
  }
  t.equal(pings, Math.floor((64 * KIB) / 24) + 1)
  t.end()
})

t.test('a peer that does not read its answers is not read either', (t) => {
  const rig = serverRig()
  rig.wire.isWritable = false
  feed(rig.codec, request(1))
  t.same(rig.wire.events, ['pause'])
  rig.wire.isWritable = true
  rig.codec.onDrain()
  t.same(rig.wire.events, ['pause', 'resume'])
  rig.handler.finishAll()
  t.end()
})

t.test('messages above the limit are refused with 3002, or cut off when the answer has begun', (t) => {
  const rig = serverRig(true, { maxBodyBytes: 100 * KIB })
  const half = Buffer.alloc(60 * KIB)
  feed(rig.codec, Buffer.concat([request(1, { flags: 0, body: half }), frame(0x12, 0, 1, half)]))
  const first = rig.handler.seen[0]!
  t.equal(first.failure?.code, 'BODY_TOO_LARGE')
  t.equal(first.canReply, true)
  const frames = rig.wire.frames().filter(({ type }) => type !== 0x14)
  t.same(brief(frames), ['11:1', '13:1 None'])
  t.equal(frames[0]!.meta.readUInt16BE(0), 3002)
  feed(rig.codec, request(3, { flags: 0, body: half }))
  rig.handler.seen[1]!.exchange.downstream.sendResponse(new OutgoingResponse(1000, half), false)
  feed(rig.codec, frame(0x12, 0, 3, half))
  t.equal(rig.handler.seen[1]!.canReply, false)
  t.same(brief(rig.wire.frames().filter(({ type }) => type !== 0x14)), ['11:3', '13:3 TooLarge'])
  t.end()
})

t.test('header blocks beyond the decoded limits are refused with 3002', (t) => {
  const many = block(Array.from({ length: 65 }, (_, index) => [`h${index}`, '']))
  const large = block(Array.from({ length: 3 }, (_, index) => [`h${index}`, 'v'.repeat(6_000)]))
  const own = new Settings()
  own.maxMeta = 32_000
  for (const bytes of [many, large]) {
    const rig = serverRig(true, {}, own)
    feed(
      rig.codec,
      Buffer.concat([request(1, { block: bytes }), request(3, { flags: 9, block: bytes }), request(5)]),
    )
    const frames = rig.wire.frames()
    t.same(brief(frames), ['11:1'], 'nothing is sent for a request that wants no answer')
    t.equal(frames[0]!.meta.readUInt16BE(0), 3002)
    t.equal(frames[0]!.meta[2], 2)
    t.equal(rig.handler.seen.length, 1)
    t.equal(rig.handler.statuses[0], 3002)
    rig.handler.finishAll()
  }
  const fits = block(Array.from({ length: 64 }, (_, index) => [`h${index}`, '']))
  const rig = serverRig()
  feed(rig.codec, request(1, { block: fits }))
  t.equal(Object.keys(rig.handler.seen[0]!.headers).length, 64)
  rig.handler.finishAll()
  t.end()
})

t.test('at the edge what only the access layer may say is stripped, however it is spelled', (t) => {
  const rig = serverRig(true, { trusted: false })
  const bytes = block([
    [0, 'APP'],
    [7, 'mallory'],
    ['target-cell', 'RZ99'],
    ['client-ip', '1.2.3.4'],
    [53, '1'],
    ['x-own', 'kept'],
  ])
  feed(rig.codec, request(1, { block: bytes, marks: 0x82 }))
  t.same(rig.handler.seen[0]!.headers, { 'app-id': 'APP', 'x-own': 'kept' })
  const { marks } = rig.handler.seen[0]!.exchange.request as unknown as { marks: number }
  t.equal(marks, 0x02, 'nor may a phone claim that its shard was verified')
  rig.handler.finishAll()
  t.end()
})

t.test('at the edge a repeated static name is refused, in the mesh the last one wins', (t) => {
  const repeats = [
    block([
      [0, 'A'],
      [0, 'B'],
    ]),
    block([
      [0, 'A'],
      ['app-id', 'B'],
    ]),
  ]
  for (const bytes of repeats) {
    const edge = serverRig(true, { trusted: false })
    feed(edge.codec, request(1, { block: bytes }))
    t.equal(edge.wire.frames()[0]!.meta.readUInt16BE(0), 3002)
    const mesh = serverRig()
    feed(mesh.codec, request(1, { block: bytes }))
    t.same(mesh.handler.seen[0]!.headers, { 'app-id': 'B' })
    mesh.handler.finishAll()
  }
  t.end()
})

t.test('faults are looked for in order: header, flags, prefix, block, body', (t) => {
  const bad = { flags: 0x0205, opKind: 1, block: Buffer.from([0xff]), body: 'nosum' }
  const outcome = (parts: Parameters<typeof request>[1]): string => {
    const rig = serverRig()
    feed(rig.codec, request(1, parts))
    const last = brief(rig.wire.frames()).at(-1) ?? ''
    rig.handler.finishAll()
    return last
  }
  t.equal(outcome(bad), '13:1 Unsupported')
  t.equal(outcome({ ...bad, flags: 0x0015 }), '13:1 Early')
  t.equal(outcome({ ...bad, flags: 0x0005 }), '13:1 Unsupported')
  t.equal(outcome({ ...bad, flags: 0x0005, opKind: 0 }), '13:1 Compression')
  t.equal(outcome({ flags: 0x0005, body: 'nosum' }), '13:1 Checksum')
  t.equal(outcome({ flags: 0x0011, marks: 2 }), '')
  t.equal(outcome({ flags: 0x0207 }), '32:0 Compression')
  t.end()
})

t.test('nothing is sent for a broken request that wants no answer', (t) => {
  const rig = serverRig()
  feed(
    rig.codec,
    Buffer.concat([
      request(1, { flags: 9, opKind: 1 }),
      request(3, { flags: 9, block: Buffer.from([0xff]) }),
    ]),
  )
  t.same(rig.wire.frames(), [])
  t.same(rig.wire.events, [])
  t.end()
})

t.test('a request that wants no answer is served and holds a place, and its answer is dropped', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1, { flags: 9, body: 'log this' }))
  t.equal(rig.handler.seen[0]!.body, 'log this')
  t.equal(rig.codec.activeExchanges, 1)
  answer(rig, 0, 'nobody reads this')
  t.same(rig.wire.frames(), [])
  t.equal(rig.codec.places, 0)
  const large = request(3, { flags: 9, body: Buffer.alloc(100 * KIB) })
  for (let at = 0; at < large.length; at += 5_000) feed(rig.codec, large.subarray(at, at + 5_000))
  answer(rig, 1, 'nor this')
  t.same(
    rig.wire.frames().map(({ type }) => type),
    [],
  )
  t.equal(rig.codec.places, 0)
  t.end()
})

t.test('errors become refusals with the codes of the table, LOOP and UNSUPPORTED become cancels', (t) => {
  for (const code of ERROR_CODES) {
    const rig = serverRig()
    feed(rig.codec, request(1))
    const { exchange } = rig.handler.seen[0]!
    const error = new GatewayError(code, 'secret detail')
    error.retryAfterMs = code === 'RATE_LIMITED' ? 1234 : 0
    const reply = exchange.downstream.errorReply(error)
    exchange.downstream.sendResponse(reply, reply.body.length === 0)
    rig.handler.finish(exchange)
    const [first] = rig.wire.frames()
    if (code === 'LOOP' || code === 'FEATURE_UNSUPPORTED') {
      t.equal(first!.type, 0x13, code)
      continue
    }
    t.equal(first!.meta.readUInt16BE(0), status[code], code)
    t.equal(first!.meta[2], 2)
    t.equal((first!.meta[3]! & 1) === 1, error.retry === 'unsent', `${code} says whether it is safe to retry`)
    t.notMatch(first!.meta.toString('latin1'), 'secret')
    if (code === 'RATE_LIMITED') t.same([first!.meta.readUInt16BE(6), first!.meta[3]! & 2], [124, 2])
  }
  t.end()
})

t.test('an answer above the limits of the peer becomes a refusal', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  const { exchange } = rig.handler.seen[0]!
  const reply = new OutgoingResponse(1000, Buffer.from('x'))
  reply.headers.set('x-large', 'v'.repeat(9_000))
  exchange.downstream.sendResponse(reply, false)
  exchange.downstream.sendBody(reply.body, 0, 1, true)
  rig.handler.finish(exchange)
  const frames = rig.wire.frames()
  t.same(brief(frames), ['11:1'])
  t.equal(frames[0]!.meta.readUInt16BE(0), 3002)
  t.end()
})

t.test('drain: GOAWAY for all, GOAWAY with the last id after a round trip, close when empty', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  rig.codec.drain(5_000)
  const first = rig.wire.frames()
  t.same(brief(first), ['32:0 Drain', '30:0'])
  t.same([first[0]!.body.readUInt32BE(0), first[0]!.body.readUInt32BE(6)], [0x7fffffff, 5_000])
  feed(rig.codec, Buffer.concat([request(3), frame(0x31, 0, 0, first[1]!.body)]))
  t.equal(rig.handler.seen.length, 2, 'what was under way is served')
  const second = rig.wire.frames()
  t.same([brief(second), second[0]!.body.readUInt32BE(0)], [['32:0 Drain'], 3])
  feed(rig.codec, request(5))
  t.equal(rig.handler.seen.length, 2, 'what is above the last id is skipped')
  answer(rig, 0, 'one')
  t.same(rig.wire.events, [])
  answer(rig, 1, 'two')
  t.same(rig.wire.events, ['close'])
  t.same(brief(rig.wire.frames()), ['11:1', '11:3'])
  t.end()
})

t.test('drain: the grace time ends what still runs', (t) => {
  const rig = serverRig()
  feed(rig.codec, request(1))
  rig.codec.drain(5_000)
  rig.wire.clock += 1_000
  rig.codec.onTimer()
  t.equal(brief(rig.wire.frames()).at(-1), '32:0 Drain')
  rig.wire.clock += 4_000
  rig.codec.onTimer()
  t.same(rig.wire.events, ['close'])
  t.equal(rig.handler.seen[0]!.failure?.code, 'DOWNSTREAM_GONE')
  t.end()
})

t.test('times: HELLO within 5 s, a frame within 15 s, something within the idle limit', (t) => {
  const silent = serverRig(false)
  silent.wire.clock += 4_999
  silent.codec.onTimer()
  t.same(silent.wire.events, [])
  silent.wire.clock += 1
  silent.codec.onTimer()
  t.same(brief(silent.wire.frames()), ['32:0 Idle'])

  const slow = serverRig()
  const bytes = request(1, { body: 'x'.repeat(500) })
  for (let at = 0; at < 15; at++) {
    feed(slow.codec, bytes.subarray(at, at + 1))
    slow.wire.clock += 1_000
  }
  slow.codec.onTimer()
  t.same(brief(slow.wire.frames()), ['32:0 Idle'], 'bytes that trickle do not help')

  const own = new Settings()
  own.keepAliveMs = 30_000
  const idle = serverRig(true, {}, own)
  idle.wire.clock += 29_000
  feed(idle.codec, frame(0x30, 0, 0, Buffer.alloc(8)))
  idle.wire.clock += 29_000
  idle.codec.onTimer()
  t.same(idle.wire.events, [])
  idle.wire.clock += 1_000
  idle.codec.onTimer()
  t.equal(brief(idle.wire.frames()).at(-1), '32:0 Idle')
  t.end()
})

t.test('the acceptor asks for a sign of life while exchanges run', (t) => {
  const own = new Settings()
  own.keepAliveMs = 30_000
  const rig = serverRig(true, {}, own)
  rig.wire.clock += 10_000
  rig.codec.onTimer()
  t.same(rig.wire.frames(), [], 'not without')
  feed(rig.codec, request(1))
  rig.wire.clock += 10_000
  rig.codec.onTimer()
  t.same(brief(rig.wire.frames()), ['30:0'])
  t.ok(rig.wire.timerMs > 0 && rig.wire.timerMs <= 30_000)
  rig.handler.finishAll()
  t.end()
})

t.test('FIN: what was asked completely is answered, then the connection closes', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([request(1), request(3, { flags: 0, body: 'half' })]))
  rig.codec.onEnd()
  t.equal(rig.handler.seen[0]!.failure, null)
  t.equal(rig.handler.seen[1]!.failure?.code, 'DOWNSTREAM_GONE')
  t.same(rig.wire.events, [])
  answer(rig, 0, 'bye')
  t.equal(brief(rig.wire.frames()).at(-1), '11:1')
  t.same(rig.wire.events, ['close'])
  t.end()
})

t.test('a lost connection fails every exchange', (t) => {
  const rig = serverRig()
  feed(rig.codec, Buffer.concat([request(1), request(3, { flags: 0 }), request(5).subarray(0, 20)]))
  rig.codec.onClose(new Error('ECONNRESET'))
  t.same(
    rig.handler.seen.map(({ failure }) => failure?.code),
    ['DOWNSTREAM_GONE', 'DOWNSTREAM_GONE'],
  )
  t.equal(rig.codec.activeExchanges, 0)
  t.equal(rig.wire.timerMs, 0)
  t.end()
})

t.test('settings that shrink or grow take effect', (t) => {
  const rig = serverRig()
  feed(
    rig.codec,
    frame(0x03, 0, 0, '', Buffer.concat([tlv32(3, 512 * KIB), tlv32(9, 5_000_000), tlv32(0x3a7a, 1)])),
  )
  t.same(brief(rig.wire.frames()), ['4:0'])
  feed(rig.codec, request(1))
  t.equal(rig.codec.streams.get(1)!.sendWindow, 512 * KIB)
  t.equal(rig.codec.out.peer.maxMessage, 5_000_000)
  feed(rig.codec, frame(0x03, 0, 0, '', tlv32(3, 1_000)))
  t.same(brief(rig.wire.frames()), ['32:0 Protocol'])
  t.end()
})

t.test('what options make is announced, and the greeting carries one TLV that nobody knows', (t) => {
  const wire = new FakeWire()
  const options = { ...SERVER_OPTIONS, cell: 'RZ01A', maxStreams: 4096, maxBodyBytes: 8 << 20 }
  const codec = new MmtpServer(wire, options, new RecordingDownstream(), CONTEXT, serverSettings(options))
  feed(codec, hello(1))
  const [ack] = wire.frames()
  t.equal(ack!.type, 0x02)
  const peer = new Settings()
  const seen = new Map<number, Buffer>()
  for (let at = 0; at < ack!.meta.length; ) {
    const length = ack!.meta.readUInt16BE(at + 2)
    seen.set(ack!.meta.readUInt16BE(at), ack!.meta.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  t.equal(seen.get(1)!.toString('hex'), '00010001')
  t.equal(seen.get(2)!.readUInt32BE(), 4096)
  t.equal(seen.get(4)!.readUInt32BE(), 16 << 20)
  t.equal(seen.get(6)!.readUInt16BE(), 9 * KIB)
  t.equal(seen.get(9)!.readUInt32BE(), 8 << 20)
  t.equal(seen.get(14)!.toString(), 'RZ01A')
  t.equal([...seen.keys()].filter((id) => (id & 0x0f0f) === 0x0a0a).length, 1)
  t.equal(peer.maxMeta, 8 * KIB)
  t.equal(serverSettings({ ...options, trusted: false }).maxMeta, 8 * KIB)
  t.equal(Code.None, 0)
  t.end()
})
