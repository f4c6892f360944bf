import fc from 'fast-check'
import t from 'tap'
import type { GatewayError } from '../../../lib/core/errors.ts'
import type { CallTarget, JsonRules, TypeDescriptions } from '../../../lib/core/route.ts'
import { compileArguments, compileResult } from '../../../lib/protocols/hessian/call.ts'
import { type Dialect, draft, final } from '../../../lib/protocols/hessian/dialect.ts'
import { ConversionError } from '../../../lib/protocols/hessian/hessian-json.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import type { HessianValue } from '../../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../../lib/protocols/hessian/writer.ts'

const TYPES: TypeDescriptions = {
  'a.Node': { fields: { label: 'String', children: 'List<a.Node>', next: 'a.Node' } },
  'a.Shape': { fields: { name: 'String', area: 'double' } },
  'a.Circle': { extends: 'a.Shape', fields: { radius: 'int' } },
  'a.Color': { enum: ['RED', 'GREEN'] },
  'a.Wide': { fields: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, 'Integer'])) },
  'a.Odd': { fields: { __proto__x: 'String', 中文: 'int', constructor: 'Integer' } },
}
const RULES: JsonRules = { longs: 'string', dates: 'iso', exceptions: 'hidden', classes: false }
const DIALECTS: [Dialect, 'sofa' | 'dubbo'][] = [
  [draft, 'sofa'],
  [final, 'dubbo'],
]

function target(
  parameters: readonly string[],
  parameterNames: readonly string[] = [],
  json = RULES,
): CallTarget {
  return { service: 's', version: '', group: '', method: 'm', parameters, parameterNames, json }
}

/** Writes a body's arguments; returns a reader of them. */
function encode(
  parameters: readonly string[],
  body: string | Buffer,
  [dialect, peer] = DIALECTS[0],
  names: readonly string[] = [],
): HessianReader {
  const writer = new HessianWriter(dialect)
  const bytes = Buffer.from(body)
  // Bytes around the body show whether anybody reads them.
  const padded = Buffer.concat([Buffer.from('["'), bytes, Buffer.from('"]')])
  compileArguments(target(parameters, names), TYPES, peer).encoder.encode(padded, 2, 2 + bytes.length, writer)
  const reader = new HessianReader(dialect)
  reader.reset(Buffer.from(writer.bytes()), 0, writer.length)
  return reader
}

/** JSON of one argument there and back. */
function roundTrip(type: string, json: string, mode = DIALECTS[0], rules = RULES): string {
  const reader = encode([type], `[${json}]`, mode)
  const text = compileResult(target([], [], rules), TYPES, false)
    .write(reader)
    .toString()
  if (!reader.isAtEnd) throw new Error('bytes are left')
  return text
}

function refusal(
  parameters: readonly string[],
  body: string | Buffer,
  names: readonly string[] = [],
): string {
  try {
    encode(parameters, body, DIALECTS[0], names)
  } catch (error) {
    const { code, callerMessage } = error as GatewayError
    return code === 'ARGUMENTS_MISSING' ? code : `${code === 'ARGUMENTS_INVALID' ? '' : code}${callerMessage}`
  }
  return 'accepted'
}

function written(
  write: (writer: HessianWriter) => void,
  rules = RULES,
  dialect = final,
  maxBytes?: number,
): string {
  const writer = new HessianWriter(dialect)
  write(writer)
  const reader = new HessianReader(dialect)
  reader.reset(writer.bytes(), 0, writer.length)
  return compileResult(target([], [], rules), TYPES, false)
    .write(reader, maxBytes)
    .toString()
}

