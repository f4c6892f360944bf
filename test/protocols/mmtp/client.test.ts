import { crc32 } from 'node:zlib'
import t from 'tap'
import { HeaderTable } from '../../../lib/buffer/header-table.ts'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import type { UpstreamStream } from '../../../lib/core/codec.ts'
import { type Exchange, ExchangeState } from '../../../lib/core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../../lib/core/message.ts'
import { codeName } from '../../../lib/protocols/mmtp/constants.ts'
import { OutgoingRequest } from '../../../lib/protocols/mmtp/request.ts'
import { Settings } from '../../../lib/protocols/mmtp/settings.ts'
import {
  block,
  type ClientRig,
  clientRig,
  exchangeFor,
  type Frame,
  feed,
  frame,
  hello,
  request,
  response,
  type ServerRig,
  send,
  serverRig,
  tlv,
  tlv32,
} from '../../support/mmtp-wire.ts'

poisonReleasedSlabs(true)
t.afterEach((t) => {
  if (poolUsage().leased !== 0) t.fail(`${poolUsage().leased} leases are left`)
})

const KIB = 1024
const turn = (): Promise<void> => Promise.resolve()

function outgoing(operation = 'demo.echo', bodyLength = 0, budgetMs = 0): OutgoingRequest {
  return new OutgoingRequest(operation, bodyLength, budgetMs)
}

function cancel(id: number, code: number, text = ''): Buffer {
  return frame(0x13, 0, id, Buffer.concat([Buffer.from([0, code]), Buffer.from(text)]))
}

function goAway(last: number, code: number): Buffer {
  const body = Buffer.alloc(10)
  body.writeUInt32BE(last, 0)
  body.writeUInt16BE(code, 4)
  return frame(0x32, 0, 0, body)
}

function brief(frames: readonly Frame[]): string[] {
  return frames.map(({ type, id, body }) => {
    const code = type === 0x13 ? body.readUInt16BE(0) : type === 0x32 ? body.readUInt16BE(4) : -1
    return `${type.toString(16)}:${id}${code >= 0 ? ` ${codeName(code)}` : ''}`
  })
}

/** A gateway without a chain: what the server codec reports goes to the client codec, and back. */
function proxy(upstreamTlvs: Buffer = Buffer.alloc(0)): {
  down: ServerRig
  up: ClientRig
  change: (exchange: Exchange) => void
} {
  const own = new Settings()
  own.maxMessage = 64 << 20
  const down = serverRig(true, {}, own)
  const up = clientRig(false)
  feed(up.codec, hello(0x02, upstreamTlvs))
  up.wire.take()
  const result = { down, up, change: (_exchange: Exchange): void => undefined }
  const streams = new Map<Exchange, UpstreamStream>()
  down.handler.onRequest = (exchange, last) => {
    result.change(exchange)
    const stream = up.codec.open(exchange)
    streams.set(exchange, stream)
    stream.sendRequest(exchange.request, last)
  }
  down.handler.onRequestBody = (exchange, bytes, offset, end, last) =>
    streams.get(exchange)?.sendBody(bytes, offset, end, last)
  const finish = (exchange: Exchange, head: ResponseHead | null): void => {
    if (exchange.state === ExchangeState.Finished) return
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    head?.release()
    exchange.downstream.finish()
  }
  down.handler.onDownstreamFailed = (exchange) => {
    streams.get(exchange)?.cancel()
    finish(exchange, null)
  }
  up.handler.onResponse = (exchange, head, last) => {
    exchange.response = head
    exchange.downstream.sendResponse(head, last)
    if (last) finish(exchange, head)
  }
  up.handler.onResponseBody = (exchange, bytes, offset, end, last) => {
    exchange.downstream.sendBody(bytes, offset, end, last)
    if (last) finish(exchange, exchange.response)
  }
  up.handler.onUpstreamFailed = (exchange, error) => {
    const reply = exchange.downstream.errorReply(error)
    exchange.downstream.sendResponse(reply, true)
    finish(exchange, exchange.response)
  }
  return result
}

