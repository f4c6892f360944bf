/**
 * Loaded into the profiled process with `--import`: SIGUSR2 starts the CPU profiler, the next one stops it and writes
 * the profile to `$MESHGATE_PERF_PROFILE`. So the profile holds the loaded window alone, without start and warm-up.
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

/** Finer than V8's default of 1 ms; costs a few percent. */
const SAMPLING_INTERVAL_US = 200

let session: Session | null = null

process.on('SIGUSR2', () => {
  if (session === null) void start()
  else void stop(session)
})

async function start(): Promise<void> {
  session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US })
  await session.post('Profiler.start')
}

async function stop(running: Session): Promise<void> {
  const { profile } = await running.post('Profiler.stop')
  session = null
  running.disconnect()
  writeFileSync(process.env['MESHGATE_PERF_PROFILE']!, JSON.stringify(profile))
}
