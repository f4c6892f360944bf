/**
 * Measures meshgate: `npm run perf -- SCENARIO [options]`, `--help` for both. Progress goes to stderr, the result to
 * stdout. Exit code 0 when every path worked, 1 when requests failed or a process died, 2 for a wrong command line.
 */
import os from 'node:os'
import { type PerfOptions, parseOptions, USAGE, UsageError } from './harness/options.ts'
import { renderText } from './harness/report.ts'
import { areTablesCurrent, saveReport, writeTables } from './harness/results.ts'
import { runScenario } from './harness/run-context.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { profile } from './scenarios/profile.ts'
import { smoke } from './scenarios/smoke.ts'

/** Load average above which a warning is printed. */
const BUSY_LOAD = 0.7

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  if (args.length === 0 || args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE)
    return args.length === 0 ? 2 : 0
  }
  try {
    return await run(args[0]!, args.slice(1))
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n\n${USAGE}`)
      return 2
    }
    process.stderr.write(`perf: ${(error as Error).message}\n`)
    return 1
  }
}

async function run(name: string, args: readonly string[]): Promise<number> {
  const { options, rest, check } = parseOptions(args)
  if (name === 'tables') return tables(check)
  if (name === 'smoke') return smoke(options, progress)
  if (name === 'profile') {
    warnIfBusy()
    process.stdout.write(await profile(rest[0] ?? 'http1', options, progress))
    return 0
  }
  const scenario = SCENARIOS[name]
  if (scenario === undefined) throw new UsageError(`unknown scenario ${name}`)
  if (rest.length > 0) throw new UsageError(`${rest[0]} is one word too many`)

  warnIfBusy()
  const report = await runScenario(scenario, options, progress)
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : renderText(report))
  if (options.save && isBaseline(options) && report.failures.length === 0) saveReport(report)
  return report.failures.length === 0 ? 0 : 1
}

/** Only a run of this checkout as it stands is kept; experiments are not. */
function isBaseline(options: PerfOptions): boolean {
  const isOwnEntry = options.entry === 'lib/main.ts' || options.entry === 'dist/main.js'
  return options.gateway && options.against === null && isOwnEntry && options.nodeOptions.length === 0
}

/** Other work on the machine spoils rates and latencies, CPU per request less. */
function warnIfBusy(): void {
  const [load = 0] = os.loadavg()
  if (load > BUSY_LOAD) progress(`the machine is not idle (load average ${load.toFixed(1)}): expect noise`)
}

function tables(check: boolean): number {
  if (!check) writeTables()
  else if (!areTablesCurrent()) {
    process.stderr.write('docs/performance.md differs from perf/baselines; run: npm run perf -- tables\n')
    return 1
  }
  return 0
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}
