import { readdirSync, readFileSync } from 'node:fs'
import { zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { Code, codeName } from '../../../lib/protocols/mmtp/constants.ts'
import { readHeaderBlock } from '../../../lib/protocols/mmtp/header-block.ts'
import { MmtpHeaders } from '../../../lib/protocols/mmtp/headers.ts'
import { MmtpRequest, OutgoingRequest } from '../../../lib/protocols/mmtp/request.ts'
import type { MmtpResponse } from '../../../lib/protocols/mmtp/response.ts'
import { Settings } from '../../../lib/protocols/mmtp/settings.ts'
import {
  type Answer,
  type ClientRig,
  clientRig,
  exchangeFor,
  type FakeWire,
  type Frame,
  feed,
  request,
  type ServerRig,
  send,
  serverRig,
} from '../../support/mmtp-wire.ts'

poisonReleasedSlabs(true)

const folder = new URL('../../vectors/mmtp/', import.meta.url)

interface Vector {
  readonly name: string
  readonly to: string
  readonly before: string
  readonly outcome: string
  readonly bytes: Buffer
}

/** The rows of index.md with the bytes of their files. */
function vectors(): Vector[] {
  const rows = readFileSync(new URL('index.md', folder), 'utf8').matchAll(
    /^\| (\d\d-[a-z0-9-]+) \| ([AD]) \| (.+?) \| (\d+) \| (.+) \|$/gm,
  )
  return [...rows].map(([, name = '', to = '', before = '', length = '', outcome = '']) => {
    const text = readFileSync(new URL(`${name}.hex`, folder), 'utf8').replace(/#.*$/gm, '')
    const bytes = Buffer.from(text.replace(/\s/g, ''), 'hex')
    if (bytes.length !== Number(length))
      throw new Error(`${name} has ${bytes.length} bytes, its row says ${length}`)
    return { name, to, before, outcome, bytes }
  })
}

type Rig = (ServerRig | ClientRig) & { answer?: Answer; acks?: [number, number][] }

/** Brings a codec to the state that the row's `before` names. */
function prepare({ to, before }: Vector): Rig {
  if (to === 'D') {
    const rig: Rig = clientRig(before !== 'HELLO sent', {}, new Settings())
    if (before === 'REQUEST 1 (END) sent')
      rig.answer = send(rig as ClientRig, new OutgoingRequest('demo.echo', 0, 0)).answer
    rig.wire.take()
    return rig
  }
  const own = new Settings()
  if (before.includes('MAX_STREAMS 1 ')) own.maxStreams = 1
  const rig: Rig = serverRig(before !== 'fresh', {}, own)
  if (before.includes('REQUEST 1 open')) feed(rig.codec, request(1))
  if (before.includes('PUSH 2 (END) sent')) {
    const acks: [number, number][] = []
    rig.acks = acks
    ;(rig as ServerRig).codec.push('sync.order', Buffer.from('{}'))
    ;(rig as ServerRig).codec.onPushAck = (id, status) => acks.push([id, status])
  }
  rig.wire.take()
  return rig
}

/** All ways to cut: whole, in two at every byte, byte by byte. */
function* cuts(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes]
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)]
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}

function goAway(frames: readonly Frame[]): string | null {
  const last = frames.at(-1)
  return last?.type === 0x32 ? codeName(last.body.readUInt16BE(4)) : null
}

function cancels(frames: readonly Frame[]): string[] {
  return frames
    .filter((frame) => frame.type === 0x13)
    .map((frame) => `${frame.id},${codeName(frame.body.readUInt16BE(0))}`)
}

/** `FRAME_SIZE` → `FrameSize`. */
function pascal(name: string): string {
  return name.toLowerCase().replace(/(^|_)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase())
}

type Check = (rig: Rig, frames: Frame[]) => unknown[]

const server = (rig: Rig) => rig as ServerRig
const seen = (rig: Rig, index = 0) => server(rig).handler.seen[index]!
const types = (frames: readonly Frame[]) => frames.map((frame) => frame.type)

