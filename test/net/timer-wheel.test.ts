import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import type { TimerEntry } from '../../lib/core/services.ts'
import { TICK_MS, TimerWheel } from '../../lib/net/timer-wheel.ts'

const TURN_MS = 512 * TICK_MS

/** An entry that notes when it fired. */
class Entry implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  fired: number[] = []
  readonly #act: () => void

  constructor(act: () => void = () => {}) {
    this.#act = act
  }

  onTimer(): void {
    this.fired.push(clock)
    this.#act()
  }
}

let clock = 0

function makeWheel(startMs = 1000.5): TimerWheel {
  clock = startMs
  return new TimerWheel(() => clock)
}

/** Lets time pass in steps as the wheel's own timeout would. */
function pass(wheel: TimerWheel, ms: number, stepMs = 1): void {
  const end = clock + ms
  while (clock < end) {
    clock = Math.min(end, clock + stepMs)
    wheel.advance()
  }
}

t.test('an entry fires once, never early and at most a tick late, whatever its delay', (t) => {
  for (const delay of [0, 1, 15, 16, 17, 30, 31, 32, 33, 47, 100, 1000, TURN_MS - 1, TURN_MS, TURN_MS + 20]) {
    for (const start of [1000, 1000.5, 1007, 1015.9]) {
      const wheel = makeWheel(start)
      const entry = new Entry()
      wheel.schedule(entry, delay)
      pass(wheel, delay + 3 * TICK_MS)
      t.equal(entry.fired.length, 1, `delay ${delay} from ${start}`)
      const lateMs = (entry.fired[0] as number) - start - delay
      t.ok(lateMs >= 0 && lateMs <= TICK_MS + 1, `delay ${delay} from ${start}: ${lateMs} ms late`)
      t.equal(entry.timerAt, 0)
      t.equal(wheel.count, 0)
    }
  }
  t.end()
})

t.test('an entry that the wheel looks at in the middle of its tick is not lost for a turn', (t) => {
  const wheel = makeWheel(16_000)
  const entry = new Entry()
  wheel.schedule(entry, 30)
  clock = 16_020
  wheel.advance()
  t.same(entry.fired, [])
  clock = 16_036
  wheel.advance()
  t.same(entry.fired, [16_036])
  t.end()
})

t.test('an entry far in the future waits through many turns', (t) => {
  const wheel = makeWheel()
  const entry = new Entry()
  wheel.schedule(entry, 10 * TURN_MS + 5)
  pass(wheel, 10 * TURN_MS, 7)
  t.same(entry.fired, [])
  pass(wheel, 5 + 2 * TICK_MS, 7)
  t.equal(entry.fired.length, 1)
  t.end()
})

t.test('scheduling again moves an entry, both ways', (t) => {
  const wheel = makeWheel()
  const entry = new Entry()
  wheel.schedule(entry, 100)
  wheel.schedule(entry, 1000)
  t.equal(wheel.count, 1)
  pass(wheel, 500)
  t.same(entry.fired, [])
  wheel.schedule(entry, 20)
  pass(wheel, 40)
  t.equal(entry.fired.length, 1)
  pass(wheel, 1000)
  t.equal(entry.fired.length, 1)
  t.end()
})

t.test('a cancelled entry does not fire, and cancelling twice does nothing', (t) => {
  const wheel = makeWheel()
  const entry = new Entry()
  wheel.cancel(entry)
  wheel.schedule(entry, 50)
  wheel.cancel(entry)
  wheel.cancel(entry)
  t.equal(wheel.count, 0)
  pass(wheel, 200)
  t.same(entry.fired, [])
  t.end()
})

t.test('a callback may cancel another entry of the same slot', (t) => {
  const wheel = makeWheel()
  const second = new Entry()
  const first = new Entry(() => wheel.cancel(second))
  const third = new Entry()
  for (const entry of [first, second, third]) wheel.schedule(entry, 40)
  pass(wheel, 100)
  t.equal(first.fired.length, 1)
  t.same(second.fired, [])
  t.equal(third.fired.length, 1)
  t.equal(wheel.count, 0)
  t.end()
})

