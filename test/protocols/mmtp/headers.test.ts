import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { Code, HEADER_LENGTH } from '../../../lib/protocols/mmtp/constants.ts'
import { copyHead, writeBlock } from '../../../lib/protocols/mmtp/encode-headers.ts'
import { readHeaderBlock } from '../../../lib/protocols/mmtp/header-block.ts'
import { MmtpHeaders, OutgoingHeaders } from '../../../lib/protocols/mmtp/headers.ts'

const HEAD = Buffer.alloc(HEADER_LENGTH, 0xaa)

/** Static `app-id: BENCH`, literal `x-a: 1`, secret `authorization: s`. */
const BLOCK = Buffer.from(
  `40 05${hex('BENCH')} 7f 03${hex('x-a')}01${hex('1')} 01 0d${hex('authorization')}01${hex('s')}`.replaceAll(
    ' ',
    '',
  ),
  'hex',
)

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

/** Headers that were read from a block, 3 bytes into the bytes that came. */
function read(block: Buffer = BLOCK): MmtpHeaders {
  const bytes = Buffer.concat([Buffer.from('???'), HEAD, block])
  const headers = new MmtpHeaders()
  t.equal(readHeaderBlock(headers, bytes, 3 + HEADER_LENGTH, bytes.length, 3, true), Code.None)
  return headers
}

/** What is forwarded of them, read again: name, value and whether the entry is a secret. */
function forwarded(headers: MmtpHeaders): string[] {
  const buffer = Buffer.alloc(200_000)
  const end = copyHead(headers, buffer, 7)
  t.same(buffer.subarray(7, 7 + HEADER_LENGTH), HEAD, 'what stands in front of the block')
  const again = new MmtpHeaders()
  t.equal(readHeaderBlock(again, buffer, 7 + HEADER_LENGTH, end, 7, true), Code.None)
  const alone = Buffer.alloc(200_000)
  const blockEnd = writeBlock(headers, alone, 0)
  t.same(alone.subarray(0, blockEnd), buffer.subarray(7 + HEADER_LENGTH, end), 'the block alone')
  const entries: string[] = []
  for (let i = 0; i < again.count; i++) {
    const isSecret = again.fields[i * 5 + 4] === 3
    entries.push(`${again.nameAt(i)}=${again.valueAt(i)}${isSecret ? ' (secret)' : ''}`)
  }
  again.release()
  return entries
}

t.test('a header that is added is forwarded behind those that came', (t) => {
  const headers = read()
  headers.add('trace-id', 'abc')
  headers.add('x-b', '2')
  t.equal(headers.get('trace-id'), 'abc')
  t.equal(headers.get('x-b'), '2')
  t.equal(headers.get('app-id'), 'BENCH', 'what came is still there')
  t.same(forwarded(headers), ['app-id=BENCH', 'x-a=1', 'authorization=s (secret)', 'trace-id=abc', 'x-b=2'])
  headers.release()
  t.equal(headers.get('x-b'), null)
  t.end()
})

t.test('the same header is written alike each time', (t) => {
  for (const [name, value] of [
    ['x-gateway', 'meshgate'],
    ['rpc-id', '0'],
    ['x-empty', ''],
    ['x-umlaut', 'grün'],
  ] as const) {
    for (let round = 0; round < 4; round++) {
      const headers = read()
      headers.set(name, value)
      t.equal(headers.get(name), value)
      t.equal(forwarded(headers).at(-1), `${name}=${value}`, `${name}, round ${round}`)
      headers.release()
    }
  }
  t.end()
})

t.test('setting replaces what came and what was added', (t) => {
  const headers = read()
  headers.set('x-a', '2')
  headers.set('x-a', '3')
  headers.set('app-id', 'OTHER')
  t.equal(headers.get('x-a'), '3')
  t.same(headers.getAll('x-a'), ['3'])
  t.same(forwarded(headers), ['authorization=s (secret)', 'x-a=3', 'app-id=OTHER'])
  headers.release()
  t.end()
})

t.test('a secret keeps its mark when its value is replaced', (t) => {
  const headers = read()
  headers.set('authorization', 'new')
  headers.set('authorization', 'newer')
  t.equal(headers.get('authorization'), 'newer')
  t.same(forwarded(headers), ['app-id=BENCH', 'x-a=1', 'authorization=newer (secret)'])
  headers.release()
  t.end()
})

