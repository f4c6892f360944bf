import t from 'tap'
import { fuzzHessian } from '../fuzz/hessian.ts'

const SHORT_COUNT = 100_000
const COUNT = Number(
  process.env.MESHGATE_FUZZ_COUNT ?? (process.env.NIGHTLY_SHORT === '1' ? SHORT_COUNT : 1_000_000),
)

for (const dialect of ['draft', 'final'] as const) {
  t.test(`reader and skipper agree on ${COUNT} changed inputs of the ${dialect} dialect`, (t) => {
    // Seeds differ from night to night, and a failure names its own.
    const firstSeed = Number(process.env.MESHGATE_FUZZ_SEED ?? Math.floor(Date.now() / 1000))
    t.comment(`first seed ${firstSeed}`)
    fuzzHessian(dialect, COUNT, firstSeed)
    t.pass('on all of them')
    t.end()
  })
}
