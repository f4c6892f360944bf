import t, { type Test } from 'tap'
import { type Dialect, draft, final } from '../../../lib/protocols/hessian/dialect.ts'
import { DEFAULT_LIMITS, HessianError, type HessianLimits } from '../../../lib/protocols/hessian/limits.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import { HessianSkipper } from '../../../lib/protocols/hessian/skipper.ts'
import { HessianList, HessianMap, type HessianObject } from '../../../lib/protocols/hessian/values.ts'
import { DIALECTS, hex, readAll, readOne, skipAll, written } from '../../support/hessian-wire.ts'

/** Checks that neither the reader nor the skipper takes the bytes, and both say the same. */
function refused(
  t: Test,
  dialect: Dialect,
  bytes: Buffer,
  message: RegExp,
  limits: HessianLimits = DEFAULT_LIMITS,
): void {
  const name = `${dialect.name} ${bytes.subarray(0, 20).toString('hex')}`
  t.throws(() => readAll(dialect, bytes, limits), { name: 'HessianError', message }, `read: ${name}`)
  t.throws(() => skipAll(dialect, bytes, limits), { name: 'HessianError', message }, `skip: ${name}`)
}

/** Lists within lists, `depth` of them. */
function nested(dialect: Dialect, depth: number): Buffer {
  return written(dialect, (w) => {
    for (let i = 0; i < depth; i++) w.beginList(null, i === depth - 1 ? 0 : 1)
    for (let i = 0; i < depth; i++) w.endList()
  })
}

t.test('containers may lie 64 deep', async (t) => {
  for (const dialect of DIALECTS) {
    t.type(readOne(dialect, nested(dialect, 64)), HessianList)
    refused(t, dialect, nested(dialect, 65), /more than 64 deep/)
    refused(t, dialect, nested(dialect, 20_000), /more than 64 deep/)
    refused(t, dialect, nested(dialect, 3), /more than 2 deep/, { ...DEFAULT_LIMITS, maxDepth: 2 })
    t.type(readOne(dialect, nested(dialect, 300), { ...DEFAULT_LIMITS, maxDepth: 300 }), HessianList)
  }
  // Maps in maps, lists without a length, objects in objects.
  refused(t, final, Buffer.concat(Array(100).fill(hex('48 91'))), /more than 64 deep/)
  refused(t, draft, Buffer.concat(Array(100).fill(hex('4d 91'))), /more than 64 deep/)
  refused(t, final, Buffer.alloc(100, 0x57), /more than 64 deep/)
  refused(t, draft, Buffer.alloc(100, 0x56), /more than 64 deep/)
  refused(t, final, Buffer.concat([hex('43 0141 91 0166'), Buffer.alloc(100, 0x60)]), /more than 64 deep/)
})

t.test('a message may have 100,000 elements, counted over all of its containers', async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxElements: 10 }
  for (const dialect of DIALECTS) {
    const list = (count: number) =>
      written(dialect, (w) => {
        w.beginList(null, count)
        for (let i = 0; i < count; i++) w.writeInt(i % 40)
        w.endList()
      })
    const map = (count: number) =>
      written(dialect, (w) => {
        w.beginMap(null)
        for (let i = 0; i < count * 2; i++) w.writeInt(i)
        w.endMap()
      })
    const open = (count: number) =>
      written(dialect, (w) => {
        w.beginList(null, -1)
        for (let i = 0; i < count; i++) w.writeInt(1)
        w.endList()
      })
    const object = (count: number) =>
      written(dialect, (w) => {
        w.beginObject('a.B', Array(count).fill('f'))
        for (let i = 0; i < count; i++) w.writeNull()
      })
    t.equal((readOne(dialect, list(100_000)) as HessianList).items.length, 100_000)
    refused(t, dialect, list(100_001), /more than 100000 elements/)
    for (const bytes of [list(10), map(5), open(10), object(10)]) t.ok(readOne(dialect, bytes, limits))
    for (const bytes of [list(11), map(6), open(11), object(11)]) {
      refused(t, dialect, bytes, /more than 10 elements/, limits)
    }
    refused(t, dialect, Buffer.concat([list(6), list(5)]), /more than 10 elements/, limits)
  }
  // Empty objects take a byte each, so a small message could ask for very many.
  const bomb = Buffer.concat([hex('43 0141 90 58 4900020000'), Buffer.alloc(0x20000, 0x60)])
  refused(t, final, bomb, /more than 100000 elements/)
})