t.test('every kind of value comes back as it went', async (t) => {
  const cases: [type: string, json: string, back?: string][] = [
    ['String', '"a\\u00e9\\n\\"中😀\\ud800"', '"aé\\n\\"中😀\\ud800"'],
    ['String', 'null'],
    ['boolean', 'true'],
    ['Boolean', 'null'],
    ['byte', '-128'],
    ['short', '32767'],
    ['int', '-2147483648'],
    ['int', '1e3', '1000'],
    ['int', '-0', '0'],
    ['long', '9007199254740991'],
    ['long', '"9007199254740991"', '9007199254740991'],
    ['long', '9223372036854775807', '"9223372036854775807"'],
    ['long', '"-9223372036854775808"'],
    ['double', '-0.1'],
    ['double', '-0.0', '-0'],
    ['double', '1e300', '1e+300'],
    ['double', '"NaN"'],
    ['float', '"-Infinity"'],
    ['float', '0.5'],
    ['char', '"中"'],
    ['BigDecimal', '1.10'],
    ['BigDecimal', '"12345678901234567890.120"'],
    ['BigDecimal', '12345678901234567890.120', '"12345678901234567890.120"'],
    ['BigDecimal', '1E+3'],
    ['BigInteger', '-5'],
    ['BigInteger', '0'],
    ['BigInteger', '"-123456789012345678901234567890"'],
    ['Date', '"2024-02-29T12:00:00.001Z"'],
    ['Date', '"2024-02-29T12:00:00+08:00"', '"2024-02-29T04:00:00.000Z"'],
    ['Date', '"2024-02-29"', '"2024-02-29T00:00:00.000Z"'],
    ['Date', '-1', '"1969-12-31T23:59:59.999Z"'],
    ['java.sql.Timestamp', '1700000000123', '"2023-11-14T22:13:20.123Z"'],
    ['byte[]', '"AAEC/w=="'],
    ['byte[]', '"-_-_"', '"+/+/"'],
    ['char[]', '"ab"'],
    ['a.Color', '"GREEN"'],
    ['int[][]', '[[1,2],[],null]'],
    ['String[]', '["a"]'],
    ['a.Color[]', '["RED",null]'],
    ['Set<Long>', '[1,"9223372036854775807"]'],
    [
      'List',
      '[1,2.5,"x",null,true,[{}],{"a":{"b":[]}},9223372036854775807]',
      '[1,2.5,"x",null,true,[{}],{"a":{"b":[]}},"9223372036854775807"]',
    ],
    ['Object', '123456789012345678901', '"123456789012345678901"'],
    ['Map<String,Integer>', '{"a":1,"__proto__":2,"class":3}'],
    ['Map<Integer,a.Color>', '{"-5":"RED"}'],
    ['Map<Boolean,Date>', '{"true":0}', '{"true":"1970-01-01T00:00:00.000Z"}'],
    ['Map<BigDecimal,String>', '{"1.50":"x"}'],
    ['Map<a.Color,Map<Long,int[]>>', '{"RED":{"9223372036854775807":[1]}}'],
    ['Map<java.util.Date,Integer>', '{"2024-01-01T00:00:00.000Z":1}'],
    ['Map<List<Integer>,String>', '[{"key":[1,2],"value":"x"},{"key":[],"value":"y"}]'],
    [
      'Map<a.Node,a.Node>',
      '[{"value":{"label":"v"},"key":{"label":"k"}}]',
      '[{"key":{"label":"k"},"value":{"label":"v"}}]',
    ],
    ['TreeMap<String,Object>', '{"x":[{"y":1}]}'],
    ['a.Node', '{"label":"a","children":[{"label":"b","next":{"children":[]}}],"next":null}'],
    ['a.Node', '{"next":{"next":{"label":"x"}},"label":"y"}', '{"label":"y","next":{"next":{"label":"x"}}}'],
    ['a.Node', '{"l\\u0061bel":"y"}', '{"label":"y"}'],
    ['a.Shape', '{"class":"a.Circle","radius":2,"area":1.5}', '{"radius":2,"area":1.5}'],
    ['a.Shape', '{"area":1.5,"class":"a.Shape"}', '{"area":1.5}'],
    ['Object', '{"class":"a.Circle","radius":2}', '{"radius":2}'],
    ['Object', '{"class":"economy"}'],
    ['a.Wide', '{"f0":1,"f17":2,"f39":3}'],
    ['a.Odd', '{"__proto__x":"p","中文":1,"constructor":2}'],
    ['java.time.LocalDate', '"2024-02-29"'],
    ['java.time.LocalDateTime', '"2024-02-29T23:59:01.000000007"'],
    ['java.time.LocalTime', '"08:30"', '"08:30:00"'],
    ['java.time.Instant', '"2024-02-29T23:59:01.500Z"'],
    ['java.util.Locale', '"zh_CN"'],
  ]
  for (const mode of DIALECTS) {
    for (const [type, json, back] of cases) {
      t.equal(roundTrip(type, json, mode), back ?? json, `${mode[1]} ${type} ${json.slice(0, 60)}`)
    }
  }
  const long = `"${'x'.repeat(40_000)}"`
  t.ok(DIALECTS.every((mode) => roundTrip('String', long, mode) === long))
  t.equal(
    roundTrip('java.util.UUID', '"123e4567-e89b-12d3-a456-426614174000"', DIALECTS[1]),
    '"123e4567-e89b-12d3-a456-426614174000"',
  )
})

