/** What the filters of a running gateway get beside their options. */
import { pathResolver } from './assemble.ts'
import type { Config } from './config/config.ts'
import type { FilterServices } from './core/filter.ts'
import type { Clock, Logger, LogSink, Metrics, Timers } from './core/services.ts'
import { makeServices, type SlotRegistry } from './filters/services.ts'
import { gatewayCounter } from './telemetry/gateway-counters.ts'
import { openLogSink } from './telemetry/log-sink.ts'

/** The parts of a gateway that filters use. */
export interface ServingGateway {
  /** The configuration file, for relative paths. */
  readonly file: string
  readonly log: Logger
  readonly metrics: Metrics
  readonly loop: Clock & Timers
}

/** Makes the services of each filter by its name. */
export function filterServices(
  gateway: ServingGateway,
  { node }: Config,
  slots: SlotRegistry,
): (name: string) => FilterServices {
  const { file, log, metrics, loop } = gateway
  const shared = {
    log,
    metrics,
    clock: loop,
    timers: loop,
    node,
    resolvePath: pathResolver(file),
    openLog: (path: string | null) => openLog(path, gateway),
  }
  return makeServices(shared, slots)
}

function openLog(path: string | null, { log, metrics }: ServingGateway): LogSink {
  const dropped = gatewayCounter(metrics, 'droppedLines')
  const onDrop = (lines: number): void => {
    dropped.value += lines
  }
  return openLogSink(path, onDrop, (error) => log.error({ path, err: error }, 'cannot write the access log'))
}
