import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { ERROR_CODES, GatewayError } from '../../../lib/core/errors.ts'
import { dubbo } from '../../../lib/protocols/dubbo/index.ts'
import { status } from '../../../lib/protocols/dubbo/status.ts'
import { type DubboFrame, feed, frame, hi, map, Relay, text, vectors } from '../../support/dubbo-wire.ts'

poisonReleasedSlabs(true)

const frames = vectors()
const ID = 'fedcba9876543210'
const fastjson = (frames.get('fastjson2-echo.req') as Buffer).subarray(16)

/** A relay that keeps its requests, with one of them. */
function held(flag = 0xc2, body: Buffer = hi()): Relay {
  const relay = new Relay()
  relay.forwards = false
  feed(relay.server, frame(flag, 0, ID, body))
  return relay
}

function only(relay: Relay): DubboFrame {
  const sent = relay.sent()
  if (sent.length !== 1) throw new Error(`${sent.length} frames`)
  return sent[0]
}

t.test('every failure has a status and a text, in the serialization of the request', (t) => {
  for (const code of ERROR_CODES) {
    const relay = held()
    const error = new GatewayError(code, 'a detail that nobody is told')
    relay.fail(relay.last().exchange, error)
    const answer = only(relay)
    t.match(answer, { flag: 0x02, status: status[code], id: ID }, code)
    t.match(answer.body.toString('latin1'), new RegExp(`meshgate: .*\\[${code}\\]$`), code)
    t.notMatch(answer.body.toString('latin1'), /detail that nobody/)
    t.equal(relay.server.activeExchanges, 0)
  }
  t.equal(status.NO_ROUTE, 60)
  t.equal(status.NO_ENDPOINT, 60)
  t.equal(status.RATE_LIMITED, 100)
  t.equal(status.UPSTREAM_TIMEOUT, 31)
  t.equal(status.BAD_REQUEST, 40)
  t.end()
})

t.test('texts are one value of the serialization; where that is unknown there is none', (t) => {
  const error = new GatewayError('RATE_LIMITED')
  error.callerMessage = 'slow down'
  const body = (flag: number, bytes: Buffer): string => {
    const relay = held(flag, bytes)
    relay.fail(relay.last().exchange, error)
    const answer = only(relay)
    t.equal(answer.flag, flag & 0x1f)
    t.equal(answer.status, 100)
    return answer.body.toString('hex')
  }
  const message = Buffer.from('meshgate: slow down [RATE_LIMITED]')
  t.equal(body(0xc2, hi()), text(message.toString()).toString('hex'))
  t.equal(
    body(0xd7, fastjson),
    `000000${(message.length + 1).toString(16)}${(0x49 + message.length).toString(16)}${message.toString('hex')}`,
  )
  t.equal(body(0xd6, Buffer.from('0a', 'hex')), '', 'protobuf')
  t.end()
})

t.test('what filters answer: a value below 400, a refusal from there on', (t) => {
  const local = (httpStatus: number, content: string, flag = 0xc2, body = hi()): [number, string] => {
    const relay = held(flag, body)
    const { exchange } = relay.last()
    relay.reply(exchange, exchange.downstream.localReply(httpStatus, 1000, Buffer.from(content)))
    const answer = only(relay)
    return [answer.status, answer.body.toString('hex')]
  }
  t.same(local(200, 'hello'), [20, `91${text('hello').toString('hex')}`])
  t.same(local(403, 'no'), [70, text('no').toString('hex')])
  t.same(local(403, '')[0], 70)
  t.same(local(200, 'hi', 0xd7, fastjson), [20, '00000002bd01000000034b6869'])
  t.same(local(429, 'hi', 0xd7, fastjson), [70, '000000034b6869'])
  t.end()
})

t.test('an answer of our own may be long, or not ASCII', (t) => {
  const relay = held()
  const { exchange } = relay.last()
  relay.reply(exchange, exchange.downstream.localReply(200, 1000, Buffer.from('中'.repeat(40_000))))
  const { body } = only(relay)
  t.equal(body.toString('hex', 0, 7), '91528000e4b8ad')
  t.equal(body.length, 1 + 6 + 120_000)
  t.end()
})

