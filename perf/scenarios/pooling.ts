/** What reading into pooled slabs brings: the same gateway with it switched off. */
import { gatewaySubject } from '../harness/gateway.ts'
import { LARGE_PATH, runHttpLoad, startHttpBackend } from '../harness/loads.ts'
import {
  type Contender,
  rounded,
  runRounds,
  SAMPLE_COLUMNS,
  type Summary,
  sampleRow,
} from '../harness/measure.ts'
import { ratio } from '../harness/numbers.ts'
import { PATH } from '../harness/paths.ts'
import type { Report } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'

/** Switches the gateway's sockets to ordinary `'data'` events. */
const OFF = { MESHGATE_POOLED_READS: 'off' }

const BODIES = [
  { title: '650 B', path: PATH },
  { title: '64 KiB', path: LARGE_PATH },
]

/** Runs both variants with a small and a large answer. */
export async function pooling(context: RunContext): Promise<Report> {
  const { options, sandbox, tools, progress, failures } = context
  const rounds = options.rounds ?? (options.small ? 1 : 5)
  const seconds = options.seconds ?? (options.small ? 1 : 3)
  const backend = await startHttpBackend(sandbox, tools)
  const variants = [
    gatewaySubject(options, { name: 'pooled' }),
    gatewaySubject(options, { name: 'not pooled', env: OFF }),
  ]
  const contenders: Contender[] = []
  for (const body of BODIES) {
    for (const variant of variants) {
      // A process for each body, so that memory is that body's own.
      const running = await variant.start(sandbox, backend.port)
      const load = { port: running.port, path: body.path, connections: options.connections }
      contenders.push({
        name: `${body.title}, ${variant.name}`,
        running,
        load: (duration) => runHttpLoad(sandbox, tools, { ...load, seconds: duration }),
      })
    }
  }
  const roundsOptions = { rounds, seconds, progress, failures, ...(options.small ? { warmUp: 0 } : {}) }
  const summaries = await runRounds(sandbox, contenders, roundsOptions)
  return makeReport(context, {
    scenario: 'pooling',
    title: 'Pooled reads',
    method: `HTTP/1, ${options.connections} connections, standard chain with 1,000 routes; ${rounds} interleaved rounds of ${seconds} s, medians; ${tools.note}.`,
    tables: [
      {
        title: 'Reading into leased slabs, and with MESHGATE_POOLED_READS=off',
        columns: [
          { key: 'name', title: 'answers' },
          ...SAMPLE_COLUMNS,
          { key: 'qpsRatio', title: 'QPS × not pooled', decimals: 2 },
          { key: 'cpuRatio', title: 'CPU × not pooled', decimals: 2 },
        ],
        rows: summaries.map((summary, i) => ({
          ...sampleRow(summary),
          ...ratios(summary, summaries[i | 1]!),
        })),
      },
    ],
    targets: [],
  })
}

function ratios(summary: Summary, plain: Summary) {
  return {
    qpsRatio: rounded(ratio(summary.qps, plain.qps), 2),
    cpuRatio: rounded(ratio(summary.cpuUs, plain.cpuUs), 2),
  }
}
