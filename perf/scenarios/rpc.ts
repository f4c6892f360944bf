/** Bolt and Dubbo passed through, multiplexed and one at a time; Dubbo beside Envoy. */
import { ratio } from '../harness/numbers.ts'
import { findDubboPeer } from '../harness/peers.ts'
import { atLeast, atMost, type Report, type Target } from '../harness/report.ts'
import type { RunContext } from '../harness/run-context.ts'
import { measureShapes, peerRowName, type Shape, TEXT_CONTENT } from '../harness/shapes.ts'

type RpcProtocol = 'bolt' | 'dubbo'

const CHECKED =
  'Each argument names its connection and request, and its answer is held against it; frames are those of Java peers, byte for byte, but for text and trace id.'

/** Bolt -> Bolt. */
export function bolt(context: RunContext): Promise<Report> {
  const shapes = shapesOf('bolt', 'Bolt')
  return measureShapes(context, {
    scenario: 'bolt',
    title: 'Bolt -> Bolt',
    content: TEXT_CONTENT,
    shapes: Object.values(shapes),
    targets: (find) => cpuTargets(shapes, (name) => find(name)?.cpuUs ?? null),
    notes: [CHECKED],
  })
}

/** Dubbo -> Dubbo. */
export function dubbo(context: RunContext): Promise<Report> {
  const { options, progress } = context
  const shapes = shapesOf('dubbo', 'Dubbo')
  const peers = options.small ? [] : findDubboPeer(options.peers, progress)
  const { multiplexed } = shapes
  return measureShapes(context, {
    scenario: 'dubbo',
    title: 'Dubbo -> Dubbo',
    content: TEXT_CONTENT,
    shapes: Object.values(shapes),
    peers,
    targets: (find) => {
      const envoy = find(peerRowName(multiplexed, 'envoy'))
      const times = ratio(find(multiplexed.name)?.qps, envoy?.qps)
      return [
        ...cpuTargets(shapes, (name) => find(name)?.cpuUs ?? null),
        atLeast("QPS ÷ Envoy's, 4 x 64", times, 4, ''),
      ]
    },
    notes: [
      CHECKED,
      'envoy: its dubbo_proxy with one route to one cluster, no access log, one worker; it opens an upstream connection for each request in flight.',
    ],
  })
}

interface RpcShapes {
  readonly multiplexed: Shape
  readonly oneEach: Shape
}

function shapesOf(protocol: RpcProtocol, title: string): RpcShapes {
  const path = { downstream: protocol, upstream: protocol }
  const multiplexed = `${title} -> ${title} 4 x 64`
  const oneEach = `${title} -> ${title} 32 x 1`
  return {
    multiplexed: { name: multiplexed, path, connections: 4, inFlight: 64, direct: multiplexed },
    oneEach: { name: oneEach, path, connections: 32, inFlight: 1, direct: oneEach },
  }
}

function cpuTargets(shapes: RpcShapes, cpuOf: (name: string) => number | null): Target[] {
  const { oneEach, multiplexed } = shapes
  return [
    atMost(`CPU of a request, ${oneEach.name}`, cpuOf(oneEach.name), 10, 'µs', 2),
    atMost(`CPU of a request, ${multiplexed.name}`, cpuOf(multiplexed.name), 2.5, 'µs', 2),
  ]
}
