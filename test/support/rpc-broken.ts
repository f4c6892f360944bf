/** Frames that break the rules of Bolt and Dubbo, and what has to become of them. */
import { frame as boltFrame } from './bolt-wire.ts'
import { call as dubboBody, frame as dubboFrame, text } from './dubbo-wire.ts'
import type { RpcKind } from './rpc-kinds.ts'

/** The limit of one frame in the tests that use these. */
export const FRAME_LIMIT = 64 * 1024

/** Bytes that a caller sends. */
export interface BrokenRequest {
  readonly name: string
  readonly bytes: Buffer
  /** Status of the answer; null for none. */
  readonly status: number | null
  readonly closes: boolean
}

/** What a business process sends in place of an answer. */
export interface BrokenAnswer {
  readonly name: string
  readonly bytes: (id: string) => Buffer
  /** Status that its call ends with. */
  readonly status: number
  /** Whether the connection, and all calls on it, end with it. */
  readonly closes: boolean
}

function patched(bytes: Buffer, ...changes: readonly (readonly [at: number, hex: string])[]): Buffer {
  const copy = Buffer.from(bytes)
  for (const [at, hex] of changes) copy.write(hex, at, 'hex')
  return copy
}

const BOLT_LENGTHS = 14
const BOLT_ANSWER_LENGTHS = 12