t.test('one-way requests are never answered', (t) => {
  const relay = held(0x82)
  t.equal(relay.last().exchange.request.headers.get('path'), 'a.B')
  relay.fail(relay.last().exchange, new GatewayError('NO_ROUTE'))
  feed(relay.server, frame(0x82, 0, ID, Buffer.alloc(8, 0xff)))
  t.same(relay.sent(), [])
  t.equal(relay.protocolErrors[0].status, 0, 'the malformed one')
  t.equal(relay.server.activeExchanges, 0)
  t.end()
})

t.test('requests with the same id are answered each', (t) => {
  const relay = held()
  feed(relay.server, frame(0xc2, 0, ID, hi()))
  for (const { exchange } of relay.seen) relay.fail(exchange, new GatewayError('NO_ROUTE'))
  t.same(
    relay.sent().map(({ id }) => id),
    [ID, ID],
  )
  t.end()
})

t.test(
  'null in place of the path or the version is passed on, as is a body of an unknown serialization',
  (t) => {
    const relay = new Relay()
    const odd = Buffer.concat([text('2.0.2'), Buffer.from('4e4e', 'hex'), text('hi'), text(''), map({})])
    t.equal(relay.request(frame(0xc2, 0, ID, odd)).length, 1)
    t.match(relay.last().exchange.request, { service: '', version: '', method: 'hi' })
    t.equal(relay.request(frame(0xd6, 0, ID, Buffer.alloc(0))).length, 1)
    t.match(relay.last().exchange.request, { service: '', method: '', bodyLength: 0, isIdempotent: false })
    relay.finishAll()
    t.end()
  },
)

t.test('malformed bodies get 40 and leave the connection alone', (t) => {
  const relay = new Relay()
  const bodies = [
    '',
    '05',
    '05322e302e32',
    'ffffffff',
    '4e4e4e4e90',
    '53ffff61',
    '0161'.repeat(4),
    '5200',
    '01c0'.repeat(5),
  ]
  for (const hex of bodies) {
    feed(relay.server, frame(0xc2, 0, ID, hex))
    t.match(only(relay), { status: 40, flag: 2, id: ID }, hex)
  }
  for (const hex of ['', '00000001', '0000000549', '7fffffff', '000000024949', '00000001a6'.repeat(5)]) {
    feed(relay.server, frame(0xd7, 0, ID, hex))
    t.match(only(relay), { status: 40, flag: 0x17, id: ID }, hex)
  }
  t.equal(relay.seen.length, 0)
  t.equal(relay.protocolErrors.length, bodies.length + 6)
  t.equal(relay.request(frame(0xc2, 0, ID, hi())).length, 1)
  relay.finishAll()
  t.end()
})

t.test('bytes that are no frame close the connection at the first one', (t) => {
  for (const hex of [
    '47',
    'da00',
    '0d0a',
    'dabbc2000000000000000000ffffffff',
    'dabbc200000000000000000000800000',
  ]) {
    for (const isSplit of [false, true]) {
      const relay = held()
      const bytes = Buffer.from(hex, 'hex')
      if (isSplit) for (const byte of bytes) feed(relay.server, Buffer.from([byte]))
      else feed(relay.server, bytes)
      t.ok(relay.down.isClosed, hex)
      t.equal(relay.protocolErrors.length, 1)
      t.equal(relay.protocolErrors[0].error.code, 'BAD_REQUEST')
      t.equal(relay.last().gone?.code, 'DOWNSTREAM_GONE', 'what ran')
      feed(relay.server, frame(0xc2, 0, ID, hi()))
      t.equal(relay.seen.length, 1, 'nothing is read any more')
      t.equal(poolUsage().leased, 0)
    }
  }
  t.end()
})

