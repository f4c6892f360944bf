/** Which shards two versions of the rules serve in different zones. */
import type { LdcDocument, RuleScope, ShardRule } from './document.ts'
import { RuleTables } from './rule-tables.ts'

/** Requests that the rules treat alike. Empty texts stand for all that no rule names. */
export interface RequestClass {
  readonly app: string
  readonly op: string
  readonly tag: string
  readonly isPressure: boolean
}

/** Shards of one class that move between the same two places. */
export interface Move {
  readonly class: RequestClass
  /** In order. */
  readonly shards: readonly number[]
  /** Zone, or `zone/cell` when a rule names the cell; `''` when no rule matches. */
  readonly from: string
  readonly to: string
}

/** What changed between two documents. */
export interface LdcDiff {
  readonly from: number
  readonly to: number
  /** Moves of requests that no rule names first; those of a narrower class only as far as no broader one tells them. */
  readonly moves: readonly Move[]
  readonly movedShards: number
  readonly frozen: readonly number[]
  readonly unfrozen: readonly number[]
  readonly cells: readonly CellChange[]
}

/** A cell whose weight or state changed; `'absent'` for one that is not there. */
export interface CellChange {
  readonly cell: string
  readonly from: string
  readonly to: string
}

/** Compares two documents as they are at `nowMs` (wall clock). */
export function diffDocuments(before: LdcDocument, after: LdcDocument, nowMs: number): LdcDiff {
  const old = new Places(before, nowMs)
  const now = new Places(after, nowMs)
  const count = Math.max(before.shards, after.shards)
  const classes = classesOf(before, after)
  const changes = new Map(classes.map((one) => [keyOf(one), changesOf(old, now, one, count)]))
  const moves = classes.flatMap((one) => {
    const broader = broaderThan(one).map((wide) => changes.get(keyOf(wide)) as string[])
    const own = changes.get(keyOf(one)) as string[]
    return group(
      one,
      own.map((change, shard) => (broader.some((wide) => wide[shard] === change) ? '' : change)),
    )
  })
  return {
    from: before.version,
    to: after.version,
    moves,
    movedShards: movedShards(before, after, nowMs),
    frozen: after.frozen.filter((shard) => !before.frozen.includes(shard)),
    unfrozen: before.frozen.filter((shard) => !after.frozen.includes(shard)),
    cells: cellChanges(before, after),
  }
}

/** How many shards of ordinary traffic change their zone, in the class of requests in which most do. */
export function movedShards(before: LdcDocument, after: LdcDocument, nowMs: number): number {
  const old = new Places(before, nowMs)
  const now = new Places(after, nowMs)
  const count = Math.max(before.shards, after.shards)
  let most = 0
  for (const one of classesOf(before, after)) {
    if (one.isPressure) continue
    let moved = 0
    for (let shard = 0; shard < count; shard++) if (old.zone(one, shard) !== now.zone(one, shard)) moved++
    most = Math.max(most, moved)
  }
  return most
}

/** Where one document sends shards. */
class Places {
  readonly #document: LdcDocument
  readonly #nowMs: number
  readonly #tables: RuleTables
  readonly #pressure: RuleTables
  readonly #zoneOfCell: ReadonlyMap<string, string>

  constructor(document: LdcDocument, nowMs: number) {
    this.#document = document
    this.#nowMs = nowMs
    this.#tables = new RuleTables(document.rules, document.shards)
    const { rules } = document.pressure
    this.#pressure = rules === null ? this.#tables : new RuleTables(rules, document.shards)
    this.#zoneOfCell = new Map(
      document.zones.flatMap((zone) => zone.cells.map((cell) => [cell.name, zone.name] as const)),
    )
  }

  zone(one: RequestClass, shard: number): string {
    const rule = this.#rule(one, shard)
    if (rule === null) return ''
    return rule.zone === '' ? (this.#zoneOfCell.get(rule.cell) as string) : rule.zone
  }

  place(one: RequestClass, shard: number): string {
    const rule = this.#rule(one, shard)
    const zone = this.zone(one, shard)
    return rule === null || rule.cell === '' ? zone : `${zone}/${rule.cell}`
  }

  #rule({ app, op, tag, isPressure }: RequestClass, shard: number): ShardRule | null {
    if (shard >= this.#document.shards) return null
    const tables = isPressure ? this.#pressure : this.#tables
    const index = tables.find(shard, app, op, tag, this.#nowMs)
    return index === -1 ? null : tables.rules[index]
  }
}

/** Every class that some rule of either document tells apart, the general one first. */
function classesOf(before: LdcDocument, after: LdcDocument): RequestClass[] {
  const pick = (part: (scope: RuleScope) => readonly string[], isPressure: boolean): string[] => {
    const rules = [before, after].flatMap((document) =>
      isPressure ? (document.pressure.rules ?? document.rules) : document.rules,
    )
    return ['', ...new Set(rules.flatMap(part))]
  }
  const ofKind = (isPressure: boolean): RequestClass[] =>
    pick(({ apps }) => apps, isPressure).flatMap((app) =>
      pick(({ ops }) => ops, isPressure).flatMap((op) =>
        pick(({ tags }) => tags, isPressure).map((tag) => ({ app, op, tag, isPressure })),
      ),
    )
  const hasPressure = before.pressure.rules !== null || after.pressure.rules !== null
  return hasPressure ? [...ofKind(false), ...ofKind(true)] : ofKind(false)
}

function keyOf({ app, op, tag, isPressure }: RequestClass): string {
  return [app, op, tag, isPressure].join('\n')
}

/** The classes that ask for one part less. */
function broaderThan(one: RequestClass): RequestClass[] {
  const parts = (['app', 'op', 'tag'] as const).filter((part) => one[part] !== '')
  return parts.map((part) => ({ ...one, [part]: '' }))
}

/** Shard → where from and where to on two lines, `''` when it stays. */
function changesOf(old: Places, now: Places, one: RequestClass, count: number): string[] {
  return Array.from({ length: count }, (_, shard) => {
    const [from, to] = [old.place(one, shard), now.place(one, shard)]
    return from === to ? '' : `${from}\n${to}`
  })
}

function group(one: RequestClass, changes: readonly string[]): Move[] {
  const shards = new Map<string, number[]>()
  for (const [shard, change] of changes.entries()) {
    if (change === '') continue
    const list = shards.get(change)
    if (list === undefined) shards.set(change, [shard])
    else list.push(shard)
  }
  return [...shards].map(([change, list]) => {
    const [from, to] = change.split('\n')
    return { class: one, shards: list, from, to }
  })
}

function cellChanges(before: LdcDocument, after: LdcDocument): CellChange[] {
  const [old, now] = [cellsOf(before), cellsOf(after)]
  const names = [...new Set([...old.keys(), ...now.keys()])].sort()
  return names
    .map((cell) => ({ cell, from: old.get(cell) ?? 'absent', to: now.get(cell) ?? 'absent' }))
    .filter(({ from, to }) => from !== to)
}

function cellsOf({ zones }: LdcDocument): Map<string, string> {
  return new Map(
    zones.flatMap(({ cells }) =>
      cells.map(({ name, weight, state, percent }) => [
        name,
        `${weight} % ${state === 'warm' ? `warm(${percent})` : state}`,
      ]),
    ),
  )
}
