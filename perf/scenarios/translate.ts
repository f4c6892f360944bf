/** JSON operations that become calls of a Java service, and their results JSON again. */
import { atMost, type Report } from '../harness/report.ts'
import type { RunContext } from '../harness/run-context.ts'
import { measureShapes, type Shape } from '../harness/shapes.ts'
import { ORDER_FIELDS, ORDER_JSON } from '../load/order.ts'

const MMTP_BOLT = 'Mmtp -> Bolt 4 x 64'
const HTTP_BOLT = 'HTTP/1 -> Bolt 32 x 1'

const SHAPES: readonly Shape[] = [
  {
    name: MMTP_BOLT,
    path: { downstream: 'mmtp', upstream: 'bolt' },
    connections: 4,
    inFlight: 64,
    direct: 'Bolt 4 x 64',
  },
  {
    name: HTTP_BOLT,
    path: { downstream: 'http1', upstream: 'bolt' },
    connections: 32,
    inFlight: 1,
    direct: null,
  },
  {
    name: 'Mmtp -> Dubbo 4 x 64',
    path: { downstream: 'mmtp', upstream: 'dubbo' },
    connections: 4,
    inFlight: 64,
    direct: 'Dubbo 4 x 64',
  },
]

/** Runs the translations. */
export function translate(context: RunContext): Promise<Report> {
  return measureShapes(context, {
    scenario: 'translate',
    title: 'JSON -> Hessian and back',
    content: `an object of ${ORDER_FIELDS.length} fields each way (${ORDER_JSON.length} bytes of JSON)`,
    shapes: SHAPES,
    targets: (find) => [
      atMost(`CPU of a request, ${MMTP_BOLT}`, find(MMTP_BOLT)?.cpuUs ?? null, 8, 'µs', 2),
      atMost(`CPU of a request, ${HTTP_BOLT}`, find(HTTP_BOLT)?.cpuUs ?? null, 22, 'µs', 2),
    ],
    notes: [
      'One field of each object over Mmtp names connection and stream and must come back; over HTTP/1 one answer is compared as a whole before the rounds, then wrk looks at statuses.',
    ],
  })
}
