// Runs one of the test suites with tap and counts its tests.
//
//   node scripts/test.ts [unit|nightly|peers] [--short] [files and tap options…]
//
// Named files replace the suite's own list. `--short` sets NIGHTLY_SHORT=1, which nightly tests read
// to run for seconds instead of minutes. With TEST_COUNTS_FILE set, a line "suite passed failed skipped"
// is appended to that file for whoever adds up several suites. The raw TAP is left in .tap/<suite>.tap.
import { spawn } from 'node:child_process'
import { appendFileSync, createWriteStream, globSync, mkdirSync } from 'node:fs'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { prepareTap, tapCommand } from './prepare-tap.ts'
import { createRunParser, type FileResults } from './tap-results.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Which files a suite runs, and how long one of them may take, in seconds. */
const suites: Record<string, { include: string; exclude: string[]; timeoutSeconds: number }> = {
  unit: { include: 'test/**/*.test.ts', exclude: ['test/peers/**', 'test/nightly/**'], timeoutSeconds: 120 },
  nightly: { include: 'test/nightly/**/*.test.ts', exclude: [], timeoutSeconds: 3600 },
  peers: { include: 'test/peers/**/*.test.ts', exclude: [], timeoutSeconds: 300 },
}

const args = process.argv.slice(2)
const suiteName = args[0] !== undefined && Object.hasOwn(suites, args[0]) ? (args.shift() as string) : 'unit'
const isShort = args.includes('--short')
process.exitCode = await runSuite(
  suiteName,
  args.filter((arg) => arg !== '--short'),
)

/** Runs the suite and returns the exit code. */
async function runSuite(name: string, extra: string[]): Promise<number> {
  const suite = suites[name]
  const options = extra.filter((arg) => arg.startsWith('-'))
  const named = extra.filter((arg) => !arg.startsWith('-'))
  const files =
    named.length > 0 ? named : globSync(suite.include, { cwd: root, exclude: suite.exclude }).sort()
  if (files.length === 0) {
    console.log(`${name}: no test files match ${suite.include}`)
    return summarize(name, [], 0)
  }

  prepareTap()
  const startedAt = Date.now()
  const results: FileResults[] = []
  const status = await runTap(name, [`--timeout=${suite.timeoutSeconds}`, ...options, ...files], (file) => {
    results.push(file)
    printFile(file)
  })
  const exitCode = summarize(name, results, Date.now() - startedAt)
  if (exitCode === 0 && status !== 0) console.log(`${name}: every test passed, but tap ended with ${status}`)
  return exitCode || (status === 0 ? 0 : 1)
}

/** Runs tap, calling `onFile` as each test file ends; returns tap's exit code, or the signal that ended it. */
async function runTap(
  name: string,
  tapArgs: string[],
  onFile: (file: FileResults) => void,
): Promise<number | string> {
  // tap's own compact reporters hide what a crashing test wrote to stderr, and `base` repaints the screen,
  // so tap writes raw TAP and this script shows it; stderr passes straight through.
  const tap = spawn(process.execPath, [tapCommand, '--reporter=tap', '--no-color', ...tapArgs], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: environment(),
  })
  mkdirSync(`${root}.tap`, { recursive: true })
  tap.stdout.pipe(createWriteStream(`${root}.tap/${name}.tap`))
  const parser = createRunParser(onFile)
  tap.stdout.setEncoding('utf8').on('data', (text: string) => parser.write(text))
  return await new Promise((resolve, reject) => {
    tap.on('error', reject)
    tap.on('close', (code, signal) => {
      parser.end()
      resolve(code ?? signal ?? 1)
    })
  })
}

/** What the tests see: the pinned Node first, whichever way this script was started. */
function environment(): NodeJS.ProcessEnv {
  const path = `${root}node_modules/.bin${delimiter}${process.env.PATH ?? ''}`
  return { ...process.env, PATH: path, ...(isShort ? { NIGHTLY_SHORT: '1' } : {}) }
}

function printFile(file: FileResults): void {
  const time = file.timeMs === null ? '' : `  ${Math.round(file.timeMs)} ms`
  const hasFailed = file.failed > 0
  console.log(
    `${hasFailed ? 'FAIL' : 'ok  '}  ${file.name}  ${file.passed}/${file.passed + file.failed}${time}`,
  )
  for (const { name, diagnostics } of file.failures) {
    console.log(`      failed: ${name}`)
    for (const line of describe(diagnostics)) console.log(`        ${line}`)
  }
  for (const reason of file.skipped) console.log(`      skipped: ${reason}`)
  if (hasFailed && file.output.trim() !== '') console.log(indent('its output:', file.output).join('\n'))
}

/** The part of tap's diagnostics that helps: the difference, the values, the stack; not the source excerpt. */
function describe(diagnostics: Record<string, unknown>): string[] {
  const { at, source: _, stack, diff, ...rest } = diagnostics
  const lines: string[] = []
  if (typeof diff === 'string') lines.push(...diff.trimEnd().split('\n'))
  for (const [key, value] of Object.entries(rest)) {
    const text = typeof value === 'string' ? value.trimEnd() : JSON.stringify(value)
    lines.push(...`${key}: ${text}`.split('\n'))
  }
  const place = at as { fileName?: string; lineNumber?: number; columnNumber?: number } | undefined
  if (typeof stack === 'string')
    lines.push(
      ...stack
        .trimEnd()
        .split('\n')
        .map((line) => `at ${line}`),
    )
  else if (place?.fileName) lines.push(`at ${place.fileName}:${place.lineNumber}:${place.columnNumber}`)
  return lines
}

function indent(title: string, text: string): string[] {
  return [
    `      ${title}`,
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => `        ${line}`),
  ]
}

/** Prints the totals; returns the exit code they stand for. */
function summarize(name: string, files: FileResults[], durationMs: number): number {
  let passed = 0
  let failed = 0
  let skipped = 0
  for (const file of files) {
    passed += file.passed
    failed += file.failed
    skipped += file.skipped.length
  }
  const seconds = (durationMs / 1000).toFixed(1)
  console.log(
    `${name} tests: ${passed} passed, ${failed} failed, ${skipped} skipped, ${files.length} files, ${seconds} s`,
  )
  const countsFile = process.env.TEST_COUNTS_FILE
  if (countsFile) appendFileSync(countsFile, `${name} ${passed} ${failed} ${skipped}\n`)
  return failed > 0 ? 1 : 0
}
