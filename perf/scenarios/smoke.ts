/** Every scenario with a tiny load: does every path still work? Never a question of speed. */
import type { Progress } from '../harness/measure.ts'
import type { PerfOptions } from '../harness/options.ts'
import { runScenario } from '../harness/run-context.ts'
import { SCENARIOS } from './index.ts'
import { profile } from './profile.ts'

/** Runs all of them, also after one has failed. Needs no peers, no wrk and no nginx. Returns the exit code. */
export async function smoke(options: PerfOptions, progress: Progress): Promise<number> {
  const small: PerfOptions = {
    ...options,
    small: true,
    peers: [],
    connections: 8,
    save: false,
    against: null,
  }
  const quiet = () => {}
  let broken = 0
  let lastDetails = ''
  const attempt = async (name: string, run: () => Promise<readonly string[]>) => {
    const begin = performance.now()
    const failures = await run().catch((error: Error) => [error.message])
    const took = `${((performance.now() - begin) / 1000).toFixed(1)} s`
    if (failures.length === 0) {
      progress(`${name} works (${took})`)
      return
    }
    broken++
    const failure = failures.join('; ')
    // What a dying process printed is the same for each scenario; once is enough.
    const details = failure.slice(failure.indexOf('\n') + 1)
    progress(`${name} is broken (${took}): ${details === lastDetails ? 'the same again' : failure}`)
    lastDetails = details
  }
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    await attempt(name, async () => (await runScenario(scenario, small, quiet)).failures)
  }
  for (const path of ['http1', 'mmtp', 'bolt', 'dubbo', 'translate']) {
    await attempt(`profile ${path}`, async () => {
      await profile(path, { ...small, top: 1 }, quiet)
      return []
    })
  }
  process.stdout.write(broken === 0 ? 'smoke: every path works\n' : `smoke: ${broken} paths are broken\n`)
  return broken === 0 ? 0 : 1
}
