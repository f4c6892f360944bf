import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import { GatewayError } from '../../../lib/core/errors.ts'
import { countArguments } from '../../../lib/protocols/dubbo/descriptor.ts'
import { skipJsonb } from '../../../lib/protocols/dubbo/jsonb.ts'
import { DubboRequest } from '../../../lib/protocols/dubbo/request.ts'
import { call, frame, hi, map, parseFrames, Relay, routeTo, text, vectors } from '../../support/dubbo-wire.ts'

poisonReleasedSlabs(true)

const frames = vectors()

/** What goes upstream for a body after `change`, in hex. */
function forwarded(
  body: Buffer,
  change: (request: DubboRequest) => void,
  relay = new Relay(),
  flag = 0xc2,
): string {
  relay.hook = ({ request }) => change(request as DubboRequest)
  const [sent] = relay.request(frame(flag, 0, '7', body))
  relay.finishAll()
  if (poolUsage().leased !== 0) throw new Error('leases are left')
  return sent === undefined ? 'nothing' : sent.body.toString('hex')
}

/** Attachments of a body as our own reader sees them. */
function read(body: Buffer, flag = 0xc2): Record<string, string> {
  const seen: Record<string, string> = {}
  new DubboRequest(flag, body, 0, body.length).headers.forEach((name, value) => {
    seen[name] = value
  })
  return seen
}

t.test('adds behind what came, and only the map and the length change', (t) => {
  const body = hi()
  const added = forwarded(body, ({ headers }) => {
    headers.add('traceparent', 'x'.repeat(55))
    headers.add('tenant', 't1')
  })
  const expected = Buffer.concat([
    body.subarray(0, -1),
    text('traceparent'),
    text('x'.repeat(55)),
    text('tenant'),
    text('t1'),
    Buffer.from([0x5a]),
  ])
  t.equal(added, expected.toString('hex'))
  t.end()
})

t.test('sets and removes without regard to case, and keeps the case that is written', (t) => {
  const body = hi(map({ Tenant: 'a', path: 'a.B', tenant: 'b', other: 'c' }))
  t.equal(
    forwarded(body, ({ headers }) => {
      t.equal(headers.get('TENANT'), 'b', 'the last one wins')
      t.same(headers.getAll('tenant'), ['b'])
      headers.set('TeNant', 'd')
      t.equal(headers.get('tenant'), 'd')
    }),
    hi(map({ path: 'a.B', other: 'c', TeNant: 'd' })).toString('hex'),
  )
  t.equal(
    forwarded(body, ({ headers }) => {
      headers.remove('tenant')
      headers.add('x', '1')
      headers.remove('X')
      t.equal(headers.has('tenant'), false)
    }),
    hi(map({ path: 'a.B', other: 'c' })).toString('hex'),
  )
  t.equal(
    forwarded(body, ({ headers }) => {
      for (const name of ['tenant', 'path', 'other']) headers.remove(name)
    }),
    hi(map({})).toString('hex'),
  )
  t.end()
})

t.test('writes into null, missing, empty and typed maps', (t) => {
  const add = ({ headers }: DubboRequest): void => headers.set('k', 'v')
  const one = hi(map({ k: 'v' })).toString('hex')
  t.equal(forwarded(hi(Buffer.from('4e', 'hex')), add), one, 'null')
  t.equal(forwarded(hi(Buffer.alloc(0)), add), one, 'missing')
  t.equal(forwarded(hi(map({})), add), one, 'empty')
  const type = text('java.util.TreeMap')
  const typed = (...parts: Buffer[]): Buffer =>
    Buffer.concat([Buffer.from([0x4d]), type, ...parts, Buffer.from([0x5a])])
  t.equal(
    forwarded(hi(typed(text('a'), text('b'))), add),
    hi(typed(text('a'), text('b'), text('k'), text('v'))).toString('hex'),
    'typed',
  )
  t.equal(
    forwarded(hi(Buffer.from('4e', 'hex')), ({ headers }) => headers.remove('k')),
    hi(Buffer.from('4e', 'hex')).toString('hex'),
  )
  t.end()
})

