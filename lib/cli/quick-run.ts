/** The short way into `meshgate run`. */
import type { RunOptions } from './run.ts'

/** The file that is read when the command line names none. */
export const DEFAULT_CONFIG = 'meshgate.yaml'

/**
 * The options of a plain `run` or `run -c FILE`, null for any other command line. A start that is this plain
 * does without the command line library, which takes 25 ms to load.
 */
export function quickRunOptions(args: readonly string[]): RunOptions | null {
  if (args[0] !== 'run') return null
  if (args.length === 1) return { config: DEFAULT_CONFIG }
  const [, flag, file] = args
  const isPlain =
    args.length === 3 && (flag === '-c' || flag === '--config') && !file.startsWith('-') && file !== ''
  return isPlain ? { config: file } : null
}
