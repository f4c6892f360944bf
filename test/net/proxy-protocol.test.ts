import t from 'tap'
import type { PeerInfo } from '../../lib/core/codec.ts'
import { parseProxyHeader } from '../../lib/net/proxy-protocol.ts'
import { listen, ManualLoop, makeContext, RawClient, turn, until } from './support.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const PEER4 = { remoteAddress: '192.0.2.1', remotePort: 56324, localAddress: '198.51.100.7', localPort: 443 }
const PEER6 = { remoteAddress: '2001:db8::1', remotePort: 1, localAddress: '::', localPort: 65535 }

function v2(versionCommand: number, family: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.from([...SIGNATURE, versionCommand, family, length >> 8, length & 0xff])
  return Buffer.concat([head, payload])
}

const INET = Buffer.from([192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb])
const INET6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0, 1, 0xff, 0xff]),
])
const TLVS = Buffer.from([0x04, 0x00, 0x03, 1, 2, 3, 0x20, 0x00, 0x00])

const VALID: [name: string, bytes: Buffer, peer: PeerInfo | null][] = [
  ['TCP4', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n'), PEER4],
  ['TCP6', Buffer.from('PROXY TCP6 2001:db8::1 :: 1 65535\r\n'), PEER6],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with addresses', Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n'), null],
  [
    'the longest line of version 1',
    Buffer.from(`PROXY UNKNOWN ${'x'.repeat(107 - 'PROXY UNKNOWN \r\n'.length)}\r\n`),
    null,
  ],
  ['version 2 over IPv4', v2(0x21, 0x11, INET), PEER4],
  ['version 2 over IPv6', v2(0x21, 0x21, INET6), PEER6],
  ['version 2 with TLVs behind the addresses', v2(0x21, 0x11, Buffer.concat([INET, TLVS])), PEER4],
  ['version 2 LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), null],
  ['version 2 LOCAL with TLVs and any family', v2(0x20, 0xff, TLVS), null],
  ['version 2 over a Unix socket', v2(0x21, 0x31, Buffer.alloc(216)), null],
  ['version 2 unspecified', v2(0x21, 0x00, TLVS), null],
  ['version 2 over UDP', v2(0x21, 0x12, INET), null],
]

