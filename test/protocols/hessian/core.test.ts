import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Dialect, draft, final, Kind } from '../../../lib/protocols/hessian/dialect.ts'
import { HessianCursor } from '../../../lib/protocols/hessian/prefix.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import {
  ClassDef,
  HessianDate,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from '../../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../../lib/protocols/hessian/writer.ts'
import { DIALECTS, hex, readAll, readOne, written } from '../../support/hessian-wire.ts'

type Row = readonly [
  name: string,
  write: (writer: HessianWriter) => void,
  value: HessianValue,
  draft: string,
  final: string,
]

const plain = (...items: HessianValue[]) => new HessianList(null, items)
const object = (name: string, fields: Record<string, HessianValue>) =>
  new HessianObject(new ClassDef(name, Object.keys(fields)), Object.values(fields))

/** What each writes, reads as, and is on the wire in either dialect. */
const FORMS: readonly Row[] = [
  ['null', (w) => w.writeNull(), null, '4e', '4e'],
  ['true', (w) => w.writeBoolean(true), true, '54', '54'],
  ['false', (w) => w.writeBoolean(false), false, '46', '46'],
  ['int -16', (w) => w.writeInt(-16), -16, '80', '80'],
  ['int 47', (w) => w.writeInt(47), 47, 'bf', 'bf'],
  ['int 48', (w) => w.writeInt(48), 48, 'c830', 'c830'],
  ['int -17', (w) => w.writeInt(-17), -17, 'c7ef', 'c7ef'],
  ['int -2048', (w) => w.writeInt(-2048), -2048, 'c000', 'c000'],
  ['int 2047', (w) => w.writeInt(2047), 2047, 'cfff', 'cfff'],
  ['int 2048', (w) => w.writeInt(2048), 2048, 'd40800', 'd40800'],
  ['int -262144', (w) => w.writeInt(-262144), -262144, 'd00000', 'd00000'],
  ['int 262143', (w) => w.writeInt(262143), 262143, 'd7ffff', 'd7ffff'],
  ['int 262144', (w) => w.writeInt(262144), 262144, '4900040000', '4900040000'],
  ['int min', (w) => w.writeInt(-0x80000000), -0x80000000, '4980000000', '4980000000'],
  ['int max', (w) => w.writeInt(0x7fffffff), 0x7fffffff, '497fffffff', '497fffffff'],
  ['long -8', (w) => w.writeLong(-8), -8, 'd8', 'd8'],
  ['long 15', (w) => w.writeLong(15), 15, 'ef', 'ef'],
  ['long 16', (w) => w.writeLong(16), 16, 'f810', 'f810'],
  ['long -2048', (w) => w.writeLong(-2048n), -2048, 'f000', 'f000'],
  ['long 2048', (w) => w.writeLong(2048), 2048, '3c0800', '3c0800'],
  ['long -262144', (w) => w.writeLong(-262144), -262144, '380000', '380000'],
  ['long 262144', (w) => w.writeLong(262144), 262144, '7700040000', '5900040000'],
  ['long 2^31', (w) => w.writeLong(2 ** 31), 2 ** 31, '4c0000000080000000', '4c0000000080000000'],
  [
    'long -2^31-1',
    (w) => w.writeLong(-(2 ** 31) - 1),
    -(2 ** 31) - 1,
    '4cffffffff7fffffff',
    '4cffffffff7fffffff',
  ],
  [
    'long 2^53-1',
    (w) => w.writeLong(Number.MAX_SAFE_INTEGER),
    Number.MAX_SAFE_INTEGER,
    '4c001fffffffffffff',
    '4c001fffffffffffff',
  ],
  ['long 2^53', (w) => w.writeLong(2n ** 53n), 2n ** 53n, '4c0020000000000000', '4c0020000000000000'],
  [
    'long 2^53+1',
    (w) => w.writeLong(2n ** 53n + 1n),
    2n ** 53n + 1n,
    '4c0020000000000001',
    '4c0020000000000001',
  ],
  [
    'long max',
    (w) => w.writeLong(2n ** 63n - 1n),
    2n ** 63n - 1n,
    '4c7fffffffffffffff',
    '4c7fffffffffffffff',
  ],
  ['long min', (w) => w.writeLong(-(2n ** 63n)), -(2n ** 63n), '4c8000000000000000', '4c8000000000000000'],
  ['double 0', (w) => w.writeDouble(0), 0, '67', '5b'],
  ['double 1', (w) => w.writeDouble(1), 1, '68', '5c'],
  ['double -0', (w) => w.writeDouble(-0), -0, '448000000000000000', '448000000000000000'],
  ['double -128', (w) => w.writeDouble(-128), -128, '6980', '5d80'],
  ['double -129', (w) => w.writeDouble(-129), -129, '6aff7f', '5eff7f'],
  ['double 32767', (w) => w.writeDouble(32767), 32767, '6a7fff', '5e7fff'],
  ['double 12.25', (w) => w.writeDouble(12.25), 12.25, '6b41440000', '5f00002fda'],
  ['double 2.5', (w) => w.writeDouble(2.5), 2.5, '6b40200000', '5f000009c4'],
  ['double 0.1', (w) => w.writeDouble(0.1), 0.1, '443fb999999999999a', '5f00000064'],
  ['double -12.345', (w) => w.writeDouble(-12.345), -12.345, '44c028b0a3d70a3d71', '5fffffcfc7'],
  ['double π', (w) => w.writeDouble(Math.PI), Math.PI, '44400921fb54442d18', '44400921fb54442d18'],
  ['double NaN', (w) => w.writeDouble(Number.NaN), Number.NaN, '447ff8000000000000', '447ff8000000000000'],
  [
    'double ∞',
    (w) => w.writeDouble(Number.POSITIVE_INFINITY),
    Number.POSITIVE_INFINITY,
    '6b7f800000',
    '447ff0000000000000',
  ],
  [
    'date of a minute',
    (w) => w.writeDate(60_000),
    new HessianDate(60_000),
    '64000000000000ea60',
    '4b00000001',
  ],
  [
    'date before 1970',
    (w) => w.writeDate(-60_000),
    new HessianDate(-60_000),
    '64ffffffffffff15a0',
    '4bffffffff',
  ],
  [
    'date',
    (w) => w.writeDate(1_700_000_000_123),
    new HessianDate(1_700_000_000_123),
    '640000018bcfe5687b',
    '4a0000018bcfe5687b',
  ],
  ['date of -1 ms', (w) => w.writeDate(-1), new HessianDate(-1), '64ffffffffffffffff', '4affffffffffffffff'],
  ['empty string', (w) => w.writeString(''), '', '00', '00'],
  ['nul', (w) => w.writeString('\0'), '\0', '0100', '0100'],
  ['emoji', (w) => w.writeString('😀'), '😀', '02eda0bdedb880', '02eda0bdedb880'],
  ['half an emoji', (w) => w.writeString('\ud83d'), '\ud83d', '01eda0bd', '01eda0bd'],
  [
    'accents',
    (w) => w.writeString('héllo 中'),
    'héllo 中',
    '0768c3a96c6c6f20e4b8ad',
    '0768c3a96c6c6f20e4b8ad',
  ],
  [
    '31 characters',
    (w) => w.writeString('a'.repeat(31)),
    'a'.repeat(31),
    `1f${'61'.repeat(31)}`,
    `1f${'61'.repeat(31)}`,
  ],
  [
    '32 characters',
    (w) => w.writeString('a'.repeat(32)),
    'a'.repeat(32),
    `530020${'61'.repeat(32)}`,
    `3020${'61'.repeat(32)}`,
  ],
  [
    '1,023 characters',
    (w) => w.writeString('a'.repeat(1023)),
    'a'.repeat(1023),
    `5303ff${'61'.repeat(1023)}`,
    `33ff${'61'.repeat(1023)}`,
  ],
  [
    '1,024 characters',
    (w) => w.writeString('a'.repeat(1024)),
    'a'.repeat(1024),
    `530400${'61'.repeat(1024)}`,
    `530400${'61'.repeat(1024)}`,
  ],
  ['bytes', (w) => w.writeBinary(hex('000102ff'), 0, 4), hex('000102ff'), '24000102ff', '24000102ff'],
  ['no bytes', (w) => w.writeBinary(hex('00'), 1, 1), hex(''), '20', '20'],
  [
    '16 bytes',
    (w) => w.writeBinary(Buffer.alloc(18, 1), 1, 17),
    Buffer.alloc(16, 1),
    `420010${'01'.repeat(16)}`,
    `3410${'01'.repeat(16)}`,
  ],
  ['[1, 2]', (w) => w.writeValue(plain(1, 2)), plain(1, 2), '566e0291927a', '7a9192'],
  ['[]', (w) => w.writeValue(plain()), plain(), '566e007a', '78'],
  [
    '{a: 1}',
    (w) => w.writeValue(new HessianMap(null, new Map([['a', 1]]))),
    new HessianMap(null, new Map([['a', 1]])),
    '4d0161917a',
    '480161915a',
  ],
  [
    'String[]',
    (w) => w.writeValue(new HessianList('[string', ['a', 'b'])),
    new HessianList('[string', ['a', 'b']),
    '56 74 0007"[string" 6e02 0161 0162 7a',
    '72 07"[string" 0161 0162',
  ],
  [
    'an enum',
    (w) => w.writeValue(object('a.E', { name: 'X' })),
    object('a.E', { name: 'X' }),
    '4f93"a.E" 91 04"name" 6f90 0158',
    '43 03"a.E" 91 04"name" 60 0158',
  ],
  [
    'a decimal',
    (w) => w.writeValue(object('java.math.BigDecimal', { value: '1.5' })),
    object('java.math.BigDecimal', { value: '1.5' }),
    '4fa4"java.math.BigDecimal" 91 05"value" 6f90 03"1.5"',
    '43 14"java.math.BigDecimal" 91 05"value" 60 03"1.5"',
  ],
  [
    'LinkedHashMap',
    (w) => w.writeValue(new HessianMap('java.util.LinkedHashMap', new Map([['empty', '']]))),
    new HessianMap('java.util.LinkedHashMap', new Map([['empty', '']])),
    '4d 740017"java.util.LinkedHashMap" 05"empty" 00 7a',
    '4d 17"java.util.LinkedHashMap" 05"empty" 00 5a',
  ],
  [
    'Collections.emptyList',
    (w) => w.writeValue(new HessianList('java.util.Collections$EmptyList', [])),
    new HessianList('java.util.Collections$EmptyList', []),
    '56 74001f"java.util.Collections$EmptyList" 6e00 7a',
    '70 1f"java.util.Collections$EmptyList"',
  ],
]

