/**
 * Claim: a deadline for each request costs a few nanoseconds in the wheel, against hundreds with `setTimeout` and
 * `clearTimeout`, and stays that cheap when 10,000 others wait.
 *
 *     node perf/micro/timer-wheel.ts
 */
import type { TimerEntry } from '../../lib/core/services.ts'
import { TimerWheel } from '../../lib/net/timer-wheel.ts'
import { measure } from './filter-measure.ts'

class Entry implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  onTimer(): void {}
}

let clock = 1000
const nothing = (): void => {}

for (const waiting of [0, 10_000]) {
  const wheel = new TimerWheel(() => clock)
  const others = Array.from({ length: waiting }, () => new Entry())
  for (const [i, other] of others.entries()) wheel.schedule(other, 1000 + i)
  const entry = new Entry()
  measure(`schedule and cancel in the wheel, ${waiting} others`, () => {
    wheel.schedule(entry, 3000)
    wheel.cancel(entry)
  })
  measure(`move to another time, ${waiting} others`, () => wheel.schedule(entry, 3000))
  wheel.cancel(entry)
  measure(
    `one tick of the wheel, ${waiting} others`,
    () => {
      clock += 16
      wheel.advance()
    },
    100,
  )
  for (const other of others) wheel.cancel(other)
}

measure('setTimeout and clearTimeout', () => clearTimeout(setTimeout(nothing, 3000)))
const timeout = setTimeout(nothing, 3000)
measure('timeout.refresh', () => timeout.refresh())
clearTimeout(timeout)