const INVALID: [name: string, bytes: Buffer][] = [
  ['an unknown family', Buffer.from('PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n')],
  ['a missing field', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n')],
  ['a field too many', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n')],
  ['two spaces', Buffer.from('PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n')],
  ['an IPv6 address as TCP4', Buffer.from('PROXY TCP4 ::1 198.51.100.7 1 2\r\n')],
  ['an IPv4 address as TCP6', Buffer.from('PROXY TCP6 192.0.2.1 ::1 1 2\r\n')],
  ['no address', Buffer.from('PROXY TCP4 localhost 198.51.100.7 1 2\r\n')],
  ['a port above 65535', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n')],
  ['a port with a sign', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n')],
  ['a port with leading zeros', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n')],
  ['a line of 108 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(108 - 'PROXY UNKNOWN \r\n'.length)}\r\n`)],
  ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['an unknown version', v2(0x11, 0x11, INET)],
  ['an unknown command', v2(0x22, 0x11, INET)],
  ['an unknown address family', v2(0x21, 0x41, INET)],
  ['an unknown transport', v2(0x21, 0x13, INET)],
  ['addresses that are too short', v2(0x21, 0x11, INET.subarray(0, 11))],
  ['IPv6 addresses that are too short', v2(0x21, 0x21, INET)],
  ['a header above 4096 bytes', v2(0x21, 0x11, INET, 5000)],
]

t.test('every valid header is read, with whatever follows it', (t) => {
  for (const [name, bytes, peer] of VALID) {
    for (const rest of ['', 'GET / HTTP/1.1\r\n\r\n', '\r\n']) {
      const header = parseProxyHeader(Buffer.concat([bytes, Buffer.from(rest)]))
      t.same(header, { kind: 'header', length: bytes.length, peer }, name)
    }
  }
  t.end()
})

t.test('a valid header is incomplete at every byte before its last', (t) => {
  for (const [name, bytes] of VALID) {
    for (let end = 0; end < bytes.length; end++) {
      const { kind } = parseProxyHeader(bytes.subarray(0, end))
      if (kind !== 'incomplete') t.fail(`${name}: ${kind} after ${end} bytes`)
    }
  }
  t.pass('all of them')
  t.end()
})

t.test('an invalid header is told so, with the reason', (t) => {
  for (const [name, bytes] of INVALID)
    t.match(parseProxyHeader(bytes), { kind: 'invalid', reason: /version [12]/ }, name)
  t.end()
})

t.test('anything else has no header, as soon as that is certain', (t) => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    'POST',
    'PROXX',
    'PRI * HTTP/2.0',
    '\r\nGET',
    '\r\n\r\n\0\r\nQUIX',
    '\0',
  ]) {
    t.equal(parseProxyHeader(Buffer.from(text, 'latin1')).kind, 'absent', JSON.stringify(text))
  }
  t.end()
})

t.test('a connection has the addresses of its header, however the bytes are cut', async (t) => {
  const context = makeContext()
  const listener = await listen(context, { proxyProtocol: 'required', headerTimeoutMs: 5000 })
  for (const [name, bytes, peer] of VALID.filter(([, all]) => all.length < 80)) {
    const whole = Buffer.concat([bytes, Buffer.from('payload')])
    for (const cuts of [[whole.length], [1], [7], [bytes.length], [bytes.length + 3]]) {
      listener.peers.length = 0
      const client = new RawClient(listener.port)
      await until(() => listener.acceptor.connections.size === 1, 'the connection')
      const [connection] = listener.acceptor.connections
      const before = connection?.peer
      const size = cuts[0] as number
      // Byte by byte through the codec itself: the kernel would put the pieces together again.
      for (let at = 0; at < whole.length; at += size) {
        connection?.codec?.onBytes(whole, at, Math.min(whole.length, at + size))
      }
      const [accepted] = listener.peers
      t.equal(accepted?.codec.text, 'payload', `${name} in pieces of ${size}`)
      t.same(accepted?.connection.peer, peer ?? before)
      client.socket.destroy()
      for (const open of listener.acceptor.connections) open.destroy()
      await until(() => listener.acceptor.connections.size === 0, 'the end')
    }
  }
  await listener.close()
  t.equal(context.loop.wheel.count, 0, 'no timer is left')
})

t.test('a header over the wire, with the request right behind it', async (t) => {
  const context = makeContext()
  const listener = await listen(context, { proxyProtocol: 'optional', headerTimeoutMs: 5000 })
  const client = new RawClient(listener.port)
  client.socket.write('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nhello')
  const first = await listener.first()
  await until(() => first.codec.text === 'hello', 'the request')
  t.same(first.connection.peer, PEER4)
  client.socket.write(' again')
  await until(() => first.codec.text === 'hello again', 'the rest')

  const plain = new RawClient(listener.port)
  plain.socket.write('no header')
  await until(() => listener.peers[1]?.codec.text === 'no header', 'a connection without the header')
  t.equal(listener.peers[1]?.connection.peer.remoteAddress, '127.0.0.1')
  client.socket.destroy()
  plain.socket.destroy()
  await listener.close()
})

t.test('a connection that must not be is closed before a codec sees it', async (t) => {
  const manual = new ManualLoop()
  const listener = await listen(makeContext(manual), { proxyProtocol: 'required', headerTimeoutMs: 3000 })
  const cases: [name: string, act: (client: RawClient) => void][] = [
    ['no header where one is required', (client) => client.socket.write('GET / HTTP/1.1\r\n')],
    ['an invalid header', (client) => client.socket.write('PROXY NONSENSE\r\n')],
    ['FIN in the middle of the header', (client) => client.socket.end('PROXY TCP4')],
    ['a header that does not come in time', (client) => client.socket.write('PROXY TCP4')],
  ]
  for (const [name, act] of cases) {
    const client = new RawClient(listener.port)
    act(client)
    await until(() => listener.acceptor.connections.size === 1, 'the connection')
    for (let i = 0; i < 5; i++) await turn()
    manual.clock.advance(3000)
    await until(() => client.isEnded || client.isClosed, `${name} to be closed`)
    client.socket.destroy()
    await until(() => listener.acceptor.connections.size === 0, 'the end')
  }
  t.same(listener.peers, [])
  t.equal(manual.clock.pending, 0)
  await listener.close()
})