t.test('bytes behind the attachments stay behind them', (t) => {
  const body = Buffer.concat([hi(map({ a: 'b' })), Buffer.from('ffff', 'hex')])
  const expected = Buffer.concat([hi(map({ a: 'b', k: 'v' })), Buffer.from('ffff', 'hex')])
  t.equal(
    forwarded(body, ({ headers }) => headers.set('k', 'v')),
    expected.toString('hex'),
  )
  t.end()
})

t.test('values that are no strings are left as they are; scalars can be read', (t) => {
  const pairs: [string, string][] = [
    ['int', '93'],
    ['int2', 'c9ff'],
    ['int3', 'd50000'],
    ['int4', '497fffffff'],
    ['long1', 'e5'],
    ['long2', 'f900'],
    ['long3', '3d0000'],
    ['long4', '5980000000'],
    ['long8', '4c7fffffffffffffff'],
    ['yes', '54'],
    ['no', '46'],
    ['null', '4e'],
    ['list', '7a0161c903'],
    ['bytes', '2101'],
  ]
  const parts = pairs.flatMap(([name, hex]) => [text(name), Buffer.from(hex, 'hex')])
  // Text in two pieces, with characters of three bytes, behind a key that is no string.
  const chunks = Buffer.concat([text('chunks'), Buffer.from('5200016102e4b8ade69687', 'hex')])
  const attachments = Buffer.concat([
    Buffer.from([0x48]),
    ...parts,
    Buffer.from('91026162', 'hex'),
    chunks,
    Buffer.from([0x5a]),
  ])
  const body = hi(attachments)
  t.same(read(body), {
    int: '3',
    int2: '511',
    int3: '65536',
    int4: '2147483647',
    long1: '5',
    long2: '256',
    long3: '65536',
    long4: '-2147483648',
    long8: '9223372036854775807',
    yes: 'true',
    no: 'false',
    chunks: 'a中文',
  })
  const sent = forwarded(body, ({ headers }) => {
    headers.set('k', 'v')
    headers.remove('list')
    headers.remove('int')
  })
  const left = attachments.toString('hex').replace('03696e7493', '').slice(0, -2)
  t.equal(
    sent,
    hi(Buffer.from(`${left}016b01765a`, 'hex')).toString('hex'),
    'lists stay: later references count them',
  )
  t.end()
})

t.test('long, chunked and non-ASCII values are written as Java reads them', (t) => {
  for (const value of [
    '',
    'é',
    '中文 😀',
    'x'.repeat(31),
    'x'.repeat(32),
    'y'.repeat(1023),
    'z'.repeat(1024),
    '中'.repeat(30_000),
  ]) {
    const sent = forwarded(hi(), ({ headers }) => headers.set('k', value))
    t.equal(read(Buffer.from(sent, 'hex')).k, value, `${value.length} units`)
  }
  const emoji = forwarded(hi(map({})), ({ headers }) => headers.set('k', '😀'))
  t.equal(
    emoji,
    `${hi(map({})).subarray(0, -1).toString('hex')}016b02eda0bdedb8805a`,
    'surrogates one by one',
  )
  t.throws(() => forwarded(hi(), ({ headers }) => headers.set('k', 'x'.repeat(0x8001))), /longer than/)
  t.throws(() => forwarded(hi(), ({ headers }) => headers.set('a b', 'x')), /printable ASCII/)
  t.throws(() => forwarded(hi(), ({ headers }) => headers.add('k', 'a\r\nb')), /CR, LF or NUL/)
  t.end()
})

