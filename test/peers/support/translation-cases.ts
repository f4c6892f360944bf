/** Calls in JSON of the service of test/peers/java: what goes in, what comes back. */

/** One call. */
export interface TranslationCase {
  readonly name: string
  /** The Java method. */
  readonly method: string
  /** Java types, for the route. */
  readonly parameters: readonly string[]
  readonly parameterNames?: readonly string[]
  readonly json?: object
  /** The request's JSON. */
  readonly body: string
  /** The answer's JSON, parsed; `undefined` when `body` comes back, without the array around it. */
  readonly answer?: unknown
}

/** Of the classes of test/peers/java. */
export const PACKAGE = 'com.example.peers'
/** A small bean. */
export const ITEM = { sku: 'sku-1', count: 1, price: 9.9 }
const OTHER_ITEM = { sku: 'sku-2 中文 😀', count: 300, price: null }
const LONG_TEXT = '中é😀x'.repeat(13_120)

/** An order with every field; the answer is the same. */
export const ORDER = {
  id: 'order-0001',
  userId: '9007199254740993',
  amount: '12345678901234567890.12',
  created: '2023-11-14T22:13:20.123Z',
  color: 'GREEN',
  items: [ITEM, OTHER_ITEM],
  notes: { channel: 'web', empty: '', nothing: null },
  first: ITEM,
  priority: 7,
  sign: 'AAEC/w==',
  paid: true,
  weight: -1.25,
}

const NUMBERS = {
  aByte: -128,
  aShort: 32767,
  anInt: -2147483648,
  aLong: '-9223372036854775808',
  aFloat: 1.5,
  aDouble: 1.7976931348623157e308,
  aChar: 'c',
  aBoolean: true,
  byteBox: 127,
  shortBox: -1,
  intBox: 0,
  longBox: 5,
  floatBox: -0.5,
  doubleBox: 0.001,
  charBox: '中',
  booleanBox: false,
  whole: '-123456789012345678901234567890',
  decimal: '12345678901234567890.123456789',
}

const TREE = {
  name: 'a',
  children: [
    { name: 'b', children: [] },
    { name: 'c', children: [{ name: 'd', children: [] }] },
  ],
}

/** One argument that comes back. */
function same(name: string, method: string, type: string, value: unknown): TranslationCase {
  return { name, method, parameters: [type], body: JSON.stringify([value]) }
}

const scalars: TranslationCase[] = [
  ...[
    '',
    'a',
    'x'.repeat(31),
    'x'.repeat(32),
    'é'.repeat(1023),
    '中'.repeat(1024),
    '😀'.repeat(16_384),
    LONG_TEXT,
  ].map((text) => same(`text of ${text.length}`, 'text', 'String', text)),
  same('text with escapes', 'text', 'String', 'nul \0 tab \t quote " backslash \\ \u2028 \u007f'),
  same('text null', 'text', 'String', null),
  ...[0, -16, 47, 48, -2049, 262_144, 2 ** 31 - 1, -(2 ** 31)].map((n) =>
    same(`int ${n}`, 'anInt', 'int', n),
  ),
  ...[0, -9, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)].map((n) => same(`long ${n}`, 'aLong', 'long', n)),
  ...['9007199254740993', '9223372036854775807', '-9223372036854775808'].map((digits) =>
    same(`long ${digits} as text`, 'aLong', 'long', digits),
  ),
  {
    name: 'long as a number of many digits',
    method: 'aLong',
    parameters: ['long'],
    body: '[9223372036854775807]',
    answer: '9223372036854775807',
  },
  {
    name: 'long back as a number',
    method: 'aLong',
    parameters: ['long'],
    json: { longs: 'number' },
    body: '["9007199254740993"]',
    answer: 9007199254740992,
  },
  same('Long null', 'longBox', 'Long', null),
  ...[0, 1.5, -128, 0.001, 1e300, 5e-324].map((n) => same(`double ${n}`, 'aDouble', 'double', n)),
  same('double NaN', 'aDouble', 'double', 'NaN'),
  same('double Infinity', 'aDouble', 'double', 'Infinity'),
  same('short', 'aShort', 'short', -32768),
  same('byte', 'aByte', 'byte', 127),
  same('float', 'aFloat', 'float', 1.5),
  same('char', 'aChar', 'char', '中'),
  same('boolean', 'aBoolean', 'boolean', true),
  {
    name: 'small numbers',
    method: 'small',
    parameters: ['short', 'byte', 'float', 'char'],
    body: '[-2, -1, 1.5, "中"]',
    answer: '-2 -1 1.5 中',
  },
  same('BigDecimal as a number', 'decimal', 'BigDecimal', 1.25),
  same('BigDecimal as text', 'decimal', 'java.math.BigDecimal', '12345678901234567890.123456789'),
  {
    name: 'BigDecimal keeps its scale',
    method: 'decimal',
    parameters: ['BigDecimal'],
    body: '["1.50"]',
    answer: 1.5,
  },
  same('BigInteger', 'whole', 'BigInteger', '123456789012345678901234567890'),
  same('BigInteger, small', 'whole', 'BigInteger', -5),
]

