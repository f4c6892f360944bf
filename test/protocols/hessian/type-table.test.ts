import t from 'tap'
import { JavaKind } from '../../../lib/protocols/hessian/java-type.ts'
import {
  descriptorOf,
  parseType,
  signatureOf,
  typeText,
} from '../../../lib/protocols/hessian/type-expression.ts'
import { TypeTable, typeProblems } from '../../../lib/protocols/hessian/type-table.ts'

t.test('expressions are parsed to full names', async (t) => {
  const cases: [text: string, full: string, signature: string, descriptor: string][] = [
    ['int', 'int', 'int', 'I'],
    ['Integer', 'java.lang.Integer', 'java.lang.Integer', 'Ljava/lang/Integer;'],
    [' String [ ] []', 'java.lang.String[][]', '[[Ljava.lang.String;', '[[Ljava/lang/String;'],
    ['byte[]', 'byte[]', '[B', '[B'],
    ['boolean...', 'boolean[]', '[Z', '[Z'],
    [
      'Map<String,List<int[]>>',
      'java.util.Map<java.lang.String, java.util.List<int[]>>',
      'java.util.Map',
      'Ljava/util/Map;',
    ],
    ['List<? extends a.B>', 'java.util.List<a.B>', 'java.util.List', 'Ljava/util/List;'],
    ['List<? super a.B>', 'java.util.List<a.B>', 'java.util.List', 'Ljava/util/List;'],
    ['List<?>', 'java.util.List<java.lang.Object>', 'java.util.List', 'Ljava/util/List;'],
    ['a.b.Outer$Inner[]', 'a.b.Outer$Inner[]', '[La.b.Outer$Inner;', '[La/b/Outer$Inner;'],
    ['T', 'java.lang.Object', 'java.lang.Object', 'Ljava/lang/Object;'],
    ['java.util.Date', 'java.util.Date', 'java.util.Date', 'Ljava/util/Date;'],
  ]
  for (const [text, full, signature, descriptor] of cases) {
    const type = parseType(text)
    t.equal(typeText(type), full, text)
    t.equal(signatureOf(type), signature, text)
    t.equal(descriptorOf(type), descriptor, text)
  }
  t.equal(
    parseType('Money', (name) => name === 'Money').name,
    'Money',
    'a described class of the default package',
  )
})

t.test('expressions that are none say why', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['', /a type is expected at 0, not the end/],
    ['Strng', /Strng has no package and is no short form/],
    ['void', /void is no type of a value/],
    ['List<int>', /int cannot be a type argument; use its class/],
    ['int<String>', /int takes no type arguments/],
    ['List<String', /"," or ">" is expected at 11, not the end/],
    ['List<>', /a type is expected at 5, not ">"/],
    ['a.B c', /"c" at 4 is too much/],
    ['?', /"\?" stands only between/],
    [`${'List<'.repeat(20)}`, /nested deeper than 16/],
    ['x'.repeat(1001), /longer than 1000/],
    [`int${'[]'.repeat(256)}`, /more than 255 dimensions/],
  ]
  for (const [text, message] of cases) t.throws(() => parseType(text), { message }, text)
})

t.test('collections, maps and arrays get the type that Java writes', async (t) => {
  const table = new TypeTable({ 'a.E': { enum: ['X'] } }, 'sofa', false)
  const wireType = (text: string) => table.resolve(table.parse(text, '')).wireType
  t.equal(wireType('List<String>'), null)
  t.equal(wireType('Iterable'), null)
  t.equal(wireType('Set<String>'), 'java.util.HashSet')
  t.equal(wireType('SortedMap<String,Long>'), 'java.util.TreeMap')
  t.equal(wireType('Map<String,Long>'), null)
  t.equal(wireType('java.util.concurrent.ConcurrentMap'), 'java.util.concurrent.ConcurrentHashMap')
  t.equal(wireType('int[]'), '[int')
  t.equal(wireType('String[]'), '[string')
  t.equal(wireType('Object[][]'), '[[object')
  t.equal(wireType('Date[]'), '[date')
  t.equal(wireType('byte[][]'), '[[byte')
  t.equal(wireType('Integer[]'), '[java.lang.Integer')
  t.equal(wireType('a.E[]'), '[a.E')
  t.throws(() => wireType('Map<String>'), { message: /takes 2 type arguments/ })
})

t.test('classes may need themselves and inherit fields', async (t) => {
  const table = new TypeTable(
    {
      'a.Leaf': { extends: 'a.Tree', fields: { size: 'int', label: 'Long' } },
      'a.Tree': { extends: 'a.Base', fields: { parent: 'a.Tree', leaves: 'List<a.Leaf>' } },
      'a.Base': { fields: { label: 'String' } },
    },
    'sofa',
    false,
  )
  const leaf = table.resolve(table.parse('a.Leaf', ''))
  t.same(
    leaf.fields.map((field) => `${field.name} ${field.type.name}`),
    ['size int', 'label java.lang.Long', 'parent a.Tree', 'leaves java.util.List<a.Leaf>'],
  )
  const tree = leaf.fields[2].type
  t.equal(tree.kind, JavaKind.Object)
  t.equal(tree.fields[0].type, tree)
  t.same([...tree.subtypes.keys()], ['a.Leaf'])
  t.equal(table.needsDescription(leaf), null)
})

t.test('subsets of fields share a definition, as long as there are not too many', async (t) => {
  const fields = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, 'int']))
  const table = new TypeTable({ 'a.B': { fields } }, 'sofa', false)
  const type = table.resolve(table.parse('a.B', ''))
  const subset = (bits: number) => Int32Array.from({ length: 20 }, (_, i) => ((bits >> i) & 1) - 1)
  t.same(type.layout(subset(0b101), 0).fields, ['f0', 'f2'])
  t.equal(type.layout(subset(0b101), 0), type.layout(subset(0b101), 0))
  t.same(type.layout(subset(1 << 19), 0).fields, ['f19'])
  for (let bits = 0; bits < 100; bits++) type.layout(subset(bits), 0)
  t.not(type.layout(subset(99), 0), type.layout(subset(99), 0), 'a sender cannot fill the memory')
  t.same(type.layout(subset(99), 0).fields, ['f0', 'f1', 'f5', 'f6'])
})

t.test('problems of descriptions are told all at once, with their place', async (t) => {
  const problems = typeProblems({
    'a.A': { fields: { x: 'Strin', y: 'int' }, extends: 'a.Gone' },
    'a.B': { fields: {}, extends: 'a.C' },
    'a.C': { fields: {}, extends: 'a.B' },
    'a.D': {},
    'a.E': { enum: [], extends: 'a.A' },
    'a.F': { fields: {}, extends: 'a.G' },
    'a.G': { enum: ['X'] },
  })
  t.same(
    problems.map((problem) => problem.path.join(' ')),
    [
      'a.A extends',
      'a.A fields x',
      'a.B extends',
      'a.C extends',
      'a.D',
      'a.E extends',
      'a.E enum',
      'a.E extends',
      'a.F extends',
    ],
  )
  t.match(problems[1].message, /^"Strin" is no Java type/)
  t.match(problems[2].message, /a class cannot extend itself/)
  t.match(problems[8].message, /which is an enum/)
})
