/** `meshgate run`: serves until it is told to stop. */
import { describeProblem } from '../config/problem.ts'
import { ConfigError, Gateway } from '../gateway.ts'

/** Options of `meshgate run`. */
export interface RunOptions {
  readonly config: string
  /** False: changes of the file are not followed; SIGHUP still loads it. */
  readonly watch?: boolean
}

/** Exit codes, as sysexits.h has them where it has one. */
const EXIT_OK = 0
const EXIT_FAILED = 1
const EXIT_CONFIG = 78

/** Starts a gateway, prints one line when it is ready, and resolves with the exit code once it has drained. */
export async function run(options: RunOptions): Promise<number> {
  const gateway = new Gateway({ file: options.config, isWatching: options.watch ?? true })
  try {
    await gateway.start()
  } catch (error) {
    return reportStartFailure(options.config, error)
  }
  process.stdout.write(`${readyLine(gateway)}\n`)
  const code = await untilStopped(gateway)
  return code
}

function readyLine(gateway: Gateway): string {
  const listeners = [...gateway.listeners.values()].map(
    ({ part }) => `${part.name} ${part.protocol} ${part.address}`,
  )
  const admin = gateway.adminAddress === null ? [] : [`admin ${gateway.adminAddress}`]
  return `meshgate ready: ${[...listeners, ...admin].join(', ')}`
}

/** The first SIGTERM or SIGINT drains, a second one stops at once. */
function untilStopped(gateway: Gateway): Promise<number> {
  return new Promise((resolve) => {
    let isDraining = false
    const onSignal = (): void => {
      if (isDraining) {
        void gateway.destroy().then(() => resolve(EXIT_FAILED))
        return
      }
      isDraining = true
      void gateway.drain().then(() => resolve(EXIT_OK))
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
    process.on('SIGHUP', () => void gateway.reload())
    gateway.onStopped = () => resolve(EXIT_OK)
  })
}

function reportStartFailure(file: string, error: unknown): number {
  if (!(error instanceof ConfigError)) {
    process.stderr.write(`meshgate: ${error instanceof Error ? error.message : String(error)}\n`)
    return EXIT_FAILED
  }
  for (const problem of error.problems) {
    const place = problem.line > 0 ? `${file}:${problem.line}:${problem.column}` : file
    process.stderr.write(`${place}: ${describeProblem(problem)}\n`)
  }
  process.stderr.write(`meshgate: ${error.message}\n`)
  return EXIT_CONFIG
}
