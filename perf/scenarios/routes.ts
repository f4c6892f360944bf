/** Does the size of the route table show, per request and at load? */
import { startGateway } from '../harness/gateway.ts'
import { runHttpLoad, startHttpBackend } from '../harness/loads.ts'
import {
  type Contender,
  rounded,
  runRounds,
  SAMPLE_COLUMNS,
  type Summary,
  sampleRow,
} from '../harness/measure.ts'
import { format, ratio } from '../harness/numbers.ts'
import { PATH } from '../harness/paths.ts'
import { atMost, type Report } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'

const COUNTS = [30, 1000, 30_000]

/** Runs the same load against tables of three sizes; the route asked for is the last but one of each. */
export async function routes(context: RunContext): Promise<Report> {
  const { options, sandbox, tools, progress, failures } = context
  const rounds = options.rounds ?? (options.small ? 1 : 5)
  const seconds = options.seconds ?? (options.small ? 1 : 3)
  const backend = await startHttpBackend(sandbox, tools)
  const contenders: Contender[] = []
  const startMs = new Map<string, number>()
  for (const count of COUNTS) {
    const name = `${format(count)} routes`
    const begin = performance.now()
    const running = await startGateway(sandbox, backend.port, options, { routes: count, name })
    startMs.set(name, performance.now() - begin)
    progress(`${name}: listening after ${format(startMs.get(name))} ms`)
    const load = { port: running.port, path: PATH, connections: options.connections }
    contenders.push({
      name,
      running,
      load: (duration) => runHttpLoad(sandbox, tools, { ...load, seconds: duration }),
    })
  }
  const roundsOptions = { rounds, seconds, progress, failures, ...(options.small ? { warmUp: 0 } : {}) }
  const summaries = await runRounds(sandbox, contenders, roundsOptions)
  const [few, , many] = summaries as [Summary, Summary, Summary]
  const loadMs = startMs.get(many.name)! - startMs.get(few.name)!
  return makeReport(context, {
    scenario: 'routes',
    title: 'Size of the route table',
    method: `HTTP/1 as in the first table, standard chain; ${rounds} interleaved rounds of ${seconds} s, medians; ${tools.note}.`,
    tables: [
      {
        title: 'As fast as it goes',
        columns: [
          { key: 'name', title: 'table' },
          ...SAMPLE_COLUMNS,
          { key: 'cpuRatio', title: 'CPU × 30 routes', decimals: 2 },
          { key: 'startMs', title: 'start ms', decimals: 0 },
        ],
        rows: summaries.map((summary) => ({
          ...sampleRow(summary),
          cpuRatio: rounded(ratio(summary.cpuUs, few.cpuUs), 2),
          startMs: Math.round(startMs.get(summary.name)!),
        })),
      },
    ],
    targets: [
      atMost('CPU with 30,000 routes ÷ with 30', ratio(many.cpuUs, few.cpuUs), 2, '', 2),
      atMost('loading 30,000 routes (start minus start with 30)', loadMs / 1000, 2, 's', 2),
    ],
    notes: ['start: from spawn until the port answers.'],
  })
}
