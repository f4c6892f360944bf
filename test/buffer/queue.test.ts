import fc from 'fast-check'
import t from 'tap'
import { Queue } from '../../lib/buffer/queue.ts'

t.test('an empty queue has nothing to give', (t) => {
  const queue = new Queue<number>()
  t.equal(queue.peek(), undefined)
  t.equal(queue.shift(), undefined)
  t.notOk(queue.remove(() => true))
  t.equal(queue.length, 0)
  t.end()
})

t.test('any sequence of steps gives what an array gives', (t) => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), value: fc.nat(20) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('shift' as const), value: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), value: fc.nat(20) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new Queue<number>()
      const model: number[] = []
      for (const { kind, value } of steps) {
        if (kind === 'push') {
          queue.push(value)
          model.push(value)
        } else if (kind === 'shift') {
          if (queue.shift() !== model.shift()) return false
        } else {
          const at = model.indexOf(value)
          if (at >= 0) model.splice(at, 1)
          if (queue.remove((item) => item === value) !== at >= 0) return false
        }
        if (queue.length !== model.length || queue.peek() !== model[0]) return false
      }
      return model.every((value) => queue.shift() === value) && queue.length === 0
    }),
  )
  t.end()
})

t.test('the order survives growth while the ring is wrapped around', (t) => {
  const queue = new Queue<number>()
  for (let i = 0; i < 12; i++) queue.push(i)
  for (let i = 0; i < 10; i++) queue.shift()
  for (let i = 12; i < 60; i++) queue.push(i)
  const rest: number[] = []
  while (queue.length > 0) rest.push(queue.shift() as number)
  t.same(
    rest,
    Array.from({ length: 50 }, (_, i) => i + 10),
  )
  t.end()
})