const bytesOf = (row: Row, dialect: Dialect) => hex(dialect === draft ? row[3] : row[4])

t.test('every form is written as Java writes it, and read again', async (t) => {
  for (const dialect of DIALECTS) {
    for (const row of FORMS) {
      const [name, write, value] = row
      const bytes = bytesOf(row, dialect)
      t.equal(written(dialect, write).toString('hex'), bytes.toString('hex'), `${dialect.name}: ${name}`)
      same(t, readOne(dialect, bytes), value)
    }
  }
})

t.test('all forms follow one another in one stream', async (t) => {
  for (const dialect of DIALECTS) {
    // Rows of scalars only: containers share tables, which changes later ones.
    const rows = FORMS.filter(([, , value]) => !(value instanceof HessianList || value instanceof HessianMap))
    const bytes = Buffer.concat(
      rows.filter(([, , v]) => !(v instanceof HessianObject)).map((row) => bytesOf(row, dialect)),
    )
    same(
      t,
      readAll(dialect, bytes),
      rows.filter(([, , v]) => !(v instanceof HessianObject)).map(([, , value]) => value),
    )
  }
})

t.test('long texts are cut at 32,768 units, never within a pair; the last piece has any form', async (t) => {
  const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(2_524).slice(0, 65_600)
  const head = (dialect: Dialect) => written(dialect, (w) => w.writeString(text))
  t.equal(head(draft).subarray(0, 3).toString('hex'), '738000')
  t.equal(
    head(draft)
      .subarray(2 * 0x8003, 2 * 0x8003 + 3)
      .toString('hex'),
    '530040',
  )
  t.equal(head(final).subarray(0, 3).toString('hex'), '528000')
  t.equal(
    head(final)
      .subarray(2 * 0x8003, 2 * 0x8003 + 2)
      .toString('hex'),
    '3040',
  )
  const pairs = `a${'😀'.repeat(0x8000)}`
  for (const dialect of DIALECTS) {
    t.equal(readOne(dialect, head(dialect)), text)
    const bytes = written(dialect, (w) => w.writeString(pairs))
    t.equal(bytes.readUInt16BE(1), 0x7fff, 'the first piece ends in front of the pair')
    t.equal(readOne(dialect, bytes), pairs)
    t.equal(
      readOne(
        dialect,
        written(dialect, (w) => w.writeString('x'.repeat(0x8000))),
      ),
      'x'.repeat(0x8000),
    )
  }
})

