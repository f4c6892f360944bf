import { readFileSync } from 'node:fs'
import t from 'tap'
import type { CallTarget, JsonRules, TypeDescriptions } from '../../../lib/core/route.ts'
import { compileArguments, compileResult } from '../../../lib/protocols/hessian/call.ts'
import { draft, final } from '../../../lib/protocols/hessian/dialect.ts'
import { exceptionReply, readException } from '../../../lib/protocols/hessian/exceptions.ts'
import { HessianReader } from '../../../lib/protocols/hessian/reader.ts'
import { HessianMap, type HessianObject } from '../../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../../lib/protocols/hessian/writer.ts'

const PACKAGE = 'com.example.gateway'
const TYPES: TypeDescriptions = {
  [`${PACKAGE}.Order`]: {
    fields: {
      id: 'String',
      userId: 'long',
      amount: 'BigDecimal',
      items: `List<${PACKAGE}.Item>`,
      attrs: 'Map<String, String>',
      created: 'Date',
      status: `${PACKAGE}.Status`,
      address: `${PACKAGE}.Address`,
      billing: `${PACKAGE}.Address`,
      note: 'String',
      priority: 'Integer',
      sign: 'byte[]',
    },
  },
  [`${PACKAGE}.Item`]: {
    fields: { sku: 'String', qty: 'int', price: 'BigDecimal', weight: 'double', gift: 'boolean' },
  },
  [`${PACKAGE}.Address`]: { fields: { city: 'String', street: 'String', zip: 'Integer' } },
  [`${PACKAGE}.Status`]: { enum: ['NEW', 'CREATED'] },
}
const RULES: JsonRules = { longs: 'string', dates: 'iso', exceptions: 'hidden', classes: false }

function target(parameters: string[], extra: Partial<CallTarget> = {}): CallTarget {
  return {
    service: `${PACKAGE}.OrderService`,
    version: '',
    group: '',
    method: 'm',
    parameters,
    parameterNames: [],
    json: RULES,
    ...extra,
  }
}

/** A reader that stands at the value of a captured answer: the SofaResponse's appResponse, or Dubbo's value. */
function answer(protocol: 'bolt' | 'dubbo', name: string): HessianReader {
  const frame = readFileSync(new URL(`../../vectors/${protocol}/${name}.resp.bin`, import.meta.url))
  if (protocol === 'dubbo') {
    const reader = new HessianReader(final)
    reader.reset(frame, 16, frame.length)
    reader.readInt()
    return reader
  }
  const reader = new HessianReader(draft)
  reader.reset(frame, 20 + frame.readUInt16BE(12) + frame.readUInt16BE(14), frame.length)
  const { fields } = reader.enterObject()
  for (const field of fields) {
    reader.hasNext()
    if (field === 'appResponse') break
    reader.readValue()
  }
  return reader
}

function resultOf(protocol: 'bolt' | 'dubbo', name: string, rules: Partial<JsonRules> = {}): string {
  const result = compileResult(target([], { json: { ...RULES, ...rules } }), TYPES, false)
  return result.write(answer(protocol, name)).toString()
}

const CREATED = {
  id: 'order-0001',
  userId: '9007199254740993',
  amount: '12345678901234567890.12',
  items: [
    { sku: 'sku-1', qty: 1, price: 9.9, weight: 0.5, gift: false },
    { sku: 'sku-2 中文 😀', qty: 300, price: null, weight: -1.25, gift: true },
  ],
  attrs: { channel: 'web', empty: '', nul: null },
  created: '2023-11-14T22:13:20.123Z',
  status: 'CREATED',
  address: { city: 'Hangzhou', street: 'Xixi Rd', zip: 310000 },
  billing: null,
  note: 'created:order-0001',
  priority: 7,
  sign: 'AAEC/w==',
}