/** For each `ok` row pairs of what was found and what the row says. */
const OK: Record<string, Check> = {
  '01-hello': (rig, frames) => [types(frames), [0x02], rig.codec.out.peer.maxStreams, 128],
  '02-hello-mesh': (rig, frames) => {
    const { peer } = rig.codec.out
    return [
      types(frames),
      [0x02],
      [
        peer.maxStreams,
        peer.connectionWindow,
        peer.maxMeta,
        peer.encodings,
        peer.keepAliveMs,
        peer.role,
        peer.cell,
      ],
      [4096, 16 << 20, 9216, 0b11001, 30_000, 3, 'RZ01A'],
      rig.codec.out.window,
      16 << 20,
    ]
  },
  '03-hello-ack': (rig) => {
    const { codec } = rig as ClientRig
    return [codec.isGreeted, true, codec.capacity, 64, codec.out.peer.streamWindow, 16 << 20]
  },
  '04-request': (rig) => {
    const { exchange, headers, body, isComplete } = seen(rig)
    const head = exchange.request as MmtpRequest
    return [
      [
        head.hops,
        head.budgetMs,
        head.shard,
        head.isIdempotent,
        head.operation,
        body,
        isComplete,
        head.bodyLength,
      ],
      [5, 3000, 68, true, 'demo.echo', '[{"a":1}]', true, 9],
      headers,
      { 'app-id': 'APP1', 'trace-id': '0a0b' },
    ]
  },
  '05-request-early-hello': (rig, frames) => [types(frames), [0x02], seen(rig).id, 1],
  '06-response-crc': ({ answer }) => {
    const head = answer?.head as MmtpResponse
    return [
      [answer?.status, head.origin, head.costMs, answer?.body, answer?.isComplete],
      [1000, 1, 12, '{"r":2}', true],
    ]
  },
  '07-response-refusal': ({ answer }) => {
    const head = answer?.head as MmtpResponse
    return [
      [answer?.status, head.origin, head.marks, head.retryAfterMs, answer?.body, answer?.isComplete],
      [3000, 2, 1, 250, '', true],
    ]
  },
  '08-response-long-prefix': ({ answer }) => [
    answer?.headers,
    { 'trace-id': '0a0b' },
    answer?.isComplete,
    true,
  ],
  '09-request-pieces': (rig) => [seen(rig).body, '[1,2,3]', seen(rig).isComplete, true],
  '10-request-oneway': (rig) => {
    const { handler, codec } = server(rig)
    const ids = handler.seen.map((one) => [one.id, (one.exchange.request as MmtpRequest).isOneWay])
    return [
      ids,
      [
        [1, true],
        [3, false],
      ],
      codec.streams.values().map(({ id }) => id),
      [3],
    ]
  },
  '11-request-headers': (rig) => [
    seen(rig).headers,
    { 'x-token': 's3cr3t', 'ldc-ver': '118', 'user-agent': 'u'.repeat(200), 'app-id': 'APP2' },
  ],
  '12-request-zstd': (rig) => {
    const decoded = zstdDecompressSync(Buffer.from(seen(rig).body, 'latin1')).toString()
    const item = '{"op":"alipay.demo.echo","n":1}'
    return [
      (seen(rig).exchange.request as MmtpRequest).headers.encoding,
      1,
      decoded,
      `[${[item, item, item, item].join(',')}]`,
    ]
  },
  '13-request-unknown-flag': (rig) => [(seen(rig).exchange.request as MmtpRequest).flags & 0x40, 0x40],
  '14-request-id-gap': (rig, frames) => [
    server(rig).handler.seen.map((one) => one.id),
    [1, 9],
    types(frames),
    [0x31],
  ],
  '15-cancel': (rig, frames) => [
    [seen(rig).failure?.code, seen(rig).canReply, seen(rig).failure?.detail],
    ['DOWNSTREAM_GONE', false, 'CANCEL(Cancelled) user left'],
    frames,
    [],
  ],
  '16-ping': (_rig, frames) => [types(frames), [0x31], frames[0]?.body.toString('hex'), '0001020304050607'],
  '17-window': (rig) => [
    rig.codec.out.window,
    (1 << 20) + 65_536,
    rig.codec.streams.get(1)?.sendWindow,
    (256 << 10) + 4096,
  ],
  '18-goaway-drain': (rig) => {
    const { codec } = rig as ClientRig
    return [codec.isReusable, false, codec.capacity, 0, codec.activeStreams, 1, rig.answer?.failure, null]
  },
  '19-settings': (rig, frames) => [
    frames.length === 1 && types(frames),
    [0x04],
    rig.codec.out.peer.maxStreams,
    16,
  ],
  '20-push': (_rig, frames) => [cancels(frames), ['2,Unsupported']],
  '21-push-ack': (rig) => [rig.acks, [[2, 1000]]],
  '22-ignorable-frame': (_rig, frames) => [types(frames), [0x31]],
  '23-request-shard-hops0': (rig) => {
    const head = seen(rig).exchange.request as MmtpRequest
    return [
      [head.hops, head.shard, head.priority],
      [0, 0xffff, 7],
    ]
  },
  '24-goaway-before-ack': (rig) => [rig.wire.isClosed, true],
}

