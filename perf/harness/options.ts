/** The command line of `npm run perf`. */
import { parseArgs } from 'node:util'

/** What a run of the harness was asked for. `null` leaves the choice to the scenario. */
export interface PerfOptions {
  /** Peers to measure beside meshgate; null means all that are installed. */
  readonly peers: readonly string[] | null
  readonly rounds: number | null
  /** Length of one measured window. */
  readonly seconds: number | null
  readonly connections: number
  /** Idle connections that `idle` opens. */
  readonly idle: number
  /** Length of the steady load of `heap`. */
  readonly minutes: number
  /** Requests a second for open-loop runs; null means half of what meshgate reaches. */
  readonly rate: number | null
  readonly json: boolean
  /** Write `perf/baselines` and the tables of `docs/performance.md`. */
  readonly save: boolean
  /** False leaves meshgate out, to look at peers alone. */
  readonly gateway: boolean
  /** The module that is started, relative to the checkout. */
  readonly entry: string
  /** Options for the gateway's Node, such as `--max-semi-space-size=32`. */
  readonly nodeOptions: readonly string[]
  /** Another checkout that is measured in the same rounds; null for none. */
  readonly against: string | null
  /** False skips the 0x flame graph. */
  readonly flame: boolean
  /** Lines in the text profile. */
  readonly top: number
  /** Tiny loads, Node's own generator and backend, no peers: for `smoke`. */
  readonly small: boolean
}

/** A command line that makes no sense; the message says what would. */
export class UsageError extends Error {}

/** Text of `--help`. */
export const USAGE = `usage: npm run perf -- SCENARIO [options]

scenarios
  http1      HTTP/1 -> HTTP/1 beside nginx, haproxy and Envoy, and p99 at half of the saturating load
  mmtp       Mmtp -> Mmtp 4 x 64 and 32 x 1, HTTP/1 -> Mmtp, Mmtp -> HTTP/1
  bolt       Bolt -> Bolt 4 x 64 and 32 x 1
  dubbo      Dubbo -> Dubbo 4 x 64 and 32 x 1 beside Envoy
  translate  Mmtp -> Bolt, HTTP/1 -> Bolt, Mmtp -> Dubbo: JSON to Hessian and back
  routes     the same load with 30, 1,000 and 30,000 routes, and the time to load them
  idle       memory of an idle connection, measured at 10,000
  startup    time from spawn to the first answer, with cold and warm compile cache
  swap       p99 while the configuration is swapped under load
  pooling    pooled reads on and off
  heap       heap in use after 1 and after 10 minutes of half load
  profile    where the time goes: perf -- profile http1|mmtp|http1-mmtp|mmtp-http1|bolt|dubbo|translate|http1-bolt|mmtp-dubbo
  smoke      every scenario for a second; fails only when a path is broken
  tables     write the tables of docs/performance.md again from perf/baselines (--check only compares)

options
  --peers LIST          nginx,haproxy,envoy, or none (default: those that are installed)
  --rounds N            rounds, interleaved over all that is measured
  --seconds S           length of one measured window (3 or more keeps the 10 ms clock tick below 1 %)
  --connections N       HTTP connections (default 32)
  --idle N              idle connections (default 10000)
  --minutes N           length of heap's load (default 10); the first look comes after a tenth of it
  --rate N              requests a second for open-loop runs (default: half of what meshgate reaches)
  --entry FILE          what is started (default lib/main.ts; dist/main.js after npm run build)
  --node-options LIST   space-separated options for the gateway's Node
  --against DIR         another checkout, measured in the same rounds: before and after a change
  --no-gateway          peers only
  --no-save             leave perf/baselines and docs/performance.md as they are
  --no-flame            profile: text only, no flame graph
  --top N               profile: lines to print (default 20)
  --json                print the result as JSON on stdout; progress goes to stderr
`

/** Reads the arguments behind the scenario's name. Throws `UsageError`. */
export function parseOptions(args: readonly string[]): {
  options: PerfOptions
  rest: string[]
  check: boolean
} {
  const { values, positionals } = parse(args)
  const peers =
    values.peers === undefined
      ? null
      : values.peers.split(',').filter((name) => name !== '' && name !== 'none')
  const options: PerfOptions = {
    peers,
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    connections: positive('connections', values.connections) ?? 32,
    idle: positive('idle', values.idle) ?? 10_000,
    minutes: positive('minutes', values.minutes) ?? 10,
    rate: positive('rate', values.rate),
    json: values.json ?? false,
    save: values.save ?? true,
    gateway: values.gateway ?? true,
    entry: values.entry ?? 'lib/main.ts',
    nodeOptions: (values['node-options'] ?? '').split(' ').filter((option) => option !== ''),
    against: values.against ?? null,
    flame: values.flame ?? true,
    top: positive('top', values.top) ?? 20,
    small: false,
  }
  return { options, rest: positionals, check: values.check ?? false }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      allowNegative: true,
      options: {
        peers: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        connections: { type: 'string' },
        idle: { type: 'string' },
        minutes: { type: 'string' },
        rate: { type: 'string' },
        json: { type: 'boolean' },
        save: { type: 'boolean' },
        gateway: { type: 'boolean' },
        entry: { type: 'string' },
        'node-options': { type: 'string' },
        against: { type: 'string' },
        flame: { type: 'boolean' },
        top: { type: 'string' },
        check: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function positive(name: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (!(value > 0)) throw new UsageError(`--${name} is ${text}; it must be a number above 0`)
  return value
}
