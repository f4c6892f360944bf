/** What a document must fulfil beyond the form of its values. */
import { suggestion } from '../suggest.ts'
import type { LdcDocument, LdcProblem, ShardRule, ZoneRulesEntry } from './document.ts'
import { coversOp, showShards } from './shards.ts'

/** Failover steps that are no zone. */
const STEPS = ['same-zone-other-cell', 'same-city', 'any-weighted']
const CLUSTER_MARKS = /\{(?!(?:cell|zone|idc|protocol)\})[^}]*\}?/

/** Everything that is wrong with a document whose values have the right form. `root` is the path of the document. */
export function checkDocument(document: LdcDocument, root: string): LdcProblem[] {
  return new Check(document, root).run()
}

/** Every `until` that lies in the past: a rule that is new must not be over already. */
export function expiredRules(document: LdcDocument, nowMs: number): LdcProblem[] {
  const past = (rules: readonly ShardRule[], path: string): LdcProblem[] =>
    rules.flatMap(({ id, untilMs }, index) =>
      untilMs > nowMs ? [] : [{ path: `${path}[${index}].until`, message: `rule "${id}" ended in the past` }],
    )
  return [...past(document.rules, 'rules'), ...past(document.pressure.rules ?? [], 'pressure.rules')]
}

class Check {
  readonly #document: LdcDocument
  readonly #prefix: string
  readonly #problems: LdcProblem[] = []
  readonly #zones: ReadonlyMap<string, ZoneRulesEntry>
  /** Cell → its zone. */
  readonly #cells = new Map<string, ZoneRulesEntry>()

  constructor(document: LdcDocument, root: string) {
    this.#document = document
    this.#prefix = root === '' ? '' : `${root}.`
    this.#zones = new Map(document.zones.map((zone) => [zone.name, zone]))
  }

  run(): LdcProblem[] {
    const { rules, pressure } = this.#document
    this.#checkTopology()
    this.#checkSelf()
    this.#checkRules(rules, 'rules', false)
    if (pressure.rules !== null) this.#checkRules(pressure.rules, 'pressure.rules', true)
    this.#checkServices()
    this.#checkFailover()
    this.#checkCrossZone()
    return this.#problems
  }

