/** What the process tells its caller when it ends. */

/** Exit codes; the numbers above 63 are those of BSD's `sysexits.h`. */
export const ExitCode = {
  /** All is well. */
  Ok: 0,
  /** Something failed at run time: a port in use, a file that cannot be read, a peer that does not answer. */
  Failure: 1,
  /** The command line is wrong. */
  Usage: 64,
  /** The configuration is wrong. */
  Config: 78,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** One line for each, as help and documentation show them. */
export const EXIT_CODE_HELP: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [ExitCode.Ok, 'all is well'],
  [
    ExitCode.Failure,
    'something failed at run time: a port in use, a file that cannot be read, a peer that does not answer',
  ],
  [ExitCode.Usage, 'the command line is wrong'],
  [ExitCode.Config, 'the configuration is wrong'],
]