t.test('there is room from the greeting on; what leaves before counts against the defaults', (t) => {
  const rig = clientRig(false)
  t.equal(rig.codec.capacity, 0)
  send(rig, outgoing(), 'body')
  t.same(brief(rig.wire.frames()), ['1:0', '10:1'])
  feed(rig.codec, hello(0x02, Buffer.concat([tlv32(2, 3), tlv32(4, 2 << 20)])))
  t.equal(rig.codec.capacity, 2)
  t.equal(rig.codec.out.window, (2 << 20) - 4)
  t.equal(rig.handler.capacityCalls, 1)
  t.end()
})

t.test('a request and its body leave as one frame, ids rise in the order of sending', (t) => {
  const rig = clientRig()
  const [first, second] = [outgoing('a.b', 3), outgoing('c.d')].map((head) => {
    const exchange = exchangeFor(head)
    rig.handler.expect(exchange)
    return { head, stream: rig.codec.open(exchange) }
  })
  t.equal(first!.stream.isReused, false)
  t.equal(second!.stream.isReused, true)
  second!.stream.sendRequest(second!.head, true)
  first!.stream.sendRequest(first!.head, false)
  first!.stream.sendBody(Buffer.from('abc'), 0, 3, true)
  const frames = rig.wire.frames()
  t.same(
    frames.map(({ id, flags, hops, body, meta, routeLength }) => [
      id,
      flags,
      hops,
      body.toString(),
      meta.toString('latin1', 8, routeLength),
    ]),
    [
      [1, 1, 5, '', 'c.d'],
      [3, 1, 5, 'abc', 'a.b'],
    ],
  )
  t.equal(rig.codec.activeStreams, 2)
  t.end()
})

t.test('responses find their exchange by id, whole and in pieces', (t) => {
  const rig = clientRig()
  const first = send(rig, outgoing()).answer
  const second = send(rig, outgoing()).answer
  feed(
    rig.codec,
    Buffer.concat([response(3, 1000, 'two'), response(1, 4002, 'o', 0), frame(0x12, 1, 1, 'ne')]),
  )
  t.same([first.status, first.body, first.isComplete], [4002, 'one', true])
  t.same([second.status, second.body, second.isComplete], [1000, 'two', true])
  t.equal(rig.codec.activeStreams, 0)
  t.end()
})

t.test('cancels of the business process become errors', (t) => {
  const rig = clientRig()
  const cases: [number, string][] = [
    [7, 'UPSTREAM_REFUSED'],
    [9, 'UPSTREAM_TIMEOUT'],
    [14, 'LOOP'],
    [6, 'FEATURE_UNSUPPORTED'],
    [12, 'BODY_TOO_LARGE'],
    [13, 'UPSTREAM_RESET'],
    [99, 'UPSTREAM_RESET'],
  ]
  let id = 1
  for (const [code, expected] of cases) {
    const { answer } = send(rig, outgoing())
    feed(rig.codec, cancel(id, code, 'why'))
    t.equal(answer.failure?.code, expected)
    t.match(answer.failure?.detail, /why/)
    id += 2
  }
  t.equal(rig.codec.activeStreams, 0)
  t.end()
})

t.test('refusals and NONE are not held against the business process, other cancels are', (t) => {
  const rig = clientRig()
  for (let id = 1; id < 1001; id += 2) {
    send(rig, outgoing())
    feed(rig.codec, cancel(id, id % 4 === 1 ? 7 : 0))
  }
  t.same(rig.wire.events, [])
  for (let id = 1001; id < 1411; id += 2) {
    send(rig, outgoing())
    feed(rig.codec, cancel(id, 13))
  }
  t.same(rig.wire.events, ['close'])
  t.end()
})

