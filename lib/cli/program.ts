/** The command line: what there is to call, with which options, and its help. Each command is loaded when it is called. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { EXIT_CODE_HELP, ExitCode } from './exit-codes.ts'
import type { LdcDiffOptions, LdcExplainOptions } from './ldc.ts'
import type { ApiImportOptions, FilterNewOptions, MmtpCallOptions } from './options.ts'
import { DEFAULT_CONFIG } from './quick-run.ts'
import type { SessionInspectOptions, SessionIssueOptions, SessionKeyOptions } from './session.ts'

/** Where help and complaints go. */
export interface Streams {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

const PROCESS_STREAMS: Streams = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
}

/** Runs one command line (without `node` and the script) and returns the exit code. A command that serves on returns when it ends. */
export async function main(args: readonly string[], streams: Streams = PROCESS_STREAMS): Promise<number> {
  let code: number = ExitCode.Ok
  const program = createProgram(streams, (result) => {
    code = result
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.Ok : ExitCode.Usage
    streams.err(`meshgate: ${error instanceof Error ? error.message : String(error)}\n`)
    return ExitCode.Failure
  }
}

type Finish = (code: number) => void

/** Builds the program; `finish` gets the exit code of the command that ran. */
function createProgram(streams: Streams, finish: Finish): Command {
  const program = new Command('meshgate')
    .description('A sidecar mesh gateway: Mmtp and HTTP in and out, through an ordered chain of filters.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows how)')
    .configureOutput({ writeOut: streams.out, writeErr: streams.err })
    .exitOverride()
  addRun(program, finish)
  addCheck(program, finish)
  addSchema(program, finish)
  addFilter(program, finish)
  addMmtp(program, finish)
  addApi(program, finish)
  addSession(program, finish)
  addLdc(program, finish)
  program.addHelpText(
    'after',
    examples(['meshgate check meshgate.yaml', 'meshgate run -c meshgate.yaml', 'meshgate help mmtp call']) +
      exitCodes(),
  )
  return program
}

function addRun(program: Command, finish: Finish): void {
  program
    .command('run')
    .summary('run the gateway')
    .description(
      'Runs the gateway. Changes of the file are taken over while it runs; SIGTERM and SIGINT drain it.',
    )
    .option('-c, --config <file>', 'the configuration', DEFAULT_CONFIG)
    .option('--no-watch', 'do not follow changes of the file; SIGHUP still loads it')
    .addHelpText(
      'after',
      examples(['meshgate run', 'meshgate run -c /etc/meshgate/meshgate.yaml']) + exitCodes(),
    )
    .action(async (options: { config: string; watch: boolean }) => {
      const { run } = await import('./run.ts')
      finish(await run(options))
    })
}

function addCheck(program: Command, finish: Finish): void {
  program
    .command('check')
    .summary('check a configuration')
    .description(
      'Prints every problem of a configuration with line, column, what is wrong and what would be right.',
    )
    .argument('<file>', 'the configuration')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(['meshgate check meshgate.yaml', 'meshgate check --json meshgate.yaml']) + exitCodes(),
    )
    .action(async (file: string, options: { json?: boolean }) => {
      const { check } = await import('./check.ts')
      finish(await check(file, options))
    })
}

function addSchema(program: Command, finish: Finish): void {
  program
    .command('schema')
    .summary('print the JSON Schema of the configuration')
    .description(
      'Prints the JSON Schema of the configuration with the options of every built-in filter, for editors.',
    )
    .addHelpText('after', examples(['meshgate schema > meshgate.schema.json']) + exitCodes())
    .action(async () => {
      const { schema } = await import('./schema.ts')
      finish(schema())
    })
}

function addFilter(program: Command, finish: Finish): void {
  program
    .command('filter')
    .summary('write filters')
    .description('Helps to write filters.')
    .command('new')
    .summary('make a filter')
    .description('Makes a working filter and its test, to be changed into your own.')
    .argument('<name>', 'its name: lower case words joined by "-"')
    .option('-d, --dir <folder>', 'where to write it', 'filters')
    .option('-f, --force', 'overwrite files that are there')
    .addHelpText(
      'after',
      examples(['meshgate filter new tenant', 'meshgate filter new tenant --dir gateway/filters']) +
        exitCodes(),
    )
    .action(async (name: string, options: FilterNewOptions) => {
      const { filterNew } = await import('./filter-new.ts')
      finish(await filterNew(name, options))
    })
}

function addMmtp(program: Command, finish: Finish): void {
  program
    .command('mmtp')
    .summary('speak Mmtp')
    .description('Speaks Mmtp from the command line.')
    .command('call')
    .summary('call an operation')
    .description('Calls an operation over Mmtp and prints the answer.')
    .argument('<address>', 'host:port or unix:/path')
    .argument('<operation>', 'its name, such as demo.order.create')
    .option('-d, --data <json>', 'the body')
    .option('-H, --header <name: value>', 'a header; may be repeated', collect, [])
    .option('-t, --deadline <duration>', 'time for each call, such as 3s')
    .option('-n, --repeat <count>', 'how many calls', wholeNumber, 1)
    .option('-p, --concurrency <count>', 'how many of them at once on the one connection', wholeNumber, 1)
    .option('-v, --verbose', 'print the headers of the answer too')
    .addHelpText(
      'after',
      examples([
        `meshgate mmtp call 127.0.0.1:15002 demo.order.create --data '{"sku":"a-1","count":2}'`,
        'meshgate mmtp call 127.0.0.1:15002 demo.echo -d 1 -H "x-user: ada" --deadline 3s --repeat 1000 -p 64',
      ]) + exitCodes(),
    )
    .action(async (address: string, operation: string, options: MmtpCallOptions) => {
      const { mmtpCall } = await import('./mmtp-call.ts')
      finish((await mmtpCall(address, operation, options)) ?? ExitCode.Ok)
    })
}

