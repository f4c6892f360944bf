import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { check } from '../../lib/cli/check.ts'
import { paintFor } from '../../lib/cli/paint.ts'
import { main } from '../../lib/cli/program.ts'
import { quickRunOptions } from '../../lib/cli/quick-run.ts'
import { schema } from '../../lib/cli/schema.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

const BENCH = `
node: { app: bench, cell: RZ01A }
admin: { address: 127.0.0.1:15900 }
listeners: [ { name: in, protocol: http1, address: 127.0.0.1:8190 } ]
clusters: [ { name: out, protocol: http1, endpoints: [127.0.0.1:9000] } ]
filters:
  - { use: access-log, path: access.log, sample: 0.01 }
  - trace-context
  - { use: headers, request: { set: { x-gateway: meshgate } } }
  - { use: rate-limit, qps: 100000000 }
routes:
  - { match: { path: /api/v1/things }, to: { cluster: out } }
  - { match: {}, to: { cluster: out } }
`

/** An output that keeps what is written to it. */
function memory(isTTY = false) {
  return {
    text: '',
    isTTY,
    write(text: string) {
      this.text += text
    },
  }
}

/** Runs a command line in this process. */
async function runMain(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await main(args, { out: (text) => (out += text), err: (text) => (err += text) })
  return { code, out, err }
}

async function runCheck(file: string, options: { json?: boolean } = {}) {
  const [output, errors] = [memory(), memory()]
  const code = await check(file, options, output, errors)
  return { code, out: output.text, err: errors.text }
}

t.test('check accepts the configuration that measurements use, with 0', async (t) => {
  const file = join(t.testdir({ 'bench.yaml': BENCH }), 'bench.yaml')
  const { code, out } = await runCheck(file)
  t.equal(code, 0)
  t.match(
    out,
    /^\S+bench\.yaml: valid \(1 listener, 1 cluster, 4 filters, 2 routes; checksum [0-9a-f]{12}\)\n$/,
  )
})

t.test('check prints every problem on an aligned line, a count, and 78', async (t) => {
  const text = BENCH.replace('listeners:', 'lsteners:')
    .replace('qps:', 'qqs:')
    .replace('cluster: out }', 'cluster: uot }')
  const file = join(t.testdir({ 'bad.yaml': text }), 'bad.yaml')
  const { code, out } = await runCheck(file)
  t.equal(code, 78)
  const lines = out.trimEnd().split('\n')
  t.match(lines.at(-1), /: \d problems$/)
  t.match(out, /bad\.yaml:4:1 +lsteners: unknown key "lsteners" — did you mean "listeners"\?\n/)
  t.match(out, /bad\.yaml:10:\d+ +filters\[3\]\.qqs: unknown key "qqs" — did you mean "qps"\?\n/)
  t.match(
    out,
    /bad\.yaml:12:\d+ +routes\[0\]\.to\.cluster: there is no cluster "uot" — did you mean "out"\?\n/,
  )
  const columns = lines.slice(0, -1).map((line) => /^\S+ +/.exec(line)?.[0].length)
  t.equal(new Set(columns).size, 1, 'messages begin in one column')
})

t.test('check --json gives the same for programs', async (t) => {
  const file = join(t.testdir({ 'bad.yaml': BENCH.replace('cluster: out }', 'cluster: uot }') }), 'bad.yaml')
  const { code, out } = await runCheck(file, { json: true })
  t.equal(code, 78)
  t.match(JSON.parse(out), {
    file,
    valid: false,
    problems: [{ severity: 'error', line: 12, path: 'routes[0].to.cluster', hint: 'did you mean "out"?' }],
  })
})

t.test('check answers 1 for a file that cannot be read', async (t) => {
  const { code, out, err } = await runCheck(join(t.testdir({}), 'none.yaml'))
  t.equal(code, 1)
  t.equal(out, '')
  t.match(err, /^meshgate: cannot read \S+none\.yaml: the file does not exist\n$/)
})

