/** Mmtp in and out, multiplexed and one at a time, and the two translations between Mmtp and HTTP/1. */
import type { GatewayPath } from '../harness/paths.ts'
import { atMost, type Report } from '../harness/report.ts'
import type { RunContext } from '../harness/run-context.ts'
import { measureShapes, type Shape, TEXT_CONTENT } from '../harness/shapes.ts'

const MMTP: GatewayPath = { downstream: 'mmtp', upstream: 'mmtp' }

/** The multiplexed row that the target is about. */
const MULTIPLEXED = 'Mmtp -> Mmtp 4 x 64'
const ONE_EACH = 'Mmtp -> Mmtp 32 x 1'

const SHAPES: readonly Shape[] = [
  { name: MULTIPLEXED, path: MMTP, connections: 4, inFlight: 64, direct: MULTIPLEXED },
  { name: ONE_EACH, path: MMTP, connections: 32, inFlight: 1, direct: ONE_EACH },
  {
    name: 'HTTP/1 -> Mmtp 32 x 1',
    path: { downstream: 'http1', upstream: 'mmtp' },
    connections: 32,
    inFlight: 1,
    direct: null,
  },
  {
    name: 'Mmtp -> HTTP/1 4 x 8',
    path: { downstream: 'mmtp', upstream: 'http1' },
    connections: 4,
    inFlight: 8,
    direct: null,
  },
]

/** Runs the four shapes. */
export function mmtp(context: RunContext): Promise<Report> {
  return measureShapes(context, {
    scenario: 'mmtp',
    title: 'Mmtp',
    content: TEXT_CONTENT,
    shapes: SHAPES,
    targets: (find) => [
      atMost(`CPU of a request, ${MULTIPLEXED}`, find(MULTIPLEXED)?.cpuUs ?? null, 2.5, 'µs', 2),
    ],
    notes: ['Each body names its connection and stream, and its answer is held against it.'],
  })
}
