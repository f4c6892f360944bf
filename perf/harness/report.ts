/** What a scenario found, and the three ways it is shown: aligned text, Markdown, JSON. */
import { type Environment, environmentLine } from './environment.ts'
import { format } from './numbers.ts'

/** One column of a table. */
export interface Column {
  readonly key: string
  readonly title: string
  /** Decimals of a number; text columns leave it out. */
  readonly decimals?: number
}

/** Rows are plain objects, so that the JSON reads well. */
export type Row = Readonly<Record<string, string | number | null>>

export interface Table {
  readonly title: string
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
}

/** A figure held against its target. Never changes the exit code: machines differ. */
export interface Target {
  readonly what: string
  readonly target: string
  readonly measured: string
  /** Null when it could not be measured, because a peer was absent. */
  readonly isMet: boolean | null
}

/** The whole result of one scenario. */
export interface Report {
  readonly scenario: string
  readonly title: string
  readonly environment: Environment
  /** How it was run: rounds, seconds, load. */
  readonly method: string
  readonly tables: readonly Table[]
  readonly targets: readonly Target[]
  readonly notes: readonly string[]
  /** Requests that failed, processes that died. Not empty means exit code 1. */
  readonly failures: readonly string[]
}

/** An upper limit on `value`. */
export function atMost(
  what: string,
  value: number | null,
  limit: number,
  unit: string,
  decimals = 1,
): Target {
  return judge(
    what,
    value,
    `≤ ${format(limit, limit % 1 === 0 ? 0 : decimals)} ${unit}`,
    unit,
    decimals,
    (v) => v <= limit,
  )
}

/** A lower limit on `value`. */
export function atLeast(
  what: string,
  value: number | null,
  limit: number,
  unit: string,
  decimals = 2,
): Target {
  return judge(
    what,
    value,
    `≥ ${format(limit, limit % 1 === 0 ? 0 : decimals)} ${unit}`,
    unit,
    decimals,
    (v) => v >= limit,
  )
}

function judge(
  what: string,
  value: number | null,
  target: string,
  unit: string,
  decimals: number,
  accept: (value: number) => boolean,
): Target {
  const measured = value === null ? '–' : `${format(value, decimals)} ${unit}`
  return {
    what,
    target: target.trim(),
    measured: measured.trim(),
    isMet: value === null ? null : accept(value),
  }
}

/** Text for a terminal. */
export function renderText(report: Report): string {
  const lines = [report.title, environmentLine(report.environment), capitalized(report.method)]
  for (const table of report.tables) lines.push('', table.title, ...alignedTable(table))
  const targets = targetTable(report)
  if (targets !== null) lines.push('', targets.title, ...alignedTable(targets))
  if (report.notes.length > 0) lines.push('', ...report.notes)
  for (const failure of report.failures) lines.push('', `failed: ${failure}`)
  return `${lines.join('\n')}\n`
}

/** The part of `docs/performance.md` between this scenario's markers. */
export function renderMarkdown(report: Report): string {
  const lines = [`${capitalized(report.method)} Measured ${environmentLine(report.environment)}.`]
  for (const table of report.tables) lines.push('', `**${table.title}**`, '', ...markdownTable(table))
  const targets = targetTable(report)
  if (targets !== null) lines.push('', `**${targets.title}**`, '', ...markdownTable(targets))
  if (report.notes.length > 0) lines.push('', ...report.notes.map((note) => `- ${note}`))
  return lines.join('\n')
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function targetTable(report: Report): Table | null {
  if (report.targets.length === 0) return null
  const columns = [
    { key: 'what', title: 'figure' },
    { key: 'target', title: 'target' },
    { key: 'measured', title: 'measured' },
    { key: 'verdict', title: '' },
  ]
  const rows = report.targets.map(({ what, target, measured, isMet }) => ({
    what,
    target,
    measured,
    verdict: isMet === null ? 'not measured' : isMet ? 'met' : 'missed',
  }))
  return { title: 'Targets', columns, rows }
}

function alignedTable(table: Table): string[] {
  const cells = cellsOf(table)
  const widths = table.columns.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)))
  return cells.map((row) =>
    row
      .map((cell, i) => pad(cell, widths[i]!, isNumeric(table.columns[i]!)))
      .join('  ')
      .trimEnd(),
  )
}

function markdownTable(table: Table): string[] {
  const [head, ...rows] = cellsOf(table)
  const rule = table.columns.map((column) => (isNumeric(column) ? '---:' : '---'))
  return [head!, rule, ...rows].map((row) => `| ${row.join(' | ')} |`)
}

function cellsOf(table: Table): string[][] {
  const head = table.columns.map((column) => column.title)
  const rows = table.rows.map((row) =>
    table.columns.map(({ key, decimals }) => {
      const value = row[key]
      return typeof value === 'string' ? value : format(value, decimals ?? 0)
    }),
  )
  return [head, ...rows]
}

function isNumeric(column: Column): boolean {
  return column.decimals !== undefined
}

function pad(cell: string, width: number, right: boolean): string {
  return right ? cell.padStart(width) : cell.padEnd(width)
}
