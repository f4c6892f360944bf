// Other implementations beside ours: hessian.js (final), hessian.js-1 (draft) and sofa-hessian-node (both).
import { createRequire } from 'node:module'
import fc from 'fast-check'
import t from 'tap'
import { type Dialect, draft, final } from '../../../lib/protocols/hessian/dialect.ts'
import {
  ClassDef,
  HessianDate,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from '../../../lib/protocols/hessian/values.ts'
import { capturedBodies, DIALECTS, hex, readAll, readOne, written } from '../../support/hessian-wire.ts'

const require = createRequire(import.meta.url)
const libraries = { draft: require('hessian.js-1'), final: require('hessian.js') }
const sofa = require('sofa-hessian-node')

/** Their values of a stream, without types. */
function theirs(dialect: Dialect, bytes: Buffer): unknown[] {
  const decoder = new libraries[dialect.name].DecoderV2(bytes)
  const values: unknown[] = []
  while (decoder.position() < bytes.length) values.push(decoder.read(false))
  return values
}

function theirBytes(dialect: Dialect, value: unknown): Buffer {
  const encoder = new libraries[dialect.name].EncoderV2()
  return encoder.write(value).get()
}

/** Our value in the form that they decode to: large longs as strings, no types, no sign of zero. */
function plain(value: HessianValue, seen = new Map<unknown, unknown>()): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return value + 0
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  if (value instanceof HessianDate) return new Date(value.ms)
  const known = seen.get(value)
  if (known !== undefined) return known
  if (value instanceof HessianList) {
    const items: unknown[] = []
    seen.set(value, items)
    for (const item of value.items) items.push(plain(item, seen))
    return items
  }
  const fields: Record<string, unknown> = {}
  seen.set(value, fields)
  const entries = value instanceof HessianMap ? value.entries : value.fields
  for (const [key, entry] of entries) fields[String(key)] = plain(entry, seen)
  return fields
}

/** Our value in the form that they encode. */
function tagged(value: HessianValue): unknown {
  if (typeof value === 'bigint') return { $class: 'long', $: String(value) }
  if (typeof value === 'number') {
    if (Number.isInteger(value) && Math.abs(value) < 0x80000000) return { $class: 'int', $: value }
    return { $class: Number.isSafeInteger(value) ? 'long' : 'double', $: value }
  }
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  if (value instanceof HessianDate) return new Date(value.ms)
  if (value instanceof HessianList) {
    const items = value.items.map((item) => tagged(item))
    return value.type === null ? items : { $class: value.type, $: items }
  }
  const entries = value instanceof HessianMap ? value.entries : value.fields
  const fields: Record<string, unknown> = {}
  for (const [key, entry] of entries) fields[String(key)] = tagged(entry)
  return value instanceof HessianMap ? fields : { $class: value.className, $: fields }
}

const name = fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,20}$/)
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.nat(120).map((length) => 'some text 中文 '.repeat(length)),
  fc.string({ unit: 'binary-ascii', maxLength: 60 }),
)
/** What the libraries can carry: the defects listed in the limits test are left out. */
const value = fc.letrec<{ value: HessianValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).filter((n) => !Number.isInteger(n)),
    fc.maxSafeInteger().filter((n) => Math.abs(n) > 0x80000000),
    fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 63n - 1n }),
    text,
    fc.uint8Array({ maxLength: 1_200 }).map((bytes) => Buffer.from(bytes)),
    fc.integer({ min: 0, max: 4_102_444_800_000 }).map((ms) => new HessianDate(ms)),
    fc.array(tie('value')).map((items) => new HessianList(null, items)),
    fc
      .dictionary(name, tie('value'), { noNullPrototype: true })
      .map((entries) => new HessianMap(null, new Map<HessianValue, HessianValue>(Object.entries(entries)))),
    fc
      .dictionary(name, tie('value'), { noNullPrototype: true })
      // They keep one list of fields for each class name: so the name depends on the fields.
      .map((fields) => {
        const names = Object.keys(fields)
        return new HessianObject(new ClassDef(`a.C${names.join('_')}`, names), Object.values(fields))
      }),
  ),
}))

t.test('what ours write, theirs read', async (t) => {
  for (const dialect of DIALECTS) {
    fc.assert(
      fc.property(value.value, (one) => {
        const bytes = written(dialect, (w) => w.writeValue(one))
        assertSame(theirs(dialect, bytes), [plain(one)], bytes)
      }),
      { numRuns: 500 },
    )
    t.pass(dialect.name)
  }
})

t.test('what theirs write, ours read', async (t) => {
  for (const dialect of DIALECTS) {
    fc.assert(
      fc.property(value.value, (one) => {
        const bytes = theirBytes(dialect, tagged(one))
        assertSame(plain(readOne(dialect, bytes)), plain(one), bytes)
      }),
      { numRuns: 500 },
    )
    t.pass(dialect.name)
  }
})

