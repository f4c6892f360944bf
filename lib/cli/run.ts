/** `meshgate run`: serves until it is told to stop. */
import { ConfigError } from '../config/problem.ts'
import { Gateway } from '../gateway.ts'
import { tuneEngine } from '../tuning.ts'
import { ExitCode } from './exit-codes.ts'

/** Options of `meshgate run`. */
export interface RunOptions {
  readonly config: string
  /** False: changes of the file are not followed; SIGHUP still loads it. */
  readonly watch?: boolean
  /** Called once, behind the line that says so. */
  readonly onReady?: () => void
}

/** Starts a gateway, prints one line when it is ready, and resolves with the exit code once it has drained. */
export async function run(options: RunOptions): Promise<ExitCode> {
  const gateway = new Gateway({ file: options.config, isWatching: options.watch ?? true })
  const stopped = untilStopped(gateway)
  try {
    await gateway.start()
  } catch (error) {
    return await reportStartFailure(options.config, error)
  }
  process.stdout.write(`${readyLine(gateway)}\n`)
  // Not before: until here nothing is hot, and the compiler's longer work would be part of the start.
  tuneEngine()
  options.onReady?.()
  const code = await stopped
  endFor(code)
  return code
}

/** What may still be written when the gateway has stopped has this long. */
const LAST_WRITES_MS = 1000

/** The process ends by itself, unless a user's filter left a timer or socket behind. */
function endFor(code: ExitCode): void {
  setTimeout(() => process.exit(code), LAST_WRITES_MS).unref()
}

function readyLine(gateway: Gateway): string {
  const listeners = [...gateway.listeners.values()].map(
    ({ part }) => `${part.name} ${part.protocol} ${part.address}`,
  )
  const admin = gateway.adminAddress === null ? [] : [`admin ${gateway.adminAddress}`]
  return `meshgate ready: ${[...listeners, ...admin].join(', ')}`
}

/** The first SIGTERM or SIGINT drains, a second one stops at once. */
function untilStopped(gateway: Gateway): Promise<ExitCode> {
  return new Promise((resolve) => {
    let isDraining = false
    const onSignal = (): void => {
      if (isDraining || gateway.phase === 'starting') {
        void gateway.destroy().then(() => resolve(ExitCode.Failure))
        return
      }
      isDraining = true
      void gateway.drain().then(() => resolve(ExitCode.Ok))
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
    process.on('SIGHUP', () => void gateway.reload())
    gateway.onStopped = () => resolve(ExitCode.Ok)
  })
}

/** The same list as `meshgate check` prints, on standard error. */
async function reportStartFailure(file: string, error: unknown): Promise<ExitCode> {
  if (!(error instanceof ConfigError)) {
    process.stderr.write(`meshgate: ${error instanceof Error ? error.message : String(error)}\n`)
    return ExitCode.Failure
  }
  const { paintFor } = await import('./paint.ts')
  const { toText } = await import('./check.ts')
  const result = { config: null, problems: error.problems, checksum: '' }
  process.stderr.write(toText(file, result, paintFor(process.stderr)))
  return ExitCode.Config
}
