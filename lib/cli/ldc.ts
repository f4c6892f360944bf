/** `meshgate ldc explain` and `meshgate ldc diff`: what zone rules decide, and what a new version of them moves. */
import { readFile } from 'node:fs/promises'
import { admit } from '../filters/ldc/admission.ts'
import { diffDocuments, type LdcDiff, type Move } from '../filters/ldc/diff.ts'
import type { LdcDocument, LdcProblem } from '../filters/ldc/document.ts'
import {
  type Decision,
  makeDecision,
  makeZoneRequest,
  Outcome,
  ZoneEngine,
  type ZoneRequest,
} from '../filters/ldc/engine.ts'
import { parseDocument } from '../filters/ldc/parse.ts'
import { listProblems, parseRulesText } from '../filters/ldc/rules-store.ts'
import { shardOfText, shardOfUser, showShard, showShards, UNSHARDED } from '../filters/ldc/shards.ts'
import { ExitCode } from './exit-codes.ts'
import { type Output, type Paint, paintFor } from './paint.ts'

/** Options of `meshgate ldc explain`. */
export interface LdcExplainOptions {
  readonly rules: string
  /** User id whose digits give the shard. */
  readonly uid?: string
  /** The shard itself. */
  readonly shard?: string
  /** Cell that decides, in place of the document's own. */
  readonly cell?: string
  readonly app?: string
  /** Operation, `interface.method` or path. */
  readonly operation?: string
  readonly tag?: string
  readonly pressure?: boolean
  /** The request only reads. */
  readonly read?: boolean
  readonly json?: boolean
}

/** Options of `meshgate ldc diff`. */
export interface LdcDiffOptions {
  readonly json?: boolean
}

/** Where the commands print, and their clock. */
export interface LdcOutput {
  readonly out: Output
  readonly err: Output
  readonly nowMs: () => number
}

const STANDARD: LdcOutput = { out: process.stdout, err: process.stderr, nowMs: Date.now }
const OUTCOME_TEXTS: Readonly<Record<Outcome, string>> = {
  [Outcome.Local]: 'served here',
  [Outcome.Elsewhere]: 'belongs elsewhere',
  [Outcome.Frozen]: 'refused: the shard is frozen',
  [Outcome.WrongZone]: 'refused: wrong zone',
  [Outcome.NoCell]: 'refused: no cell is in service',
  [Outcome.NoShadow]: 'refused: no cell takes load-test traffic',
}

/** What is wrong with the files; prints as it is. */
class RulesError extends Error {}

/** Prints what the rules decide about one request, and why. Returns the exit code: 78 when the rules are wrong. */
export async function ldcExplain(
  options: LdcExplainOptions,
  output: LdcOutput = STANDARD,
): Promise<ExitCode> {
  return reporting(output, async () => {
    const { document } = await load(options.rules, options.cell ?? '')
    const own = options.cell === undefined ? document : ownedBy(document, options.cell)
    const request = requestOf(options, own)
    if (typeof request === 'string') {
      output.err.write(`meshgate: ${request}\n`)
      return ExitCode.Usage
    }
    const engine = new ZoneEngine(own)
    const [decision, steps] = [makeDecision(), [] as string[]]
    engine.decide(request, output.nowMs(), decision, (step) => steps.push(step))
    const text = options.json
      ? `${JSON.stringify(decisionJson(decision, request, own, steps), null, 2)}\n`
      : decisionText(decision, steps, paintFor(output.out))
    output.out.write(text)
    return ExitCode.Ok
  })
}

/** Prints which shards two versions serve in different zones. Returns the exit code: 78 when rules are wrong or the new ones would be refused. */
export async function ldcDiff(
  before: string,
  after: string,
  options: LdcDiffOptions,
  output: LdcOutput = STANDARD,
): Promise<ExitCode> {
  return reporting(output, async () => {
    const [old, now] = [await load(before, ''), await load(after, '')]
    const nowMs = output.nowMs()
    const diff = diffDocuments(old.document, now.document, nowMs)
    const admission = admit(now.value, now.document.selfCell, old.document, nowMs)
    const problems = admission.kind === 'refused' ? admission.problems : []
    output.out.write(
      options.json
        ? `${JSON.stringify(diffJson(diff, now.document, problems), null, 2)}\n`
        : diffText(diff, now.document, problems, paintFor(output.out)),
    )
    return problems.length === 0 ? ExitCode.Ok : ExitCode.Config
  })
}

async function reporting(output: LdcOutput, run: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await run()
  } catch (error) {
    output.err.write(`meshgate: ${(error as Error).message}\n`)
    return error instanceof RulesError ? ExitCode.Config : ExitCode.Failure
  }
}

/** Reads one file. When neither it nor `cell` says which cell is the own one, its first cell stands in: a comparison does not need to know. */
async function load(file: string, cell: string): Promise<{ document: LdcDocument; value: unknown }> {
  const text = await readFile(file, 'utf8')
  let value: unknown
  try {
    value = parseRulesText(text)
  } catch (error) {
    throw new RulesError(`${file}: ${(error as Error).message}`, { cause: error })
  }
  const { document, problems } = parseDocument(value, cell === '' ? firstCell(value) : cell)
  if (document === null) throw new RulesError(`${file}:\n${indent(listProblems(problems))}`)
  return { document, value }
}