  #report(path: string, message: string): void {
    this.#problems.push({ path: this.#prefix + path, message })
  }

  #checkTopology(): void {
    const { cities, idcs, zones } = this.#document
    for (const [idc, city] of Object.entries(idcs)) {
      if (!cities.includes(city))
        this.#report(`idcs.${idc}.city`, `there is no city "${city}"${suggestion(city, cities)}`)
    }
    if (zones.length === 0) this.#report('zones', 'is empty; there must be at least one zone')
    for (const zone of zones) this.#checkZone(zone, Object.keys(idcs))
  }

  #checkZone(zone: ZoneRulesEntry, idcs: readonly string[]): void {
    const path = `zones.${zone.name}`
    if (zone.cells.length === 0) this.#report(`${path}.cells`, 'is empty; a zone has at least one cell')
    if (zone.elastic && zone.kind !== 'R')
      this.#report(`${path}.elastic`, 'only a zone of kind R can be elastic')
    for (const { name, idc } of zone.cells) {
      const known = this.#cells.get(name)
      if (known !== undefined)
        this.#report(`${path}.cells.${name}`, `zone ${known.name} has a cell of this name too`)
      this.#cells.set(name, zone)
      if (!idcs.includes(idc))
        this.#report(`${path}.cells.${name}.idc`, `there is no data centre "${idc}"${suggestion(idc, idcs)}`)
    }
    const sum = zone.cells.reduce((total, { weight }) => total + weight, 0)
    if (zone.cells.length > 0 && sum !== 100 && sum !== 0)
      this.#report(`${path}.cells`, `the weights add up to ${sum}; they must make 100, or all be 0`)
  }

  #checkSelf(): void {
    const { selfCell } = this.#document
    if (selfCell === '')
      this.#report('self.cell', 'is missing, and the configuration has no "node.cell" either')
    else if (!this.#cells.has(selfCell))
      this.#report(
        'self.cell',
        `no zone has the cell "${selfCell}"${suggestion(selfCell, [...this.#cells.keys()])}`,
      )
  }

  #checkRules(rules: readonly ShardRule[], path: string, isPressure: boolean): void {
    const ids = new Set<string>()
    for (const [index, rule] of rules.entries()) {
      const at = `${path}[${index}]`
      if (ids.has(rule.id)) this.#report(`${at}.id`, `another rule has the id "${rule.id}" too`)
      ids.add(rule.id)
      this.#checkTarget(rule, at, isPressure)
      for (let other = 0; other < index; other++) this.#checkOverlap(rules[other], rule, at)
    }
    this.#checkCoverage(rules, path)
  }

  #checkTarget(rule: ShardRule, at: string, isPressure: boolean): void {
    if ((rule.zone === '') === (rule.cell === '')) {
      this.#report(at, 'must name a zone or a cell, one of them')
      return
    }
    const zone = rule.zone === '' ? this.#cells.get(rule.cell) : this.#zones.get(rule.zone)
    if (zone === undefined) {
      const [key, name] = rule.zone === '' ? ['cell', rule.cell] : ['zone', rule.zone]
      const known = rule.zone === '' ? this.#cells.keys() : this.#zones.keys()
      this.#report(`${at}.${key}`, `there is no ${key} "${name}"${suggestion(name, [...known])}`)
      return
    }
    if (zone.kind !== 'R')
      this.#report(at, `zone ${zone.name} is of kind ${zone.kind}; shards belong to zones of kind R`)
    if (zone.elastic && rule.priority === 0 && !isPressure)
      this.#report(at, `zone ${zone.name} is elastic; a rule of priority 0 must name a zone that stays`)
  }

  #checkOverlap(first: ShardRule, second: ShardRule, at: string): void {
    if (first.priority !== second.priority || !canMeet(first, second)) return
    const taken = new Set(first.shards)
    const both = second.shards.filter((shard) => taken.has(shard))
    if (both.length === 0) return
    const which = showShards(both, this.#document.shards)
    this.#report(
      at,
      `rule "${second.id}" and rule "${first.id}" have the same priority and both match shards ${which}`,
    )
  }

  #checkCoverage(rules: readonly ShardRule[], path: string): void {
    const covered = new Set<number>()
    for (const rule of rules) {
      if (rule.priority === 0 && isForAll(rule)) for (const shard of rule.shards) covered.add(shard)
    }
    const missing: number[] = []
    for (let shard = 0; shard < this.#document.shards; shard++) if (!covered.has(shard)) missing.push(shard)
    if (missing.length > 0) {
      const which = showShards(missing, this.#document.shards)
      this.#report(path, `shards ${which} have no rule of priority 0 that is for everyone and for ever`)
    }
  }

  #checkServices(): void {
    for (const [index, { kind, zone }] of this.#document.services.entries()) {
      if (zone === '') continue
      const at = `services[${index}].zone`
      const found = this.#zones.get(zone)
      if (found === undefined)
        this.#report(at, `there is no zone "${zone}"${suggestion(zone, [...this.#zones.keys()])}`)
      else if (kind === 'R') this.#report(at, 'the rules say which zone of kind R serves a shard')
      else if (found.kind !== kind) this.#report(at, `zone ${zone} is of kind ${found.kind}, not ${kind}`)
    }
  }

  #checkFailover(): void {
    for (const [kind, steps] of Object.entries(this.#document.failover)) {
      for (const [index, step] of steps.entries()) {
        const at = `failover.${kind}[${index}]`
        if (kind === 'R' && step !== 'same-zone-other-cell') {
          this.#report(
            at,
            `must be same-zone-other-cell: the data of a shard is in its own zone only, so another one needs new rules`,
          )
        } else if (!STEPS.includes(step) && !this.#zones.has(step)) {
          const known = [...STEPS, ...this.#zones.keys()]
          this.#report(at, `"${step}" is neither a step nor a zone${suggestion(step, known)}`)
        } else if (this.#zones.get(step)?.kind === 'R') {
          this.#report(at, `zone ${step} is of kind R, which holds the data of its shards only`)
        }
      }
    }
  }

  #checkCrossZone(): void {
    const { cluster, location } = this.#document.crossZone
    for (const [key, text] of [
      ['cluster', cluster],
      ['location', location],
    ]) {
      const wrong = CLUSTER_MARKS.exec(text)
      if (wrong !== null)
        this.#report(
          `crossZone.${key}`,
          `${wrong[0]} stands for nothing; there are {cell}, {zone}, {idc} and {protocol}`,
        )
    }
    if (location !== '' && !/^https?:\/\/[^/?#\s]+$/.test(location.replaceAll(/[{}]/g, '')))
      this.#report('crossZone.location', 'must be scheme and host, such as https://{cell}.example.com')
  }
}

function isForAll({ apps, ops, tags, untilMs }: ShardRule): boolean {
  return apps.length + ops.length + tags.length === 0 && untilMs === Number.POSITIVE_INFINITY
}

/** Whether one request can match the scopes of both rules. */
function canMeet(a: ShardRule, b: ShardRule): boolean {
  return meet(a.apps, b.apps, isSame) && meet(a.tags, b.tags, isSame) && meet(a.ops, b.ops, overlap)
}

function meet(a: readonly string[], b: readonly string[], test: (x: string, y: string) => boolean): boolean {
  return a.length === 0 || b.length === 0 || a.some((x) => b.some((y) => test(x, y)))
}

function isSame(a: string, b: string): boolean {
  return a === b
}

/** A pattern covers the one that is longer, read as a text, whenever both can match one operation. */
function overlap(a: string, b: string): boolean {
  return coversOp(a, b) || coversOp(b, a)
}