t.test('a callback may schedule itself and others into the slot that is being walked', (t) => {
  const wheel = makeWheel()
  const other = new Entry()
  const entry: Entry = new Entry(() => {
    if (entry.fired.length === 1) {
      wheel.schedule(entry, 0)
      wheel.schedule(other, TURN_MS)
    }
  })
  wheel.schedule(entry, 40)
  pass(wheel, 41 + 2 * TICK_MS)
  t.equal(entry.fired.length, 2, 'not in the same walk, but with the next tick')
  t.ok((entry.fired[1] as number) > (entry.fired[0] as number))
  t.same(other.fired, [])
  pass(wheel, TURN_MS)
  t.equal(other.fired.length, 1)
  t.end()
})

t.test('after a long block of the loop everything that is due fires at once, and nothing else', (t) => {
  for (const blockMs of [TICK_MS, 500, TURN_MS - TICK_MS, TURN_MS, TURN_MS + TICK_MS, 5 * TURN_MS]) {
    const wheel = makeWheel()
    const entries = Array.from({ length: 400 }, (_, i) => ({ delay: i * 61, entry: new Entry() }))
    for (const { delay, entry } of entries) wheel.schedule(entry, delay)
    clock += blockMs
    wheel.advance()
    const wrong = entries.filter(({ delay, entry }) => {
      if (delay <= blockMs - TICK_MS) return entry.fired.length !== 1
      return delay > blockMs && entry.fired.length !== 0
    })
    t.same(wrong, [], `after ${blockMs} ms`)
    pass(wheel, 400 * 61, 16)
    t.equal(wheel.count, 0)
  }
  t.end()
})

t.test('an idle time does not count as missed ticks', (t) => {
  const wheel = makeWheel()
  const entry = new Entry()
  wheel.schedule(entry, 10)
  pass(wheel, 50)
  clock += 100 * TURN_MS
  wheel.schedule(entry, 100)
  wheel.advance()
  t.equal(entry.fired.length, 1)
  pass(wheel, 100 + TICK_MS)
  t.equal(entry.fired.length, 2)
  t.end()
})

t.test('any sequence of steps fires what a naive list of timers fires', (t) => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('schedule' as const),
      index: fc.nat(9),
      ms: fc.double({ min: 0, max: 20_000, noNaN: true }),
    }),
    fc.record({ kind: fc.constant('schedule' as const), index: fc.nat(9), ms: fc.nat(100) }),
    fc.record({ kind: fc.constant('cancel' as const), index: fc.nat(9), ms: fc.constant(0) }),
    fc.record({ kind: fc.constant('pass' as const), index: fc.constant(0), ms: fc.nat(60) }),
    fc.record({ kind: fc.constant('pass' as const), index: fc.constant(0), ms: fc.nat(20_000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wheel = makeWheel()
      const due = new Map<Entry, number>()
      const entries = Array.from({ length: 10 }, () => {
        const entry: Entry = new Entry(() => {
          const at = due.get(entry)
          if (at === undefined || clock < at) throw new Error('early, or not scheduled')
          due.delete(entry)
        })
        return entry
      })
      for (const { kind, index, ms } of steps) {
        const entry = entries[index] as Entry
        if (kind === 'schedule') {
          wheel.schedule(entry, ms)
          due.set(entry, clock + ms)
        } else if (kind === 'cancel') {
          wheel.cancel(entry)
          due.delete(entry)
        } else {
          clock += ms
          wheel.advance()
          for (const at of due.values()) if (clock >= at + TICK_MS) throw new Error(`late: ${at} at ${clock}`)
        }
        if (wheel.count !== due.size) throw new Error('count')
      }
      pass(wheel, 20_100, 16)
      return due.size === 0 && wheel.count === 0
    }),
  )
  t.end()
})

t.test('the wheel turns by itself, and lets the process end when nothing is scheduled', (t) => {
  const source = `
    import { TimerWheel } from ${JSON.stringify(new URL('../../lib/net/timer-wheel.ts', import.meta.url).href)}
    const wheel = new TimerWheel(() => performance.now())
    const entry = (onTimer) => ({ timerPrevious: null, timerNext: null, timerAt: 0, onTimer })
    const start = performance.now()
    const never = entry(() => console.log('never'))
    wheel.schedule(never, 3600_000)
    wheel.schedule(entry(() => {
      console.log('first', performance.now() - start >= 30)
      wheel.schedule(entry(() => {
        console.log('second')
        wheel.cancel(never)
      }), 20)
    }), 30)
  `
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', source], { timeout: 20_000 })
  t.equal(child.status, 0, child.stderr.toString())
  t.equal(child.stdout.toString(), 'first true\nsecond\n')
  t.end()
})
