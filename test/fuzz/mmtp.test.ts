import t from 'tap'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { fuzzMmtp } from './mmtp.ts'

const COUNT = 20_000

poisonReleasedSlabs(true)

t.test(`${COUNT} changed Mmtp sequences neither throw nor leave anything behind`, (t) => {
  fuzzMmtp(COUNT)
  t.pass('none went wrong')
  t.end()
})