t.test('fastjson2: the lengths of the map and of the frame change', (t) => {
  const bytes = frames.get('fastjson2-headers.req') as Buffer
  const body = bytes.subarray(16)
  const sent = Buffer.from(
    forwarded(
      body,
      ({ headers }) => {
        t.equal(headers.get('tenant'), 't1')
        headers.set('tenant', 't2')
        headers.remove('route')
        headers.set('long', 'x'.repeat(100))
        headers.set('wide', '中😀')
      },
      new Relay(),
      0xd7,
    ),
    'hex',
  )
  const expected: Record<string, string> = {
    ...read(body, 0xd7),
    tenant: 't2',
    long: 'x'.repeat(100),
    wide: '中😀',
  }
  delete expected.route
  t.same(read(sent, 0xd7), expected)
  const mapAt = new DubboRequest(0xd7, sent, 0, sent.length).argumentsAt
  t.equal(sent.readUInt32BE(mapAt), sent.length - mapAt - 4, 'length of the map')
  t.equal(sent[sent.length - 1], 0xa5)
  const nulls = Buffer.concat([body.subarray(0, mapAt), Buffer.from('00000001af', 'hex')])
  const filled = Buffer.from(
    forwarded(nulls, ({ headers }) => headers.set('k', 'v'), new Relay(), 0xd7),
    'hex',
  )
  t.equal(filled.toString('hex', mapAt), '00000006a64a6b4a76a5', 'in place of null')
  const none = Buffer.from(
    forwarded(body.subarray(0, mapAt), ({ headers }) => headers.set('k', 'v'), new Relay(), 0xd7),
    'hex',
  )
  t.equal(none.toString('hex', mapAt), '00000006a64a6b4a76a5', 'in place of nothing')
  t.end()
})

t.test('attachments of other serializations are empty, and additions are not written', (t) => {
  const body = Buffer.from('0a0b0c', 'hex')
  const sent = forwarded(
    body,
    ({ headers, service, method }) => {
      t.equal(service, '')
      t.equal(method, '')
      t.equal(headers.get('path'), null)
      headers.set('k', 'v')
    },
    new Relay(),
    0xd6,
  )
  t.equal(sent, '0a0b0c')
  t.end()
})

t.test('attachments behind a long body: the long part is lent, the map is rewritten', (t) => {
  const long = Buffer.concat([Buffer.from('53ffff', 'hex'), Buffer.alloc(0xffff, 'a')])
  const body = call('a.B', '1.0.0', 'hi', 'Ljava/lang/String;', long, map({ path: 'a.B', version: '1.0.0' }))
  for (const change of [false, true]) {
    const relay = new Relay()
    const lends: number[] = []
    const { lend } = relay.up
    relay.up.lend = (bytes, offset, end) => {
      lends.push(end - offset)
      lend.call(relay.up, bytes, offset, end)
    }
    relay.route = change ? routeTo({ service: 'com.example.Other', version: '2.0.0', group: 'g' }) : null
    const sent = forwarded(body, ({ headers }) => change && headers.set('k', 'v'), relay)
    const other = map({ k: 'v', path: 'com.example.Other', version: '2.0.0', group: 'g' })
    const expected = change
      ? call('com.example.Other', '2.0.0', 'hi', 'Ljava/lang/String;', long, other)
      : body
    t.ok(sent === expected.toString('hex'), `changed: ${change}`)
    t.equal(lends.length, 1)
  }
  t.end()
})

t.test(
  'another service: the path in front and the one in the attachments, version in both, group behind',
  (t) => {
    const relay = new Relay()
    relay.route = routeTo({ service: 'com.example.Other', version: '2.0.0', group: 'blue' })
    t.equal(
      forwarded(hi(), () => undefined, relay),
      call(
        'com.example.Other',
        '2.0.0',
        'hi',
        'Ljava/lang/String;',
        text('bob'),
        map({ path: 'com.example.Other', interface: 'com.example.Other', version: '2.0.0', group: 'blue' }),
      ).toString('hex'),
    )
    relay.route = routeTo({ group: 'blue' })
    t.equal(
      forwarded(hi(map({ path: 'a.B' })), () => undefined, relay),
      hi(map({ path: 'a.B', group: 'blue' })).toString('hex'),
      'the group alone',
    )
    relay.route = routeTo({ version: '3' })
    t.equal(
      forwarded(hi(map({ path: 'a.B' })), () => undefined, relay),
      call('a.B', '3', 'hi', 'Ljava/lang/String;', text('bob'), map({ path: 'a.B', version: '3' })).toString(
        'hex',
      ),
      'the version alone',
    )
    const body = (frames.get('fastjson2-echo.req') as Buffer).subarray(16)
    relay.route = routeTo({ service: 'com.example.Other' })
    const sent = Buffer.from(
      forwarded(body, () => undefined, relay, 0xd7),
      'hex',
    )
    const request = new DubboRequest(0xd7, sent, 0, sent.length)
    t.equal(request.service, 'com.example.Other')
    t.equal(request.method, 'echo')
    t.equal(request.headers.get('path'), 'com.example.Other')
    t.equal(request.headers.get('interface'), 'com.example.Other')
    relay.seen.length = 0
    t.equal(
      forwarded(Buffer.from('01', 'hex'), () => undefined, relay, 0xd6),
      'nothing',
      'not in other serializations',
    )
    t.end()
  },
)

