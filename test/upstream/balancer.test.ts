import fc from 'fast-check'
import t from 'tap'
import { BALANCERS, type Balancer, type Candidate, createBalancer } from '../../lib/upstream/balancer.ts'
import { HashRing, hashKey } from '../../lib/upstream/hash-ring.ts'

interface Host extends Candidate {
  active: number
  isUsable: boolean
}

function makeHosts(...weights: number[]): Host[] {
  return weights.map((weight, i) => ({ name: `10.0.0.${i + 1}:80`, weight, active: 0, isUsable: true }))
}

/** Numbers in [0, 1) that are the same in every run. */
function makeRandom(seed = 1): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** How often each host is picked, by its position. */
function tally(balancer: Balancer<Host>, hosts: readonly Host[], picks: number): number[] {
  const counts = hosts.map(() => 0)
  for (let i = 0; i < picks; i++) {
    const at = hosts.indexOf(balancer.pick(`key-${i}`) as Host)
    counts[at] = (counts[at] as number) + 1
  }
  return counts
}

t.test('every policy: no hosts give null, one host is always it', (t) => {
  for (const name of BALANCERS) {
    t.equal(createBalancer<Host>(name, []).pick('k'), null, name)
    const hosts = makeHosts(1)
    t.same(tally(createBalancer(name, hosts, makeRandom()), hosts, 10), [10], name)
  }
  t.end()
})

t.test('every policy: a host that is not usable is left out, until none is', (t) => {
  for (const name of BALANCERS) {
    const hosts = makeHosts(1, 1, 1, 1)
    const balancer = createBalancer(name, hosts, makeRandom())
    for (const host of hosts.slice(1)) host.isUsable = false
    t.same(tally(balancer, hosts, 50), [50, 0, 0, 0], name)
    hosts[0]!.isUsable = false
    const counts = tally(balancer, hosts, 50)
    t.equal(
      counts.reduce((sum, count) => sum + count),
      50,
      `${name}: better a try than a certain failure`,
    )
    for (const host of hosts) host.isUsable = true
    t.ok(
      tally(balancer, hosts, 400).every((count) => count > 0),
      `${name}: all of them again`,
    )
  }
  t.end()
})

t.test('every policy picks one of its hosts, and a usable one while there is one', (t) => {
  const host = fc.record({
    weight: fc.integer({ min: 1, max: 5 }),
    active: fc.nat(9),
    isUsable: fc.boolean(),
  })
  fc.assert(
    fc.property(
      fc.constantFrom(...BALANCERS),
      fc.array(host, { minLength: 1, maxLength: 6 }),
      (name, given) => {
        const hosts = given.map((one, i) => ({ ...one, name: `host-${i}` }))
        const balancer = createBalancer(name, hosts, makeRandom())
        for (let i = 0; i < 10; i++) {
          const found = balancer.pick(`key-${i}`)
          if (found === null || !hosts.includes(found)) return false
          if (!found.isUsable && hosts.some((one) => one.isUsable)) return false
        }
        return true
      },
    ),
    { numRuns: 50 },
  )
  t.end()
})

t.test('round-robin goes round', (t) => {
  const hosts = makeHosts(1, 1, 1)
  const balancer = createBalancer('round-robin', hosts)
  t.same(
    Array.from({ length: 7 }, () => hosts.indexOf(balancer.pick('') as Host)),
    [0, 1, 2, 0, 1, 2, 0],
  )
  t.end()
})

t.test('random is even', (t) => {
  const hosts = makeHosts(1, 1, 1, 1)
  const counts = tally(createBalancer('random', hosts, makeRandom()), hosts, 4000)
  t.ok(
    counts.every((count) => Math.abs(count - 1000) < 120),
    counts.join(),
  )
  t.end()
})

