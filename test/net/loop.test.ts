import t from 'tap'
import { Loop } from '../../lib/net/loop.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function busyFor(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

t.test('the clock is read once a turn', async (t) => {
  const loop = new Loop()
  await turn()
  const first = loop.now()
  busyFor(3)
  t.equal(loop.now(), first)
  await Promise.resolve()
  t.equal(loop.now(), first, 'a microtask belongs to the turn')
  await turn()
  await turn()
  t.ok(loop.now() >= first + 3)
})

t.test('the wall clock goes with the monotonic one', async (t) => {
  const loop = new Loop()
  const difference = loop.wallNow() - loop.now()
  t.ok(Math.abs(loop.wallNow() - Date.now()) < 1000)
  await turn()
  await turn()
  t.equal(loop.wallNow() - loop.now(), difference)
})

t.test('everything that asked is flushed once when the turn ends, in the order it asked', async (t) => {
  const loop = new Loop()
  const flushed: string[] = []
  const make = (name: string) => ({ flush: () => void flushed.push(name) })
  const a = make('a')
  const b = make('b')
  loop.flushLater(b)
  loop.flushLater(a)
  t.same(flushed, [])
  await turn()
  t.same(flushed, ['b', 'a'])
  await turn()
  t.same(flushed, ['b', 'a'])
})

t.test('what a flush produces is flushed in the next turn', async (t) => {
  const loop = new Loop()
  const flushed: string[] = []
  const second = { flush: () => void flushed.push('second') }
  const first = {
    flush: () => {
      flushed.push('first')
      loop.flushLater(second)
    },
  }
  loop.flushLater(first)
  await turn()
  t.same(flushed, ['first'])
  await turn()
  t.same(flushed, ['first', 'second'])
})

t.test('timers run on the loop and stop with it', async (t) => {
  const loop = new Loop()
  await new Promise<void>((resolve) => {
    const entry = { timerPrevious: null, timerNext: null, timerAt: 0, onTimer: resolve }
    loop.schedule(entry, 1)
    t.equal(loop.wheel.count, 1)
    loop.cancel(entry)
    t.equal(loop.wheel.count, 0)
    loop.schedule(entry, 1)
  })
  t.equal(loop.wheel.count, 0)
})