t.test('a reset begins all limits anew', async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxElements: 3, maxClasses: 1 }
  for (const dialect of DIALECTS) {
    const bytes = written(dialect, (w) => {
      w.beginObject('a.B', ['x', 'y'])
      w.writeInt(1)
      w.writeInt(2)
    })
    const reader = new HessianReader(dialect, limits)
    const skipper = new HessianSkipper(dialect, limits)
    for (let i = 0; i < 3; i++) {
      reader.reset(bytes, 0, bytes.length)
      t.equal((reader.readValue() as HessianObject).get('y'), 2)
      skipper.reset()
      t.equal(skipper.skip(bytes, 0, bytes.length), bytes.length)
    }
    t.throws(() => skipper.skip(bytes, 0, bytes.length), { message: /more than 1 classes/ })
  }
})

t.test('a list may not claim more elements than there are bytes', async (t) => {
  refused(t, final, hex('58 497fffffff 91 92'), /a list of 2147483647 elements has 2 bytes/)
  refused(t, final, hex('56 03"a.B" d7ffff 91'), /a list of 262143 elements has 1 bytes/)
  refused(t, final, hex('7b 91 92'), /a list of 3 elements has 2 bytes/)
  refused(t, final, hex('77 0161 91 92'), /a list of 7 elements has 2 bytes/)
  refused(t, draft, hex('56 6c7fffffff 91 92 7a'), /a list of 2147483647 elements has 3 bytes/)
  refused(t, draft, hex('56 6eff 91 7a'), /a list of 255 elements has 2 bytes/)
  refused(
    t,
    draft,
    hex('56 74 0003"a.B" 6e00 7a 76 90 497fffffff 91'),
    /a list of 2147483647 elements has 1 bytes/,
  )
})

t.test('lengths and indices below zero are refused', async (t) => {
  refused(t, final, hex('58 8f'), /a length or an index is -1/)
  refused(t, final, hex('58 49ffffffff'), /a length or an index is -1/)
  refused(t, final, hex('78 51 8f'), /a length or an index is -1/)
  refused(t, final, hex('4f 8f'), /a length or an index is -1/)
  refused(t, final, hex('43 0141 8f'), /a length or an index is -1/)
  refused(t, final, hex('70 8f'), /a length or an index is -1/)
  refused(t, draft, hex('56 6cffffffff 7a'), /a list has a length of -1/)
  refused(t, draft, hex('56 74 0003"a.B" 6e00 7a 76 90 8f'), /a length or an index is -1/)
  refused(t, draft, hex('4f 8f'), /a length or an index is -1/)
  refused(t, draft, hex('566e007a 52 ffffffff'), /a reference to container -1/)
  // Only an int counts: no long, no text.
  refused(t, final, hex('58 e1 91'), /a length or an index was due, not 0xe1/)
  refused(t, final, hex('58 0161'), /a length or an index was due, not 0x01/)
})

t.test('references, types and classes that do not exist are refused', async (t) => {
  refused(t, final, hex('51 90'), /a reference to container 0, which has not begun/)
  refused(t, final, hex('7a 78 51 92'), /a reference to container 2, which has not begun/)
  refused(t, final, hex('60'), /no class 0 has been defined/)
  refused(t, final, hex('43 0141 90 61'), /no class 1 has been defined/)
  refused(t, final, hex('4f 497fffffff'), /no class 2147483647 has been defined/)
  refused(t, final, hex('70 90'), /no type 0 has been named/)
  refused(t, final, hex('4d 91 5a'), /no type 1 has been named/)
  refused(t, draft, hex('4a 00'), /a reference to container 0, which has not begun/)
  refused(t, draft, hex('4b 0000'), /a reference to container 0, which has not begun/)
  refused(t, draft, hex('52 00000000'), /a reference to container 0, which has not begun/)
  refused(t, draft, hex('6f 90'), /no class 0 has been defined/)
  refused(t, draft, hex('56 75 90 7a'), /no type 0 has been named/)
  refused(t, draft, hex('76 90 90'), /no type 0 has been named/)
  // A list may hold itself.
  const self = readOne(final, hex('79 51 90')) as HessianList
  t.equal(self.items[0], self)
})

