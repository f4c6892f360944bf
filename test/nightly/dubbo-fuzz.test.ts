import t from 'tap'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { fuzzDubbo } from '../fuzz/dubbo.ts'

const SHORT_COUNT = 100_000
const COUNT = Number(
  process.env.MESHGATE_FUZZ_COUNT ?? (process.env.NIGHTLY_SHORT === '1' ? SHORT_COUNT : 1_000_000),
)

poisonReleasedSlabs(true)

t.test(`${COUNT} changed Dubbo frames neither throw nor leave anything behind`, (t) => {
  // Seeds differ from night to night, and a failure names its own.
  const firstSeed = Number(process.env.MESHGATE_FUZZ_SEED ?? Math.floor(Date.now() / 1000))
  t.comment(`first seed ${firstSeed}`)
  fuzzDubbo(COUNT, firstSeed)
  t.pass('none went wrong')
  t.end()
})
