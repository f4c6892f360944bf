import fc from 'fast-check'
import t from 'tap'
import {
  checkHeader,
  equalsIgnoringCase,
  HeaderTable,
  KIND_HOP,
  KIND_PLAIN,
  KIND_REMOVED,
} from '../../lib/buffer/header-table.ts'
import { LocalResponse } from '../../lib/buffer/local-response.ts'
import { acquireBlock, poolUsage } from '../../lib/buffer/pools.ts'

type Pair = readonly [name: string, value: string, kind?: number]

/** A table over bytes that begin somewhere in a larger buffer, as those of a read slab do. */
function tableOf(pairs: readonly Pair[], table: HeaderTable = new HeaderTable()): HeaderTable {
  const text = pairs.map(([name, value]) => `${name}:${value}\n`).join('')
  const bytes = Buffer.from(`skip me ${text} and me`, 'latin1')
  table.open(bytes, 8)
  let at = 0
  for (const [name, value, kind = KIND_PLAIN] of pairs) {
    const valueStart = at + name.length + 1
    table.push(at, at + name.length, valueStart, valueStart + value.length, kind)
    at = valueStart + value.length + 1
  }
  return table
}

function all(table: HeaderTable): [string, string][] {
  const found: [string, string][] = []
  table.forEach((name, value) => void found.push([name, value]))
  return found
}

t.test('a name is found whatever case it came in', (t) => {
  const table = tableOf([
    ['Host', 'a.example'],
    ['X-TRACE-Id', '7'],
  ])
  t.equal(table.get('host'), 'a.example')
  t.equal(table.get('x-trace-id'), '7')
  t.ok(table.has('x-trace-id'))
  t.notOk(table.has('x-trace-i'))
  t.equal(table.get('x-trace-iD'), null, 'names are asked for in lower case')
  t.same(all(table), [
    ['host', 'a.example'],
    ['x-trace-id', '7'],
  ])
  t.end()
})

t.test('case folding touches letters only', (t) => {
  t.ok(equalsIgnoringCase(Buffer.from('AZ-@['), 0, 'az-@['))
  t.notOk(equalsIgnoringCase(Buffer.from('@'), 0, '`'))
  t.notOk(equalsIgnoringCase(Buffer.from('['), 0, '{'))
  t.end()
})

t.test('repeated headers are joined, cookies by a semicolon', (t) => {
  const table = tableOf([
    ['Accept', 'a'],
    ['Cookie', 'x=1'],
    ['accept', 'b'],
    ['COOKIE', 'y=2'],
  ])
  table.add('accept', 'c')
  t.equal(table.get('accept'), 'a, b, c')
  t.equal(table.get('cookie'), 'x=1; y=2')
  t.same(table.getAll('accept'), ['a', 'b', 'c'])
  t.same(table.getAll('none'), [])
  t.end()
})

t.test('set replaces every value, remove takes every value', (t) => {
  const table = tableOf([
    ['A', '1'],
    ['a', '2'],
    ['B', '3'],
  ])
  table.add('a', '4')
  table.set('a', '5')
  t.same(table.getAll('a'), ['5'])
  table.set('a', '6')
  t.same(all(table), [
    ['b', '3'],
    ['a', '6'],
  ])
  table.remove('b')
  table.remove('a')
  table.remove('never there')
  t.same(all(table), [])
  t.end()
})

t.test('a removed field is hidden, a field of the hop is not', (t) => {
  const table = tableOf([
    ['a', '1', KIND_REMOVED],
    ['b', '2', KIND_HOP],
    ['a', '3'],
  ])
  t.equal(table.get('a'), '3')
  t.equal(table.get('b'), '2')
  t.same(all(table), [
    ['b', '2'],
    ['a', '3'],
  ])
  t.end()
})

t.test('an empty value is a value', (t) => {
  const table = tableOf([['a', '']])
  t.equal(table.get('a'), '')
  t.ok(table.has('a'))
  table.set('b', '')
  t.equal(table.get('b'), '')
  t.end()
})

t.test('a value is read as Latin-1', (t) => {
  t.equal(tableOf([['a', 'gr\u00fc\u00df']]).get('a'), 'gr\u00fc\u00df')
  t.end()
})

t.test('a table grows past its first array and keeps every field', (t) => {
  const pairs = Array.from({ length: 100 }, (_, i): Pair => [`X-${i}`, String(i)])
  const table = tableOf(pairs)
  t.equal(table.count, 100)
  t.equal(table.get('x-0'), '0')
  t.equal(table.get('x-99'), '99')
  t.equal(all(table).length, 100)
  table.release()
  t.equal(tableOf([['a', '1']]).count, 1, 'the larger array does not come back as a small one')
  t.end()
})