const objects: TranslationCase[] = [
  same('date', 'date', 'java.util.Date', '2023-11-14T22:13:20.123Z'),
  {
    name: 'date with a zone in, milliseconds out',
    method: 'date',
    parameters: ['Date'],
    json: { dates: 'epoch' },
    body: '["2023-11-15T06:13:20.123+08:00"]',
    answer: 1700000000123,
  },
  {
    name: 'date from milliseconds',
    method: 'date',
    parameters: ['Date'],
    body: '[0]',
    answer: '1970-01-01T00:00:00.000Z',
  },
  same('enum', 'color', `${PACKAGE}.Color`, 'GREEN'),
  same('bean', 'order', `${PACKAGE}.Order`, ORDER),
  same('bean null', 'order', `${PACKAGE}.Order`, null),
  same('bean with a superclass', 'gift', `${PACKAGE}.GiftItem`, { card: 'to you', ...ITEM }),
  {
    name: 'subclass by its class entry',
    method: 'item',
    parameters: [`${PACKAGE}.Item`],
    json: { classes: true },
    body: JSON.stringify([{ class: `${PACKAGE}.GiftItem`, card: 'c', ...ITEM }]),
    answer: { class: `${PACKAGE}.GiftItem`, card: 'c', ...ITEM },
  },
  same('recursive bean', 'tree', `${PACKAGE}.Tree`, TREE),
  {
    name: 'bean without an array around it',
    method: 'item',
    parameters: [`${PACKAGE}.Item`],
    body: JSON.stringify(ITEM),
    answer: ITEM,
  },
  {
    name: 'bean as _requestBody',
    method: 'item',
    parameters: [`${PACKAGE}.Item`],
    body: JSON.stringify([{ _requestBody: ITEM }]),
    answer: ITEM,
  },
  same(
    'byte[]',
    'bytes',
    'byte[]',
    Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => i)).toString('base64'),
  ),
  same('byte[] empty', 'bytes', 'byte[]', ''),
  same('int[]', 'ints', 'int[]', [0, 48, -(2 ** 31)]),
  same('long[][]', 'matrix', 'long[][]', [[1, 1_099_511_627_776], [], [-1]]),
  same('String[]', 'strings', 'String[]', ['a', null, '中']),
  same('bean[]', 'itemArray', `${PACKAGE}.Item[]`, [ITEM, null]),
  same('list of beans', 'items', `List<${PACKAGE}.Item>`, [ITEM, OTHER_ITEM]),
  same(
    'list of 300',
    'texts',
    'java.util.List<String>',
    Array.from({ length: 300 }, (_, i) => `t${i}`),
  ),
  same('list empty', 'items', `java.util.List<${PACKAGE}.Item>`, []),
  same('map with int keys', 'byNumber', `Map<Integer, ${PACKAGE}.Item>`, { 1: ITEM, '-70000': OTHER_ITEM }),
  same('map with enum keys', 'byColor', `Map<${PACKAGE}.Color, List<Long>>`, {
    RED: [1, '9223372036854775807'],
    BLUE: [],
  }),
  same('Object: anything', 'anything', 'Object', { a: [1, 2.5, 'x', true, null], b: { c: '中' } }),
]

const described =
  'Object[]{Order(id "o", userId Long(0), amount null, created Date(0), color Color.RED, items ArrayList[Item(sku "s", count Integer(1), price BigDecimal(1.50))], ' +
  'notes null, first null, priority Integer(7), sign null, paid Boolean(false), weight Double(0.0)), ArrayList[Item(sku "t", count Integer(2), price null)], ' +
  'HashMap[Integer(5): Item(sku "u", count Integer(3), price null)], HashSet[Color.BLUE], long[]{Long(1), Long(2)}}'

const calls: TranslationCase[] = [
  {
    name: 'the classes that arrive',
    method: 'describe',
    parameters: [
      `${PACKAGE}.Order`,
      `java.util.List<${PACKAGE}.Item>`,
      `java.util.Map<Integer, ${PACKAGE}.Item>`,
      `java.util.Set<${PACKAGE}.Color>`,
      'long[]',
    ],
    body: JSON.stringify([
      { id: 'o', items: [{ sku: 's', count: 1, price: '1.50' }], created: 0, color: 'RED', priority: 7 },
      [{ sku: 't', count: 2 }],
      { 5: { sku: 'u', count: 3 } },
      ['BLUE'],
      [1, 2],
    ]),
    answer: described,
  },
  { name: 'no parameters, empty list', method: 'nothing', parameters: [], body: '[]', answer: null },
  { name: 'no parameters, no body', method: 'nothing', parameters: [], body: '', answer: null },
  { name: 'overloaded, int', method: 'over', parameters: ['int'], body: '[5]', answer: 'int:5' },
  { name: 'overloaded, long', method: 'over', parameters: ['long'], body: '[5]', answer: 'long:5' },
  { name: 'overloaded, String', method: 'over', parameters: ['String'], body: '["5"]', answer: 'String:5' },
  {
    name: 'overloaded, List',
    method: 'over',
    parameters: ['List<String>'],
    body: '[["5"]]',
    answer: 'List:[5]',
  },
  {
    name: 'overloaded, two',
    method: 'over',
    parameters: ['String', 'int'],
    body: '["5", 6]',
    answer: 'String,int:5,6',
  },
  {
    name: 'arguments by name',
    method: 'over',
    parameters: ['String', 'int'],
    parameterNames: ['value', 'more'],
    body: '{"more": 8, "value": "7"}',
    answer: 'String,int:7,8',
  },
  {
    name: '1 MiB back',
    method: 'blob',
    parameters: ['int'],
    body: '[1048576]',
    answer: Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 31 + 7)).toString('base64'),
  },
]

/** All calls that succeed. */
export const CASES: readonly TranslationCase[] = [
  ...scalars,
  ...objects,
  same('numbers in a bean', 'numbers', `${PACKAGE}.Numbers`, NUMBERS),
  ...calls,
]

/** What the answer has to be. */
export function answerOf(one: TranslationCase): unknown {
  return 'answer' in one ? one.answer : (JSON.parse(one.body) as unknown[])[0]
}
