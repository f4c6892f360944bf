import t from 'tap'
import { formatAddress } from '../../lib/net/address.ts'
import { type LogRecord, ManualClock, makeLogger } from '../../lib/testing-services.ts'
import { literalAddress, needsResolver, Resolver, systemLookup } from '../../lib/upstream/resolver.ts'
import { turn } from '../net/support.ts'

const NAME = { kind: 'tcp', host: 'order.local', port: 12200 } as const

function makeResolver(answers: (string[] | Error)[]): {
  resolver: Resolver
  clock: ManualClock
  changes: string[][]
  asked: () => number
  records: LogRecord[]
} {
  const clock = new ManualClock()
  const changes: string[][] = []
  const records: LogRecord[] = []
  let asked = 0
  const resolver: Resolver = new Resolver(
    NAME,
    30_000,
    {
      timers: clock,
      log: makeLogger(records),
      lookup: async (host) => {
        t.equal(host, 'order.local')
        const answer = answers[Math.min(asked++, answers.length - 1)]
        if (answer instanceof Error) throw answer
        return [...(answer as string[])]
      },
    },
    () => changes.push(resolver.addresses.map(formatAddress)),
  )
  return { resolver, clock, changes, asked: () => asked, records }
}

t.test('a name is looked up at once and refreshed, and a change is told', async (t) => {
  const { resolver, clock, changes, asked } = makeResolver([
    ['10.0.0.2', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.2'],
    ['10.0.0.1', '::1'],
  ])
  await resolver.start()
  t.same(changes, [['10.0.0.1:12200', '10.0.0.2:12200']])
  clock.advance(29_999)
  await turn()
  t.equal(asked(), 1)
  clock.advance(1)
  await turn()
  t.equal(asked(), 2)
  t.equal(changes.length, 1, 'another order is no change')
  clock.advance(30_000)
  await turn()
  t.same(changes[1], ['10.0.0.1:12200', '[::1]:12200'])
  resolver.close()
  t.equal(clock.pending, 0)
})

t.test('an address that comes twice counts once', async (t) => {
  const { resolver, changes } = makeResolver([['10.0.0.1', '10.0.0.2', '10.0.0.1']])
  await resolver.start()
  t.same(changes, [['10.0.0.1:12200', '10.0.0.2:12200']])
  resolver.close()
})

t.test('a failure keeps the addresses and is tried again soon', async (t) => {
  const { resolver, clock, changes, asked, records } = makeResolver([
    new Error('ENOTFOUND'),
    ['10.0.0.1'],
    new Error('EAI_AGAIN'),
    ['10.0.0.1'],
  ])
  await resolver.start()
  t.same(resolver.addresses, [])
  t.match(records, [{ level: 'warn', fields: { host: 'order.local' } }])
  clock.advance(1000)
  await turn()
  t.equal(changes.length, 1)
  clock.advance(30_000)
  await turn()
  t.equal(records.length, 2)
  t.same(resolver.addresses.map(formatAddress), ['10.0.0.1:12200'])
  clock.advance(1000)
  await turn()
  t.equal(asked(), 4)
  t.equal(changes.length, 1)
  resolver.close()
})

t.test('nothing happens after close, not even when a look-up is under way', async (t) => {
  const { resolver, clock, changes } = makeResolver([['10.0.0.1']])
  const started = resolver.start()
  resolver.close()
  await started
  t.same(changes, [])
  t.equal(clock.pending, 0)
})

t.test('addresses and localhost need no look-up', (t) => {
  t.notOk(needsResolver({ kind: 'tcp', host: '127.0.0.1', port: 1 }))
  t.notOk(needsResolver({ kind: 'tcp', host: '::1', port: 1 }))
  t.notOk(needsResolver({ kind: 'tcp', host: 'localhost', port: 1 }))
  t.notOk(needsResolver({ kind: 'unix', path: '/x' }))
  t.ok(needsResolver(NAME))
  t.same(literalAddress({ kind: 'tcp', host: 'localhost', port: 1 }), {
    kind: 'tcp',
    host: '127.0.0.1',
    port: 1,
  })
  t.equal(literalAddress(NAME), NAME)
  t.end()
})

t.test("the machine's own look-up gives every address", async (t) => {
  const found = await systemLookup('localhost')
  t.ok(found.includes('127.0.0.1') || found.includes('::1'), found.join())
})
