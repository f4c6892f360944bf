import { readFileSync } from 'node:fs'
import t from 'tap'
import type { DownstreamHandler, Protocol, ServerCodec, Wire } from '../../lib/core/codec.ts'
import type { ProtocolName } from '../../lib/core/message.ts'
import { createDetector } from '../../lib/protocols/detect.ts'
import { recognise } from '../../lib/protocols/first-bytes.ts'
import { CONTEXT, SERVER_OPTIONS } from '../support/mmtp-wire.ts'

/** A codec that keeps what it is told. */
class Listening implements ServerCodec {
  readonly activeExchanges = 3
  readonly calls: string[] = []
  received = Buffer.alloc(0)

  onBytes(bytes: Buffer, offset: number, end: number): void {
    this.calls.push('bytes')
    this.received = Buffer.concat([this.received, bytes.subarray(offset, end)])
  }
  onEnd(): void {
    this.calls.push('end')
  }
  onDrain(): void {
    this.calls.push('drained')
  }
  onTimer(): void {
    this.calls.push('timer')
  }
  onClose(): void {
    this.calls.push('close')
  }
  drain(graceMs: number): void {
    this.calls.push(`drain ${graceMs}`)
  }
}

/** A detector on a connection that keeps what is done to it. */
function detector() {
  const events: string[] = []
  const chosen: { name: ProtocolName; codec: Listening }[] = []
  const wire = {
    setTimer: (ms: number) => events.push(`timer ${ms}`),
    destroy: () => events.push('destroy'),
  } as unknown as Wire
  const named = (name: ProtocolName): Protocol => ({
    name,
    isMultiplexed: true,
    createServer: () => {
      const codec = new Listening()
      chosen.push({ name, codec })
      return codec
    },
    createClient: () => {
      throw new Error('a detector only accepts')
    },
    compileCall: null,
  })
  const protocols = {
    http1: named('http1'),
    mmtp: named('mmtp'),
    bolt: named('bolt'),
    dubbo: named('dubbo'),
  }
  const handler = {} as DownstreamHandler
  const codec = createDetector(protocols).createServer(wire, SERVER_OPTIONS, handler, CONTEXT)
  /** Hands over bytes as the transport does: in a buffer that is used again afterwards. */
  const feed = (bytes: Buffer) => {
    const slab = Buffer.alloc(bytes.length + 5, 0xee)
    bytes.copy(slab, 3)
    codec.onBytes(slab, 3, 3 + bytes.length)
    slab.fill(0xee)
  }
  return { codec, events, chosen, feed }
}

const vector = (name: string) => readFileSync(new URL(`../vectors/${name}`, import.meta.url))

/** Beginnings, with the protocol that they are and after how many bytes that is known. */
const BEGINNINGS: readonly (readonly [what: string, bytes: Buffer, name: ProtocolName, known: number])[] = [
  ['GET', Buffer.from('GET / HTTP/1.1\r\n'), 'http1', 1],
  ['TLS', Buffer.from('1603010200', 'hex'), 'http1', 1],
  ['a blank line', Buffer.from('\r\nGET /'), 'http1', 1],
  ['Mmtp', Buffer.from('cd01', 'hex'), 'mmtp', 1],
  ['Bolt v1 request', vector('bolt/echo.req.bin'), 'bolt', 4],
  ['Bolt v1 one-way request', vector('bolt/oneway.req.bin'), 'bolt', 4],
  ['Bolt v1 heartbeat', vector('bolt/heartbeat.req.bin'), 'bolt', 4],
  ['Bolt v1 response', vector('bolt/echo.resp.bin'), 'bolt', 4],
  ['Bolt v1 GoAway', Buffer.from('010100640100000001', 'hex'), 'bolt', 4],
  ['Bolt v2 request', vector('bolt/v2-echo.req.bin'), 'bolt', 5],
  ['Bolt v2 without checksum', Buffer.from('020101000101', 'hex'), 'bolt', 5],
  ['Bolt v2 heartbeat', vector('bolt/v2-heartbeat.req.bin'), 'bolt', 5],
  ['Bolt v1, type 3', Buffer.from('0103000101', 'hex'), 'http1', 2],
  ['Bolt v1, high command', Buffer.from('0101010001', 'hex'), 'http1', 3],
  ['Bolt v1, command 3', Buffer.from('0101000301', 'hex'), 'http1', 4],
  ['Bolt v1, unknown command 153', vector('bolt/err-cmdcode-153.req.bin'), 'http1', 4],
  ['Bolt v2, ver1 0', Buffer.from('020001000101', 'hex'), 'http1', 2],
  ['Bolt v2, ver1 3', Buffer.from('020301000101', 'hex'), 'http1', 2],
  ['Bolt v2, type 3', Buffer.from('020203000101', 'hex'), 'http1', 3],
  ['Bolt v2, high command', Buffer.from('020201010101', 'hex'), 'http1', 4],
  ['Bolt v2, command 7', Buffer.from('020201000701', 'hex'), 'http1', 5],
  ['Bolt’s predecessor', Buffer.from('0d01000101', 'hex'), 'http1', 1],
  ['proto 5', vector('bolt/err-proto-5.req.bin'), 'http1', 1],
  ['Dubbo call', vector('dubbo/echo.req.bin'), 'dubbo', 3],
  ['Dubbo one-way call', vector('dubbo/oneway.req.bin'), 'dubbo', 3],
  ['Dubbo heartbeat', vector('dubbo/heartbeat.req.bin'), 'dubbo', 3],
  ['Dubbo call in fastjson2', vector('dubbo/fastjson2-echo.req.bin'), 'dubbo', 3],
  ['Dubbo response', vector('dubbo/echo.resp.bin'), 'http1', 3],
  ['Dubbo without serialization', Buffer.from('dabbc0000000', 'hex'), 'http1', 3],
  ['half of Dubbo’s magic', Buffer.from('dabac200', 'hex'), 'http1', 2],
]