t.test('what does not fit is refused with its path', async (t) => {
  const cases: [types: string[], body: string, message: string | RegExp][] = [
    [
      ['a.Node'],
      '[{"children":[{},{"next":{"label":7}}]}]',
      '$[0].children[1].next.label: expected a string, got 7',
    ],
    [['a.Node'], '[{"lable":"x"}]', '$[0].lable: a.Node has no such field (did you mean "label"?)'],
    [['a.Node'], '[{"label":"x","label":"y"}]', '$[0].label: the key comes twice'],
    [['a.Node'], '[[]]', '$[0]: expected an object for a.Node, got an array'],
    [['a.Color'], '["GREN"]', '$[0]: expected one of RED, GREEN, got "GREN" (did you mean "GREEN"?)'],
    [['int'], '[null]', '$[0]: expected a value for int, got null'],
    [['int'], '[2147483648]', '$[0]: expected a whole number from -2147483648 to 2147483647, got 2147483648'],
    [['int'], '["1"]', /whole number.*got "1"$/],
    [['int'], '[1.5]', /whole number.*got 1.5$/],
    [['long'], '[9223372036854775808]', /64 bits.*got 9223372036854775808$/],
    [['long'], '["0x10"]', /64 bits/],
    [['double'], '[1e999]', '$[0]: expected a number within a double, got 1e999'],
    [['float'], '[1e39]', '$[0]: expected a number within a float, got 1e39'],
    [['double'], '["x"]', '$[0]: expected a number, got "x"'],
    [['BigDecimal'], '["1,5"]', /decimal digits, got "1,5"$/],
    [['BigDecimal'], '[1e99999]', /got 1e99999$/],
    [['BigDecimal'], `[${'9'.repeat(1001)}]`, /^\$\[0\]: expected a number/],
    [['Date'], '["2023-02-29"]', /ISO 8601/],
    [['Date'], '["2023-02-28T10:00:00"]', /ISO 8601/],
    [['Date'], '[8640000000000001]', /ISO 8601/],
    [['byte[]'], '["a"]', '$[0]: expected a string in base64, got "a"'],
    [['byte[]'], '["ab=c"]', /base64/],
    [['char'], '["ab"]', /one character/],
    [['boolean'], '[1]', '$[0]: expected true or false, got 1'],
    [['Map<Integer,String>'], '[{"x":"y"}]', /^\$\[0\]\.x: expected a key that is a whole number/],
    [['Map<String,Object>'], '[{"a":1,"b":2,"\\u0061":3}]', '$[0].a: the key comes twice'],
    [['Map<a.Node,String>'], '[{"x":"y"}]', /keys of a\.Node take the form/],
    [['Map<String,String>'], '[[{"key":"k"}]]', /"value"/],
    [
      ['a.Shape'],
      '[{"class":"a.Node"}]',
      '$[0].class: expected a.Shape or a described class that extends it, got "a.Node"',
    ],
    [['b.Unknown'], '["RED"]', /describe an enum/],
    [['b.Unknown'], '[{"class":"evil.Gadget"}]', /b\.Unknown or a described class/],
    [['java.time.LocalDate'], '["2024-02-30"]', /a date such as/],
    [['int', 'int'], '[1]', '$: expected an array of 2 arguments (int, int), got 1'],
    [['int', 'int'], '{"a":1}', '$: expected an array of 2 arguments (int, int)'],
    [[], '[1]', '$: expected an array of 0 arguments, got 1'],
    [['int'], '  ', 'ARGUMENTS_MISSING'],
    [['int'], '', 'ARGUMENTS_MISSING'],
    [[], '', 'accepted'],
    [[], '{}', 'accepted'],
    [[], '[]', 'accepted'],
  ]
  for (const [types, body, message] of cases) {
    const got = refusal(types, body)
    if (typeof message === 'string') t.equal(got, message, `${types} ${body.slice(0, 60)}`)
    else t.match(got, message, `${types} ${body.slice(0, 60)}`)
  }
})

