/** The frames that load generators and echo servers send are those of real Java peers. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import * as bolt from '../../perf/load/bolt-frames.ts'
import * as dubbo from '../../perf/load/dubbo-frames.ts'
import { DRAFT, FINAL } from '../../perf/load/hessian-bytes.ts'
import { hasMark, MARK_LENGTH, MarkFinder, writeMark } from '../../perf/load/mark.ts'
import { ORDER_FIELDS } from '../../perf/load/order.ts'

// Neither package has types.
const require = createRequire(import.meta.url)
const hessian = require('hessian.js')
const draftHessian = require('hessian.js-1')

function captured(protocol: string, name: string): Buffer {
  return readFileSync(join(import.meta.dirname, '..', 'vectors', protocol, `${name}.bin`))
}

t.test('a Bolt call and its answer are byte for byte what SOFARPC peers send', async (t) => {
  t.strictSame(bolt.requestFrame(bolt.echoCall('hello')), captured('bolt', 'echo.req'))
  t.strictSame(bolt.responseFrame(DRAFT.string('hello')), captured('bolt', 'echo.resp'))
})

t.test('a Dubbo call and its answer are byte for byte what Dubbo peers send, but for the id', async (t) => {
  const request = captured('dubbo', 'echo.req').fill(0, 4, 12)
  const response = captured('dubbo', 'echo.resp').fill(0, 4, 12)
  t.strictSame(dubbo.requestFrame(dubbo.echoCall('hello')), request)
  t.strictSame(dubbo.responseFrame(FINAL.string('hello')), response)
})

t.test('every captured frame has the length that the layout says', async (t) => {
  for (const name of [
    'echo.req',
    'echo.resp',
    'heartbeat.req',
    'heartbeat.resp',
    'err-busy.resp',
    'echo-64k.req',
  ]) {
    for (const [protocol, layout] of [
      ['bolt', bolt.BOLT_LAYOUT],
      ['dubbo', dubbo.DUBBO_LAYOUT],
    ] as const) {
      const bytes = captured(protocol, name)
      t.equal(layout.frameEnd(bytes, 0, bytes.length), bytes.length, `${protocol} ${name}`)
    }
  }
})

t.test('a mark is found and tells connections and requests apart', async (t) => {
  const bytes = Buffer.alloc(100, 'q')
  writeMark(bytes, 40, 3, 0xfedcba98)
  const finder = new MarkFinder()
  t.equal(finder.find(bytes, 7, 100), 40)
  t.equal(bytes.latin1Slice(40, 40 + MARK_LENGTH), '~00000003fedcba98')
  t.ok(hasMark(bytes, 40, 3, 0xfedcba98))
  t.notOk(hasMark(bytes, 40, 3, 0xfedcba99))
  t.notOk(hasMark(bytes, 40, 2, 0xfedcba98))
  writeMark(bytes, 60, 3, 1)
  t.equal(finder.find(bytes, 27, 100), 60, 'where the last one stood, before searching')
  t.equal(finder.find(bytes, 61, 100), -1)
  t.equal(finder.find(bytes, 0, 50), -1, 'a mark that is cut off')
})

t.test('the order is an object of ten fields to other readers of Hessian', async (t) => {
  const expected = Object.fromEntries(ORDER_FIELDS.map(({ name, value }) => [name, value]))
  const response = bolt.responseFrame(bolt.resultOf('order', 256))
  const draft = draftHessian.decode(response.subarray(bolt.responseContent(response, 0)), '2.0')
  t.match(draft, { isError: false, appResponse: expected })
  t.match(hessian.decode(dubbo.resultOf('order', 256), '2.0'), expected)
})