function addSession(program: Command, finish: Finish): void {
  const session = program
    .command('session')
    .summary('make and read sessions')
    .description('Makes and reads keys and tokens of the session filter.')
  session
    .command('key')
    .summary('make a key')
    .description('Prints a line with a new random key for a key file.')
    .option('--id <id>', 'its id; today’s date when left out')
    .action(async (options: SessionKeyOptions) => {
      const { sessionKey } = await import('./session.ts')
      finish(sessionKey(options))
    })
  session
    .command('issue')
    .summary('make a token')
    .description('Prints a token of a realm, made with the first key of the file.')
    .requiredOption('--keys <file>', 'the key file')
    .requiredOption('--realm <name>', 'the realm')
    .requiredOption('--user <id>', 'the user')
    .option('--id <id>', 'id of the session; random when left out')
    .option('--attribute <name=value>', 'an attribute; may be repeated', collect, [])
    .option('--life <duration>', 'how long it is good for', '30m')
    .option('--sign', 'sign it only; whoever holds it can read it')
    .action(async (options: SessionIssueOptions) => {
      const { sessionIssue } = await import('./session.ts')
      finish(await sessionIssue(options))
    })
  session
    .command('inspect')
    .summary('read a token')
    .description('Prints what a token says, or why it is no good.')
    .argument('<token>', 'the token')
    .requiredOption('--keys <file>', 'the key file')
    .requiredOption('--realm <name>', 'the realm')
    .action(async (token: string, options: SessionInspectOptions) => {
      const { sessionInspect } = await import('./session.ts')
      finish(await sessionInspect(token, options))
    })
}

function addLdc(program: Command, finish: Finish): void {
  const ldc = program
    .command('ldc')
    .summary('look into zone rules')
    .description('Shows what zone rules decide and what a change of them moves.')
  ldc
    .command('explain')
    .summary('what the rules decide for one request')
    .description('Prints where a request belongs, and by which rule, step by step.')
    .requiredOption('--rules <file>', 'the zone rules')
    .option('--uid <id>', 'user id whose digits give the shard')
    .option('--shard <nn>', 'the shard itself, 00 to 99')
    .option('--cell <name>', 'the cell that decides, in place of the one in the rules')
    .option('--app <name>', 'calling application')
    .option('--operation <name>', 'operation, interface.method or path')
    .option('--tag <tag>', 'tag of the request')
    .option('--pressure', 'it is load-test traffic')
    .option('--read', 'it only reads')
    .option('--json', 'print JSON')
    .action(async (options: LdcExplainOptions) => {
      const { ldcExplain } = await import('./ldc.ts')
      finish(await ldcExplain(options))
    })
  ldc
    .command('diff')
    .summary('which shards a new version moves')
    .description('Prints which shards go where when the second file takes the place of the first.')
    .argument('<old>', 'the rules that serve')
    .argument('<new>', 'the rules to come')
    .option('--json', 'print JSON')
    .action(async (before: string, after: string, options: LdcDiffOptions) => {
      const { ldcDiff } = await import('./ldc.ts')
      finish(await ldcDiff(before, after, options))
    })
}

function addApi(program: Command, finish: Finish): void {
  program
    .command('api')
    .summary('describe services')
    .description('Helps to describe services of business processes.')
    .command('import')
    .summary('read a service from a jar')
    .description(
      'Reads the interface of a service and the classes it needs from a jar, with the javap of a JDK, and writes the ' +
        '"types" and "routes" of a configuration.',
    )
    .requiredOption('--jar <file>', 'the jar; several are joined as in a class path')
    .requiredOption('--service <interface>', 'full name of the interface')
    .option('--class <name>', 'another class to describe, such as a subclass; may be repeated', collect, [])
    .option('--cluster <name>', 'cluster of the routes', 'backend')
    .option('-o, --out <file>', 'where to write it, in place of standard output')
    .addHelpText(
      'after',
      examples([
        'meshgate api import --jar order-api.jar --service com.example.OrderService --out order.yaml',
        'meshgate api import --jar api.jar:model.jar --service com.example.OrderService --class com.example.GiftOrder',
      ]) + exitCodes(),
    )
    .action(async (options: ApiImportOptions) => {
      const { apiImport } = await import('./api-import.ts')
      finish(await apiImport(options))
    })
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value]
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Give a whole number from 1 on.')
  return Number(text)
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`
}

function exitCodes(): string {
  return `\nExit codes:\n${EXIT_CODE_HELP.map(([code, meaning]) => `  ${String(code).padEnd(3)} ${meaning}\n`).join('')}`
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
