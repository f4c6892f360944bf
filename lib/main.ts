#!/usr/bin/env node
/** The entry of the process: picks the command and ends with its exit code. */
import { enableCompileCache } from 'node:module'
import { quickRunOptions } from './cli/quick-run.ts'
import { shortenOwnImports } from './own-imports.ts'

// Compiled code, and TypeScript with its types stripped, is kept between starts.
enableCompileCache()
shortenOwnImports()

const args = process.argv.slice(2)
const runOptions = quickRunOptions(args)
if (runOptions === null) {
  const { main } = await import('./cli/program.ts')
  process.exitCode = await main(args)
} else {
  const { run } = await import('./cli/run.ts')
  process.exitCode = await run(runOptions)
}