t.test('a timeout of the route that is shorter than the caller’s goes along with other changes', (t) => {
  const relay = new Relay()
  const body = hi(map({ timeout: '3000' }))
  const withDeadline = (change: boolean) => (request: DubboRequest) => {
    const { exchange } = relay.last()
    exchange.deadlineMs = 1_500
    if (change) request.headers.set('k', 'v')
  }
  relay.route = routeTo({}, 500)
  t.equal(
    forwarded(body, withDeadline(false), relay),
    body.toString('hex'),
    'nothing else changes: left alone',
  )
  t.equal(forwarded(body, withDeadline(true), relay), hi(map({ k: 'v', timeout: '500' })).toString('hex'))
  relay.route = routeTo({}, 5_000)
  t.equal(
    forwarded(body, withDeadline(true), relay),
    hi(map({ timeout: '3000', k: 'v' })).toString('hex'),
    'longer',
  )
  t.end()
})

t.test('what is asked after the read is over', (t) => {
  const long = call(
    'a.B',
    '1.0.0',
    'hi',
    'Ljava/lang/String;',
    Buffer.concat([Buffer.from('534000', 'hex'), Buffer.alloc(0x4000, 'a')]),
    map({ tenant: 't1' }),
  )
  for (const body of [hi(map({ tenant: 't1' })), long]) {
    for (const isKnown of [false, true]) {
      const relay = new Relay()
      relay.hook = ({ request }) => isKnown && request.headers.get('x')
      relay.request(frame(0xc2, 0, '7', body))
      const { request } = relay.last().exchange
      t.equal(request.service, 'a.B')
      t.equal(request.version, '1.0.0')
      t.equal(request.method, 'hi')
      t.equal(request.headers.get('tenant'), 't1')
      request.headers.add('k', 'v')
      t.equal(request.headers.get('K'), 'v')
      relay.finishAll()
      t.equal(poolUsage().leased, 0)
    }
  }
  t.end()
})

t.test('a request that waited for its connection is sent like any other', (t) => {
  const relay = new Relay()
  relay.forwards = false
  const body = hi()
  relay.hook = ({ request }) => request.headers.add('k', 'v')
  relay.request(frame(0xc2, 0, '7', body))
  const { exchange } = relay.last()
  const stream = relay.client.open(exchange)
  stream.sendRequest(exchange.request, false)
  stream.sendBody(body, 0, 40, false)
  stream.sendBody(body, 40, body.length, true)
  const [sent] = parseFrames(relay.up.take())
  t.equal(sent.body.toString('hex'), `${body.subarray(0, -1).toString('hex')}016b01765a`)
  relay.finishAll()
  t.end()
})

t.test('a body that a filter gave is looked at anew', (t) => {
  const relay = new Relay()
  relay.forwards = false
  relay.hook = ({ request }) => {
    request.headers.get('path')
    request.headers.set('k', 'v')
    request.headers.remove('interface')
  }
  relay.request(frame(0xc2, 0, '7', hi()))
  const { exchange } = relay.last()
  const body = call(
    'a.B',
    '1.0.0',
    'hi',
    'Ljava/lang/String;',
    text('robert'),
    map({ interface: 'a.B', z: '1' }),
  )
  exchange.requestBody = body
  const stream = relay.client.open(exchange)
  stream.sendRequest(exchange.request, false)
  stream.sendBody(body, 0, body.length, true)
  const [sent] = parseFrames(relay.up.take())
  t.equal(
    sent.body.toString('hex'),
    call('a.B', '1.0.0', 'hi', 'Ljava/lang/String;', text('robert'), map({ z: '1', k: 'v' })).toString('hex'),
  )
  relay.finishAll()
  t.end()
})

