import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { ExitCode } from '../../lib/cli/exit-codes.ts'
import { ldcDiff, ldcExplain } from '../../lib/cli/ldc.ts'
import { NOW, RULES, rulesValue } from '../filters/ldc/support.ts'

const folder = mkdtempSync(join(tmpdir(), 'meshgate-ldc-cli-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Runs a command and gives back what it printed. */
async function run(command: (output: Parameters<typeof ldcExplain>[1]) => Promise<ExitCode>) {
  const printed = { out: '', err: '' }
  const code = await command({
    out: { write: (text) => void (printed.out += text) },
    err: { write: (text) => void (printed.err += text) },
    nowMs: () => NOW,
  })
  return { code, ...printed }
}

const rules = file('rules.yaml', RULES)

t.test('explain shows the decision and how it came about', async (t) => {
  const { code, out } = await run((output) => ldcExplain({ rules, uid: '2088000000000687' }, output))
  t.equal(code, ExitCode.Ok)
  t.equal(
    out,
    `belongs elsewhere, cell RZ02A of zone RZ02
  1. this is cell RZ01A of zone RZ01, rules of version 118
  2. the request may write
  3. its shard is 68
  4. rule "base-2" of priority 0 names zone RZ02
  5. belongs to cell RZ02A of zone RZ02 in data centre hz2
`,
  )
})

t.test('explain takes every part of a request, and tells it as JSON', async (t) => {
  const given = { rules, uid: '2088000000000457', app: 'trade', operation: 'alipay.trade.pay', json: true }
  const { out } = await run((output) => ldcExplain(given, output))
  t.match(JSON.parse(out), {
    outcome: 'Elsewhere',
    shard: '45',
    cell: 'RZ0XA',
    zone: 'RZ0X',
    rule: 'bounce',
    version: 118,
  })
  const as = async (more: object) =>
    (await run((output) => ldcExplain({ rules, ...more }, output))).out.split('\n')[0]
  t.equal(await as({ shard: '12' }), 'refused: the shard is frozen, cell RZ01A of zone RZ01')
  t.equal(await as({ shard: '12', read: true }), 'served here, cell RZ01A of zone RZ01')
  t.equal(await as({ shard: '68', cell: 'RZ02A' }), 'served here, cell RZ02A of zone RZ02')
  t.equal(await as({ shard: '0', tag: 'grey-b' }), 'belongs elsewhere, cell RZ01B of zone RZ01')
  const pressure = file('pressure.yaml', stringify(rulesValue({ pressure: { shadowUpstream: true } })))
  t.equal(
    await as({ rules: pressure, shard: '68', pressure: true }),
    'refused: no cell takes load-test traffic, cell RZ02A of zone RZ02',
  )
})

t.test('explain says what is wrong with rules and options', async (t) => {
  const wrong = file('wrong.yaml', stringify(rulesValue({ frozen: ['200'], rules: [] })))
  const refused = await run((output) => ldcExplain({ rules: wrong }, output))
  t.equal(refused.code, ExitCode.Config)
  t.match(refused.err, /wrong\.yaml:\n {2}frozen\[0\]: "200" goes beyond 99/)
  const broken = await run((output) => ldcExplain({ rules: file('broken.yaml', 'a: [') }, output))
  t.equal(broken.code, ExitCode.Config)
  t.match(broken.err, /line 1/)
  t.equal(
    (await run((output) => ldcExplain({ rules: join(folder, 'none.yaml') }, output))).code,
    ExitCode.Failure,
  )
  const usage = await run((output) => ldcExplain({ rules, shard: '100' }, output))
  t.equal(usage.code, ExitCode.Usage)
  t.match(usage.err, /--shard 100 is no shard; there are 00 to 99/)
  t.match(
    (await run((output) => ldcExplain({ rules, cell: 'RZ9' }, output))).err,
    /no zone has the cell "RZ9"/,
  )
})

const BASE = rulesValue().rules as { id: string; shards: string }[]

function cutAt(last: number, more: Record<string, unknown> = {}): string {
  const moved = BASE.map((rule) =>
    rule.id === 'base-1'
      ? { ...rule, shards: `0-${last}` }
      : rule.id === 'base-2'
        ? { ...rule, shards: `${last + 1}-99` }
        : rule,
  )
  return file(`cut-${last}.yaml`, stringify(rulesValue({ version: 119, rules: moved, ...more })))
}

t.test('diff shows in a table which shards move, and what else changes', async (t) => {
  const after = cutAt(54, { frozen: ['12-13'], cells: { RZ01B: { state: 'drain' } } })
  const { code, out } = await run((output) => ldcDiff(rules, after, {}, output))
  t.equal(code, ExitCode.Ok)
  t.equal(
    out,
    `version 118 → 119: 5 of 100 shards move (5 %)

TRAFFIC  SHARDS  FROM  TO
general  50-54   RZ02  RZ01

no more frozen: 60

CELL   FROM     TO
RZ01B  50 % up  50 % drain
`,
  )
})

t.test('diff says so when the new version would be refused', async (t) => {
  const { code, out } = await run((output) => ldcDiff(rules, cutAt(90), {}, output))
  t.equal(code, ExitCode.Config)
  t.match(out, /41 of 100 shards move \(41 %\)/)
  t.match(out, /would be refused:\n {2}rules: moves 41 of 100 shards at once, more than 20 %/)
})

t.test('diff as JSON has ranges and counts', async (t) => {
  const { out } = await run((output) => ldcDiff(rules, cutAt(51), { json: true }, output))
  t.match(JSON.parse(out), {
    from: 118,
    to: 119,
    movedShards: 2,
    moves: [
      { app: '', op: '', tag: '', isPressure: false, shards: '50-51', count: 2, from: 'RZ02', to: 'RZ01' },
    ],
    problems: [],
  })
})

t.test('diff of documents that leave the own cell to the pod needs no cell', async (t) => {
  const podless = file('podless.yaml', stringify(rulesValue({ self: undefined })))
  t.match((await run((output) => ldcDiff(podless, podless, {}, output))).out, /0 of 100 shards move/)
})