t.test('long bytes are cut, and read again as one', async (t) => {
  const bytes = Buffer.alloc(100_000)
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + 7
  for (const dialect of DIALECTS) {
    const encoded = written(dialect, (w) => w.writeBinary(bytes, 0, bytes.length))
    t.ok((readOne(dialect, encoded) as Buffer).equals(bytes))
  }
})

t.test('texts in pieces of any size are one text, pairs across pieces too', async (t) => {
  for (const [dialect, chunk] of [
    [draft, '73'],
    [final, '52'],
  ] as const) {
    const cases: [string, string][] = [
      [`${chunk} 0000 ${chunk} 0000 00`, ''],
      [`${chunk} 0001 61 ${chunk} 0000 ${chunk} 0002 "bc" 01 64`, 'abcd'],
      [`${chunk} 0001 eda0bd 01 edb880`, '😀'],
      [`${chunk} 0001 61 53 0001 62`, 'ab'],
      ['02 f09f9880', '😀'],
      ['04 61 f09f9880 62', 'a😀b'],
      ['02 c080 61', '\0a'],
    ]
    for (const [bytes, text] of cases) t.equal(readOne(dialect, hex(bytes)), text, `${dialect.name} ${bytes}`)
  }
  t.equal(readOne(final, hex('52 0001 61 30 01 62')), 'ab')
  t.same(readOne(draft, hex('62 0001 61 62 0000 21 62')), Buffer.from('ab'))
  t.same(readOne(final, hex('41 0001 61 41 0000 34 01 62')), Buffer.from('ab'))
})

