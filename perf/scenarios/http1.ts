/** HTTP/1 in, HTTP/1 out, beside the peers; then latency at half of what meshgate can carry. */
import { gatewaySubject, otherCheckout } from '../harness/gateway.ts'
import { runHttpLoad, runHttpRate, startHttpBackend } from '../harness/loads.ts'
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
import { findPeers } from '../harness/peers.ts'
import { atLeast, atMost, type Report, type Row, type Target } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'
import type { Running, Subject } from '../harness/subject.ts'

/** Runs the comparison. */
export async function http1(context: RunContext): Promise<Report> {
  const { options, sandbox, tools, progress, failures } = context
  const rounds = options.rounds ?? (options.small ? 1 : 5)
  const seconds = options.seconds ?? (options.small ? 1 : 3)
  const backend = await startHttpBackend(sandbox, tools)
  const subjects = subjectsOf(context)
  const running: Running[] = []
  for (const subject of subjects) running.push(await subject.start(sandbox, backend.port))

  const contenders: Contender[] = running.map((one) => ({
    name: one.name,
    running: one,
    load: (duration) => httpLoad(context, one.port, duration),
  }))
  if (!options.small) {
    contenders.push({
      name: 'direct',
      running: null,
      load: (duration) => httpLoad(context, backend.port, duration),
    })
  }
  const roundsOptions = { rounds, seconds, progress, failures, ...(options.small ? { warmUp: 0 } : {}) }
  const summaries = await runRounds(sandbox, contenders, roundsOptions)

  const rate = options.rate ?? halfOf(summaries)
  const paced = await runPaced(context, running, rate, rounds, seconds)
  const { connections } = options
  return makeReport(
    context,
    {
      scenario: 'http1',
      title: 'HTTP/1 -> HTTP/1',
      method: `${connections} kept-alive connections, 650-byte answers, standard chain with 1,000 routes in meshgate (peers proxy plainly); ${rounds} interleaved rounds of ${seconds} s, medians; ${tools.note}.`,
      tables: [
        { title: 'As fast as it goes', columns: compareColumns(), rows: compareRows(summaries) },
        {
          title: `At ${Math.round(rate).toLocaleString('en-US')} requests/s`,
          columns: PACED_COLUMNS,
          rows: paced.map(pacedRow),
        },
      ],
      targets: targetsOf(summaries, paced),
      notes: [
        'direct: load to backend without a proxy, both on the load core. Where a proxy stays below 95 % of its core, load and backend were the limit and only its CPU figure counts.',
        'The paced run asks all of them for half of what meshgate carries, from an open-loop generator that counts latency from the moment a request was due.',
      ],
    },
    subjects,
  )
}

function subjectsOf({ options, progress }: RunContext): Subject[] {
  const before = options.gateway ? otherCheckout(options) : null
  return [
    ...(options.gateway ? [gatewaySubject(options)] : []),
    ...(before === null ? [] : [before]),
    ...(options.small ? [] : findPeers(options.peers, progress)),
  ]
}

function httpLoad({ sandbox, tools, options }: RunContext, port: number, seconds: number) {
  return runHttpLoad(sandbox, tools, { port, path: PATH, connections: options.connections, seconds })
}

/** Half of meshgate's rate; without it half of the slowest peer's, so that all can follow. */
function halfOf(summaries: readonly Summary[]): number {
  const own = summaries.find(({ name }) => name === 'meshgate')
  const peers = summaries.filter(({ name }) => name !== 'direct').map(({ qps }) => qps)
  return Math.max(10, (own?.qps ?? Math.min(...peers)) / 2)
}

function runPaced(
  context: RunContext,
  running: readonly Running[],
  rate: number,
  rounds: number,
  seconds: number,
): Promise<Summary[]> {
  context.progress(`latency at ${Math.round(rate)} requests/s`)
  const contenders = running.map((one) => ({
    name: one.name,
    running: one,
    load: (duration: number) => runHttpRate(context.sandbox, one.port, PATH, rate, duration),
  }))
  const { progress, failures } = context
  return runRounds(context.sandbox, contenders, {
    rounds,
    seconds,
    progress,
    failures,
    warmUp: 0,
  })
}

const PACED_COLUMNS = [
  { key: 'name', title: 'proxy' },
  ...SAMPLE_COLUMNS.filter(({ key }) => key !== 'rssMiB'),
]

function pacedRow(summary: Summary): Row {
  return sampleRow(summary)
}

function compareColumns() {
  return [
    { key: 'name', title: 'proxy' },
    ...SAMPLE_COLUMNS,
    { key: 'qpsRatio', title: 'meshgate QPS ×', decimals: 2 },
    { key: 'cpuRatio', title: 'meshgate CPU ×', decimals: 2 },
  ]
}

/** Rows with the ratio meshgate ÷ peer. */
function compareRows(summaries: readonly Summary[]): Row[] {
  const own = summaries.find(({ name }) => name === 'meshgate')
  return summaries.map((summary) => ({
    ...sampleRow(summary),
    qpsRatio: rounded(ratio(own?.qps, summary.qps), 2),
    cpuRatio: rounded(ratio(own?.cpuUs, summary.cpuUs), 2),
  }))
}

function targetsOf(summaries: readonly Summary[], paced: readonly Summary[]): Target[] {
  const find = (list: readonly Summary[], name: string) => list.find((summary) => summary.name === name)
  const own = find(summaries, 'meshgate')
  if (own === undefined) return []
  const p99Ratio = (peer: string) => ratio(find(paced, 'meshgate')?.p99Ms, find(paced, peer)?.p99Ms)
  return [
    atMost('CPU of a request', own.cpuUs, 16, 'µs'),
    atLeast("QPS ÷ Envoy's", ratio(own.qps, find(summaries, 'envoy')?.qps), 2, ''),
    atLeast("QPS ÷ nginx's", ratio(own.qps, find(summaries, 'nginx')?.qps), 0.65, ''),
    atMost("p99 at half load ÷ Envoy's", p99Ratio('envoy'), 1, '', 2),
    atMost("p99 at half load ÷ nginx's", p99Ratio('nginx'), 1, '', 2),
  ]
}
