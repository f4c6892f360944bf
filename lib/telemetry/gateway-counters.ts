/** The counters of the gateway as a whole: names and help in one place. They appear with the first thing they count. */
import type { Counter, Metrics } from '../core/services.ts'
import type { Labels } from './families.ts'

/** By what they count. `docs/admin.md` lists them. */
export const GATEWAY_COUNTERS = {
  errors: {
    name: 'meshgate_errors_total',
    help: 'Exchanges that meshgate failed or refused, and connections that it refused, by code.',
  },
  configRefusals: {
    name: 'meshgate_config_refusals_total',
    help: 'Changes of the configuration that were refused.',
  },
  moduleRefusals: {
    name: 'meshgate_filter_modules_refused_total',
    help: 'Saved versions of users’ filters that were refused.',
  },
  droppedLines: {
    name: 'meshgate_log_lines_dropped_total',
    help: 'Access log lines lost to a slow disk.',
  },
} as const

/** Finds or creates one of them. Not for the hot path: keep what it gives. */
export function gatewayCounter(
  metrics: Metrics,
  which: keyof typeof GATEWAY_COUNTERS,
  labels?: Labels,
): Counter {
  const { name, help } = GATEWAY_COUNTERS[which]
  return metrics.counter(name, help, labels)
}
