import { readdirSync, readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { traits } from '../../../lib/protocols/bolt/frame.ts'
import type { BoltRequest } from '../../../lib/protocols/bolt/request.ts'
import type { BoltResponse } from '../../../lib/protocols/bolt/response.ts'
import { FrameDecoder } from '../../../lib/protocols/rpc/frame-decoder.ts'
import { call, clientRig, exchangeFor, feed, parseFrames, proxy, serverRig } from '../../support/bolt-wire.ts'

poisonReleasedSlabs(true)
t.afterEach((t) => {
  if (poolUsage().leased !== 0) t.fail(`${poolUsage().leased} leases are left`)
})

const folder = new URL('../../vectors/bolt/', import.meta.url)

/** Frames that a Java server does not answer but closes the connection for. */
const FATAL = new Set(['err-cmdcode-153', 'err-proto-5', 'err-v2-crc-bad'])
const LONG_FRAME = 8 * 1024

interface Row {
  readonly name: string
  readonly request: string
  readonly response: string
}

/** The rows of index.md. */
const rows: Row[] = [
  ...readFileSync(new URL('index.md', folder), 'utf8').matchAll(
    /^\| ([a-z0-9.-]+) \| [^|]+ \| (v[^|]+) \| ([^|]+) \|$/gm,
  ),
].map(([, name = '', request = '', response = '']) => ({ name, request, response }))

function read(name: string): Buffer {
  return readFileSync(new URL(name, folder))
}

/** Whole, in two at every byte (of long frames: at every byte of both ends and some in between), and byte by byte. */
function* cuts(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes]
  for (let at = 1; at < bytes.length; at++) {
    const isAtEnd = at < 600 || at > bytes.length - 20
    if (bytes.length > LONG_FRAME && !isAtEnd && at % 4093 !== 0) continue
    yield [bytes.subarray(0, at), bytes.subarray(at)]
  }
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}

/** The frame with another id, and the checksum that goes with it. */
function withId(bytes: Buffer, id: number): Buffer {
  const changed = Buffer.from(bytes)
  const isV2 = changed[0] === 2
  changed.writeInt32BE(id, isV2 ? 6 : 5)
  if (isV2 && changed[1] === 2 && ((changed[11] as number) & 1) === 1) {
    changed.writeUInt32BE(crc32(changed.subarray(0, -4)), changed.length - 4)
  }
  return changed
}

t.test('every file has a row, and every row its files', (t) => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.bin'))
  const expected = rows.flatMap(({ name, response }) =>
    response.startsWith('none') ? [`${name}.req.bin`] : [`${name}.req.bin`, `${name}.resp.bin`],
  )
  t.same(files.sort(), expected.sort())
  t.ok(rows.length > 50)
  t.end()
})

t.test('every captured frame is found whole, at every cut', (t) => {
  for (const file of readdirSync(folder).filter((file) => file.endsWith('.bin'))) {
    const bytes = read(file)
    const isFatal = FATAL.has(file.slice(0, -8)) && !file.startsWith('err-v2')
    for (const pieces of cuts(bytes)) {
      const found: Buffer[] = []
      let faults = 0
      const sink = {
        isOver: false,
        onFrame: (from: Buffer, at: number, end: number) => {
          found.push(Buffer.from(from.subarray(at, end)))
        },
        onOversized: () => false,
        onFault: () => {
          faults++
          sink.isOver = true
        },
      }
      const decoder = new FrameDecoder(sink, traits.layout, 1 << 20)
      for (const piece of pieces) {
        feed({ onBytes: (slab, from, to) => decoder.decode(slab, from, to, 5) }, piece)
        if (sink.isOver) break
      }
      const isRight = isFatal
        ? faults === 1 && found.length === 0
        : found.length === 1 && bytes.equals(found[0]!)
      if (!isRight || decoder.startedMs !== 0 || poolUsage().leased !== 0) {
        t.fail(`${file} in pieces of ${pieces[0]?.length} …: ${found.length} frames, ${faults} faults`)
        break
      }
    }
  }
  t.end()
})

function describe(bytes: Buffer): string {
  const [frame] = parseFrames(bytes)
  const { proto, version, type, command, id, codec, switchByte, word, className, content, crc } = frame!
  const headerLength =
    bytes.length - content.length - className.length - (crc === null ? 0 : 4) - fixed(proto, type)
  const lengths = `${className.length}/${headerLength}/${content.length}`
  const name = proto === 1 ? 'v1' : `v${proto}.${version}`
  const mark = proto === 1 ? '' : ` switch 0x${switchByte.toString(16).padStart(2, '0')}`
  const sum = crc === null ? '' : ` crc ${crc.toString(16).padStart(8, '0')}`
  const what = type === 0 ? 'status' : 'timeout'
  return `${name} type ${type} cmd ${command} id ${id} codec ${codec}${mark} ${what} ${word} len ${lengths}${sum} (${bytes.length} B)`
}

function fixed(proto: number, type: number): number {
  return (proto === 1 ? 20 : 22) + (type === 0 ? 0 : 2)
}

