import t from 'tap'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { fuzz } from '../fuzz/http1-fuzz.ts'

poisonReleasedSlabs(true)

// MESHGATE_FUZZ_COUNT and MESHGATE_FUZZ_SEED repeat or prolong a run; NIGHTLY_SHORT makes it a matter of seconds.
const count = Number(
  process.env.MESHGATE_FUZZ_COUNT ?? (process.env.NIGHTLY_SHORT === '1' ? 100_000 : 1_000_000),
)
const seed = Number(process.env.MESHGATE_FUZZ_SEED ?? 1_000_000)

t.test(`${count} mutated HTTP/1 inputs: nothing is thrown, leaked or smuggled`, async (t) => {
  const heapBefore = process.memoryUsage().heapUsed
  t.equal(fuzz(count, seed), null)
  t.ok(process.memoryUsage().heapUsed - heapBefore < 256 * 1024 * 1024, 'the heap did not grow')
})