t.test('check warns of routes that get in each other’s way, and accepts them', async (t) => {
  const text = `${BENCH}  - { name: late, match: { path: /api/v1/things }, to: { cluster: out } }\n`
  const { code, out } = await runCheck(join(t.testdir({ 'c.yaml': text }), 'c.yaml'))
  t.equal(code, 0)
  t.match(out, /c\.yaml:14:\d+ +warning: routes\[2\]\.match: /)
  t.match(out, /valid, 1 warning \(/)
})

t.test(
  'check loads users’ filters: one that is broken is a problem, and options follow its schema',
  async (t) => {
    const folder = t.testdir({
      'good.ts': `export default {
      schema: { type: 'object', additionalProperties: false, properties: { limit: { type: 'integer' } } },
      create: () => ({ name: 'good', onRequest(): void {} }),
    }`,
      'broken.ts': 'export default {',
      'c.yaml': BENCH.replace(
        '- trace-context',
        '- ./broken.ts\n  - { use: ./good.ts, limt: 3 }\n  - ./none.ts',
      ),
    })
    const { code, out } = await runCheck(join(folder, 'c.yaml'))
    t.equal(code, 78)
    t.match(out, /c\.yaml:8:\d+ +filters\[1\].*broken\.ts/)
    t.match(out, /c\.yaml:9:\d+ +filters\[2\]\.limt: unknown key "limt" — did you mean "limit"\?/)
    t.match(out, /c\.yaml:10:\d+ +filters\[3\].*none\.ts/)
    t.match(out, /: 3 problems\n$/)
  },
)

t.test('colours are for terminals that want them', (t) => {
  t.equal(paintFor(memory(true), {}).red('x'), '\x1b[31mx\x1b[39m')
  t.equal(paintFor(memory(true), { NO_COLOR: '1' }).red('x'), 'x')
  t.equal(paintFor(memory(true), { TERM: 'dumb' }).red('x'), 'x')
  t.equal(paintFor(memory(false), {}).red('x'), 'x')
  t.end()
})

t.test('schema prints JSON Schema that names every filter', (t) => {
  const output = memory()
  t.equal(schema(output), 0)
  const { properties } = JSON.parse(output.text)
  const titles = properties.filters.items.anyOf.map(({ title }: { title?: string }) => title)
  t.ok(
    ['access-log', 'trace-context', 'headers', 'rate-limit', 'fault', 'direct-reply'].every((name) =>
      titles.includes(name),
    ),
  )
  t.end()
})

t.test('every command has help with examples and exit codes', async (t) => {
  const commands = [['run'], ['check'], ['schema'], ['filter', 'new'], ['mmtp', 'call'], []]
  for (const command of commands) {
    const { code, out } = await runMain(...command, '--help')
    t.equal(code, 0)
    t.match(out, `Usage: ${['meshgate', ...command].join(' ')}`)
    t.match(out, /\nExamples:\n {2}meshgate /)
    t.match(out, /\nExit codes:\n {2}0 {3}all is well\n {2}1 .*\n {2}64 .*\n {2}78 /)
  }
})

t.test('a wrong command line is answered with what was meant, and 64', async (t) => {
  t.match(await runMain('chek'), { code: 64, err: /unknown command 'chek'\n\(Did you mean check\?\)/ })
  t.match(await runMain('check'), { code: 64, err: /missing required argument 'file'/ })
  t.match(await runMain('run', '--confg', 'x'), {
    code: 64,
    err: /unknown option '--confg'\n\(Did you mean --config\?\)/,
  })
  t.match(await runMain('mmtp', 'call', 'a:1', 'x', '--repeat', '0'), { code: 64, err: /whole number/ })
  t.match(await runMain(), { code: 64, err: /Usage: meshgate/ })
  t.match(await runMain('--version'), { code: 0, out: /^\d+\.\d+\.\d+\n$/ })
})

t.test('a plain run needs no command line library', (t) => {
  t.same(quickRunOptions(['run']), { config: 'meshgate.yaml' })
  t.same(quickRunOptions(['run', '-c', 'x.yaml']), { config: 'x.yaml' })
  t.same(quickRunOptions(['run', '--config', 'x.yaml']), { config: 'x.yaml' })
  for (const args of [
    [],
    ['check', 'x'],
    ['run', '--help'],
    ['run', '-c'],
    ['run', '-c', '--help'],
    ['run', 'x'],
    ['run', '-c', 'x', 'y'],
  ]) {
    t.equal(quickRunOptions(args), null, args.join(' '))
  }
  t.end()
})

t.test('the process ends with the exit code of its command', (t) => {
  const file = join(t.testdir({ 'bad.yaml': 'listeners: []\n' }), 'bad.yaml')
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'check', file], { encoding: 'utf8' })
  t.equal(status, 78)
  t.match(stdout, /bad\.yaml:1:12 {2}listeners: the list is empty — give at least 1\n.*: 1 problem\n/)
  t.end()
})