t.test('arguments come as an array, as the one argument, by name, or wrapped', async (t) => {
  const values = (types: string[], body: string, names: string[] = []): HessianValue[] => {
    const reader = encode(types, body, DIALECTS[0], names)
    const all: HessianValue[] = []
    while (!reader.isAtEnd) all.push(reader.readValue())
    return all
  }
  t.same(values(['int', 'String'], '[1,"x"]'), [1, 'x'])
  t.same(values(['String'], '"x"'), ['x'])
  t.same(values(['String'], '["x"]'), ['x'])
  t.same(values(['String'], '[{"_requestBody":"x"}]'), ['x'])
  t.same(values(['int', 'String'], '{"b":"x","a":1}', ['a', 'b']), [1, 'x'])
  t.same(values(['int', 'String'], '{"a":1}', ['a', 'b']), [1, null])
  t.same(values(['String'], '{"a":"x"}', ['a']), ['x'])
  t.equal(
    values(['a.Node'], '{"label":"x"}', ['node']).length,
    1,
    'an object that does not name the parameter',
  )
  t.equal(refusal(['int', 'String'], '{"b":"x"}', ['a', 'b']), '$: the parameter a (int) is missing')
  t.equal(
    refusal(['int', 'String'], '{"a":1,"b":"","bb":1}', ['a', 'b']),
    '$.bb: the method has no such parameter (did you mean "b"?)',
  )
})

t.test('a failed encoding leaves nothing behind for the next one', async (t) => {
  for (let i = 0; i < 3; i++) {
    t.match(refusal(['a.Node'], '[{"next":{"next":{"children":[{"label":1}]}}}]'), 'expected a string')
    t.equal(roundTrip('a.Node', '{"label":"a","next":{"label":"b"}}'), '{"label":"a","next":{"label":"b"}}')
  }
})

t.test('an object with one field called name is an enum unless its class is described', async (t) => {
  const one = (className: string) =>
    written((writer) => {
      writer.beginObject(className, ['name'])
      writer.writeString('RED')
    })
  t.equal(one('b.Enum'), '"RED"')
  t.equal(one('a.Color'), '"RED"')
  t.equal(one('a.Shape'), '{"name":"RED"}')
})

t.test('longs, decimals and dates follow the rules', async (t) => {
  const all = (rules: Partial<JsonRules>) =>
    written(
      (writer) => {
        writer.beginList(null, 5)
        writer.writeLong(2n ** 53n)
        writer.writeDate(0)
        writer.beginObject('java.math.BigDecimal', ['value'])
        writer.writeString('0.1234567890123456')
        writer.beginObject('java.math.BigDecimal', ['value'])
        writer.writeString('+1')
        writer.writeDate(1e16)
      },
      { ...RULES, ...rules },
    )
  t.equal(
    all({}),
    '["9007199254740992","1970-01-01T00:00:00.000Z","0.1234567890123456","+1",10000000000000000]',
  )
  t.equal(
    all({ longs: 'number', dates: 'epoch' }),
    '[9007199254740992,0,0.1234567890123456,"+1",10000000000000000]',
  )
})

t.test('a shared value is shown each time; one that contains itself is refused with its path', async (t) => {
  for (const dialect of [draft, final]) {
    const shared = written(
      (writer) => {
        writer.beginList(null, 3)
        writer.beginObject('a.Node', ['label', 'next'])
        writer.writeString('x')
        writer.writeNull()
        writer.writeRef(1)
        writer.beginMap(null)
        writer.writeRef(1)
        writer.writeRef(1)
        writer.endMap()
        writer.endList()
      },
      RULES,
      dialect,
    )
    const node = '{"label":"x","next":null}'
    t.equal(shared, `[${node},${node},[{"key":${node},"value":${node}}]]`)
    const cycle = (writer: HessianWriter) => {
      writer.beginList(null, 2)
      writer.writeInt(1)
      writer.beginObject('a.Node', ['label', 'next'])
      writer.writeString('a"],{')
      writer.writeRef(1)
    }
    t.throws(() => written(cycle, RULES, dialect), {
      name: 'ConversionError',
      message: '$[1].next: the result contains itself here, which JSON cannot hold',
    })
  }
})

t.test('keys that are quoted afterwards keep what refers to them right', async (t) => {
  const text = written((writer) => {
    writer.beginMap(null)
    writer.beginObject('java.math.BigDecimal', ['value'])
    writer.writeString('1.5')
    writer.beginList(null, 1)
    writer.writeInt(1)
    writer.endList()
    writer.writeString('ref')
    writer.writeRef(1)
    writer.writeString('list')
    writer.writeRef(2)
    writer.endMap()
  })
  t.same(JSON.parse(text), { '1.5': [1], ref: 1.5, list: [1] })
})

