/** Turns what a YAML or JSON parser gave into a document, or into everything that is wrong with it. */
import { checkDocument } from './check.ts'
import type {
  CellRules,
  ExtractRule,
  LdcDocument,
  LdcProblem,
  ServiceRule,
  ShardRule,
  ZoneRulesEntry,
} from './document.ts'
import { Reader } from './reader.ts'
import { parseShards } from './shards.ts'

/** 3rd-last and 2nd-last digit, as SOFARPC's default provider takes them. */
const DEFAULT_SLICE: readonly [number, number] = [-3, -1]
const DEFAULT_MAX_MOVED_PERCENT = 20
const DEFAULT_RETRY_AFTER_MS = 1000
const KINDS = ['R', 'G', 'C'] as const
const MAX_SHARDS = 1000

const TOP_KEYS = (
  'version self shards userSlice extract cities idcs zones rules services pressure frozen frozenRetryAfterMs failover cells override ' +
  'crossZone guard'
).split(' ')

/** What came of a value. `document` is null when there are problems. */
export interface ParsedDocument {
  readonly document: LdcDocument | null
  readonly problems: readonly LdcProblem[]
}

/** Checks one value. `cell` is the pod's own cell, for documents that do not say it; the `ldc` key around the document is optional. */
export function parseDocument(value: unknown, cell: string): ParsedDocument {
  const problems: LdcProblem[] = []
  const outer = new Reader(value, '', problems)
  const inner = outer.at('ldc')
  const root = inner.isGiven ? inner : outer
  if (inner.isGiven) outer.keys(['ldc'])
  if (!root.isGiven) root.report('the document is empty')
  root.keys(TOP_KEYS)
  const document = readDocument(root, cell)
  // What refers to a value that could not be read would be reported again.
  if (problems.length === 0) problems.push(...checkDocument(document, root.path))
  return { document: problems.length === 0 ? document : null, problems }
}

function readDocument(root: Reader, cell: string): LdcDocument {
  const version = root.at('version')
  if (!version.isGiven) version.report('is missing; every change needs a higher one')
  const shards = root.at('shards').integer(100, 1, MAX_SHARDS)
  const override = root.at('override').keys(['header', 'listeners'])
  const guard = root.at('guard').keys(['maxMovedPercent', 'overrideFor'])
  const failover = root.at('failover').keys(['R', 'G', 'C', 'healthyFloor'])
  return {
    version: version.integer(0, 1, Number.MAX_SAFE_INTEGER),
    selfCell: root.at('self').keys(['cell']).at('cell').text(cell),
    shards,
    userSlice: readSlice(root.at('userSlice'), DEFAULT_SLICE),
    extract: root.at('extract').items().map(readExtract),
    cities: root
      .at('cities')
      .entries()
      .map(([name]) => name),
    idcs: Object.fromEntries(
      root
        .at('idcs')
        .entries()
        .map(([name, idc]) => [name, idc.keys(['city']).at('city').requiredText()]),
    ),
    zones: readZones(root),
    rules: readRules(root.at('rules'), shards),
    services: root.at('services').items().map(readService),
    pressure: readPressure(root.at('pressure'), shards),
    frozen: readFrozen(root.at('frozen'), shards),
    frozenRetryAfterMs: root.at('frozenRetryAfterMs').integer(DEFAULT_RETRY_AFTER_MS, 0, 600_000),
    failover: {
      R: readFailover(failover.at('R'), ['same-zone-other-cell']),
      G: readFailover(failover.at('G'), ['same-zone-other-cell', 'any-weighted']),
      C: readFailover(failover.at('C'), ['same-city']),
    },
    healthyFloor: failover.at('healthyFloor').integer(30, 0, 100),
    overrideHeader: override.at('header').text('').toLowerCase(),
    overrideListeners: override.at('listeners').texts(),
    crossZone: readCrossZone(root.at('crossZone')),
    maxMovedPercent: guard.at('maxMovedPercent').integer(DEFAULT_MAX_MOVED_PERCENT, 0, 100),
    guardOverrideFor: guard.at('overrideFor').integer(0, 1, Number.MAX_SAFE_INTEGER),
  }
}

function readZones(root: Reader): ZoneRulesEntry[] {
  const states = root.at('cells')
  const zones = root
    .at('zones')
    .entries()
    .map(([name, zone]) => {
      zone.keys(['kind', 'elastic', 'cells'])
      const kind = zone.at('kind')
      if (!kind.isGiven) kind.report('is missing; it is R, G or C')
      return {
        name,
        kind: kind.choice('R', KINDS),
        elastic: zone.at('elastic').flag(false),
        cells: zone
          .at('cells')
          .entries()
          .map(([cell, value]) => readCell(cell, value, states.at(cell))),
      }
    })
  const names = new Set(zones.flatMap((zone) => zone.cells.map((cell) => cell.name)))
  for (const [name, state] of states.entries()) {
    if (!names.has(name)) state.report('no zone has this cell')
  }
  return zones
}

function readCell(name: string, cell: Reader, given: Reader): CellRules {
  cell.keys(['idc', 'weight', 'shadow', 'cluster'])
  const weight = cell.at('weight')
  if (!weight.isGiven) weight.report('is missing; the weights of a zone add up to 100')
  return {
    name,
    idc: cell.at('idc').requiredText(),
    weight: weight.integer(0, 0, 100),
    shadow: cell.at('shadow').flag(false),
    cluster: cell.at('cluster').text(''),
    ...readState(given),
  }
}