function firstCell(value: unknown): string {
  const root = (value as { ldc?: unknown } | null)?.ldc ?? value
  const zones = Object.values((root as { zones?: Record<string, { cells?: object }> } | null)?.zones ?? {})
  return Object.keys(zones[0]?.cells ?? {})[0] ?? ''
}

function ownedBy(document: LdcDocument, cell: string): LdcDocument {
  if (document.zones.some(({ cells }) => cells.some(({ name }) => name === cell)))
    return { ...document, selfCell: cell }
  throw new RulesError(`no zone has the cell "${cell}"`)
}

/** The request, or what is wrong with the options. */
function requestOf(options: LdcExplainOptions, document: LdcDocument): ZoneRequest | string {
  const { uid = '', shard: text } = options
  const [start, end] = document.userSlice
  const shard =
    text === undefined ? shardOfUser(uid, start, end, document.shards) : shardOfText(text, document.shards)
  if (text !== undefined && shard === UNSHARDED) {
    return `--shard ${text} is no shard; there are 00 to ${showShard(document.shards - 1, document.shards)}`
  }
  return makeZoneRequest({
    shard,
    userId: uid,
    app: options.app ?? '',
    op: options.operation ?? '',
    tag: options.tag ?? '',
    isPressure: options.pressure ?? false,
    mayWrite: !(options.read ?? false),
    hops: document.crossZone.maxHops,
  })
}

function decisionText({ outcome, cell }: Decision, steps: readonly string[], paint: Paint): string {
  const place = cell === null ? '' : `, cell ${paint.bold(cell.name)} of zone ${paint.bold(cell.zone.name)}`
  const text = OUTCOME_TEXTS[outcome]
  const head = outcome > Outcome.Elsewhere ? paint.red(text) : paint.green(text)
  return `${head}${place}\n${steps.map((step, index) => `  ${paint.dim(`${index + 1}.`)} ${step}\n`).join('')}`
}

function decisionJson(
  { outcome, cell, rule }: Decision,
  { shard }: ZoneRequest,
  document: LdcDocument,
  steps: readonly string[],
): object {
  const name = (Object.keys(Outcome) as (keyof typeof Outcome)[]).find((key) => Outcome[key] === outcome)
  return {
    outcome: name,
    shard: shard === UNSHARDED ? null : showShard(shard, document.shards),
    cell: cell?.name ?? null,
    zone: cell?.zone.name ?? null,
    rule: rule?.id ?? null,
    version: document.version,
    steps,
  }
}

function diffText(
  diff: LdcDiff,
  document: LdcDocument,
  problems: readonly LdcProblem[],
  paint: Paint,
): string {
  const { shards } = document
  const percent = Math.round((diff.movedShards * 100) / shards)
  const lines = [
    `version ${diff.from} → ${diff.to}: ${paint.bold(`${diff.movedShards} of ${shards}`)} shards move (${percent} %)`,
  ]
  if (diff.moves.length > 0) {
    const rows = diff.moves.map((move) => [
      ...classCells(move),
      showShards(move.shards, shards),
      move.from,
      move.to,
    ])
    lines.push('', ...table(['TRAFFIC', 'SHARDS', 'FROM', 'TO'], rows, paint))
  }
  if (diff.frozen.length > 0) lines.push('', `frozen from now on: ${showShards(diff.frozen, shards)}`)
  if (diff.unfrozen.length > 0) lines.push('', `no more frozen: ${showShards(diff.unfrozen, shards)}`)
  if (diff.cells.length > 0) {
    const rows = diff.cells.map(({ cell, from, to }) => [cell, from, to])
    lines.push('', ...table(['CELL', 'FROM', 'TO'], rows, paint))
  }
  if (problems.length > 0) lines.push('', paint.red('would be refused:'), indent(listProblems(problems)))
  return `${lines.join('\n')}\n`
}

/** What requests a move is about, as one cell of a table. */
function classCells({ class: one }: Move): [string] {
  const parts = [
    one.isPressure ? 'load test' : '',
    one.app === '' ? '' : `app ${one.app}`,
    one.op === '' ? '' : `op ${one.op}`,
    one.tag === '' ? '' : `tag ${one.tag}`,
  ].filter((part) => part !== '')
  return [parts.length === 0 ? 'general' : parts.join(', ')]
}

function diffJson(diff: LdcDiff, { shards }: LdcDocument, problems: readonly LdcProblem[]): object {
  return {
    ...diff,
    moves: diff.moves.map(({ class: one, from, to, shards: moved }) => ({
      ...one,
      shards: showShards(moved, shards),
      count: moved.length,
      from,
      to,
    })),
    frozen: showShards(diff.frozen, shards),
    unfrozen: showShards(diff.unfrozen, shards),
    problems,
  }
}

function table(titles: readonly string[], rows: readonly (readonly string[])[], paint: Paint): string[] {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd()
  return [paint.dim(line(titles)), ...rows.map(line)]
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}
