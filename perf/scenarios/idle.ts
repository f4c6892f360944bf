/** Memory of a connection that does nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import { gatewaySubject, otherCheckout } from '../harness/gateway.ts'
import { generatorCommand, startBareServer, startHttpBackend } from '../harness/loads.ts'
import { rounded } from '../harness/measure.ts'
import { format, median } from '../harness/numbers.ts'
import { PATH } from '../harness/paths.ts'
import { findPeers } from '../harness/peers.ts'
import { atMost, type Report, type Row } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'
import type { Running, Subject } from '../harness/subject.ts'
import { residentBytes } from '../harness/usage.ts'

/** Connections of the first look: enough that code is loaded, too few to show. */
const FIRST_CONNECTIONS = 10
/** Share of the connections that is open at the second look; what is added after it gives the marginal cost. */
const SECOND_LOOK = 0.2

/** Opens the connections against one subject after the other; each runs alone. */
export async function idle(context: RunContext): Promise<Report> {
  const { options, sandbox, tools, progress } = context
  const count = options.small ? 200 : options.idle
  const settleMs = options.small ? 200 : 3000
  const rounds = options.rounds ?? (options.small ? 1 : 3)
  const backend = await startHttpBackend(sandbox, tools)
  const subjects = subjectsOf(context)
  const found = new Map<string, Measured[]>(subjects.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      const running = await subject.start(sandbox, backend.port)
      const measured = await measure(context, running, count, settleMs)
      found.get(subject.name)!.push(measured)
      progress(
        `round ${round + 1} of ${rounds}: ${subject.name} ${format(measured.perConnection / 1024, 2)} KiB a connection`,
      )
      await running.process.stop()
    }
  }
  const rows = subjects.map(({ name }) => rowOf(name, found.get(name)!))
  const own = rows.find((row) => row['name'] === 'meshgate')
  return makeReport(
    context,
    {
      scenario: 'idle',
      title: 'Idle connections',
      method: `${format(count)} HTTP/1 connections, each after one answered request, nothing under way; growth of resident memory since the start ÷ connections, kernel buffers not included; ${rounds} rounds, each with a fresh process, medians.`,
      tables: [
        {
          title: 'Memory',
          columns: [
            { key: 'name', title: 'proxy' },
            { key: 'perConnectionKiB', title: 'KiB a connection', decimals: 2 },
            { key: 'marginalKiB', title: 'of the last 80 %', decimals: 2 },
            { key: 'beforeMiB', title: 'RSS before MiB', decimals: 1 },
            { key: 'afterMiB', title: 'RSS after MiB', decimals: 1 },
          ],
          rows,
        },
      ],
      targets:
        own === undefined
          ? []
          : [atMost('memory of an idle connection', own['perConnectionKiB'] as number, 10, 'KiB', 2)],
      notes: [
        'bare net.Server: a Node process that accepts with node:net and answers from a constant; the floor.',
        'of the last 80 %: the same, counted from the 2,000th connection on. It leaves out what a process grows by once, such as the heap that its first requests fill.',
      ],
    },
    subjects.filter(({ version }) => version !== ''),
  )
}

interface Measured {
  /** Whole growth ÷ connections. */
  readonly perConnection: number
  /** Growth from the second look on ÷ connections added since. */
  readonly marginal: number
  readonly before: number
  readonly after: number
}

function subjectsOf({ options, progress }: RunContext): Subject[] {
  const bare: Subject = { name: 'bare net.Server', version: '', start: (sandbox) => startBareServer(sandbox) }
  // haproxy sizes its tables for a fixed number of connections at start, so a growth would mean nothing.
  const peers = findPeers(
    options.small ? [] : (options.peers ?? ['nginx', 'envoy'].filter(isInstalled(progress))),
    progress,
  )
  const before = options.gateway ? otherCheckout(options) : null
  return [
    ...(options.gateway ? [gatewaySubject(options)] : []),
    ...(before === null ? [] : [before]),
    ...peers,
    bare,
  ]
}

function isInstalled(progress: (line: string) => void): (name: string) => boolean {
  const installed = new Set(findPeers(null, progress).map(({ name }) => name))
  return (name) => installed.has(name)
}

async function measure(
  context: RunContext,
  running: Running,
  count: number,
  settleMs: number,
): Promise<Measured> {
  const holders = [await hold(context, running, FIRST_CONNECTIONS)]
  const looks = [await look(running, settleMs)]
  const early = Math.ceil(count * SECOND_LOOK)
  for (const more of [early, count - early]) {
    holders.push(await hold(context, running, more))
    looks.push(await look(running, settleMs))
  }
  context.sandbox.assertAlive()
  await Promise.all(holders.map((holder) => holder.stop()))
  const [before, middle, after] = looks as [number, number, number]
  return {
    perConnection: (after - before) / count,
    marginal: (after - middle) / (count - early),
    before,
    after,
  }
}

/** Opens and holds connections; resolves when all are there. */
async function hold({ sandbox, failures }: RunContext, running: Running, count: number) {
  const command = generatorCommand('idle-hold.ts', { port: running.port, count, path: PATH })
  const holder = sandbox.launch(command, { name: 'idle-hold', role: 'load' })
  await holder.waitForOutput((output) => output.includes('"open"'), 60_000)
  const failed = Number(/"failed":(\d+)/.exec(holder.output)?.[1] ?? 0)
  if (failed > 0) failures.push(`${running.name}: ${failed} of ${count} idle connections failed`)
  return holder
}

async function look(running: Running, settleMs: number): Promise<number> {
  await sleep(settleMs)
  return residentBytes(running.process.pid) ?? 0
}

function rowOf(name: string, measured: readonly Measured[]): Row {
  const of = (pick: (one: Measured) => number) => median(measured.map(pick)) ?? 0
  return {
    name,
    perConnectionKiB: rounded(of((one) => one.perConnection) / 1024, 2),
    marginalKiB: rounded(of((one) => one.marginal) / 1024, 2),
    beforeMiB: rounded(of((one) => one.before) / 1024 / 1024, 1),
    afterMiB: rounded(of((one) => one.after) / 1024 / 1024, 1),
  }
}