t.test('lists without a length are read, and leave what follows alone', async (t) => {
  t.same(readAll(final, hex('57 91 92 5a 93')), [plain(1, 2), 3])
  t.same(readAll(final, hex('55 05"a.Set" 91 5a 57 5a 93')), [new HessianList('a.Set', [1]), plain(), 3])
  t.same(readAll(draft, hex('56 91 92 7a 93')), [plain(1, 2), 3])
  t.same(readAll(draft, hex('56 7a 93')), [plain(), 3])
  t.same(readAll(draft, hex('56 74 0005"a.Set" 91 7a 93')), [new HessianList('a.Set', [1]), 3])
  for (const dialect of DIALECTS) {
    const bytes = written(dialect, (w) => {
      w.beginList('a.B', -1)
      w.writeInt(1)
      w.endList()
      w.beginList('a.B', -1)
      w.endList()
    })
    t.same(
      readAll(dialect, bytes),
      [new HessianList('a.B', [1]), new HessianList('a.B', [])],
      bytes.toString('hex'),
    )
  }
})

t.test('types are numbered in the order in which they are named; untyped lists have none', async (t) => {
  const join = [
    new HessianList('[string', ['a']),
    plain(),
    new HessianMap('a.M', new Map()),
    new HessianList('[string', ['b']),
    new HessianMap('a.M', new Map()),
  ]
  const bytes = (dialect: Dialect) =>
    written(dialect, (w) => join.forEach((value) => void w.writeValue(value)))
  t.same(
    bytes(draft),
    hex('56 74 0007"[string" 6e01 0161 7a 566e007a 4d 74 0003"a.M" 7a 76 90 91 0162 4d 75 91 7a'),
  )
  t.same(bytes(final), hex('71 07"[string" 0161 78 4d 03"a.M" 5a 71 90 0162 4d 91 5a'))
  for (const dialect of DIALECTS) t.same(readAll(dialect, bytes(dialect)), join)
})