/** `{ state: warm, percent: 10 }`, or `{ state: warm(10) }`. */
function readState(given: Reader): Pick<CellRules, 'state' | 'percent'> {
  given.keys(['state', 'percent'])
  const state = given.at('state')
  const warm = /^warm\((\d{1,3})\)$/.exec(String(state.value))
  if (warm !== null && Number(warm[1]) <= 100) return { state: 'warm', percent: Number(warm[1]) }
  const found = state.choice('up', ['up', 'warm', 'drain', 'down'])
  const percent = given.at('percent')
  if (found === 'warm' && !percent.isGiven)
    percent.report('is missing; how much of its weight a warm cell takes')
  return { state: found, percent: percent.integer(100, 0, 100) }
}

function readRules(list: Reader, shards: number): ShardRule[] {
  return list.items().map((rule) => {
    rule.keys(['id', 'priority', 'shards', 'zone', 'cell', 'apps', 'ops', 'tags', 'until'])
    return {
      id: rule.at('id').requiredText(),
      priority: rule.at('priority').integer(0, 0, 1_000_000),
      shards: readShards(rule.at('shards'), shards),
      zone: rule.at('zone').text(''),
      cell: rule.at('cell').text(''),
      apps: rule.at('apps').texts(),
      ops: readOps(rule.at('ops')),
      tags: rule.at('tags').texts(),
      untilMs: readTime(rule.at('until')),
    }
  })
}

function readOps(list: Reader): string[] {
  return list.items().map((item) => {
    const text = item.text('')
    const star = text.indexOf('*')
    if (star !== -1 && star < text.length - 1) item.report(`"*" may only stand at the end, is "${text}"`)
    return text
  })
}

function readShards(value: Reader, count: number): number[] {
  if (!value.isGiven) value.report('is missing; write "00-49"')
  const found = parseShards(value.text('0'), count)
  if (typeof found !== 'string') return found
  value.report(found)
  return []
}

/** Years beyond 9999 are as good as never. */
function readTime(value: Reader): number {
  if (!value.isGiven) return Number.POSITIVE_INFINITY
  // YAML's own timestamps come as dates.
  const ms = value.value instanceof Date ? value.value.getTime() : Date.parse(value.text(''))
  if (!Number.isNaN(ms)) return ms
  value.report('must be a time such as "2026-11-12T02:00:00Z"')
  return Number.POSITIVE_INFINITY
}

function readService(service: Reader): ServiceRule {
  service.keys(['apps', 'ops', 'kind', 'zone', 'reads'])
  return {
    apps: service.at('apps').texts(),
    ops: readOps(service.at('ops')),
    kind: service.at('kind').choice('R', KINDS),
    zone: service.at('zone').text(''),
    reads: service.at('reads').flag(false),
  }
}

function readExtract(rule: Reader): ExtractRule {
  rule.keys(['from', 'name', 'json', 'as', 'slice', 'verifiedOnly', 'hint', 'service', 'method', 'index'])
  const from = rule.at('from')
  if (!from.isGiven) from.report('is missing; it is mmtp.shard, header, cookie or uid')
  if (from.value === 'arg') {
    from.report(
      'arguments of calls are not decoded on this path; let the caller send the shard in the header ldc.shard',
    )
  }
  const name = rule.at('name')
  const needsName = from.value === 'header' || from.value === 'cookie'
  if (needsName && !name.isGiven) name.report(`is missing: which ${from.value}`)
  return {
    from: from.value === 'arg' ? 'uid' : from.choice('uid', ['mmtp.shard', 'header', 'cookie', 'uid']),
    name: from.value === 'header' ? name.text('').toLowerCase() : name.text(''),
    json: rule.at('json').text(''),
    isShard: rule.at('as').choice('user', ['user', 'shard']) === 'shard',
    slice: readSlice(rule.at('slice'), DEFAULT_SLICE),
    verifiedOnly: rule.at('verifiedOnly').flag(false),
    hint: rule.at('hint').flag(false),
  }
}

function readSlice(value: Reader, fallback: readonly [number, number]): readonly [number, number] {
  if (!value.isGiven) return fallback
  const bounds = value.items().map((item) => item.integer(0, -32, 32))
  if (bounds.length === 2 && bounds[0] !== bounds[1]) return [bounds[0], bounds[1]]
  value.report('must be two numbers, as for a slice: [-3, -1] is the 3rd- and the 2nd-last digit')
  return fallback
}

function readPressure(pressure: Reader, shards: number): LdcDocument['pressure'] {
  pressure.keys(['rules', 'shadowUpstream', 'cluster'])
  const rules = pressure.at('rules')
  return {
    rules: rules.isGiven ? readRules(rules, shards) : null,
    shadowUpstream: pressure.at('shadowUpstream').flag(false),
    cluster: pressure.at('cluster').text(''),
  }
}

function readFrozen(list: Reader, count: number): number[] {
  const frozen = new Set<number>()
  for (const item of list.items()) for (const shard of readShards(item, count)) frozen.add(shard)
  return [...frozen].sort((a, b) => a - b)
}

function readFailover(list: Reader, fallback: readonly string[]): readonly string[] {
  return list.isGiven ? list.texts() : fallback
}

function readCrossZone(crossZone: Reader): LdcDocument['crossZone'] {
  crossZone.keys(['mode', 'maxHops', 'cluster', 'location'])
  return {
    mode: crossZone.at('mode').choice('forward', ['forward', 'redirect']),
    maxHops: crossZone.at('maxHops').integer(2, 1, 10),
    cluster: crossZone.at('cluster').text('{cell}'),
    location: crossZone.at('location').text(''),
  }
}