t.test('cancelling tells the business process once, and nothing more is reported', (t) => {
  const rig = clientRig()
  const { stream, answer } = send(rig, outgoing())
  rig.wire.take()
  stream.cancel()
  stream.cancel()
  t.same(brief(rig.wire.frames()), ['13:1 Cancelled'])
  feed(rig.codec, response(1, 1000, 'late'))
  t.equal(answer.head, null)
  t.equal(rig.codec.activeStreams, 0)
  t.end()
})

t.test('a response that ends before its request lets the rest of the request drop', (t) => {
  const rig = clientRig()
  const head = outgoing('a', 6)
  const exchange = exchangeFor(head)
  const answer = rig.handler.expect(exchange)
  const stream = rig.codec.open(exchange)
  stream.sendRequest(head, false)
  stream.sendBody(Buffer.from('abc'), 0, 3, false)
  rig.wire.take()
  feed(rig.codec, Buffer.concat([response(1, 3002), cancel(1, 0)]))
  t.equal(answer.status, 3002)
  stream.sendBody(Buffer.from('def'), 0, 3, true)
  t.same(rig.wire.frames(), [])
  t.end()
})

t.test('broken responses cost their stream', (t) => {
  const bad = Buffer.from([0xff])
  const many = block(Array.from({ length: 65 }, (_, index) => [`h${index}`, '']))
  const cases: [string, Buffer, string][] = [
    ['header block', response(1, 1000, '', 1, bad), '13:1 Compression'],
    ['header count', response(1, 1000, '', 1, many), '13:1 TooLarge'],
    ['checksum', response(1, 1000, 'abcdefgh', 5), '13:1 Checksum'],
    ['flag', response(1, 1000, '', 0x0201), '13:1 Unsupported'],
  ]
  for (const [name, bytes, expected] of cases) {
    const rig = clientRig()
    const { answer } = send(rig, outgoing())
    rig.wire.take()
    feed(rig.codec, bytes)
    t.same(brief(rig.wire.frames()), [expected], name)
    t.equal(answer.failure?.code, 'UPSTREAM_PROTOCOL', name)
  }
  t.end()
})

t.test('a response above the limit is cancelled', (t) => {
  const rig = clientRig(true, { maxBodyBytes: 100_000 })
  const { answer } = send(rig, outgoing())
  feed(rig.codec, response(1, 1000, Buffer.alloc(60_000), 0))
  feed(rig.codec, frame(0x12, 1, 1, Buffer.alloc(60_000)))
  t.equal(answer.failure?.code, 'UPSTREAM_PROTOCOL')
  t.equal(brief(rig.wire.frames().filter(({ type }) => type !== 0x14)).at(-1), '13:1 TooLarge')
  t.end()
})

t.test('GOAWAY: what is above the last stream was not processed, the rest goes on', (t) => {
  const rig = clientRig()
  const answers = [send(rig, outgoing()), send(rig, outgoing()), send(rig, outgoing())].map(
    ({ answer }) => answer,
  )
  feed(rig.codec, goAway(3, 20))
  t.same(
    answers.map(({ failure }) => failure?.code),
    [undefined, undefined, 'UPSTREAM_REFUSED'],
  )
  t.same([rig.codec.isReusable, rig.codec.capacity], [false, 0])
  feed(rig.codec, response(1, 1000))
  t.same(rig.wire.events, [])
  feed(rig.codec, response(3, 1000))
  t.same(rig.wire.events, ['close'])
  t.end()
})

t.test('a stream that was opened before GOAWAY and not begun is refused unsent', async (t) => {
  const rig = clientRig()
  send(rig, outgoing())
  const head = outgoing()
  const exchange = exchangeFor(head)
  const answer = rig.handler.expect(exchange)
  const stream = rig.codec.open(exchange)
  feed(rig.codec, goAway(0x7fffffff, 20))
  rig.wire.take()
  stream.sendRequest(head, true)
  t.equal(answer.failure, null, 'nothing is reported while the dispatcher is calling')
  await turn()
  t.equal(answer.failure?.code, 'UPSTREAM_REFUSED')
  t.same(rig.wire.frames(), [])
})