t.test('classes, fields and names are bounded', async (t) => {
  const classes = (dialect: Dialect, count: number) =>
    written(dialect, (w) => {
      for (let i = 0; i < count; i++) w.beginObject(`a.C${i}`, [])
    })
  const fields = (dialect: Dialect, count: number) =>
    written(dialect, (w) => {
      w.beginObject('a.B', Array(count).fill(''))
      for (let i = 0; i < count; i++) w.writeNull()
    })
  for (const dialect of DIALECTS) {
    t.equal(readAll(dialect, classes(dialect, 256)).length, 256)
    refused(t, dialect, classes(dialect, 257), /more than 256 classes/)
    t.ok(readOne(dialect, fields(dialect, 512)))
    refused(t, dialect, fields(dialect, 513), /a class has more than 512 fields/)
    const named = (length: number) => [
      written(dialect, (w) => w.beginObject('n'.repeat(length), [])),
      written(dialect, (w) => {
        w.beginObject('a.B', ['n'.repeat(length)])
        w.writeNull()
      }),
      written(dialect, (w) => {
        w.beginMap('n'.repeat(length))
        w.endMap()
      }),
      written(dialect, (w) => {
        w.beginList('n'.repeat(length), 0)
        w.endList()
      }),
    ]
    for (const bytes of named(509)) t.ok(readOne(dialect, bytes))
    for (const bytes of named(513)) refused(t, dialect, bytes, /a name is longer than 512 bytes/)
    for (const bytes of named(40_000)) refused(t, dialect, bytes, /a name is longer than 512 bytes/)
  }
})

t.test('what is no value of a dialect is refused', async (t) => {
  for (const [dialect, leads] of [
    [
      draft,
      '30 34 41 43 45 47 48 50 51 55 57 59 5a 5b 5c 5d 5e 5f 60 61 63 65 66 6c 6d 6e 70 71 74 75 79 7b 7f',
    ],
    [final, '40 45 47 50'],
  ] as const) {
    for (const lead of leads.split(' '))
      refused(t, dialect, hex(`${lead} 00 00 00 00`), /no value of the|where a value/)
  }
  refused(t, draft, hex('72 0000 00'), /remote references are not supported/)
  refused(t, draft, hex('58 0000'), /XML values are not supported/)
  refused(t, draft, hex('78 0000'), /XML values are not supported/)
  for (const dialect of DIALECTS) {
    const end = Buffer.from([dialect.end])
    refused(t, dialect, end, /an end mark stands where a value is due/)
  }
  // A key without a value, an end mark in a list of known length, behind a definition.
  refused(t, final, hex('48 91 5a'), /an end mark stands/)
  refused(t, draft, hex('4d 91 7a'), /an end mark stands/)
  refused(t, final, hex('79 5a'), /an end mark stands/)
  refused(t, draft, hex('56 6e01 7a 7a'), /an end mark stands/)
  refused(t, final, hex('57 43 0141 90 5a'), /an end mark stands/)
  refused(t, draft, hex('56 4f 91 41 90 7a'), /an end mark stands/)
  refused(t, draft, hex('56 6e01 91 92 7a'), /a list is longer than it says/)
})

