import t from 'tap'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import { HessianSkipper } from '../../../lib/protocols/hessian/skipper.ts'
import {
  type HessianDate,
  HessianList,
  type HessianMap,
  HessianObject,
  type HessianValue,
} from '../../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../../lib/protocols/hessian/writer.ts'
import { capturedBodies, copyStream, readAll, skipAll } from '../../support/hessian-wire.ts'

const bodies = capturedBodies()

t.test('every captured body is read to its last byte, and stepped over to the same places', async (t) => {
  for (const { name, dialect, body } of bodies) {
    t.ok(readAll(dialect, body).length > 0, name)
  }
  t.ok(bodies.length > 120, `${bodies.length} bodies`)
})

t.test('every captured body is written again byte for byte, read piece by piece', async (t) => {
  for (const { name, dialect, body } of bodies) {
    t.ok(copyStream(dialect, body).equals(body), name)
  }
})

t.test('values that were read are written to bytes that read as the same values', async (t) => {
  for (const { name, dialect, body } of bodies) {
    const values = readAll(dialect, body)
    const writer = new HessianWriter(dialect)
    for (const value of values) writer.writeValue(value)
    t.same(readAll(dialect, Buffer.from(writer.bytes())).map(shape), values.map(shape), name)
  }
})

t.test('one reader, one skipper and one writer serve all bodies in turn', async (t) => {
  const readers = new Map<unknown, HessianReader>()
  const skippers = new Map<unknown, HessianSkipper>()
  for (let round = 0; round < 2; round++) {
    for (const { name, dialect, body } of bodies) {
      const reader = readers.get(dialect) ?? new HessianReader(dialect)
      readers.set(dialect, reader)
      const skipper = skippers.get(dialect) ?? new HessianSkipper(dialect)
      skippers.set(dialect, skipper)
      // Behind other bytes, as in a frame.
      const bytes = Buffer.concat([Buffer.alloc(7, 0xff), body, Buffer.alloc(3, 0xff)])
      const end = 7 + body.length
      reader.reset(bytes, 7, end)
      skipper.reset()
      const values: HessianValue[] = []
      for (let at = 7; at < end; ) {
        at = skipper.skip(bytes, at, end)
        values.push(reader.readValue())
        if (at !== reader.position) t.equal(at, reader.position, name)
      }
      t.same(values.map(shape), readAll(dialect, body).map(shape), name)
    }
  }
})

t.test('no captured body is read or stepped over when it ends early', async (t) => {
  for (const { name, dialect, body } of bodies) {
    if (body.length > 2_000) continue
    const whole = endsOfValues(dialect, body)
    for (let end = 1; end < body.length; end++) {
      const cut = body.subarray(0, end)
      if (whole.has(end)) readAll(dialect, cut)
      else if (!fails(() => readAll(dialect, cut)) || !fails(() => skipAll(dialect, cut)))
        t.fail(`${name} up to ${end}`)
    }
  }
  t.pass('none')
})

t.test('an order of Java reads as what was sent, in both dialects', async (t) => {
  for (const { name, dialect, body } of bodies) {
    if (!/\/create\.req/.test(name)) continue
    const order = readAll(dialect, body).find(
      (value) => value instanceof HessianObject && value.className === 'com.example.gateway.Order',
    ) as HessianObject
    t.equal(order.get('id'), 'order-0001', name)
    t.equal(order.get('userId'), 9007199254740993n)
    t.equal((order.get('amount') as HessianObject).get('value'), '12345678901234567890.12')
    t.equal((order.get('status') as HessianObject).get('name'), 'NEW')
    t.equal((order.get('created') as HessianDate).ms, 1_700_000_000_123)
    t.same(order.get('sign'), Buffer.from([0, 1, 2, 255]))
    const attributes = order.get('attrs') as HessianMap
    t.equal(attributes.type, 'java.util.LinkedHashMap')
    t.same(
      [...attributes.entries],
      [
        ['channel', 'web'],
        ['empty', ''],
        ['nul', null],
      ],
    )
    const items = order.get('items') as HessianList
    t.equal(items.type, null)
    const second = items.items[1] as HessianObject
    t.equal(second.get('sku'), 'sku-2 中文 😀')
    t.equal(second.get('weight'), -1.25)
    t.equal(second.get('qty'), 300)
    t.equal(order.get('no such field'), undefined)
  }
})

t.test('an exception of Java has a cause that is itself', async (t) => {
  let found = 0
  for (const { name, dialect, body } of bodies) {
    if (!/\/fail\.resp/.test(name)) continue
    const values = readAll(dialect, body)
    const response = values.find((value) => value instanceof HessianObject) as HessianObject
    const error = (response.get('appResponse') ?? response) as HessianObject
    t.equal(error.className, 'com.example.gateway.BizException', name)
    t.equal(error.get('cause'), error)
    t.equal(error.get('detailMessage'), 'bad order')
    t.equal(error.get('code'), 4001)
    t.ok((error.get('stackTrace') as HessianList).items.length > 0)
    found++
  }
  t.equal(found, 2)
})

t.test('arrays, doubles and booleans of the captured join', async (t) => {
  for (const { dialect, body } of bodies.filter(({ name }) => /\/join\.req/.test(name))) {
    const values = readAll(dialect, body)
    const start = values.findIndex((value) => value instanceof HessianList)
    const [texts, ints, double, flag] = values.slice(start, start + 4)
    t.same(texts, new HessianList('[string', ['a', 'b']))
    t.same(ints, new HessianList('[int', [1, 2]))
    t.equal(double, 2.5)
    t.equal(flag, true)
  }
})

/** Offsets at which a value ends. */
function endsOfValues(dialect: (typeof bodies)[number]['dialect'], body: Buffer): Set<number> {
  const skipper = new HessianSkipper(dialect)
  const ends = new Set<number>()
  for (let at = 0; at < body.length; ) ends.add((at = skipper.skip(body, at, body.length)))
  return ends
}

function fails(run: () => unknown): boolean {
  try {
    run()
    return false
  } catch (error) {
    if ((error as Error).name !== 'HessianError') throw error
    return true
  }
}

/** A value as text, with cycles as numbers: class definitions are other objects in every reader. */
function shape(value: HessianValue): string {
  const seen = new Map<unknown, number>()
  const walk = (part: unknown): unknown => {
    if (typeof part === 'bigint') return `${part}n`
    if (typeof part !== 'object' || part === null || Buffer.isBuffer(part)) return part
    const known = seen.get(part)
    if (known !== undefined) return `#${known}`
    seen.set(part, seen.size)
    if (part instanceof HessianObject) {
      return [part.className, part.definition.fields, part.values.map(walk)]
    }
    if (part instanceof HessianList) return [part.type, part.items.map(walk)]
    if ('entries' in part) {
      const { type, entries } = part as HessianMap
      return [type, [...entries].map(([key, entry]) => [walk(key), walk(entry)])]
    }
    return { ...part }
  }
  return JSON.stringify(walk(value))
}