t.test('true as the first key of a map is no type', async (t) => {
  for (const dialect of DIALECTS) {
    const values = [new HessianList('[string', []), new HessianMap(null, new Map([[true, 0]]))]
    t.same(
      readAll(
        dialect,
        written(dialect, (w) => values.forEach((value) => void w.writeValue(value))),
      ),
      values,
    )
  }
})

t.test('containers are numbered as they begin, other values are not', async (t) => {
  for (const dialect of DIALECTS) {
    const inner = new HessianMap(null, new Map<HessianValue, HessianValue>())
    const list = plain('text', new HessianDate(0), Buffer.from([1]), 7, inner)
    const holder = object('a.B', { list, again: list, inner, self: null })
    holder.values[3] = holder
    inner.entries.set('up', list)
    const bytes = written(dialect, (w) => {
      w.writeValue(holder)
      t.equal(w.slots, 3)
      w.writeValue(inner)
    })
    const [read, last] = readAll(dialect, bytes) as [HessianObject, HessianMap]
    const readList = read.get('list') as HessianList
    t.equal(read.get('again'), readList)
    t.equal(read.get('self'), read)
    t.equal(read.get('inner'), readList.items[4])
    t.equal(last, readList.items[4])
    t.equal(last.entries.get('up'), readList)
  }
  // Java's exceptions: in a SofaResponse the exception is container 1, in a Dubbo body 0.
  t.same(
    written(draft, (w) => w.writeRef(1)),
    hex('4a01'),
  )
  t.same(
    written(draft, (w) => w.writeRef(0x1234)),
    hex('4b1234'),
  )
  t.same(
    written(draft, (w) => w.writeRef(0x12345)),
    hex('5200012345'),
  )
  t.same(
    written(final, (w) => w.writeRef(0)),
    hex('5190'),
  )
})

t.test('references of every width find their container', async (t) => {
  for (const dialect of DIALECTS) {
    const first = plain()
    const many = plain(first, ...Array.from({ length: 70_000 }, () => plain()))
    many.items.push(first, many.items[300]!, many.items[70_000]!)
    const read = readOne(
      dialect,
      written(dialect, (w) => w.writeValue(many)),
    ) as HessianList
    t.equal(read.items[70_001], read.items[0])
    t.equal(read.items[70_002], read.items[300])
    t.equal(read.items[70_003], read.items[70_000])
  }
})

t.test('class definitions may stand in front of any value, several in a row', async (t) => {
  const bytes = {
    draft: hex(
      '4f91"A" 90 4f91"B" 91 0166 05"hello" 56 6e02 4f91"C" 90 6f90 6f91 91 7a 4d 0161 4f91"D" 90 6f93 7a',
    ),
    final: hex('43 0141 90 43 0142 91 0166 05"hello" 7a 43 0143 90 60 61 91 48 0161 43 0144 90 63 5a'),
  }
  for (const dialect of DIALECTS) {
    const [text, list, map] = readAll(dialect, bytes[dialect.name]) as [string, HessianList, HessianMap]
    t.equal(text, 'hello')
    t.same(
      list.items.map((item) => (item as HessianObject).className),
      ['A', 'B'],
    )
    t.equal((map.entries.get('a') as HessianObject).className, 'D')
  }
})

t.test('a seventeenth class has a number of its own', async (t) => {
  for (const dialect of DIALECTS) {
    const objects = plain(...Array.from({ length: 40 }, (_, i) => object(`a.C${i}`, { [`f${i}`]: i })))
    same(
      t,
      readOne(
        dialect,
        written(dialect, (w) => w.writeValue(objects)),
      ),
      objects,
    )
  }
})

