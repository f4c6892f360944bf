import t from 'tap'
import { fuzzHessian } from './hessian.ts'

const COUNT = 20_000

for (const dialect of ['draft', 'final'] as const) {
  t.test(`reader and skipper agree on ${COUNT} changed inputs of the ${dialect} dialect`, (t) => {
    fuzzHessian(dialect, COUNT)
    t.pass('on all of them')
    t.end()
  })
}
