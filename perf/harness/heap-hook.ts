/**
 * Loaded into a measured process with `--expose-gc --import`: each SIGUSR2 collects all garbage and adds one line of
 * JSON to `$MESHGATE_PERF_HEAP`, what `process.memoryUsage()` says then.
 */
import { appendFileSync } from 'node:fs'

process.on('SIGUSR2', () => {
  // Twice: what finalizers let go of in the first turn is freed in the second.
  globalThis.gc?.()
  globalThis.gc?.()
  appendFileSync(process.env['MESHGATE_PERF_HEAP']!, `${JSON.stringify(process.memoryUsage())}\n`)
})