t.test('two field lists of one class are two definitions; equal ones are one', async (t) => {
  for (const dialect of DIALECTS) {
    const bytes = written(dialect, (w) => {
      w.beginObject('a.B', ['x'])
      w.writeInt(1)
      w.beginObject('a.B', ['y'])
      w.writeInt(2)
      w.beginObject('a.B', ['x'])
      w.writeInt(3)
      w.beginObjectOf(new ClassDef('a.B', ['y']))
      w.writeInt(4)
    })
    const objects = readAll(dialect, bytes) as HessianObject[]
    t.same(
      objects.map((read) => [...read.fields]),
      [[['x', 1]], [['y', 2]], [['x', 3]], [['y', 4]]],
    )
    t.equal(objects[0]!.definition, objects[2]!.definition)
    t.equal(bytes.toString('latin1').split('a.B').length, 3)
  }
})

t.test('of two fields with one name the subclass has its own', async (t) => {
  const bytes = { draft: hex('4f91"A" 92 0178 0178 6f90 91 92'), final: hex('43 0141 92 0178 0178 60 91 92') }
  t.equal((readOne(draft, bytes.draft) as HessianObject).get('x'), 1)
  t.equal((readOne(final, bytes.final) as HessianObject).get('x'), 2)
  t.same((readOne(draft, bytes.draft) as HessianObject).values, [1, 2])
})

t.test('a reader takes any number where a number is due, null and booleans as 0 and 1', async (t) => {
  for (const dialect of DIALECTS) {
    const reader = new HessianReader(dialect)
    const at = (bytes: string) => {
      const input = hex(bytes)
      reader.reset(input, 0, input.length)
      return reader
    }
    const { long4, doubleByte, doubleOne } = dialect
    const code = (byte: number, rest = '') => byte.toString(16).padStart(2, '0') + rest
    for (const [bytes, value] of [
      ['4e', 0],
      ['54', 1],
      ['46', 0],
      ['e5', 5],
      [code(long4, '00040000'), 262144],
      [code(doubleOne), 1],
      [code(doubleByte, 'fb'), -5],
    ] as const) {
      t.equal(at(bytes).readInt(), value, bytes)
      t.equal(at(bytes).readLong(), value)
      t.equal(at(bytes).readDouble(), value)
    }
    t.equal(at('4c0020000000000001').readLong(), 2n ** 53n + 1n)
    t.equal(at('4c0020000000000001').readDouble(), 2 ** 53)
    t.equal(at('443ff8000000000000').readDouble(), 1.5)
    t.throws(() => at('443ff8000000000000').readInt(), {
      name: 'HessianError',
      message: '1.5 is not an int',
      offset: 0,
    })
    t.throws(() => at('443ff8000000000000').readLong(), { message: '1.5 is not a long' })
    t.throws(() => at('4c0000000080000000').readInt(), { message: '2147483648 is not an int' })
    t.throws(() => at('0161').readInt(), { message: 'a number was due, not 0x01' })
    for (const [bytes, value] of [
      ['54', true],
      ['46', false],
      ['4e', false],
      ['91', true],
      ['90', false],
      ['e0', false],
    ] as const) {
      t.equal(at(bytes).readBoolean(), value, bytes)
    }
    t.equal(at('4e').readNullableString(), null)
    t.equal(at('0161').readNullableString(), 'a')
    t.throws(() => at('4e').readString(), { message: 'a string was due, not 0x4e' })
    t.throws(() => at('91').readDate(), { message: 'a date was due, not 0x91' })
    t.throws(() => at('91').readBinary(), { message: 'a binary value was due, not 0x91' })
  }
})

t.test('a cursor reads the values in front of a Dubbo request', async (t) => {
  const bytes = hex('ff 05"2.0.2" 03"a.B" 4e 02"hi" 12"Ljava/lang/String;" 03"bob" 48 5a ff')
  const cursor = new HessianCursor(final)
  cursor.reset(bytes, 1, bytes.length - 1)
  t.equal(cursor.readString(), '2.0.2')
  t.equal(cursor.readNullableString(), 'a.B')
  t.equal(cursor.readNullableString(), null)
  t.equal(cursor.skipString(), true)
  t.equal(cursor.readString(), 'Ljava/lang/String;')
  t.equal(cursor.position, 34)
  t.notOk(cursor.isAtEnd)
  cursor.reset(hex('4e 94'), 0, 2)
  t.equal(cursor.skipString(), false)
  t.equal(cursor.readInt(), 4)
  t.ok(cursor.isAtEnd)
  t.throws(() => cursor.readInt(), { name: 'HessianError', message: 'the input ends inside a value' })
})