t.test('drain and the number of requests end a connection when its streams are over', (t) => {
  const rig = clientRig(true, { maxRequests: 2 })
  send(rig, outgoing())
  t.equal(rig.codec.isReusable, true)
  send(rig, outgoing())
  t.equal(rig.codec.isReusable, false)
  feed(rig.codec, Buffer.concat([response(1, 1000), response(3, 1000)]))
  t.same(rig.wire.events, ['close'])
  const idle = clientRig()
  idle.codec.drain()
  t.same(idle.wire.events, ['close'])
  t.end()
})

t.test('a lost connection fails what was open', (t) => {
  for (const lose of ['onEnd', 'onClose'] as const) {
    const rig = clientRig()
    const { answer } = send(rig, outgoing())
    if (lose === 'onEnd') rig.codec.onEnd()
    else rig.codec.onClose(new Error('ECONNRESET'))
    t.equal(answer.failure?.code, 'UPSTREAM_RESET')
    t.equal(rig.codec.isReusable, false)
    t.equal(rig.codec.activeStreams, 0)
  }
  t.end()
})

t.test('garbage from the business process is a protocol failure', (t) => {
  const rig = clientRig()
  const { answer } = send(rig, outgoing())
  feed(rig.codec, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  t.equal(answer.failure?.code, 'UPSTREAM_PROTOCOL')
  t.equal(rig.codec.isReusable, false)
  t.same(rig.wire.events, ['close'])
  t.end()
})

t.test('the dialler pings at a third of the shorter idle limit', (t) => {
  const rig = clientRig(false)
  feed(rig.codec, hello(0x02, tlv32(12, 9_000)))
  rig.wire.take()
  t.ok(rig.wire.timerMs <= 5_000)
  rig.wire.clock += 2_900
  rig.codec.onTimer()
  t.same(rig.wire.frames(), [])
  rig.wire.clock += 100
  rig.codec.onTimer()
  t.same(brief(rig.wire.frames()), ['30:0'])
  t.end()
})

t.test('a request waits for windows, and fails when they stay shut', (t) => {
  const rig = clientRig()
  const body = Buffer.alloc(300 * KIB)
  const head = outgoing('a', body.length)
  const exchange = exchangeFor(head)
  const answer = rig.handler.expect(exchange)
  const stream = rig.codec.open(exchange)
  stream.sendRequest(head, false)
  stream.sendBody(body, 0, body.length, true)
  t.equal(stream.isWritable, false)
  rig.wire.clock += 10_000
  feed(rig.codec, frame(0x31, 0, 0, Buffer.alloc(8)))
  rig.codec.onTimer()
  t.equal(answer.failure?.code, 'UPSTREAM_TIMEOUT')
  t.ok(brief(rig.wire.frames()).includes('13:1 Stalled'))
  t.equal(rig.codec.out.queuedBytes, 0)
  t.end()
})

t.test('a message above what the business process takes is not begun', async (t) => {
  const rig = clientRig()
  const head = outgoing('a', 5 << 20)
  const exchange = exchangeFor(head)
  const answer = rig.handler.expect(exchange)
  rig.codec.open(exchange).sendRequest(head, false)
  await turn()
  t.equal(answer.failure?.code, 'BODY_TOO_LARGE')
  t.same(rig.wire.frames(), [])
})

t.test('the budget shrinks by what was spent, and is never forwarded as 0', async (t) => {
  const rig = clientRig()
  const budget = async (budgetMs: number, spentMs: number, deadlineMs = 0): Promise<number | string> => {
    const head = outgoing('a', 0, budgetMs)
    const exchange = exchangeFor(head, rig.wire.clock - spentMs)
    exchange.deadlineMs = deadlineMs
    const answer = rig.handler.expect(exchange)
    rig.codec.open(exchange).sendRequest(head, true)
    await turn()
    return answer.failure?.code ?? rig.wire.frames()[0]!.meta.readUInt32BE(0)
  }
  t.equal(await budget(3_000, 0), 3_000)
  t.equal(await budget(3_000, 400), 2_600)
  t.equal(await budget(3_000, 2_999.5), 1)
  t.equal(await budget(3_000, 3_000), 'DEADLINE_EXCEEDED')
  t.equal(await budget(0, 400), 0)
  t.equal(await budget(3_000, 0, rig.wire.clock + 500), 500)
  t.equal(await budget(0, 0, rig.wire.clock + 500), 500)
})

t.test('pass-through changes nothing but what belongs to the hop', (t) => {
  const { down, up } = proxy()
  const headers = block([
    [0, 'APP1'],
    ['x-own', 'ä'],
    [56, 'kept'],
    [0, 'APP2'],
  ])
  const bytes = request(7, {
    flags: 0x41,
    budgetMs: 3_000,
    shard: 68,
    marks: 0x72,
    block: headers,
    body: 'body',
    hops: 3,
    encoding: 4,
  })
  feed(down.codec, bytes)
  const expected = Buffer.from(bytes)
  expected.writeUInt32BE(1, 4)
  expected[11] = 0x42
  t.equal(up.wire.take().toString('hex'), expected.toString('hex'))
  const answer = response(1, 1000, 'answer', 0x41, headers)
  answer[16 + 3] = 0x04
  feed(up.codec, answer)
  answer.writeUInt32BE(7, 4)
  t.equal(down.wire.take().toString('hex'), answer.toString('hex'))
  t.equal(up.codec.activeStreams + down.codec.places, 0)
  t.end()
})

t.test('changed headers are taken out, appended, and keep their never-store mark', (t) => {
  const secret = Buffer.concat([
    Buffer.from([0x01, 7]),
    Buffer.from('x-token'),
    Buffer.from([3]),
    Buffer.from('old'),
  ])
  const rig = proxy()
  rig.change = ({ request: { headers } }) => {
    headers.remove('app-id')
    headers.set('x-token', 'new')
    headers.set('trace-id', '0a0b')
    headers.add('x-more', 'ü')
  }
  const before = Buffer.concat([
    block([[0, 'APP']]),
    secret,
    block([
      ['x-kept', '1'],
      [15, 'old'],
    ]),
  ])
  feed(rig.down.codec, request(1, { block: before }))
  const after = Buffer.concat([
    block([['x-kept', '1']]),
    Buffer.concat([Buffer.from([0x01, 7]), Buffer.from('x-token'), Buffer.from([3]), Buffer.from('new')]),
    block([
      [15, '0a0b'],
      ['x-more', 'ü'],
    ]),
  ])
  const [sent] = rig.up.wire.frames()
  t.equal(sent!.meta.subarray(sent!.routeLength).toString('hex'), after.toString('hex'))
  feed(rig.up.codec, response(1, 1000))
  t.equal(rig.up.codec.activeStreams + rig.down.codec.places, 0)
  t.end()
})

t.test('a head that grew beyond what the next hop takes is refused', async (t) => {
  const rig = proxy()
  rig.change = ({ request: { headers } }) => headers.set('x-large', 'v'.repeat(8_190))
  feed(rig.down.codec, request(1))
  await turn()
  const [refused] = rig.down.wire.frames()
  t.equal(refused!.meta.readUInt16BE(0), 3002)
  t.same(rig.up.wire.frames(), [])
})

t.test('a request without hops left is answered with CANCEL(LOOP)', async (t) => {
  const rig = proxy()
  feed(rig.down.codec, request(1, { hops: 0 }))
  await turn()
  t.same(brief(rig.down.wire.frames()), ['13:1 Loop'])
  t.equal(rig.down.codec.places, 0)
})

t.test('a checksum is verified and made anew, frame by frame', (t) => {
  const { down, up } = proxy()
  const summed = (text: string): Buffer => {
    const trailer = Buffer.alloc(4)
    trailer.writeUInt32BE(crc32(text))
    return Buffer.concat([Buffer.from(text), trailer])
  }
  feed(down.codec, Buffer.concat([request(1, { flags: 4, body: summed('abc') }), frame(0x12, 0, 1, 'plain')]))
  feed(down.codec, frame(0x12, 5, 1, summed('end')))
  const frames = up.wire.frames()
  t.same(
    frames.map(({ flags, body }) => [flags, body.toString('hex')]),
    [
      [4, summed('abc').toString('hex')],
      [0, Buffer.from('plain').toString('hex')],
      [5, summed('end').toString('hex')],
    ],
  )
  feed(up.codec, response(1, 1000, summed('answer'), 5))
  t.equal(down.wire.frames()[0]!.body.toString('hex'), summed('answer').toString('hex'))
  t.end()
})

t.test('a request without an answer stays one, and its exchange ends', async (t) => {
  const { down, up } = proxy()
  feed(down.codec, Buffer.concat([request(1, { flags: 9, body: 'x' }), request(3, { flags: 9 })]))
  t.same(
    up.wire.frames().map(({ flags, body }) => [flags, body.toString()]),
    [
      [9, 'x'],
      [9, ''],
    ],
  )
  await turn()
  t.equal(down.codec.places + up.codec.activeStreams, 0)
  const large = request(5, { flags: 9, body: Buffer.alloc(100 * KIB) })
  for (let at = 0; at < large.length; at += 9_000) feed(down.codec, large.subarray(at, at + 9_000))
  t.ok(
    up.wire.frames().every(({ flags }) => (flags & 8) === 0),
    'one that has to go in pieces becomes an ordinary request',
  )
  feed(up.codec, response(5, 1000, 'dropped'))
  t.same(
    down.wire.frames().filter(({ type }) => type === 0x11),
    [],
  )
  t.equal(down.codec.places + up.codec.activeStreams, 0)
})

t.test('a cancel of the caller goes on to the business process', (t) => {
  const { down, up } = proxy()
  feed(down.codec, request(1))
  up.wire.take()
  feed(down.codec, cancel(1, 8))
  t.same(brief(up.wire.frames()), ['13:1 Cancelled'])
  t.equal(down.codec.places, 0)
  t.end()
})

t.test('large messages pass in both directions with every window kept', (t) => {
  const { down, up } = proxy(tlv32(9, 64 << 20))
  let sent = 0
  feed(down.codec, request(1, { flags: 0 }))
  for (let i = 0; i < 200; i++) {
    feed(down.codec, frame(0x12, i === 199 ? 1 : 0, 1, Buffer.alloc(50 * KIB, i)))
    for (const { type, id, body } of up.wire.frames()) {
      if (type === 0x12 || type === 0x10) sent += body.length
      if (body.length === 0 || type === 0x14) continue
      const credit = Buffer.alloc(4)
      credit.writeUInt32BE(body.length)
      feed(up.codec, Buffer.concat([frame(0x14, 0, 0, credit), frame(0x14, 0, id, credit)]))
    }
  }
  t.equal(sent, 200 * 50 * KIB)
  t.same([down.wire.events, up.wire.events], [[], []])
  up.codec.onClose(null)
  t.end()
})

/** What a request over HTTP looks like to this codec. */
function httpRequest(headers: HeaderTable, bodyLength = 0, operation = 'demo.create'): RequestHead {
  return {
    protocol: 'http1',
    method: 'POST',
    path: '/mgw.htm',
    query: '',
    authority: 'example.com',
    operation,
    service: '',
    version: '',
    group: '',
    app: '',
    headers,
    bodyLength,
    isIdempotent: false,
    budgetMs: 0,
    retain: () => undefined,
    release: () => undefined,
  }
}

t.test('an HTTP request becomes a REQUEST: hop-by-hop headers stay, encodings become numbers', async (t) => {
  const headers = new HeaderTable()
  const pairs = {
    host: 'example.com',
    connection: 'close, x-hop',
    'x-hop': '1',
    'content-length': '3',
    'content-type': 'application/json',
    'operation-type': 'demo.create',
    'content-encoding': 'gzip',
    'bad*name': '1',
    'x-user': 'ada',
  }
  for (const [name, value] of Object.entries(pairs)) headers.add(name, value)
  headers.add('x-user', 'bob')
  const expected = block([
    [8, 'application/json'],
    ['x-user', 'ada, bob'],
  ])
  const encodings = Buffer.from([0, 0b01001])
  for (const decodes of [true, false]) {
    const rig = clientRig(false)
    feed(rig.codec, hello(0x02, decodes ? tlv(10, encodings) : undefined))
    rig.wire.take()
    send(rig, httpRequest(headers, 3), 'abc')
    const [sent] = rig.wire.frames()
    const rest = decodes ? Buffer.alloc(0) : block([['content-encoding', 'gzip']])
    t.equal(sent!.encoding, decodes ? 3 : 0)
    t.equal(sent!.meta.toString('latin1', 8, sent!.routeLength), 'demo.create')
    t.equal(
      sent!.meta.subarray(sent!.routeLength).toString('hex'),
      Buffer.concat([expected, rest]).toString('hex'),
    )
    t.same([sent!.hops, sent!.body.toString()], [5, 'abc'])
  }
  const rig = clientRig()
  const { answer } = send(rig, httpRequest(new HeaderTable(), 0, ''))
  await turn()
  t.equal(answer.failure?.code, 'NO_ROUTE', 'a plain request has no operation')
  const huge = new HeaderTable()
  for (let i = 0; i < 65; i++) huge.add(`h${i}`, '1')
  const refused = send(rig, httpRequest(huge)).answer
  await turn()
  t.equal(refused.failure?.code, 'HEAD_TOO_LARGE')
})

t.test('an HTTP response becomes a RESPONSE with the result code of its status', (t) => {
  const cases: [number, number, boolean][] = [
    [200, 1000, false],
    [204, 1000, true],
    [304, 1000, true],
    [404, 4002, true],
    [408, 4001, true],
    [429, 1002, true],
    [500, 4002, true],
    [504, 4001, true],
  ]
  for (const [httpStatus, resultCode, isNamed] of cases) {
    const rig = serverRig()
    feed(rig.codec, request(1))
    const { exchange } = rig.handler.seen[0]!
    exchange.responseMs = exchange.startMs + 70_000
    const headers = new HeaderTable()
    headers.add('content-type', 'text/plain')
    headers.add('retry-after', '2')
    const head: ResponseHead = {
      status: httpStatus,
      statusKind: 'http',
      isFailure: httpStatus >= 500,
      failureDetail: '',
      headers,
      bodyLength: 2,
      retain: () => undefined,
      release: () => undefined,
    }
    exchange.downstream.sendResponse(head, false)
    exchange.downstream.sendBody(Buffer.from('ok'), 0, 2, true)
    rig.handler.finish(exchange)
    const [sent, ...more] = rig.wire.frames()
    t.same(more, [])
    const { meta } = sent!
    t.same(
      [meta.readUInt16BE(0), meta[2], meta[3], meta.readUInt16BE(4), meta.readUInt16BE(6)],
      [resultCode, 1, resultCode === 1000 ? 0 : 8, 65_535, 200],
      `${httpStatus}`,
    )
    t.equal(meta.includes(`http-status`), isNamed)
    t.equal(sent!.body.toString(), 'ok')
  }
  t.end()
})

t.test('a body encoding is visible as content-encoding and goes when a filter says so', (t) => {
  const rig = proxy()
  const seen: (string | null)[] = []
  rig.change = ({ request: { headers } }) => {
    seen.push(headers.get('content-encoding'))
    headers.forEach((name, value) => {
      seen.push(`${name}: ${value}`)
    })
    headers.remove('content-encoding')
  }
  feed(rig.down.codec, request(1, { encoding: 3, block: block([[0, 'A']]) }))
  t.same(seen, ['gzip', 'app-id: A', 'content-encoding: gzip'])
  t.equal(rig.up.wire.frames()[0]!.encoding, 0)
  feed(rig.up.codec, response(1, 1000))
  t.end()
})