function boltRequests({ call }: RpcKind): BrokenRequest[] {
  const good = call('00000007')
  const v2 = boltFrame({ proto: 2, switchByte: 1, id: 7, className: 'x', content: 'abc' })
  const closed = (name: string, bytes: Buffer): BrokenRequest => ({ name, bytes, status: null, closes: true })
  const answered = (name: string, bytes: Buffer, status: number): BrokenRequest => ({
    name,
    bytes,
    status,
    closes: false,
  })
  const block = (hex: string): Buffer => boltFrame({ id: 7, headers: Buffer.from(hex, 'hex'), content: 'c' })
  return [
    closed('an unknown protocol byte', patched(good, [0, '05'])),
    closed('text', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')),
    closed('an unknown type', patched(good, [1, '03'])),
    closed('an unknown command', patched(good, [2, '0099'])),
    closed('an unknown version of v2', patched(v2, [1, '03'])),
    closed('a switch byte above 127', patched(v2, [11, '81'])),
    closed('a wrong checksum', boltFrame({ proto: 2, switchByte: 1, id: 7, content: 'abc', crc: 1 })),
    closed('a negative content length', patched(good, [BOLT_LENGTHS + 4, 'ffffffff'])),
    closed('a class name above 32767 bytes', patched(good, [BOLT_LENGTHS, '8000'])),
    closed('a header block above 32767 bytes', patched(good, [BOLT_LENGTHS + 2, 'ffff'])),
    {
      name: 'a frame above the limit',
      bytes: patched(good, [BOLT_LENGTHS + 4, '00010000']),
      status: 9,
      closes: true,
    },
    closed('a one-way frame above the limit', patched(good, [1, '02'], [BOLT_LENGTHS + 4, '7fffffff'])),
    closed(
      'garbage behind a call',
      Buffer.concat([call('00000008', { isOneWay: true }), Buffer.alloc(64, 0xee)]),
    ),
    answered('pairs longer than their block', block('7fffffff7fffffff'), 9),
    answered('a negative length of a pair', block('fffffff0'), 9),
    answered('a block that ends within a pair', block('0000000161000000'), 9),
    answered('no service', boltFrame({ id: 7, content: 'c' }), 6),
    answered('Java serialization', patched(good, [9, '02']), 18),
  ]
}

function dubboRequests({ call }: RpcKind): BrokenRequest[] {
  const id = '00000000000000aa'
  const good = call(id)
  const closed = (name: string, bytes: Buffer): BrokenRequest => ({ name, bytes, status: null, closes: true })
  const answered = (name: string, body: Buffer, status = 40): BrokenRequest => ({
    name,
    bytes: dubboFrame(0xc2, 0, id, body),
    status,
    closes: false,
  })
  const nested = (depth: number): Buffer => Buffer.alloc(depth, 0x57)
  const classes = Buffer.concat(
    Array.from({ length: 300 }, (_, i) =>
      Buffer.concat([Buffer.from([0x43]), text(`com.flood.C${i}`), Buffer.of(0x90)]),
    ),
  )
  const argument = (...bytes: Buffer[]): Buffer =>
    dubboBody('bad.Body', '1.0', 'hi', 'Ljava/lang/Object;', ...bytes)
  return [
    closed('an unknown magic', patched(good, [0, 'dabc'])),
    closed('text', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')),
    closed('a negative length', patched(good, [12, 'ffffffff'])),
    closed('the smallest length', patched(good, [12, '80000000'])),
    closed('a frame above the limit', patched(good, [12, '00010001'])),
    closed('garbage behind a call', Buffer.concat([call(id, { isOneWay: true }), Buffer.alloc(64, 0xee)])),
    answered('a body that is no call', Buffer.alloc(32, 0xff)),
    answered('an empty body', Buffer.alloc(0)),
    answered('a body that ends too early', dubboBody('a.B', '1.0', 'hi', '').subarray(0, 8)),
    answered('lists 10000 deep', argument(nested(10_000))),
    answered('a list that says to have 2^31 - 1 elements', argument(Buffer.from('58497fffffff', 'hex'))),
    answered('300 classes', argument(classes, Buffer.from('4e485a', 'hex'))),
    answered('a class of 2^31 - 1 fields', argument(Buffer.from('430161497fffffff', 'hex'))),
    answered(
      'endless empty chunks of a string',
      argument(Buffer.alloc(30_000, Buffer.from('520000', 'hex'))),
    ),
    answered('a reference to nothing as attachments', argument(Buffer.from('4e5199', 'hex'))),
    answered(
      'a descriptor of 60000 parameters',
      dubboBody('bad.Body', '1.0', 'hi', 'I'.repeat(1000), Buffer.alloc(1000, 0x90)),
    ),
  ]
}

function boltAnswers({ answer }: RpcKind): BrokenAnswer[] {
  const change =
    (...changes: readonly (readonly [number, string])[]) =>
    (id: string): Buffer =>
      patched(answer(id), ...changes)
  const broken = (name: string, bytes: (id: string) => Buffer): BrokenAnswer => ({
    name,
    bytes,
    status: 2,
    closes: true,
  })
  return [
    broken('garbage', () => Buffer.alloc(100, 0xee)),
    broken('an unknown type', change([1, '07'])),
    broken('a call as command of an answer', change([2, '0001'])),
    broken('a negative content length', change([BOLT_ANSWER_LENGTHS + 4, '80000000'])),
    broken('a wrong checksum', (id) =>
      boltFrame({ proto: 2, switchByte: 1, type: 0, id: Number.parseInt(id, 16), content: 'x', crc: 1 }),
    ),
    {
      name: 'pairs longer than their block',
      bytes: (id) =>
        boltFrame({ type: 0, id: Number.parseInt(id, 16), headers: Buffer.from('7fffffff', 'hex') }),
      status: 2,
      closes: false,
    },
    {
      name: 'an answer above the limit',
      bytes: (id) => answer(id, { text: 'x'.repeat(2 * FRAME_LIMIT) }),
      status: 2,
      closes: false,
    },
  ]
}

function dubboAnswers({ answer }: RpcKind): BrokenAnswer[] {
  const change =
    (...changes: readonly (readonly [number, string])[]) =>
    (id: string): Buffer =>
      patched(answer(id), ...changes)
  const broken = (name: string, bytes: (id: string) => Buffer): BrokenAnswer => ({
    name,
    bytes,
    status: 50,
    closes: true,
  })
  return [
    broken('garbage', () => Buffer.alloc(100, 0xee)),
    broken('an unknown magic', change([1, 'ba'])),
    broken('a negative length', change([12, 'fffffff0'])),
    broken('an answer above the limit', (id) => answer(id, { text: 'x'.repeat(2 * FRAME_LIMIT) })),
  ]
}

/** What callers may get wrong. */
export function brokenRequests(kind: RpcKind): BrokenRequest[] {
  return kind.name === 'bolt' ? boltRequests(kind) : dubboRequests(kind)
}

/** What business processes may get wrong. */
export function brokenAnswers(kind: RpcKind): BrokenAnswer[] {
  return kind.name === 'bolt' ? boltAnswers(kind) : dubboAnswers(kind)
}