t.test('attachments of answers can be changed where there are some', (t) => {
  const relay = new Relay()
  relay.responseHook = (_exchange, { headers }) => {
    headers.set('x-by', 'meshgate')
    headers.remove('dubbo')
  }
  const answer = (hex: string): string => {
    const [sent] = relay.request(frame(0xc2, 0, '7', hi()))
    return relay.answer(frame(0x02, 20, sent.id, hex))[0].body.toString('hex')
  }
  const by = '04782d627908' + Buffer.from('meshgate').toString('hex')
  t.equal(answer('9403626f624805647562626f05322e302e325a'), `9403626f6248${by}5a`, 'value')
  t.equal(answer('954805647562626f05322e302e325a'), `9548${by}5a`, 'null')
  t.equal(answer('9103626f62'), '9103626f62', 'a value without attachments')
  t.equal(answer('92'), '92')
  relay.finishAll()
  t.end()
})

t.test('arguments that cannot be skipped: the request ends with 40, the connection lives', (t) => {
  const nested = Buffer.concat([Buffer.alloc(100_000, 0x79), Buffer.from([0x90])])
  const bombs: [string, Buffer, boolean?][] = [
    ['nested lists', call('a.B', '1', 'hi', 'Ljava/lang/Object;', nested, map({}))],
    [
      'a list that announces 2^31 elements',
      call('a.B', '1', 'hi', 'Ljava/lang/Object;', Buffer.from('58497fffffff', 'hex')),
    ],
    ['a negative list', call('a.B', '1', 'hi', 'Ljava/lang/Object;', Buffer.from('5849ffffffff', 'hex'))],
    ['an instance of no class', call('a.B', '1', 'hi', 'Ljava/lang/Object;', Buffer.from('60', 'hex'))],
    ['a descriptor without an end', call('a.B', '1', 'hi', 'Ljava/lang/Object', map({}))],
    ['256 parameters', call('a.B', '1', 'hi', 'I'.repeat(256), Buffer.alloc(256, 0x90), map({}))],
    ['attachments that are a list', hi(Buffer.from('7a9192', 'hex'))],
    ['attachments cut off', hi().subarray(0, -1)],
    ['attachments cut off in a key', hi().subarray(0, -8)],
    ['a missing argument', call('a.B', '1', 'hi', 'I')],
  ]
  for (const [name, body] of bombs) {
    const relay = new Relay()
    relay.hook = ({ request }) => {
      t.equal(request.service, 'a.B', name)
      t.equal(request.headers.get('tenant'), null)
      request.headers.add('k', 'v')
    }
    t.same(relay.request(frame(0xc2, 0, '7', body)), [], name)
    t.equal(relay.last().failure, null, 'not told in the middle of the call')
    queueMicrotask(() => {
      t.equal(relay.last().failure?.code, 'BAD_REQUEST', name)
      const [answer] = relay.sent()
      t.match(answer, { status: 40, flag: 0x02, id: '0000000000000007' })
      t.notOk(relay.down.isClosed)
      t.notOk(relay.up.isClosed)
      relay.hook = null
      t.equal(
        relay.request(frame(0xc2, 0, '8', body)).length,
        1,
        'unread, it goes through for the provider to judge',
      )
      relay.finishAll()
      t.equal(poolUsage().leased, 0)
    })
  }
  queueMicrotask(() => t.end())
})