function outcomeOf({ outcome, name }: Vector, rig: Rig, frames: Frame[]): unknown[] {
  const wire: FakeWire = rig.wire
  const broken = /^GOAWAY\((\w+)\), receiver closes/.exec(outcome)
  if (broken !== null) return [goAway(frames), pascal(broken[1] as string), wire.events, ['close']]
  const cancelled = /^CANCEL\((\d+),(\w+)\), connection stays/.exec(outcome)
  if (cancelled !== null) {
    return [
      cancels(frames),
      [`${cancelled[1]},${pascal(cancelled[2] as string)}`],
      frames.at(-1)?.type,
      0x31,
      wire.events,
      [],
    ]
  }
  const check = OK[name]
  if (check === undefined) throw new Error(`no check for ${name}`)
  return [...check(rig, frames), name === '24-goaway-before-ack' || wire.events.length === 0, true]
}

for (const vector of vectors()) {
  t.test(`${vector.name}: ${vector.outcome.slice(0, 80)}`, (t) => {
    let tried = 0
    for (const pieces of cuts(vector.bytes)) {
      const rig = prepare(vector)
      for (const piece of pieces) feed(rig.codec, piece)
      const pairs = outcomeOf(vector, rig, rig.wire.frames())
      const found = pairs.filter((_, index) => index % 2 === 0)
      const wanted = pairs.filter((_, index) => index % 2 === 1)
      if (JSON.stringify(found) !== JSON.stringify(wanted)) {
        t.same(
          found,
          wanted,
          `cut into ${pieces
            .map((piece) => piece.length)
            .join('+')
            .slice(0, 80)}`,
        )
        break
      }
      rig.codec.onClose(null)
      if (vector.to === 'A') server(rig).handler.finishAll()
      tried++
    }
    t.equal(tried, vector.bytes.length + 1, 'every cut gave the same outcome')
    t.equal(poolUsage().leased, 0, 'nothing stays leased')
    t.end()
  })
}

t.test('every vector file has a row', (t) => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.hex'))
  t.same(
    vectors().map(({ name }) => `${name}.hex`),
    files.sort(),
  )
  t.end()
})

t.test('a ping flood is answered as far as its budget goes', (t) => {
  const vector = vectors().find(({ name }) => name === '73-ping-flood')!
  const rig = prepare(vector)
  feed(rig.codec, vector.bytes)
  const frames = rig.wire.frames()
  t.equal(frames.filter(({ type }) => type === 0x31).length, 10)
  t.end()
})

t.test('the header block of a push is read like any other', (t) => {
  const { bytes } = vectors().find(({ name }) => name === '20-push')!
  const headers = new MmtpHeaders()
  const metaEnd = 16 + bytes.readUInt16BE(8)
  t.equal(readHeaderBlock(headers, bytes, 16 + bytes[10]!, metaEnd, 0, true), Code.None)
  t.equal(headers.get('push-id'), 'p1')
  t.equal(headers.get('push-ttl'), '60')
  headers.release()
  t.end()
})

t.test('a forwarded request has the bytes that came, but for what belongs to the hop', (t) => {
  for (const name of ['04-request', '11-request-headers', '12-request-zstd', '13-request-unknown-flag']) {
    const { bytes } = vectors().find((vector) => vector.name === name)!
    const upstream = clientRig()
    const { codec, handler } = serverRig()
    handler.onComplete = null
    const forward = { codec, handler }
    let stream: ReturnType<typeof upstream.codec.open> | null = null
    const { onRequest, onRequestBody } = handler
    forward.handler.onRequest = (exchange, last) => {
      onRequest.call(handler, exchange, last)
      upstream.handler.expect(exchange)
      stream = upstream.codec.open(exchange)
      stream.sendRequest(exchange.request, last)
    }
    forward.handler.onRequestBody = (exchange, piece, offset, end, last) => {
      onRequestBody.call(handler, exchange, piece, offset, end, last)
      stream?.sendBody(piece, offset, end, last)
    }
    feed(codec, bytes)
    const expected = Buffer.from(bytes)
    expected[11] = expected[11]! - 1
    t.equal(upstream.wire.take().toString('hex'), expected.toString('hex'), name)
    handler.finishAll()
  }
  t.end()
})

t.test('a request with no hops left is not forwarded', async (t) => {
  const { bytes } = vectors().find(({ name }) => name === '23-request-shard-hops0')!
  const head = new MmtpRequest(bytes, 0, 0, true, false, false)
  readHeaderBlock(head.headers, bytes, 16 + bytes[10]!, 16 + bytes.readUInt16BE(8), 0, true)
  const upstream = clientRig()
  const exchange = exchangeFor(head)
  const answer = upstream.handler.expect(exchange)
  upstream.codec.open(exchange).sendRequest(head, true)
  await Promise.resolve()
  t.equal(answer.failure?.code, 'LOOP')
  t.equal(upstream.wire.take().length, 0)
})
