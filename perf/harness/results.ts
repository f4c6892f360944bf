/** Stores results under perf/baselines and keeps the tables of docs/performance.md equal to them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './environment.ts'
import { type Report, renderMarkdown } from './report.ts'

const BASELINES = join(ROOT, 'perf', 'baselines')
const PAGE = join(ROOT, 'docs', 'performance.md')

/** Writes one result and its tables. */
export function saveReport(report: Report): void {
  mkdirSync(BASELINES, { recursive: true })
  writeFileSync(join(BASELINES, `${report.scenario}.json`), `${JSON.stringify(report, null, 2)}\n`)
  writeTables()
}

/** Writes every table of the page again. */
export function writeTables(): void {
  if (existsSync(PAGE)) writeFileSync(PAGE, renderPage())
}

/** True when the page holds exactly what perf/baselines says. */
export function areTablesCurrent(): boolean {
  return !existsSync(PAGE) || readFileSync(PAGE, 'utf8') === renderPage()
}

function renderPage(): string {
  let page = readFileSync(PAGE, 'utf8')
  for (const report of storedReports()) page = replaceSection(page, report)
  return page
}

function storedReports(): Report[] {
  if (!existsSync(BASELINES)) return []
  const names = readdirSync(BASELINES).filter((name) => name.endsWith('.json'))
  return names.sort().map((name) => JSON.parse(readFileSync(join(BASELINES, name), 'utf8')) as Report)
}

/** Replaces what stands between `<!-- perf:NAME -->` and `<!-- /perf:NAME -->`. */
function replaceSection(page: string, report: Report): string {
  const open = `<!-- perf:${report.scenario} -->`
  const close = `<!-- /perf:${report.scenario} -->`
  const start = page.indexOf(open)
  const end = page.indexOf(close)
  if (start < 0 || end < start) throw new Error(`docs/performance.md lacks the markers ${open} … ${close}`)
  return `${page.slice(0, start + open.length)}\n\n${renderMarkdown(report)}\n\n${page.slice(end)}`
}