t.test('a long body that waits is not judged for attachments that nobody asked for', (t) => {
  const relay = new Relay()
  relay.forwards = false
  const long = Buffer.concat([
    Buffer.from('534000', 'hex'),
    Buffer.alloc(0x4000, 'a'),
    Buffer.from('ff', 'hex'),
  ])
  const body = call('a.B', '1', 'hi', 'Ljava/lang/String;', long)
  relay.request(frame(0xc2, 0, '7', body))
  const { exchange } = relay.last()
  const stream = relay.client.open(exchange)
  stream.sendRequest(exchange.request, false)
  stream.sendBody(body, 0, body.length, true)
  t.ok(parseFrames(relay.up.take())[0].body.equals(body))
  t.equal(exchange.request.headers.get('path'), null)
  relay.finishAll()
  t.equal(poolUsage().leased, 0)
  t.end()
})

t.test('a route that names what the request names already changes nothing', (t) => {
  const relay = new Relay()
  relay.route = routeTo({ service: 'a.B', version: '1.0.0' })
  const body = hi(Buffer.from('ff', 'hex'))
  t.equal(
    forwarded(body, () => undefined, relay),
    body.toString('hex'),
    'not even read',
  )
  relay.route = routeTo({ group: 'g' })
  const grouped = hi(map({ group: 'g' }))
  t.equal(
    forwarded(grouped, () => undefined, relay),
    grouped.toString('hex'),
  )
  t.end()
})

t.test('no route for a request whose attachments cannot be read is the caller’s fault', (t) => {
  const relay = new Relay()
  relay.forwards = false
  relay.request(frame(0xc2, 0, '7', hi().subarray(0, -1)))
  const { exchange } = relay.last()
  t.equal(exchange.request.group, '')
  const reply = exchange.downstream.errorReply(new GatewayError('NO_ROUTE'))
  t.equal(reply.status, 40)
  relay.finishAll()
  t.end()
})

t.test('descriptors', (t) => {
  const count = (descriptor: string): number => {
    const bytes = Buffer.from(`x${descriptor}x`)
    return countArguments(bytes, 1, bytes.length - 1)
  }
  t.equal(count(''), 0)
  t.equal(count('[Ljava/lang/String;[IDZ'), 4)
  t.equal(count('VZBCDFIJS'), 9)
  t.equal(count('[[[J'), 1)
  t.equal(count('I'.repeat(255)), 255)
  for (const wrong of ['[', 'L', 'Lx', 'Q', 'I;', '[[', 'I'.repeat(256)]) t.equal(count(wrong), -1, wrong)
  t.end()
})

t.test('JSONB values of every form are skipped', (t) => {
  const values = [
    '00',
    '2f',
    'f0',
    '3901',
    '440102',
    '4800000001',
    '49',
    '4a61',
    '790161',
    '7a0161',
    '7c0261 00',
    '7e0161',
    '7f4a6100',
    '7fff',
    '903841',
    '910201 02',
    '924a6100a6a5',
    '9200a64a6101a5',
    '934a24',
    '94',
    '960102',
    'a4020102',
    'a6a5',
    'a64a6101a5',
    'a7010203 00',
    'a807e8010203040500',
    'a907e80101',
    'aa07e80102030405004a7a',
    'ab0000000000000001',
    'ac00000001',
    'ad00000001',
    'ae000000000000000100',
    'af',
    'b0',
    'b1',
    'b2',
    'b3',
    'b4d9',
    'b50000000000000000',
    'b601',
    'b700000000',
    'b8d9',
    'b901bb0101',
    'bad9',
    'bb0101',
    'bc0001',
    'bd01',
    'be0000000000000001',
    'bf00000001',
    'c00001',
    'c801',
    'd8',
    'ef',
  ]
  for (const hex of values) {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    t.equal(skipJsonb(bytes, 0, bytes.length), bytes.length, hex)
    if (bytes.length > 1)
      t.throws(() => skipJsonb(bytes, 0, bytes.length - 1), { name: 'JsonbError' }, `${hex} cut off`)
  }
  t.throws(() => skipJsonb(Buffer.alloc(100_000, 0x95), 0, 100_000), /deeper/, 'a bomb')
  t.throws(() => skipJsonb(Buffer.from('a4487fffffff', 'hex'), 0, 6), /do not fit/)
  t.throws(() => skipJsonb(Buffer.from('91f0', 'hex'), 0, 2), { name: 'JsonbError' }, 'a negative length')
  t.end()
})
