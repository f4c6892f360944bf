import t from 'tap'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { fuzzDubbo } from './dubbo.ts'

const COUNT = 10_000

poisonReleasedSlabs(true)

t.test(`${COUNT} changed Dubbo frames neither throw nor leave anything behind`, (t) => {
  fuzzDubbo(COUNT)
  t.pass('none went wrong')
  t.end()
})