t.test('a frame above the limit is refused by its header, one at the limit is served', (t) => {
  const body = hi()
  const relay = new Relay({ maxFrameBytes: body.length + 16 })
  t.equal(relay.request(frame(0xc2, 0, ID, body)).length, 1)
  feed(relay.server, frame(0xc2, 0, ID, Buffer.concat([body, Buffer.alloc(1)])).subarray(0, 16))
  t.ok(relay.down.isClosed)
  t.match(relay.protocolErrors[0].error.message, /above the limit of \d+/)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('a length that lies costs no memory but that of what came', (t) => {
  const relay = new Relay()
  const liar = frame(0xc2, 0, ID, hi()).subarray(0, 40)
  liar.writeUInt32BE(8_000_000, 12)
  const before = process.memoryUsage().arrayBuffers
  const others = Array.from({ length: 8 }, () => new Relay())
  for (const { server } of others) feed(server, liar)
  t.ok(process.memoryUsage().arrayBuffers - before < 32_000_000)
  for (const { server } of others) server.onClose(null)
  feed(relay.server, liar)
  relay.down.clock += 14_000
  relay.server.onTimer()
  t.notOk(relay.down.isClosed)
  relay.down.clock += 2_000
  relay.server.onTimer()
  t.ok(relay.down.isClosed, 'it must end in time')
  t.match(relay.protocolErrors[0].error.message, /not complete within/)
  t.end()
})

t.test('a frame that grows over many reads is whole in the end', (t) => {
  const relay = new Relay()
  const value = Buffer.concat([Buffer.from('53ffff', 'hex'), Buffer.alloc(0xffff, 'a')])
  const body = Buffer.concat([
    hi().subarray(0, 0),
    ...['2.0.2', 'a.B', '1', 'hi', 'II'].map(text),
    value,
    value,
    map({}),
  ])
  const bytes = frame(0xc2, 0, ID, Buffer.concat([body, Buffer.alloc(300_000)]))
  for (let at = 0; at < bytes.length; at += 9_999) feed(relay.server, bytes.subarray(at, at + 9_999))
  t.equal(relay.seen.length, 1)
  t.ok(relay.up.take().subarray(16).equals(bytes.subarray(16)))
  relay.finishAll()
  relay.server.onClose(null)
  t.end()
})

t.test('events: heartbeats as Java answers them', (t) => {
  const relay = new Relay()
  const event = (flag: number, hex: string): DubboFrame | null => {
    feed(relay.server, frame(flag, 0, ID, hex))
    return relay.sent()[0] ?? null
  }
  t.match(event(0xe2, '4e'), { flag: 0x22, status: 20, id: ID, body: Buffer.from('4e', 'hex') })
  t.match(event(0xf7, '00000001af'), { flag: 0x37, status: 20, body: Buffer.from('00000001af', 'hex') })
  t.match(
    event(0xe3, '70'),
    { flag: 0x23, status: 20, body: Buffer.from('70', 'hex') },
    'another serialization’s null',
  )
  t.equal(event(0xe2, '4e4e'), null)
  t.equal(event(0xe2, '0152'), null)
  t.equal(event(0xa2, '4e'), null, 'not two-way')
  t.equal(event(0xa2, '0152'), null)
  t.match(event(0xe2, ''), { flag: 0x02, status: 40 })
  t.match(event(0xe2, '00'.repeat(16)), { flag: 0x02, status: 40 })
  t.equal(event(0xe2, '4e'.repeat(15)), null)
  t.equal(event(0x22, '4e'), null, 'an answer')
  t.equal(event(0x02, '91'), null)
  t.equal(relay.seen.length, 0)
  t.end()
})

t.test('above the limit of requests the caller is read later, not refused', (t) => {
  const relay = new Relay({ maxStreams: 2 })
  relay.forwards = false
  feed(relay.server, frame(0xc2, 0, '1', hi()))
  t.same(relay.down.events, [])
  feed(relay.server, Buffer.concat([frame(0xc2, 0, '2', hi()), frame(0xc2, 0, '3', hi())]))
  t.same(relay.down.events, ['pause'])
  t.equal(relay.server.activeExchanges, 3, 'what was read is served')
  t.same(relay.sent(), [])
  relay.finish(relay.seen[0].exchange)
  t.same(relay.down.events, ['pause'])
  relay.finish(relay.seen[1].exchange)
  t.same(relay.down.events, ['pause', 'resume'])
  relay.finishAll()
  t.end()
})

t.test('a caller that does not read is not read either', (t) => {
  const relay = new Relay()
  relay.down.isWritable = false
  feed(relay.server, frame(0xe2, 0, ID, '4e'))
  feed(relay.server, frame(0xe2, 0, ID, '4e'))
  t.same(relay.down.events, ['pause'])
  relay.down.isWritable = true
  relay.server.onDrain()
  t.same(relay.down.events, ['pause', 'resume'])
  t.end()
})

t.test('the caller closes its half: what runs is answered, then the connection ends', (t) => {
  const relay = held()
  relay.server.onEnd()
  t.notOk(relay.down.isClosed)
  relay.fail(relay.last().exchange, new GatewayError('NO_ROUTE'))
  t.equal(only(relay).status, 60)
  t.ok(relay.down.isClosed)
  const idle = new Relay()
  feed(idle.server, frame(0xc2, 0, ID, hi()).subarray(0, 30))
  idle.server.onEnd()
  t.ok(idle.down.isClosed)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('the connection is lost: every exchange hears of it', (t) => {
  const relay = held()
  feed(relay.server, frame(0xc2, 0, '8', hi()))
  relay.server.onClose(new Error('ECONNRESET'))
  t.same(
    relay.seen.map(({ gone }) => gone?.code),
    ['DOWNSTREAM_GONE', 'DOWNSTREAM_GONE'],
  )
  t.equal(relay.server.activeExchanges, 0)
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('a drain says READONLY, serves what still comes, and closes', (t) => {
  const relay = held()
  relay.server.drain(5_000)
  t.match(only(relay), { flag: 0xa2, status: 0, body: Buffer.from('0152', 'hex') })
  relay.server.drain(5_000)
  t.same(relay.sent(), [], 'once')
  feed(relay.server, frame(0xc2, 0, '8', hi()))
  t.equal(relay.seen.length, 2)
  relay.down.clock += 1_100
  relay.server.onTimer()
  t.notOk(relay.down.isClosed)
  relay.finishAll()
  t.ok(relay.down.isClosed, 'with the last exchange')

  const idle = new Relay()
  feed(idle.server, frame(0xd7, 0, ID, fastjson))
  idle.finishAll()
  idle.server.drain(5_000)
  t.match(only(idle), { flag: 0xb7, body: Buffer.from('000000024a52', 'hex') }, 'in what the caller speaks')
  t.notOk(idle.down.isClosed, 'a request may be on its way')
  idle.down.clock += 1_000
  idle.server.onTimer()
  t.ok(idle.down.isClosed)

  const slow = held()
  slow.server.drain(3_000)
  slow.down.clock += 2_000
  slow.server.onTimer()
  t.notOk(slow.down.isClosed)
  t.ok(slow.down.timerMs > 0 && slow.down.timerMs <= 1_000, 'the end is watched')
  slow.down.clock += 1_000
  slow.server.onTimer()
  t.ok(slow.down.isClosed, 'when the time is over')
  t.equal(slow.last().gone?.code, 'DOWNSTREAM_GONE')
  t.end()
})

t.test('idle connections close, those with work do not', (t) => {
  const relay = new Relay({ idleTimeoutMs: 10_000 })
  relay.forwards = false
  feed(relay.server, frame(0xc2, 0, ID, hi()))
  relay.down.clock += 20_000
  relay.server.onTimer()
  t.notOk(relay.down.isClosed)
  relay.finishAll()
  relay.down.clock += 10_000
  relay.server.onTimer()
  t.ok(relay.down.isClosed)
  const alive = new Relay({ idleTimeoutMs: 10_000 })
  alive.down.clock += 9_000
  feed(alive.server, frame(0xe2, 0, ID, '4e'))
  alive.down.clock += 2_000
  alive.server.onTimer()
  t.notOk(alive.down.isClosed, 'a heartbeat is a sign of life')
  t.equal(alive.down.timerMs, 8_000)
  t.end()
})

t.test('a failure after the head becomes an answer, because nothing of it is out', (t) => {
  const relay = held()
  const { exchange } = relay.last()
  const reply = exchange.downstream.localReply(200, 1000, Buffer.from('x'))
  exchange.downstream.sendResponse(reply, false)
  exchange.downstream.sendBody(reply.body, 0, 1, false)
  exchange.downstream.reset(new GatewayError('UPSTREAM_RESET'))
  relay.finish(exchange)
  t.equal(only(relay).status, 35)
  t.end()
})

t.test('the row of the table of protocols', (t) => {
  t.equal(dubbo.name, 'dubbo')
  t.equal(dubbo.isMultiplexed, true)
  t.end()
})