t.test('every cut of every form is refused, and nothing behind the end is looked at', async (t) => {
  const whole: Record<Dialect['name'], Buffer> = {
    draft: hex(
      '4f93"a.B" 93 0161 0162 0163 6f90 530003"xyz" 56 74 0003"a.L" 6c00000002 91 4a00 7a 4d 74 0003"a.M" 77 00000001 44 0000000000000000 7a',
    ),
    final: hex(
      '43 03"a.B" 93 0161 0162 0163 60 3003"xyz" 56 03"a.L" 92 91 51 90 4d 03"a.M" 59 00000001 4b 00000001 5a',
    ),
  }
  for (const dialect of DIALECTS) {
    const bytes = whole[dialect.name]
    t.ok(readOne(dialect, bytes))
    const reader = new HessianReader(dialect)
    const skipper = new HessianSkipper(dialect)
    for (let end = 0; end < bytes.length; end++) {
      // The rest is there, but not part of the input.
      t.throws(
        () => {
          reader.reset(bytes, 0, end)
          reader.readValue()
        },
        { name: 'HessianError' },
        `read up to ${end}`,
      )
      skipper.reset()
      t.throws(() => skipper.skip(bytes, 0, end), { name: 'HessianError' }, `skip up to ${end}`)
    }
  }
})

t.test('bytes that are not text are refused', async (t) => {
  for (const dialect of DIALECTS) {
    for (const bytes of [
      '01 80',
      '01 bf',
      '01 c361',
      '01 e4b861',
      '02 f0808080',
      '02 f4908080',
      '02 f5808080',
      '01 ff',
    ]) {
      refused(t, dialect, hex(bytes), /not UTF-8/)
    }
    refused(t, dialect, hex('01 c3'), /ends inside/)
    refused(t, dialect, hex('01 f09f9880'), /does not fit/)
    refused(t, dialect, hex('01 e4b8'), /ends inside/)
    refused(t, dialect, Buffer.concat([hex('530040'), Buffer.alloc(63, 0x61), hex('ff')]), /not UTF-8/)
  }
})

t.test('an error names where the trouble lies', async (t) => {
  const bytes = hex('ffff 7a 91 40 ff')
  const reader = new HessianReader(final)
  reader.reset(bytes, 2, 5)
  const error = t.throws(() => reader.readValue()) as HessianError
  t.type(error, HessianError)
  t.equal(error.offset, 4)
  t.equal(error.message, 'no value of the final dialect begins with 0x40')
  t.throws(() => new HessianSkipper(final).skip(bytes, 2, 5), { name: 'HessianError', offset: 4 } as never)
})

t.test('names from the wire that JavaScript knows are only names', async (t) => {
  for (const dialect of DIALECTS) {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    const bytes = written(dialect, (w) => {
      w.beginMap(null)
      for (const name of names) {
        w.writeString(name)
        w.writeString('x')
      }
      w.endMap()
      w.beginObject('__proto__', names)
      for (const _ of names) w.writeBoolean(true)
    })
    const [map, object] = readAll(dialect, bytes) as [HessianMap, HessianObject]
    t.type(map, HessianMap)
    t.same([...map.entries.keys()], names)
    t.same([...object.fields.keys()], names)
    t.equal(object.get('__proto__'), true)
    t.equal(object.className, '__proto__')
    t.equal(({} as Record<string, unknown>).x, undefined)
  }
})

t.test('a hundred thousand empty pieces of text are one empty text', async (t) => {
  for (const [dialect, chunk] of [
    [draft, '73 0000'],
    [final, '52 0000'],
  ] as const) {
    const bytes = Buffer.concat([Buffer.alloc(300_000, hex(chunk)), hex('00')])
    t.equal(readOne(dialect, bytes), '')
    refused(t, dialect, bytes.subarray(0, -1), /ends inside/)
  }
  const binary = Buffer.concat([Buffer.alloc(300_000, hex('41 0000')), hex('20')])
  t.same(readOne(final, binary), Buffer.alloc(0))
})

t.test('very many different classes take no more memory than a few', async (t) => {
  const reader = new HessianReader(final)
  const skipper = new HessianSkipper(final)
  for (let i = 0; i < 20_000; i++) {
    const bytes = written(final, (w) => {
      w.beginObject(`com.example.Class${i}`, [`field${i}`])
      w.writeInt(i % 40)
    })
    reader.reset(bytes, 0, bytes.length)
    const read = reader.readValue() as HessianObject
    if (read.get(`field${i}`) !== i % 40 || read.className !== `com.example.Class${i}`) t.fail(`class ${i}`)
    skipper.reset()
    if (skipper.skip(bytes, 0, bytes.length) !== bytes.length) t.fail(`class ${i}`)
  }
  t.pass('all of them were read')
})