t.test('calls and answers pass through byte for byte, but for the id of the hop', async (t) => {
  let count = 0
  for (const { name, request, response } of rows) {
    if (FATAL.has(name) || name.endsWith('heartbeat') || name === 'err-header-garbage') continue
    const asked = read(`${name}.req.bin`)
    t.equal(describe(asked), request.replace(/;.*$/, ''), name)
    const { down, up } = proxy()
    feed(down.codec, asked)
    t.ok(up.wire.take().equals(withId(asked, 1)), `${name} request`)
    // A one-way call is over when the running call is.
    await Promise.resolve()
    t.equal(up.codec.activeStreams, response.startsWith('none') ? 0 : 1, name)
    if (response.startsWith('none')) continue
    const answered = read(`${name}.resp.bin`)
    t.equal(describe(answered), response.replace(/;.*$/, ''), name)
    feed(up.codec, withId(answered, 1))
    t.ok(down.wire.take().equals(answered), `${name} response`)
    count++
  }
  t.ok(count > 45)
})

t.test('the same cut into pieces, one by one', (t) => {
  for (const name of ['echo', 'v2-echo', 'headers', 'v2-fail']) {
    const asked = read(`${name}.req.bin`)
    const answered = withId(read(`${name}.resp.bin`), 1)
    const { down, up } = proxy()
    let id = 1
    for (const pieces of cuts(asked)) {
      for (const piece of pieces) feed(down.codec, piece)
      if (!up.wire.take().equals(withId(asked, id))) t.fail(`${name}, first piece of ${pieces[0]?.length}`)
      const back = withId(answered, id)
      const cut = Math.min(back.length - 1, pieces[0]!.length)
      feed(up.codec, back.subarray(0, cut))
      feed(up.codec, back.subarray(cut))
      if (!down.wire.take().equals(read(`${name}.resp.bin`))) t.fail(`${name}, answer cut at ${cut}`)
      id += 2
    }
    t.equal(down.codec.activeExchanges, 0)
    t.equal(up.codec.activeStreams, 0)
  }
  t.end()
})

t.test('heads say what the rows say', (t) => {
  const rig = serverRig()
  for (const { name, request } of rows) {
    if (FATAL.has(name) || name.endsWith('heartbeat') || name === 'err-header-garbage') continue
    rig.handler.seen.length = 0
    feed(rig.codec, read(`${name}.req.bin`))
    const { exchange, headers } = rig.handler.seen[0]!
    const head = exchange.request as BoltRequest
    for (const [, key = '', value = ''] of request.matchAll(/[ ,]([a-z._A-Z-]+)=([^,|]+)/g)) {
      t.equal(head.headers.get(key), value.trim(), `${name} ${key}`)
      t.equal(headers[key], value.trim())
    }
    if (name !== 'err-no-header') {
      const service = name === 'err-header-other-service' ? 'OrdexService' : 'OrderService'
      t.equal(head.service, `com.example.gateway.${service}`, name)
      t.equal(head.version, '1.0')
      t.equal(head.group, name.endsWith('no-service') ? 'nowhere' : '')
      t.match(head.app, /^[a-z-]+$/)
      t.ok(head.method.length > 0)
    }
    t.equal(head.isOneWay, name.endsWith('oneway'))
    rig.handler.finish(exchange)
    rig.wire.take()
  }
  for (const { name, response } of rows) {
    if (response.startsWith('none') || name.endsWith('heartbeat')) continue
    const rig = clientRig()
    const down = serverRig()
    feed(down.codec, call())
    const { exchange } = down.handler.seen[0]!
    const up = exchangeFor(exchange.request)
    const stream = rig.codec.open(up)
    const seen = rig.handler.expect(up)
    let head: BoltResponse | null = null
    const { onResponse } = rig.handler
    rig.handler.onResponse = (exchange, response, last) => {
      head = response as BoltResponse
      t.equal(head.isFailure, /status [^0]|sofa_head_response_error=true/.test(row), name)
      onResponse.call(rig.handler, exchange, response, last)
    }
    const row = response
    stream.sendRequest(exchange.request, true)
    feed(rig.codec, withId(read(`${name}.resp.bin`), 1))
    t.equal(seen.status, Number(/status (\d+)/.exec(response)?.[1]), name)
    t.equal(seen.isComplete, true)
    for (const [, key = '', value = ''] of response.matchAll(/header ([a-z._-]+)=([^;|]+)/g)) {
      t.equal(seen.headers[key], value.trim(), `${name} ${key}`)
    }
    down.handler.finishAll()
  }
  t.end()
})

t.test('heartbeats are answered as a Java server does, and go no further', (t) => {
  for (const name of ['heartbeat', 'v2-heartbeat']) {
    const { down, up } = proxy()
    feed(down.codec, read(`${name}.req.bin`))
    t.equal(down.wire.take().toString('hex'), read(`${name}.resp.bin`).toString('hex'))
    t.equal(up.wire.take().length, 0)
  }
  t.end()
})

t.test('what a Java server closes for closes here, too, with nothing passed on', (t) => {
  for (const name of FATAL) {
    const { down, up } = proxy()
    feed(down.codec, read(`${name}.req.bin`))
    t.ok(down.wire.isClosed, name)
    t.equal(up.wire.take().length, 0)
    t.equal(down.wire.take().length, 0)
    t.equal(down.handler.protocolErrors[0]?.code, 'BAD_REQUEST')
  }
  t.end()
})

t.test('a header block with impossible lengths is answered here', (t) => {
  const { down, up } = proxy()
  feed(down.codec, read('err-header-garbage.req.bin'))
  t.equal(up.wire.take().length, 0)
  t.match(parseFrames(down.wire.take()), [{ id: 1, type: 0, command: 2, word: 9, codec: 1 }])
  t.equal(down.wire.isClosed, false)
  t.end()
})
