import { type FinalResults, Parser, type Result } from 'tap-parser'

/** What one test file did. A test is a `t.test()` with no other inside it, not an assertion. */
export interface FileResults {
  readonly name: string
  passed: number
  failed: number
  /** Each failed test or assertion: full name, and what tap says about it. */
  failures: { name: string; diagnostics: Record<string, unknown> }[]
  /** Name and reason of each test that was skipped or marked as to be done. */
  skipped: string[]
  /** What the file wrote to its standard output beside its results. */
  output: string
  /** `null` when the file did not live to report it. */
  timeMs: number | null
}

/** A parser for the raw TAP of a whole run. It calls `onFile` once per test file, when that file has ended. */
export function createRunParser(onFile: (results: FileResults) => void): Parser {
  const running: FileResults[] = []
  const run = new Parser()
  run.on('child', (parser: Parser) => {
    const file = emptyResults(parser.name)
    running.push(file)
    watch(parser, file, '')
  })
  run.on('assert', (result: Result) => {
    const index = running.findIndex((file) => file.name === result.name)
    const file = index < 0 ? emptyResults(result.name) : running.splice(index, 1)[0]
    settle(file, result)
    onFile(file)
  })
  return run
}

/** Counts below one parser: its subtests if it has any, itself if it has none. */
function watch(parser: Parser, file: FileResults, path: string): void {
  const failedBefore = file.failed
  const children = new Set<string>()
  let skippedHere = 0
  parser.on('extra', (text: string) => {
    file.output += text
  })
  parser.on('child', (child: Parser) => {
    children.add(child.name)
    watch(child, file, joinNames(path, child.name))
  })
  parser.on('assert', (result: Result) => {
    const name = joinNames(path, result.name)
    const reason = result.skip || result.todo
    if (reason) {
      skippedHere++
      file.skipped.push(reason === true ? name : `${name} (${reason})`)
    } else if (!result.ok && !children.has(result.name)) {
      file.failures.push({ name, diagnostics: result.diag ?? {} })
    }
  })
  parser.on('complete', (results: FinalResults) => {
    for (const { name, tapError } of results.failures) {
      if (tapError)
        file.failures.push({ name: joinNames(path, name ?? 'the plan'), diagnostics: { tapError } })
    }
    // A failure that no subtest accounts for (a crash, a time-out, an assertion beside the subtests) is this test's own.
    if (!results.ok && path !== '' && file.failed === failedBefore) file.failed++
    if (!results.ok && path === '' && file.failed === 0 && results.count > 0) file.failed++
    if (results.ok && children.size === 0 && results.count > skippedHere) file.passed++
  })
}

/** Adds the run's own line about a file: its time, and a failure (crash, exit code, signal) the file did not report. */
function settle(file: FileResults, result: Result): void {
  file.timeMs = result.time ?? null
  const reason = result.skip || result.todo
  if (reason) {
    if (file.skipped.length === 0) file.skipped.push(reason === true ? 'the whole file' : reason)
    return
  }
  if (result.ok) return
  if (file.failed === 0) file.failed++
  const { exitCode, signal, tapError } = result.diag ?? {}
  if (file.failures.length > 0 && !signal) return
  const ending = { ...(tapError ? { tapError } : {}), ...(signal ? { signal } : { exitCode }) }
  file.failures.push({ name: 'the file itself', diagnostics: ending })
}

function joinNames(path: string, name: string): string {
  return path === '' ? name : `${path} > ${name}`
}

function emptyResults(name: string): FileResults {
  return { name, passed: 0, failed: 0, failures: [], skipped: [], output: '', timeMs: null }
}
