/** Which rule holds for a shard: one flat array for each class of requests that the rules tell apart. */
import type { RuleScope, ShardRule } from './document.ts'
import { coversOp } from './shards.ts'

/** Operations whose class is remembered; callers may choose names, so there is an end to it. */
const MAX_KNOWN_OPS = 10_000

/**
 * Finds the rule of the highest priority. Requests fall into classes by application, operation and tag, as far as any rule asks for
 * them; each class has its table shard → index of the rule, made when the class is first met. A look-up is then up to three
 * maps and one array read.
 */
export class RuleTables {
  readonly rules: readonly ShardRule[]
  /** True when some rule asks for the part, so that it need not be read otherwise. */
  readonly usesApps: boolean
  readonly usesOps: boolean
  readonly usesTags: boolean
  readonly #shards: number
  /** Indexes of the rules, highest priority first. */
  readonly #order: readonly number[]
  readonly #apps: ReadonlyMap<string, number>
  readonly #tags: ReadonlyMap<string, number>
  readonly #patterns: readonly string[]
  readonly #ops = new Map<string, number>()
  /** Matched patterns → class of operations. */
  readonly #opClasses = new Map<string, number>()
  readonly #tables = new Map<number, Int16Array>()
  /** The table of the class that a request without application, operation and tag is in; null before it was asked for. */
  #base: Int16Array | null = null
  readonly #isPlain: boolean
  /** When the next rule ends. */
  #changesAt = Number.NEGATIVE_INFINITY

  constructor(rules: readonly ShardRule[], shards: number) {
    this.rules = rules
    this.#shards = shards
    this.#order = rules.map((_, index) => index).sort((a, b) => rules[b].priority - rules[a].priority)
    this.#apps = numbered(rules.flatMap((rule) => rule.apps))
    this.#tags = numbered(rules.flatMap((rule) => rule.tags))
    this.#patterns = [...new Set(rules.flatMap((rule) => rule.ops))]
    this.usesApps = this.#apps.size > 0
    this.usesOps = this.#patterns.length > 0
    this.usesTags = this.#tags.size > 0
    this.#isPlain = !this.usesApps && !this.usesOps && !this.usesTags
  }

  /** Index of the rule for a shard, -1 when there is none. `nowMs` is the wall clock. */
  find(shard: number, app: string, op: string, tag: string, nowMs: number): number {
    if (nowMs >= this.#changesAt) this.#startOver(nowMs)
    if (this.#isPlain && this.#base !== null) return this.#base[shard]
    return this.#tableOf(app, op, tag, nowMs)[shard]
  }

  /** Every rule that could match, the one that holds first, for explanations. */
  candidates(shard: number, app: string, op: string, tag: string, nowMs: number): ShardRule[] {
    return this.#order
      .map((index) => this.rules[index])
      .filter((rule) => rule.shards.includes(shard) && rule.untilMs > nowMs && matches(rule, app, op, tag))
  }

  #tableOf(app: string, op: string, tag: string, nowMs: number): Int16Array {
    const opClass = this.usesOps ? this.#opClassOf(op) : 0
    const appClass = this.usesApps ? (this.#apps.get(app) ?? 0) : 0
    const tagClass = this.usesTags ? (this.#tags.get(tag) ?? 0) : 0
    const key = (opClass * (this.#apps.size + 1) + appClass) * (this.#tags.size + 1) + tagClass
    let table = this.#tables.get(key)
    if (table === undefined) {
      table = this.#makeTable(app, op, tag, nowMs)
      this.#tables.set(key, table)
      if (this.#isPlain) this.#base = table
    }
    return table
  }

  #opClassOf(op: string): number {
    const known = this.#ops.get(op)
    if (known !== undefined) return known
    const matched = this.#patterns.map((pattern) => (coversOp(pattern, op) ? '1' : '0')).join('')
    let opClass = this.#opClasses.get(matched)
    if (opClass === undefined) {
      opClass = this.#opClasses.size
      this.#opClasses.set(matched, opClass)
    }
    if (this.#ops.size >= MAX_KNOWN_OPS) this.#ops.clear()
    this.#ops.set(op, opClass)
    return opClass
  }

  #makeTable(app: string, op: string, tag: string, nowMs: number): Int16Array {
    const table = new Int16Array(this.#shards).fill(-1)
    for (let i = this.#order.length - 1; i >= 0; i--) {
      const index = this.#order[i]
      const rule = this.rules[index]
      if (rule.untilMs <= nowMs || !matches(rule, app, op, tag)) continue
      for (const shard of rule.shards) table[shard] = index
    }
    return table
  }

  /** A rule ended: tables are made again, without it. */
  #startOver(nowMs: number): void {
    this.#tables.clear()
    this.#base = null
    this.#changesAt = Number.POSITIVE_INFINITY
    for (const { untilMs } of this.rules) {
      if (untilMs > nowMs && untilMs < this.#changesAt) this.#changesAt = untilMs
    }
  }
}

function numbered(names: readonly string[]): ReadonlyMap<string, number> {
  return new Map([...new Set(names)].map((name, index) => [name, index + 1]))
}

/** Whether a request is one of those that a rule is about. */
export function matches({ apps, ops, tags }: RuleScope, app: string, op: string, tag: string): boolean {
  return (
    (apps.length === 0 || apps.includes(app)) &&
    (tags.length === 0 || tags.includes(tag)) &&
    (ops.length === 0 || ops.some((pattern) => coversOp(pattern, op)))
  )
}