t.test('retain copies the bytes, so that the table survives the read that made it', (t) => {
  const before = poolUsage().leased
  const table = tableOf([['Name', 'value']])
  const source = table.bytes
  table.retain(11)
  t.ok(table.isRetained)
  source.fill(0)
  t.equal(table.get('name'), 'value')
  table.retain(11)
  t.equal(poolUsage().leased, before + 1, 'the second call does nothing')
  table.release()
  t.equal(poolUsage().leased, before)
  t.end()
})

t.test('a table takes over a block and its lease', (t) => {
  const before = poolUsage().leased
  const block = acquireBlock(10)
  block.bytes.write('name:value')
  const table = new HeaderTable()
  table.open(Buffer.from('elsewhere'), 3)
  table.adopt(block)
  table.push(0, 4, 5, 10, KIND_PLAIN)
  t.equal(table.get('name'), 'value')
  table.release()
  t.equal(poolUsage().leased, before)
  t.end()
})

t.test('a released table reads as empty, and may be released again', (t) => {
  const table = tableOf([['a', '1']])
  table.add('b', '2')
  table.release()
  table.release()
  t.equal(table.get('a'), null)
  t.equal(table.get('b'), null)
  t.same(all(table), [])
  const other = tableOf([['a', 'of another exchange']])
  t.equal(table.get('a'), null, 'also when its array serves another table')
  other.release()
  t.end()
})

t.test('a name must be a lower-case token', (t) => {
  const table = new HeaderTable()
  for (const name of ['', 'Upper', 'with space', 'a:b', 'a\r\nb', 'n\u00e4me', 'a\0']) {
    t.throws(() => table.set(name, 'x'), TypeError, JSON.stringify(name))
    t.throws(() => table.add(name, 'x'), TypeError, JSON.stringify(name))
  }
  t.same(all(table), [])
  t.end()
})

t.test('a value must not hold control characters other than tab', (t) => {
  const table = new HeaderTable()
  for (let code = 0; code <= 0x7f; code++) {
    const isBad = (code < 0x20 && code !== 0x09) || code === 0x7f
    const value = `a${String.fromCharCode(code)}b`
    if (isBad)
      t.throws(() => table.set('x', value), { name: 'TypeError', message: /header x/ }, `code ${code}`)
    else t.doesNotThrow(() => table.set('x', value), `code ${code}`)
  }
  t.doesNotThrow(() => checkHeader('x', 'gr\u00fc\u00df \u4f60'))
  t.end()
})

t.test('any edits give what a list of pairs gives', (t) => {
  const name = fc.constantFrom('a', 'b', 'cookie', 'x-y')
  const pairs = fc.array(fc.tuple(name, fc.stringMatching(/^[a-z ]{0,6}$/)), { maxLength: 40 })
  const edit = fc.tuple(fc.constantFrom('set', 'add', 'remove'), name, fc.stringMatching(/^[a-z]{0,4}$/))
  fc.assert(
    fc.property(pairs, fc.array(edit, { maxLength: 12 }), (given, edits) => {
      const table = tableOf(given.map(([key, value]): Pair => [key.toUpperCase(), value]))
      let model = given.map(([key, value]) => [key, value])
      for (const [kind, key, value] of edits) {
        if (kind !== 'add') model = model.filter(([other]) => other !== key)
        if (kind !== 'remove') model.push([key, value])
        if (kind === 'set') table.set(key, value)
        else if (kind === 'add') table.add(key, value)
        else table.remove(key)
      }
      t.same(all(table), model)
      for (const key of ['a', 'b', 'cookie', 'x-y']) {
        const values = model.filter(([other]) => other === key).map(([, value]) => value)
        t.same(table.getAll(key), values)
        t.equal(table.get(key), values.length === 0 ? null : values.join(key === 'cookie' ? '; ' : ', '))
        t.equal(table.has(key), values.length > 0)
      }
      table.release()
    }),
    { numRuns: 50 },
  )
  t.end()
})

t.test('a response of our own owns nothing that could leak', (t) => {
  const before = poolUsage().leased
  const response = new LocalResponse('http', 404, Buffer.from('gone'))
  response.headers.set('content-type', 'text/plain')
  response.retain()
  response.release()
  t.equal(response.bodyLength, 4)
  t.equal(response.headers.get('content-type'), 'text/plain')
  t.equal(poolUsage().leased, before)
  t.end()
})
