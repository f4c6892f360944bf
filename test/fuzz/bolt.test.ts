import t from 'tap'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { fuzzBolt } from './bolt.ts'

const COUNT = 20_000

poisonReleasedSlabs(true)

t.test(`${COUNT} changed Bolt frames neither throw nor leave anything behind`, (t) => {
  fuzzBolt(COUNT)
  t.pass('none went wrong')
  t.end()
})