for (const protocol of ['bolt', 'dubbo'] as const) {
  t.test(`${protocol}: the captured order of a Java service becomes JSON`, async (t) => {
    t.same(JSON.parse(resultOf(protocol, 'create')), CREATED)
    t.match(resultOf(protocol, 'create'), /"price":9\.90[,}]/, 'decimals keep their scale')
    t.match(resultOf(protocol, 'create', { longs: 'number' }), '"userId":9007199254740993')
    t.match(resultOf(protocol, 'create', { longs: 'number' }), '"amount":12345678901234567890.12')
    t.match(resultOf(protocol, 'create', { dates: 'epoch' }), '"created":1700000000123')
    t.match(resultOf(protocol, 'create', { classes: true }), /^\{"class":"com.example.gateway.Order",/)
  })

  t.test(`${protocol}: other captured results`, async (t) => {
    t.equal(resultOf(protocol, 'echo'), '"hello"')
    t.equal(resultOf(protocol, 'echo-unicode'), '"héllo 中文 😀"')
    t.equal(JSON.parse(resultOf(protocol, 'echo-64k')).length, 65_600)
    t.equal(resultOf(protocol, 'blob-0'), '""')
    t.same(JSON.parse(resultOf(protocol, 'join')).slice(0, 1).length, 1)
    t.type(JSON.parse(resultOf(protocol, 'headers')), 'object')
  })

  t.test(`${protocol}: the captured exception is told by policy and logged in full`, async (t) => {
    const exception = readException(answer(protocol, 'fail'))
    t.equal(exception.className, 'com.example.gateway.BizException')
    t.equal(exception.message, 'bad order')
    t.match(exception.logText, /^com\.example\.gateway\.BizException: bad order \{.*code: 4001/)
    t.match(exception.logText, /\n {2}at com\.example\.\S+\(\S+\.java:\d+\)/)
    t.same(JSON.parse(exceptionReply(exception, 'hidden').body.toString()), {})
    t.notMatch(exceptionReply(exception, 'hidden').memo, 'bad order')
    t.same(JSON.parse(exceptionReply(exception, 'message').body.toString()), { message: 'bad order' })
    t.equal(
      exceptionReply(exception, 'class-and-message').memo,
      'com.example.gateway.BizException: bad order',
    )
  })

  t.test(`${protocol}: the captured exception as a value is never shown with its stack`, async (t) => {
    t.equal(resultOf(protocol, 'fail'), '{}')
    t.equal(resultOf(protocol, 'fail', { exceptions: 'message' }), '{"message":"bad order"}')
    t.equal(
      resultOf(protocol, 'fail', { exceptions: 'class-and-message' }),
      '{"class":"com.example.gateway.BizException","message":"bad order"}',
    )
  })
}

t.test('the exception of a generic Dubbo call is told as the one it stands for', async (t) => {
  const exception = readException(answer('dubbo', 'generic-fail'))
  t.equal(exception.className, 'com.example.gateway.BizException')
  t.equal(exception.message, 'g')
})

t.test('signatures and descriptors are what Java calls the parameters', async (t) => {
  const plan = compileArguments(
    target([
      'String[]',
      'int[]',
      'double',
      'boolean',
      'List<String>',
      `${PACKAGE}.Order`,
      'long[][]',
      'Object...',
    ]),
    TYPES,
    'dubbo',
  )
  t.same(plan.signatures, [
    '[Ljava.lang.String;',
    '[I',
    'double',
    'boolean',
    'java.util.List',
    'com.example.gateway.Order',
    '[[J',
    '[Ljava.lang.Object;',
  ])
  t.equal(
    plan.descriptor,
    '[Ljava/lang/String;[IDZLjava/util/List;Lcom/example/gateway/Order;[[J[Ljava/lang/Object;',
  )
  t.equal(plan.isGeneric, false)
})

t.test('the arguments of a captured call are written with the bytes that Java wrote', async (t) => {
  const frame = readFileSync(new URL('../../vectors/dubbo/join.req.bin', import.meta.url))
  const plan = compileArguments(target(['String[]', 'int[]', 'double', 'boolean']), {}, 'dubbo')
  const writer = new HessianWriter(final)
  const body = Buffer.from('[["a","b"],[1,2],2.5,true]')
  plan.encoder.encode(body, 0, body.length, writer)
  t.ok(frame.includes(writer.bytes()))
})

t.test(
  'an undescribed class makes a Dubbo call generic, wherever it is needed, and no SOFARPC call',
  async (t) => {
    const types = { 'a.Outer': { fields: { list: 'List<a.Inner>' } } }
    t.equal(compileArguments(target(['a.Outer']), types, 'dubbo').isGeneric, true)
    t.equal(compileArguments(target(['a.Outer']), types, 'sofa').isGeneric, false)
    t.equal(compileArguments(target(['Object', 'java.util.Map']), types, 'dubbo').isGeneric, false)
  },
)

t.test('a generic Dubbo call has maps for objects and names for enums', async (t) => {
  const types: TypeDescriptions = {
    'a.Outer': { fields: { color: 'a.Color', inner: 'a.Inner' } },
    'a.Color': { enum: ['RED'] },
    'a.Sub': { extends: 'a.Outer', fields: { size: 'int' } },
  }
  const read = (json: string) => {
    const plan = compileArguments(target(['a.Outer']), types, 'dubbo')
    const writer = new HessianWriter(final)
    plan.encoder.encode(Buffer.from(json), 0, json.length, writer)
    const reader = new HessianReader(final)
    reader.reset(writer.bytes(), 0, writer.length)
    return reader.readValue() as HessianMap
  }
  const plain = read('[{"color":"RED","inner":{"a":[1]}}]')
  t.same([...plain.entries.keys()], ['color', 'inner'])
  t.equal(plain.entries.get('color'), 'RED')
  t.type(plain.entries.get('inner'), HessianMap)
  const sub = read('[{"class":"a.Sub","size":3}]')
  t.same(
    [...sub.entries],
    [
      ['class', 'a.Sub'],
      ['size', 3],
    ],
  )
  t.throws(() => read('[{"inner":{"x":{"class":"evil.Gadget"}}}]'), {
    message: /\$\[0\]\.inner\.x\.class: expected the name of a described class, got "evil\.Gadget"$/,
  })
  t.throws(() => read('[{"inner":{"cl\\u0061ss":"evil.Gadget"}}]'), { code: 'ARGUMENTS_INVALID' })
})

t.test('an undescribed class of a SOFARPC call is written with the fields that are set', async (t) => {
  const plan = compileArguments(target(['a.Point']), {}, 'sofa')
  const writer = new HessianWriter(draft)
  const body = Buffer.from('{"x":1,"class":"a.Point","y":2.5}')
  plan.encoder.encode(body, 0, body.length, writer)
  const reader = new HessianReader(draft)
  reader.reset(writer.bytes(), 0, writer.length)
  const point = reader.readValue() as HessianObject
  t.equal(point.className, 'a.Point')
  t.same(
    [...point.fields],
    [
      ['x', 1],
      ['y', 2.5],
    ],
  )
})

t.test('a class entry of generic results is left out, unless classes are wanted', async (t) => {
  const writer = new HessianWriter(final)
  writer.beginMap(null)
  for (const text of ['class', 'a.B', 'n', 'x']) writer.writeString(text)
  writer.endMap()
  const json = (isGeneric: boolean, classes: boolean) => {
    const reader = new HessianReader(final)
    reader.reset(writer.bytes(), 0, writer.length)
    return compileResult(target([], { json: { ...RULES, classes } }), {}, isGeneric)
      .write(reader)
      .toString()
  }
  t.equal(json(true, false), '{"n":"x"}')
  t.equal(json(true, true), '{"class":"a.B","n":"x"}')
  t.equal(json(false, false), '{"class":"a.B","n":"x"}', 'a plain map may have such a key')
})

t.test('a call whose parameters cannot be compiled says which and why', async (t) => {
  const compile = (parameters: string[], extra: Partial<CallTarget> = {}, types: TypeDescriptions = {}) =>
    compileArguments(target(parameters, extra), types, 'sofa')
  t.throws(() => compile(['int', 'Strin']), {
    message: /^parameters\[1\]: "Strin" is no Java type: Strin has no package/,
  })
  t.throws(() => compile(['int'], { parameterNames: ['a', 'b'] }), {
    message: /there are 2 for 1 parameters/,
  })
  t.throws(() => compile(['a.B'], {}, { 'a.B': { fields: { c: 'List<int>' } } }), {
    message: /types\.a\.B\.fields\.c: .*int cannot be a type argument/,
  })
  t.throws(() => compile(['a.B'], {}, { 'a.B': { fields: {}, extends: 'a.C' } }), {
    message: /a\.C, which is not described/,
  })
})