t.test('least-request compares two different hosts and takes the less busy one', (t) => {
  const hosts = makeHosts(1, 1, 1, 1)
  hosts[2]!.active = 100
  const counts = tally(createBalancer('least-request', hosts, makeRandom()), hosts, 3000)
  t.equal(counts[2], 0, 'the busiest is never the less busy of two')
  const two = makeHosts(1, 1)
  two[0]!.active = 1
  t.same(tally(createBalancer('least-request', two, makeRandom()), two, 20), [0, 20])

  const balanced = makeHosts(1, 1, 1, 1)
  const balancer = createBalancer('least-request', balanced, makeRandom())
  for (let i = 0; i < 4000; i++) balancer.pick('')!.active++
  t.ok(
    balanced.every(({ active }) => Math.abs(active - 1000) < 10),
    balanced.map(({ active }) => active).join(),
  )
  t.end()
})

t.test('weighted follows the weights exactly, without bursts', (t) => {
  const hosts = makeHosts(5, 1, 1)
  const balancer = createBalancer('weighted', hosts)
  const picks = Array.from({ length: 14 }, () => hosts.indexOf(balancer.pick('') as Host))
  t.same(picks.slice(0, 7), [0, 0, 1, 0, 2, 0, 0])
  t.same(picks.slice(7), picks.slice(0, 7))
  const zero = makeHosts(0, 1)
  t.same(tally(createBalancer('weighted', zero), zero, 5), [0, 5], 'weight 0 gets nothing')
  t.equal(createBalancer('weighted', makeHosts(0, 0)).pick(''), null)
  t.end()
})

t.test('on a hash ring a key keeps its host, and only the keys of a host that leaves move', (t) => {
  const hosts = makeHosts(1, 1, 1, 1, 1)
  const keys = Array.from({ length: 5000 }, (_, i) => `user-${i}`)
  const ring = createBalancer('ring-hash', hosts)
  const before = keys.map((key) => ring.pick(key)?.name)
  const again = createBalancer('ring-hash', makeHosts(1, 1, 1, 1, 1))
  t.same(
    keys.map((key) => again.pick(key)?.name),
    before,
    'also on another ring of the same hosts',
  )
  const counts = hosts.map(({ name }) => before.filter((owner) => owner === name).length)
  t.ok(
    counts.every((count) => count > 700 && count < 1300),
    counts.join(),
  )

  const [leaving, ...staying] = hosts as [Host, ...Host[]]
  const smaller = createBalancer('ring-hash', staying)
  const moved = keys.filter((key, i) => before[i] !== leaving.name && smaller.pick(key)?.name !== before[i])
  t.same(moved, [])

  leaving.isUsable = false
  const avoided = keys.map((key) => ring.pick(key)?.name)
  t.notOk(avoided.includes(leaving.name))
  t.ok(
    keys.every((_, i) => before[i] === leaving.name || avoided[i] === before[i]),
    'avoiding moves the same keys as leaving',
  )
  t.end()
})

t.test('weights count on the ring, and huge ones do not blow it up', (t) => {
  const hosts = makeHosts(3, 1)
  const counts = tally(createBalancer('ring-hash', hosts), hosts, 4000)
  t.ok(Math.abs((counts[0] as number) - 3000) < 400, counts.join())
  let points = 0
  const huge = makeHosts(1_000_000_000, 1).map(({ weight, ...host }) => ({
    ...host,
    weight,
    get name(): string {
      if (points++ > 100_010) throw new Error('too many points')
      return 'host'
    },
  }))
  t.ok(new HashRing(huge).find('x', () => true) !== null)
  t.ok(points > 90_000)
  t.equal(
    new HashRing<Host>([]).find('x', () => true),
    null,
  )
  t.end()
})

t.test('keys that differ in one digit are spread', (t) => {
  const buckets = new Array(16).fill(0)
  for (let i = 0; i < 16_000; i++) buckets[hashKey(`id-${i}`) >>> 28]++
  t.ok(
    buckets.every((count) => Math.abs(count - 1000) < 150),
    buckets.join(),
  )
  t.end()
})
