/** What every scenario is handed. */
import { findCores } from './cores.ts'
import { describeEnvironment } from './environment.ts'
import { findTools, type Tools } from './loads.ts'
import type { Progress } from './measure.ts'
import type { PerfOptions } from './options.ts'
import type { Report } from './report.ts'
import { Sandbox } from './sandbox.ts'
import type { Subject } from './subject.ts'

/** One run of one scenario. */
export interface RunContext {
  readonly sandbox: Sandbox
  readonly options: PerfOptions
  readonly tools: Tools
  readonly progress: Progress
  /** Filled while the scenario runs; not empty means that a path is broken. */
  readonly failures: string[]
}

/** Measures one thing and says what it found. */
export type Scenario = (context: RunContext) => Promise<Report>

/** Runs a scenario in a sandbox of its own, which is gone afterwards. */
export async function runScenario(
  scenario: Scenario,
  options: PerfOptions,
  progress: Progress,
): Promise<Report> {
  const sandbox = new Sandbox(findCores())
  try {
    return await scenario({ sandbox, options, progress, tools: findTools(options.small), failures: [] })
  } finally {
    await sandbox.close()
  }
}

/** Puts the parts of a report together. */
export function makeReport(
  context: RunContext,
  parts: Omit<Report, 'environment' | 'failures' | 'notes'> & { notes?: readonly string[] },
  peers: readonly Subject[] = [],
): Report {
  const versions = Object.fromEntries(
    peers.filter(({ name }) => name !== 'meshgate').map(({ name, version }) => [name, version]),
  )
  return {
    ...parts,
    environment: describeEnvironment(context.sandbox.cores.note, versions),
    notes: parts.notes ?? [],
    failures: [...new Set(context.failures)],
  }
}