t.test('containers can be read piece by piece, and values within them', async (t) => {
  for (const dialect of DIALECTS) {
    const shared = plain(1)
    const bytes = written(dialect, (w) => {
      w.writeValue(
        object('a.Response', {
          isError: false,
          value: plain(shared, shared),
          props: new HessianMap('a.M', new Map([['k', shared]])),
        }),
      )
      w.writeInt(9)
    })
    const reader = new HessianReader(dialect)
    reader.reset(bytes, 0, bytes.length)
    t.equal(reader.peekKind(), Kind.Object)
    t.equal(reader.enterObject().className, 'a.Response')
    t.equal(reader.slots, 1)
    t.ok(reader.hasNext())
    t.equal(reader.readBoolean(), false)
    t.ok(reader.hasNext())
    t.equal(reader.enterList(), null)
    t.equal(reader.listLength, 2)
    t.equal(reader.depth, 2)
    t.ok(reader.hasNext())
    t.same(reader.readValue(), shared)
    t.ok(reader.hasNext())
    t.equal(reader.peekKind(), Kind.Ref)
    t.equal(reader.readRefIndex(), 2)
    t.notOk(reader.hasNext())
    t.ok(reader.hasNext())
    t.equal(reader.enterMap(), 'a.M')
    t.ok(reader.hasNext())
    t.equal(reader.readString(), 'k')
    t.same(reader.readValue(), shared)
    t.notOk(reader.hasNext())
    t.notOk(reader.hasNext())
    t.equal(reader.depth, 0)
    t.equal(reader.readInt(), 9)
    t.ok(reader.isAtEnd)
  }
})

t.test('a reference to a container that was entered gives what was assigned to it', async (t) => {
  const bytes = hex('79 51 90')
  const reader = new HessianReader(final)
  const enter = () => {
    reader.reset(bytes, 0, bytes.length)
    reader.enterList()
    reader.hasNext()
  }
  enter()
  t.throws(() => reader.readValue(), {
    name: 'HessianError',
    message: /container 0, which is no part of a value/,
  })
  enter()
  const list = plain()
  reader.assign(0, list)
  t.equal(reader.readValue(), list)
})

t.test('a definition that was seen before is the same ClassDef in every message', async (t) => {
  for (const dialect of DIALECTS) {
    const one = written(dialect, (w) => w.writeValue(object('com.example.Some', { first: 1, second: 2 })))
    // Same class and number of fields, other names.
    const other = written(dialect, (w) => w.writeValue(object('com.example.Some', { first: 1, secanz: 2 })))
    const reader = new HessianReader(dialect)
    const read = (bytes: Buffer) => {
      reader.reset(bytes, 0, bytes.length)
      return reader.readValue() as HessianObject
    }
    const first = read(one)
    t.same(read(other).definition.fields, ['first', 'secanz'])
    const again = read(one)
    t.same(
      [...again.fields],
      [
        ['first', 1],
        ['second', 2],
      ],
    )
    t.equal(read(one).definition, again.definition)
    t.same(first.definition.fields, ['first', 'second'])
  }
})

t.test('a writer is used again after a reset, and gives back a large buffer', async (t) => {
  for (const dialect of DIALECTS) {
    const writer = new HessianWriter(dialect)
    const value = object('a.B', { list: new HessianList('[int', [1]) })
    writer.writeValue(value)
    const first = Buffer.from(writer.bytes())
    const target = Buffer.alloc(first.length + 2)
    t.equal(writer.copyTo(target, 1), first.length + 1)
    t.ok(target.subarray(1, -1).equals(first))
    writer.writeBinary(Buffer.alloc(1 << 20), 0, 1 << 20)
    t.ok(writer.length > 1 << 20)
    const large = writer.bytes().buffer
    writer.reset()
    t.equal(writer.length, 0)
    t.equal(writer.slots, 0)
    writer.writeValue(value)
    t.ok(writer.bytes().equals(first))
    t.not(writer.bytes().buffer, large)
  }
})