t.test('a bomb of references ends at the limit of the output', async (t) => {
  const bomb = (writer: HessianWriter) => {
    writer.beginList(null, 40)
    writer.beginList(null, 1)
    writer.writeString('boom')
    writer.endList()
    for (let i = 1; i < 40; i++) {
      writer.beginList(null, 2)
      writer.writeRef(i)
      writer.writeRef(i)
      writer.endList()
    }
    writer.endList()
  }
  t.throws(() => written(bomb, RULES, final, 1_000_000), ConversionError)
  t.throws(() => written((writer) => writer.writeString('x'.repeat(99)), RULES, final, 100), ConversionError)
  t.equal(written((writer) => writer.writeString('x'.repeat(98)), RULES, final, 100).length, 100)
})

/** Integers beyond 2^53 come back as strings, and the zero has lost its sign in JSON text. */
function withSafeNumbers(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, part) =>
    typeof part === 'number' && Number.isInteger(part) && (part === 0 || !Number.isSafeInteger(part))
      ? 0
      : part,
  )
}

/** Pairs of a type and JSON of it that comes back the same. */
const scalars: fc.Arbitrary<[string, fc.Arbitrary<unknown>]>[] = [
  fc.constant(['int', fc.integer()]),
  fc.constant(['String', fc.string({ unit: 'grapheme', maxLength: 60 })]),
  fc.constant(['long', fc.maxSafeInteger()]),
  fc.constant([
    'double',
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
  ]),
  fc.constant(['boolean', fc.boolean()]),
  fc.constant(['Date', fc.date({ noInvalidDate: true })]),
  fc.constant(['byte[]', fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64'))]),
  fc.constant(['a.Color', fc.constantFrom('RED', 'GREEN')]),
  fc.constant(['Object', fc.jsonValue({ maxDepth: 3 }).map(withSafeNumbers)]),
]
const containers = fc.oneof(...scalars).chain(([type, values]) =>
  fc.constantFrom<[string, fc.Arbitrary<unknown>]>(
    [type, values],
    [`${type}[]`, fc.array(values, { maxLength: 10 })],
    ...(type.includes('[') || ['int', 'long', 'double', 'boolean'].includes(type)
      ? []
      : ([
          [`List<${type}>`, fc.array(values, { maxLength: 10 })],
          [
            `Map<String, ${type}>`,
            fc.dictionary(fc.string(), values, { maxKeys: 10, noNullPrototype: true }),
          ],
        ] as [string, fc.Arbitrary<unknown>][])),
  ),
)

t.test('any typed value goes to Hessian and back in both dialects', async (t) => {
  fc.assert(
    fc.property(
      containers.chain(([type, values]) => fc.tuple(fc.constant(type), values)),
      ([type, value]) => {
        const json = JSON.stringify(value)
        for (const mode of DIALECTS) {
          const back = roundTrip(type, json, mode)
          if (JSON.stringify(JSON.parse(back)) !== json) throw new Error(`${type}: ${json} became ${back}`)
        }
      },
    ),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('any result that breaks off or is changed is refused or shown, and nothing else', async (t) => {
  const writer = new HessianWriter(final)
  const plan = compileArguments(target(['a.Node']), TYPES, 'dubbo')
  const body = Buffer.from('[{"label":"abc","children":[{"label":"d"},{"next":{"label":"é"}}],"next":null}]')
  plan.encoder.encode(body, 0, body.length, writer)
  const bytes = Buffer.from(writer.bytes())
  const result = compileResult(target([]), TYPES, false)
  const reader = new HessianReader(final)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, byte, end) => {
      const changed = Buffer.from(bytes)
      changed[at] = byte
      reader.reset(changed, 0, end)
      try {
        JSON.parse(result.write(reader).toString())
      } catch (error) {
        if (!['HessianError', 'ConversionError'].includes((error as Error).name)) throw error
      }
    }),
    { numRuns: 5_000 },
  )
  t.pass()
})

t.test('the digits of a decimal are shown as a number only if JSON has such a number', async (t) => {
  const shown = (digits: string) =>
    written((writer) => {
      writer.beginObject('java.math.BigDecimal', ['value'])
      writer.writeString(digits)
    })
  for (const digits of ['0', '-0', '0.10', '-12.5', '1E+3', '1e5', '123456789012345', '0.00000000000001']) {
    t.equal(shown(digits), digits)
  }
  for (const digits of [
    '',
    '-',
    '.5',
    '5.',
    '00',
    '01.5',
    '-01',
    '+1',
    '1.2.3',
    '1x',
    '1234567890123456',
    '0x10',
  ]) {
    t.equal(shown(digits), JSON.stringify(digits))
  }
})
