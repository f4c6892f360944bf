/** What the commands are called with, for those that live in files of their own. */

/** Options of `meshgate mmtp call`. */
export interface MmtpCallOptions {
  /** The body, JSON text. */
  readonly data?: string
  /** Pairs `name: value`. */
  readonly header: readonly string[]
  /** Time budget of each call, such as `3s`. */
  readonly deadline?: string
  /** How many calls. */
  readonly repeat: number
  /** How many of them at once on the one connection. */
  readonly concurrency: number
  /** Print the answer's headers too. */
  readonly verbose?: boolean
}

/** Options of `meshgate filter new`. */
export interface FilterNewOptions {
  /** Folder that the files are written to. */
  readonly dir: string
  /** Overwrite files that are there. */
  readonly force?: boolean
}

/** Options of `meshgate api import`. */
export interface ApiImportOptions {
  /** The jar, or several joined like a class path. */
  readonly jar: string
  /** Full name of the service's interface. */
  readonly service: string
  /** Further classes to describe, such as subclasses that arguments may be. */
  readonly class: readonly string[]
  /** Cluster of the routes. */
  readonly cluster: string
  /** File to write; standard output when absent. */
  readonly out?: string
}