t.test('a beginning is recognised as soon as it can be, and not before', async (t) => {
  for (const [what, bytes, name, known] of BEGINNINGS) {
    const shifted = Buffer.concat([Buffer.from('GE'), bytes])
    for (let length = 1; length <= bytes.length && length <= 16; length++) {
      const expected = length < known ? null : name
      t.equal(recognise(bytes, 0, length), expected, `${what}, ${length} bytes`)
      t.equal(recognise(shifted, 2, length), expected, `${what}, ${length} bytes further on`)
    }
  }
})

t.test('every first byte but those of the binary protocols is left to HTTP/1', async (t) => {
  for (let first = 0; first < 256; first++) {
    const found = recognise(Buffer.from([first]), 0, 1)
    if (first === 0xcd) t.equal(found, 'mmtp')
    else if ([1, 2, 0xda].includes(first)) t.equal(found, null)
    else t.equal(found, 'http1')
  }
})

t.test('the codec gets every byte, however they are cut', async (t) => {
  for (const [what, all, name] of BEGINNINGS) {
    const bytes = all.subarray(0, 40)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { chosen, feed, codec } = detector()
      if (cut > 0) feed(bytes.subarray(0, cut))
      if (cut < bytes.length) feed(bytes.subarray(cut))
      t.same(
        chosen.map((each) => [each.name, each.codec.received.toString('hex')]),
        [[name, bytes.toString('hex')]],
        `${what} cut at ${cut}`,
      )
      t.equal(codec.activeExchanges, 3)
    }
    const single = detector()
    for (const byte of bytes) single.feed(Buffer.from([byte]))
    t.equal(single.chosen[0]?.codec.received.toString('hex'), bytes.toString('hex'), `${what} byte by byte`)
  }
})

t.test(
  'the header timeout runs until the protocol is known, and cuts off who does not say enough',
  async (t) => {
    const slow = detector()
    slow.feed(Buffer.from([1]))
    slow.feed(Buffer.from([1]))
    t.same(slow.events, [`timer ${SERVER_OPTIONS.headerTimeoutMs}`])
    slow.codec.onTimer()
    t.same(slow.events.slice(1), ['destroy'])
    const known = detector()
    known.feed(Buffer.from([1, 1]))
    known.feed(Buffer.from([0, 1]))
    t.same(known.events, [`timer ${SERVER_OPTIONS.headerTimeoutMs}`, 'timer 0'])
    known.codec.onTimer()
    t.same(known.chosen[0]?.codec.calls, ['bytes', 'timer'])
  },
)

t.test('a caller that leaves before its protocol is known leaves nothing behind', async (t) => {
  const gone = detector()
  gone.feed(Buffer.from([0xda]))
  gone.codec.onEnd()
  t.same(gone.events.slice(1), ['destroy'])
  t.doesNotThrow(() => gone.codec.onClose(null))
  t.same(gone.chosen, [])
  t.equal(gone.codec.activeExchanges, 0)
})

t.test('a drain that begins before the protocol is known reaches the codec', async (t) => {
  const { codec, chosen, feed } = detector()
  feed(Buffer.from([2]))
  codec.drain(500)
  feed(Buffer.from([2, 1, 0, 1]))
  codec.onEnd()
  codec.onDrain()
  codec.onClose(null)
  t.same(chosen[0]?.codec.calls, ['drain 500', 'bytes', 'end', 'drained', 'close'])
})
