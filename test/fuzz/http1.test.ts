import t from 'tap'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { fuzz } from './http1-fuzz.ts'

poisonReleasedSlabs(true)

t.test('20,000 mutated inputs: nothing is thrown, leaked or smuggled', async (t) => {
  t.equal(fuzz(20_000, 1), null)
})