t.test('what writeRaw appends is left as it is', async (t) => {
  const long = Buffer.alloc(100, 7)
  const bytes = written(final, (w) => {
    w.writeRaw(hex('ff0102ff'), 1, 3)
    w.writeRaw(long, 0, long.length)
    w.writeRaw(long, 10, 80)
  })
  t.ok(bytes.equals(Buffer.concat([hex('0102'), long, long.subarray(10, 80)])))
})

/** Values whose reading is what was written: containers are trees. */
const anyValue = fc.letrec<{ value: HessianValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 6, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
    fc.nat(200).map((length) => 'long text '.repeat(length)),
    fc.uint8Array({ maxLength: 1_500 }).map((bytes) => Buffer.from(bytes)),
    fc.maxSafeInteger().map((ms) => new HessianDate(ms)),
    fc.integer().map((minutes) => new HessianDate(minutes * 60_000)),
    fc
      .tuple(fc.option(fc.constantFrom('[string', '[int', 'a.B')), fc.array(tie('value')))
      .map(([type, items]) => new HessianList(type, items)),
    fc
      .tuple(
        fc.option(fc.constantFrom('a.B', 'java.util.TreeMap')),
        fc.array(fc.tuple(fc.string(), tie('value'))),
      )
      .map(([type, entries]) => new HessianMap(type, new Map<HessianValue, HessianValue>(entries))),
    fc
      .tuple(fc.constantFrom('a.B', 'com.example.Order', '类'), fc.array(fc.tuple(fc.string(), tie('value'))))
      .map(
        ([name, fields]) =>
          new HessianObject(
            new ClassDef(
              name,
              fields.map(([field]) => field),
            ),
            fields.map(([, value]) => value),
          ),
      ),
  ),
}))

t.test('any value is read as it was written', async (t) => {
  for (const dialect of DIALECTS) {
    const writer = new HessianWriter(dialect)
    fc.assert(
      fc.property(fc.array(anyValue.value, { maxLength: 4 }), (values) => {
        writer.reset()
        for (const value of values) writer.writeValue(value)
        const read = readAll(dialect, Buffer.from(writer.bytes()))
        if (!isSame(read, values)) throw new Error(`${dialect.name}: ${writer.bytes().toString('hex')}`)
      }),
      { numRuns: 400 },
    )
    t.pass(dialect.name)
  }
})

t.test('any long and any double is read as it was written', async (t) => {
  for (const dialect of DIALECTS) {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (long) => {
        return (
          BigInt(
            readOne(
              dialect,
              written(dialect, (w) => w.writeLong(long)),
            ) as number,
          ) === long
        )
      }),
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double(),
          fc.float(),
          fc.integer().map((n) => n / 1000),
        ),
        (double) => {
          return Object.is(
            readOne(
              dialect,
              written(dialect, (w) => w.writeDouble(double)),
            ),
            double,
          )
        },
      ),
      { numRuns: 2_000 },
    )
    t.pass(dialect.name)
  }
})

function same(t: Test, read: unknown, value: unknown): void {
  if (!isSame(read, value)) t.same(read, value)
  else t.pass()
}

/** Deep equality that tells 0 from -0, and does not mind which ClassDef it is. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null)
    return Object.is(one, other)
  if (one.constructor !== other.constructor) return false
  if (Buffer.isBuffer(one)) return one.equals(other as Buffer)
  if (one instanceof ClassDef) {
    const { className, fields } = other as ClassDef
    return one.className === className && isSame(one.fields, fields)
  }
  if (one instanceof Map) return isSame([...one], [...(other as Map<unknown, unknown>)])
  const keys = Object.keys(one)
  if (keys.length !== Object.keys(other).length) return false
  return keys.every((key) => isSame((one as never)[key], (other as never)[key]))
}