t.test('removing takes out what came and what was added', (t) => {
  const headers = read()
  headers.add('x-b', '2')
  headers.remove('x-b')
  headers.remove('x-a')
  headers.remove('never-there')
  t.notOk(headers.has('x-a'))
  t.notOk(headers.has('x-b'))
  t.same(forwarded(headers), ['app-id=BENCH', 'authorization=s (secret)'])
  headers.release()
  t.end()
})

t.test('of repeated names the last one wins and is visited once', (t) => {
  const headers = read()
  headers.add('x-a', '2')
  const seen: string[] = []
  headers.forEach((name, value) => {
    seen.push(`${name}=${value}`)
  })
  t.same(seen, ['app-id=BENCH', 'authorization=s', 'x-a=2'])
  headers.release()
  t.end()
})

t.test('headers are added to a block without entries', (t) => {
  const headers = read(Buffer.alloc(0))
  headers.set('x-b', '2')
  t.same(forwarded(headers), ['x-b=2'])
  headers.release()
  t.end()
})

t.test('the head moves to a larger block when it grows, and its leases end with it', (t) => {
  const { leased } = poolUsage()
  const headers = read()
  for (let i = 0; i < 18; i++) headers.add(`x-${i}`, `${i}`.repeat(400))
  t.equal(headers.get('x-a'), '1')
  t.equal(headers.get('x-17'), '17'.repeat(400))
  t.equal(poolUsage().leased, leased + 1)
  t.equal(forwarded(headers).length, 21)
  headers.release()
  t.equal(poolUsage().leased, leased)
  t.end()
})

t.test('values of every length keep their bytes', (t) => {
  for (const value of [
    'a'.repeat(24),
    'a'.repeat(25),
    'a'.repeat(127),
    'a'.repeat(128),
    'ü'.repeat(64),
    '日本',
  ]) {
    const headers = read()
    headers.add('x-b', value)
    t.equal(headers.get('x-b'), value)
    t.equal(forwarded(headers).at(-1), `x-b=${value}`)
    headers.release()
  }
  t.end()
})

t.test('a made value is taken as its bytes', (t) => {
  const headers = read()
  headers.addMade('trace-id', '0a00', Buffer.from('..0a00..'), 2)
  headers.addMade('x-long', 'b'.repeat(300), Buffer.alloc(300, 'b'), 0)
  t.equal(headers.get('trace-id'), '0a00')
  t.same(forwarded(headers).slice(3), ['trace-id=0a00', `x-long=${'b'.repeat(300)}`])
  headers.release()
  t.end()
})

t.test('what a block cannot hold is refused, and nothing is changed', (t) => {
  const headers = read()
  const refused = (name: string, value: string, message: RegExp) => {
    t.throws(() => headers.set(name, value), message)
    t.throws(() => headers.add(name, value), message)
  }
  refused('X-A', '2', /must be 1 to 64 of a-z/)
  refused('', '2', /must be 1 to 64 of a-z/)
  refused('n'.repeat(65), '2', /must be 1 to 64 of a-z/)
  refused('x-a', 'a\r\nb: c', /control character/)
  refused('x-a', `${'a'.repeat(30)}\0`, /control character/)
  refused('x-a', '\x7f', /control character/)
  refused('x-a', 'a'.repeat(32_768), /longer than 32767 bytes/)
  refused('x-a', 'ü'.repeat(20_000), /longer than 32767 bytes/)
  t.same(forwarded(headers), ['app-id=BENCH', 'x-a=1', 'authorization=s (secret)'])
  headers.release()
  t.end()
})

t.test('headers of our own messages follow the same rules', (t) => {
  const headers = new OutgoingHeaders()
  headers.add('x-a', '1')
  headers.add('x-a', '2')
  t.equal(headers.get('x-a'), '2')
  t.throws(() => headers.set('bad name', '1'), /must be 1 to 64 of a-z/)
  t.throws(() => headers.add('x-a', 'a\nb'), /control character/)
  t.throws(() => headers.add('x-a', 'a'.repeat(32_768)), /longer than 32767 bytes/)
  t.end()
})
