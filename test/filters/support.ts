/** What the filter tests share: exchanges, logs and services without a gateway. */
import type { Exchange } from '../../lib/core/exchange.ts'
import type { FilterServices } from '../../lib/core/filter.ts'
import type { Logger, Metrics } from '../../lib/core/services.ts'
import { makeServices, SlotRegistry } from '../../lib/filters/services.ts'
import { makeTestExchange, type TestRequest } from '../../lib/testing.ts'
import { type LogRecord, ManualClock, makeLogger } from '../../lib/testing-services.ts'

/** An exchange whose request is made up. */
export function makeExchange(request: TestRequest = {}): Exchange {
  return makeTestExchange(request, new ManualClock())
}

/** A logger and what it was given. */
export function recordingLog(): { log: Logger; records: LogRecord[] } {
  const records: LogRecord[] = []
  return { log: makeLogger(records), records }
}

/** Services of one filter. */
export function filterServices(
  name: string,
  given: { slots?: SlotRegistry; log?: Logger; clock?: ManualClock } = {},
): FilterServices {
  const clock = given.clock ?? new ManualClock()
  const metrics: Metrics = {
    counter: () => ({ value: 0 }),
    histogram: () => ({ record: () => {} }),
    gauge: () => () => {},
  }
  const shared = {
    log: given.log ?? recordingLog().log,
    metrics,
    clock,
    timers: clock,
    node: { app: 'test', cell: 'RZ01A', labels: { stage: 'grey' } },
    resolvePath: (path: string) => path,
    openLog: () => ({ write: () => {}, close: () => {} }),
  }
  return makeServices(shared, given.slots ?? new SlotRegistry())(name)
}
