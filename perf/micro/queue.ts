/**
 * Claim: the ring costs the same per step whatever waits in it, where `Array.shift` moves a long queue with every step.
 *
 *     node perf/micro/queue.ts
 */
import { Queue } from '../../lib/buffer/queue.ts'
import { measure } from './filter-measure.ts'

const item = {}

for (const length of [0, 100, 100_000]) {
  const queue = new Queue<object>()
  const array: object[] = []
  for (let i = 0; i < length; i++) {
    queue.push(item)
    array.push(item)
  }
  const count = length > 1000 ? 10_000 : 1_000_000
  measure(
    `push and shift, ring of ${length}`,
    () => {
      queue.push(item)
      return queue.shift()
    },
    count,
  )
  measure(
    `push and shift, array of ${length}`,
    () => {
      array.push(item)
      return array.shift()
    },
    count,
  )
}
