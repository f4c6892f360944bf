import t from 'tap'
import { acquireBlock, poolUsage, SLAB_BYTES } from '../../lib/buffer/pools.ts'
import { poisonReleasedSlabs, SlabPool } from '../../lib/buffer/slab-pool.ts'

t.test('a released slab is leased again', (t) => {
  const pool = new SlabPool(64, 4)
  const first = pool.acquire()
  t.equal(first.bytes.length, 64)
  t.equal(pool.leased, 1)
  first.release()
  t.equal(pool.leased, 0)
  t.equal(pool.pooled, 1)
  t.equal(pool.acquire(), first)
  t.equal(pool.pooled, 0)
  t.end()
})

t.test('a slab goes back with the last of its leases', (t) => {
  const pool = new SlabPool(64, 4)
  const slab = pool.acquire()
  slab.retain()
  slab.retain()
  slab.release()
  slab.release()
  t.equal(pool.leased, 1)
  slab.release()
  t.equal(pool.leased, 0)
  t.end()
})

t.test('a second release and a late retain throw, and the counts stay right', (t) => {
  const pool = new SlabPool(64, 4)
  const slab = pool.acquire()
  slab.release()
  t.throws(() => slab.release(), /released twice/)
  t.throws(() => slab.retain(), /retained after its release/)
  t.equal(pool.leased, 0)
  t.equal(pool.pooled, 1)
  t.end()
})

t.test('the free list is bounded', (t) => {
  const pool = new SlabPool(64, 2)
  const slabs = [pool.acquire(), pool.acquire(), pool.acquire()]
  for (const slab of slabs) slab.release()
  t.equal(pool.pooled, 2)
  t.equal(pool.leased, 0)
  t.end()
})

t.test('released bytes are poisoned when a test asks for it', (t) => {
  const pool = new SlabPool(16, 1)
  const slab = pool.acquire()
  slab.bytes.fill(1)
  poisonReleasedSlabs(true)
  slab.release()
  poisonReleasedSlabs(false)
  t.ok(slab.bytes.every((byte) => byte === 0xdb))
  pool.acquire().bytes.fill(1)
  slab.release()
  t.ok(
    slab.bytes.every((byte) => byte === 1),
    'and not in service',
  )
  t.end()
})

t.test('a block has room for what was asked, from the smallest pool that fits', (t) => {
  const before = poolUsage()
  for (const [length, size] of [
    [1, 1024],
    [1024, 1024],
    [1025, 8192],
    [8193, SLAB_BYTES],
    [SLAB_BYTES, SLAB_BYTES],
    [SLAB_BYTES + 1, SLAB_BYTES + 1],
  ] as const) {
    const block = acquireBlock(length)
    t.equal(block.bytes.length, size, `${length} bytes`)
    block.release()
  }
  t.equal(poolUsage().leased, before.leased)
  t.end()
})