t.test('captured bodies without exceptions read as theirs read', async (t) => {
  let compared = 0
  for (const { name, dialect, body } of capturedBodies()) {
    const ours = readAll(dialect, body)
    if (/stackTrace/.test(body.toString('latin1'))) continue
    assertSame(
      ours.map((one) => plain(one)),
      theirs(dialect, body),
      body,
    )
    t.pass(name)
    compared++
  }
  t.ok(compared > 90, `${compared} bodies`)
})

t.test('sofa-hessian-node encodes an object to the bytes that ours write', async (t) => {
  const classMap = {
    'com.example.Order': {
      id: { type: 'java.lang.String' },
      user: { type: 'long' },
      qty: { type: 'int' },
      price: { type: 'double' },
      paid: { type: 'boolean' },
      created: { type: 'java.util.Date' },
      tags: { type: 'java.util.List', generic: [{ type: 'java.lang.String' }] },
    },
  }
  const created = new Date(1_700_000_000_123)
  const fields = {
    id: 'order-1 中',
    user: 70_000_000_000,
    qty: 300,
    price: 9.99,
    paid: true,
    created,
    tags: ['a', 'b'],
  }
  for (const [dialect, encode] of [
    [draft, sofa.v3.encode],
    [final, sofa.v4.encode],
  ] as const) {
    const bytes = encode({ $class: 'com.example.Order', $: fields }, '2.0', classMap)
    const ours = written(dialect, (w) => {
      w.beginObject('com.example.Order', Object.keys(fields))
      w.writeString(fields.id)
      w.writeLong(fields.user)
      w.writeInt(fields.qty)
      w.writeDouble(fields.price)
      w.writeBoolean(fields.paid)
      w.writeDate(created.getTime())
      w.beginList('java.util.List', 2)
      for (const tag of fields.tags) w.writeString(tag)
      w.endList()
    })
    t.equal(ours.toString('hex'), Buffer.from(bytes).toString('hex'), dialect.name)
    assertSame(plain(readOne(dialect, Buffer.from(bytes))), fields, bytes)
  }
})

t.test('what the libraries get wrong, ours get right', async (t) => {
  // Lists without a length: refused (final), or read as empty, which loses the place (draft).
  t.throws(() => theirs(final, hex('57 91 92 5a')))
  t.same(readAll(final, hex('57 91 92 5a')), [new HessianList(null, [1, 2])])
  t.not(JSON.stringify(theirs(draft, hex('56 91 7a'))), '[[1]]')
  t.same(readAll(draft, hex('56 91 7a')), [new HessianList(null, [1])])
  // Pieces of text are read by recursion.
  const pieces = Buffer.concat([Buffer.alloc(60_000, hex('52 0000')), hex('01 61')])
  t.throws(() => theirs(final, pieces), { name: 'RangeError' })
  t.equal(readOne(final, pieces), 'a')
  // The sign of zero.
  t.ok(
    Object.is(
      readOne(
        final,
        written(final, (w) => w.writeDouble(-0)),
      ),
      -0,
    ),
  )
  // Four-byte UTF-8.
  t.throws(() => theirs(final, hex('02 f09f9880')))
  t.equal(readOne(final, hex('02 f09f9880')), '😀')
  // One class with two lists of fields, when encoding.
  const two = [
    { $class: 'a.TwoLists', $: { x: { $class: 'int', $: 1 } } },
    { $class: 'a.TwoLists', $: { y: { $class: 'int', $: 2 } } },
  ]
  t.not(JSON.stringify(theirs(final, theirBytes(final, two))), '[[{"x":1},{"y":2}]]')
  const ours = new HessianList(
    null,
    two.map(
      ({ $ }) => new HessianObject(new ClassDef('a.TwoLists', Object.keys($)), [Object.values($)[0].$]),
    ),
  )
  const read = readOne(
    final,
    written(final, (w) => w.writeValue(ours)),
  )
  t.same(plain(read), [{ x: 1 }, { y: 2 }])
})

/** Throws unless both are the same tree; tap's own comparison is too slow for thousands of trees. */
function assertSame(one: unknown, other: unknown, bytes: Buffer): void {
  const [left, right] = [print(one), print(other)]
  if (left !== right) throw new Error(`${left}\nis not\n${right}\nin ${bytes.toString('hex')}`)
}

function print(tree: unknown): string {
  const seen = new Map<unknown, number>()
  return JSON.stringify(tree, function (this: Record<string, unknown>, key, value) {
    const raw = this[key]
    if (raw instanceof Date) return `date ${raw.getTime()}`
    if (Buffer.isBuffer(raw)) return `bytes ${raw.toString('hex')}`
    if (typeof raw !== 'object' || raw === null) return value
    const known = seen.get(raw)
    if (known !== undefined) return `#${known}`
    seen.set(raw, seen.size)
    return Array.isArray(raw)
      ? raw
      : Object.fromEntries(Object.entries(raw).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
