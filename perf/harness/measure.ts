/** Runs rounds over several subjects in turn, and reduces them to medians. */
import type { LoadResult } from '../load/load-result.ts'
import { format, median, ratio } from './numbers.ts'
import type { Column, Row } from './report.ts'
import type { Sandbox } from './sandbox.ts'
import type { Running } from './subject.ts'
import { cpuMilliseconds, residentBytes } from './usage.ts'

/** One measured window of one subject. */
export interface Sample {
  readonly qps: number
  /** CPU of the whole process tree per answered request; null where the system does not tell. */
  readonly cpuUs: number | null
  /** Share of one core that the subject used. */
  readonly busy: number | null
  readonly p50Ms: number
  readonly p99Ms: number
  readonly rssMiB: number | null
}

/** Something that is measured once a round. */
export interface Contender {
  readonly name: string
  /** The process whose CPU is counted; null for the direct run, which has none. */
  readonly running: Running | null
  readonly load: (seconds: number) => Promise<LoadResult>
}

/** Medians of one contender. */
export interface Summary extends Sample {
  readonly name: string
}

/** Tells what goes on, in plain words. */
export type Progress = (line: string) => void

/** How long each contender is warmed up before its first round. */
const WARM_UP_SECONDS = 2

/** Everything that a comparison needs besides its contenders. */
export interface RoundsOptions {
  readonly rounds: number
  readonly seconds: number
  readonly progress: Progress
  /** Takes what failed; a run goes on after failed requests, so that all is seen. */
  readonly failures: string[]
  readonly warmUp?: number
}

/**
 * Measures every contender once a round, in alternating order (A B C, C B A, …), so that a slow spell of the machine
 * meets all of them. Returns medians in the order given.
 */
export async function runRounds(
  sandbox: Sandbox,
  contenders: readonly Contender[],
  options: RoundsOptions,
): Promise<Summary[]> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]))
  const warmUp = options.warmUp ?? WARM_UP_SECONDS
  if (warmUp > 0) {
    options.progress(`warming up: ${contenders.map(({ name }) => name).join(', ')}`)
    for (const contender of contenders) noteFailures(contender.name, await contender.load(warmUp), options)
  }
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? contenders : [...contenders].reverse()
    for (const contender of order) {
      const sample = await measure(sandbox, contender, options)
      samples.get(contender.name)!.push(sample)
      options.progress(`round ${round + 1} of ${options.rounds}: ${contender.name} ${describe(sample)}`)
    }
  }
  return contenders.map(({ name }) => summarize(name, samples.get(name)!))
}

/** One window of one contender. */
async function measure(sandbox: Sandbox, contender: Contender, options: RoundsOptions): Promise<Sample> {
  const pid = contender.running?.process.pid ?? null
  const cpuBefore = pid === null ? null : cpuMilliseconds(pid)
  const startedAt = performance.now()
  const result = await contender.load(options.seconds)
  const elapsedMs = performance.now() - startedAt
  sandbox.assertAlive()
  noteFailures(contender.name, result, options)
  const cpuAfter = pid === null ? null : cpuMilliseconds(pid)
  const cpuMs = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore
  const rss = pid === null ? null : residentBytes(pid)
  return {
    qps: result.qps,
    cpuUs: cpuMs === null ? null : ratio(cpuMs * 1000, result.requests),
    busy: cpuMs === null ? null : cpuMs / elapsedMs,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    rssMiB: rss === null ? null : rss / 1024 / 1024,
  }
}

function noteFailures(name: string, result: LoadResult, options: RoundsOptions): void {
  if (result.failed > 0)
    options.failures.push(`${name}: ${result.failed} requests failed (${result.firstFailure})`)
  else if (result.requests === 0) options.failures.push(`${name}: no request was answered`)
}

function summarize(name: string, samples: readonly Sample[]): Summary {
  const of = (pick: (sample: Sample) => number | null) => median(samples.map(pick))
  return {
    name,
    qps: of((sample) => sample.qps) ?? 0,
    cpuUs: of((sample) => sample.cpuUs),
    busy: of((sample) => sample.busy),
    p50Ms: of((sample) => sample.p50Ms) ?? 0,
    p99Ms: of((sample) => sample.p99Ms) ?? 0,
    rssMiB: of((sample) => sample.rssMiB),
  }
}

function describe(sample: Sample): string {
  const cpu = sample.cpuUs === null ? '' : `, ${format(sample.cpuUs, 2)} µs CPU a request`
  return `${format(sample.qps)}/s${cpu}, p99 ${format(sample.p99Ms, 2)} ms`
}

/** The columns that most tables share. */
export const SAMPLE_COLUMNS: readonly Column[] = [
  { key: 'qps', title: 'QPS', decimals: 0 },
  { key: 'cpuUs', title: 'CPU µs/request', decimals: 2 },
  { key: 'busyPercent', title: 'core %', decimals: 0 },
  { key: 'p50Ms', title: 'p50 ms', decimals: 2 },
  { key: 'p99Ms', title: 'p99 ms', decimals: 2 },
  { key: 'rssMiB', title: 'RSS MiB', decimals: 0 },
]

/** A summary as the row of a table, numbers cut to what they are worth. */
export function sampleRow(summary: Summary): Row {
  return {
    name: summary.name,
    qps: Math.round(summary.qps),
    cpuUs: rounded(summary.cpuUs, 2),
    busyPercent: summary.busy === null ? null : Math.round(summary.busy * 100),
    p50Ms: rounded(summary.p50Ms, 3),
    p99Ms: rounded(summary.p99Ms, 3),
    rssMiB: rounded(summary.rssMiB, 1),
  }
}

/** Cuts a number to `decimals` for storing. */
export function rounded(value: number | null, decimals: number): number | null {
  return value === null ? null : Number(value.toFixed(decimals))
}
