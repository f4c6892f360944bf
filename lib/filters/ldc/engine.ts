/** Decides where a request belongs. Pure: no clock, no file, no exchange; whoever calls it gives it all. */
import type { LdcDocument, ServiceRule, ShardRule } from './document.ts'
import { RuleTables } from './rule-tables.ts'
import { coversOp, showShard, UNSHARDED } from './shards.ts'
import { type Cell, Topology, type Zone } from './topology.ts'

/**
 * What becomes of a request:
 * - `Local`: the business process of this pod serves it;
 * - `Elsewhere`: another cell does: `cell` says which;
 * - `Frozen`: its shard is being moved and it may write;
 * - `WrongZone`: it was sent here by somebody with other rules and may not be sent on;
 * - `NoCell`: no cell that may serve it is in service;
 * - `NoShadow`: load-test traffic, and the cell does not take any.
 */
export const Outcome = { Local: 0, Elsewhere: 1, Frozen: 2, WrongZone: 3, NoCell: 4, NoShadow: 5 } as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** What the engine has to know about a request. */
export interface ZoneRequest {
  /** {@link UNSHARDED} when nothing tells it. */
  shard: number
  /** The shard is only a hint: it may choose, but no request is refused for it. */
  isHint: boolean
  /** Verified user, `''` when unknown; keeps a user in one cell. */
  userId: string
  app: string
  /** Operation, `interface.method` of an RPC, or path. */
  op: string
  tag: string
  isPressure: boolean
  mayWrite: boolean
  /** Cell that a permitted peer names, `''` for none. */
  override: string
  /** Cell that the sender of a forwarded request meant, `''` when it was not forwarded. */
  targetCell: string
  /** Version of the sender's rules; 0 when unknown. */
  version: number
  /** How often it may still be sent on. */
  hops: number
}

/** A decision; the caller's own object, written anew by each {@link ZoneEngine.decide}. */
export interface Decision {
  outcome: Outcome
  /** Where it belongs; null when that is nowhere. */
  cell: Cell | null
  /** The rule that said so, null when none did. */
  rule: ShardRule | null
  /** Our rules and the sender's say different things. */
  isConflict: boolean
}

/** An empty decision to be written to. */
export function makeDecision(): Decision {
  return { outcome: Outcome.Local, cell: null, rule: null, isConflict: false }
}

/** A request about which nothing is known. */
export function makeZoneRequest(given: Partial<ZoneRequest> = {}): ZoneRequest {
  return {
    shard: UNSHARDED,
    isHint: false,
    userId: '',
    app: '',
    op: '',
    tag: '',
    isPressure: false,
    mayWrite: true,
    override: '',
    targetCell: '',
    version: 0,
    hops: 2,
    ...given,
  }
}

/** Gets one sentence for each step of a decision. */
export type Explain = (sentence: string) => void

/** What a rule names; `cell` is null for any of the zone. */
interface Target {
  readonly zone: Zone
  readonly cell: Cell | null
}

/** One document, compiled. */
export class ZoneEngine {
  readonly document: LdcDocument
  readonly topology: Topology
  /** True when a decision depends on the part of a request. */
  readonly usesApps: boolean
  readonly usesOps: boolean
  readonly usesTags: boolean
  readonly #rules: RuleTables
  readonly #pressureRules: RuleTables
  readonly #frozen: Uint8Array
  /** What the rules name, by their indexes. */
  readonly #targets: readonly Target[]
  readonly #pressureTargets: readonly Target[]

  constructor(document: LdcDocument) {
    this.document = document
    this.topology = new Topology(document)
    this.#rules = new RuleTables(document.rules, document.shards)
    const { rules } = document.pressure
    this.#pressureRules = rules === null ? this.#rules : new RuleTables(rules, document.shards)
    this.#targets = document.rules.map((rule) => this.#targetOf(rule))
    this.#pressureTargets = rules === null ? this.#targets : rules.map((rule) => this.#targetOf(rule))
    this.#frozen = new Uint8Array(document.shards)
    for (const shard of document.frozen) this.#frozen[shard] = 1
    const tables = [this.#rules, this.#pressureRules]
    const { services } = document
    this.usesApps = tables.some((table) => table.usesApps) || services.some(({ apps }) => apps.length > 0)
    this.usesOps = tables.some((table) => table.usesOps) || services.some(({ ops }) => ops.length > 0)
    this.usesTags = tables.some((table) => table.usesTags)
  }

  /** The rule for a shard, null when none matches. */
  ruleFor(request: ZoneRequest, nowMs: number): ShardRule | null {
    const { shard, app, op, tag } = request
    if (shard === UNSHARDED) return null
    const tables = request.isPressure ? this.#pressureRules : this.#rules
    const index = tables.find(shard, app, op, tag, nowMs)
    return index === -1 ? null : tables.rules[index]
  }

  /** Decides on one request and writes the decision to `decision`. `nowMs` is the wall clock; `explain` is told why, step by step. */
  decide(request: ZoneRequest, nowMs: number, decision: Decision, explain: Explain | null = null): void {
    decision.rule = null
    decision.isConflict = false
    const service = this.#serviceOf(request)
    const mayWrite = request.mayWrite && !(service?.reads ?? false)
    if (explain !== null) this.#explainRequest(request, service, mayWrite, nowMs, explain)
    const cell = this.#cellFor(request, service, nowMs, decision)
    decision.cell = cell
    if (cell === null) {
      decision.outcome = Outcome.NoCell
      explain?.('no cell that may serve it is in service: refused')
      return
    }
    const isSharded = request.shard !== UNSHARDED && (service === null || service.kind === 'R')
    if (isSharded && mayWrite && !request.isHint && this.#frozen[request.shard] === 1) {
      decision.outcome = Outcome.Frozen
      explain?.('its shard is frozen and the request may write: refused, to be sent again later')
      return
    }
    const { own } = this.topology
    if (cell !== own && request.targetCell !== '')
      this.#settleForwarded(request, mayWrite && isSharded, decision, explain)
    else decision.outcome = cell === own ? Outcome.Local : Outcome.Elsewhere
    this.#guardPressure(request, decision, explain)
    if (explain !== null) explainOutcome(decision, own, explain)
  }

  /** Where a request belongs; the own cell whenever the own zone serves it. */
  #cellFor(
    request: ZoneRequest,
    service: ServiceRule | null,
    nowMs: number,
    decision: Decision,
  ): Cell | null {
    const { topology } = this
    if (request.override !== '') {
      const named = topology.cell(request.override)
      if (named !== undefined) return topology.isUsable(named) ? named : null
    }
    if (service !== null && service.kind !== 'R') {
      return topology.pickByKind(service.kind, service.zone, topology.keyOf(request.userId, request.shard))
    }
    const { shard } = request
    if (shard === UNSHARDED) return topology.own
    const tables = request.isPressure ? this.#pressureRules : this.#rules
    const index = tables.find(shard, request.app, request.op, request.tag, nowMs)
    if (index === -1) return topology.own
    decision.rule = tables.rules[index]
    const { zone, cell } = (request.isPressure ? this.#pressureTargets : this.#targets)[index]
    return cell === null ? this.#inZone(zone, request) : this.#usableInZone(cell, request)
  }

  #targetOf(rule: ShardRule): Target {
    const cell = rule.cell === '' ? null : (this.topology.cell(rule.cell) as Cell)
    return { cell, zone: cell === null ? (this.topology.zone(rule.zone) as Zone) : cell.zone }
  }

  /** The own zone first: a cell of weight 0 still serves what reaches it. */
  #inZone(zone: Zone, request: ZoneRequest): Cell | null {
    const { topology } = this
    if (zone === topology.own.zone && topology.isUsable(topology.own)) return topology.own
    return topology.pickCell(zone, topology.keyOf(request.userId, request.shard))
  }

  /** A cell that a rule names, or another one of its zone while it is down. */
  #usableInZone(cell: Cell, request: ZoneRequest): Cell | null {
    return this.topology.isUsable(cell) ? cell : this.#inZone(cell.zone, request)
  }

  /** Somebody sent the request here, and our rules name another cell. Sending it on and on must end. */
  #settleForwarded(
    request: ZoneRequest,
    isRiskyWrite: boolean,
    decision: Decision,
    explain: Explain | null,
  ): void {
    const { own } = this.topology
    const isMeantForUs = this.topology.cell(request.targetCell)?.zone === own.zone
    const ours = this.document.version
    decision.isConflict = isMeantForUs && decision.cell?.zone !== own.zone
    if (isMeantForUs && request.version > ours) {
      explain?.(
        `it was sent here by rules of version ${request.version}, which are newer than ${ours}: served here`,
      )
      decision.outcome = Outcome.Local
      return
    }
    const mayGoOn = request.hops > 0 && !(isMeantForUs && request.version === ours && decision.isConflict)
    if (mayGoOn) {
      explain?.(
        `it was sent here by rules of version ${request.version}, ours are ${ours}: sent on, ${request.hops} hops left`,
      )
      decision.outcome = Outcome.Elsewhere
      return
    }
    explain?.(
      `it was sent here by rules of version ${request.version}, ours are ${ours}, and may not be sent on: ` +
        (isRiskyWrite ? 'refused, because it may write' : 'served here, because it only reads'),
    )
    decision.outcome = isRiskyWrite ? Outcome.WrongZone : Outcome.Local
  }

  /** Load-test traffic reaches only cells that declare that they can tell it apart. */
  #guardPressure(request: ZoneRequest, decision: Decision, explain: Explain | null): void {
    if (!request.isPressure || !this.document.pressure.shadowUpstream) return
    const serving = decision.outcome === Outcome.Local ? this.topology.own : decision.cell
    if (decision.outcome > Outcome.Elsewhere || serving?.shadow === true) return
    explain?.(`it is load-test traffic, and cell ${serving?.name} does not declare "shadow": refused`)
    decision.outcome = Outcome.NoShadow
  }

  /** The first entry of `services` that is about the request. */
  #serviceOf({ app, op }: ZoneRequest): ServiceRule | null {
    const { services } = this.document
    for (let i = 0; i < services.length; i++) {
      const { apps, ops } = services[i]
      if (apps.length > 0 && !apps.includes(app)) continue
      if (ops.length === 0 || ops.some((pattern) => coversOp(pattern, op))) return services[i]
    }
    return null
  }

  #explainRequest(
    request: ZoneRequest,
    service: ServiceRule | null,
    mayWrite: boolean,
    nowMs: number,
    explain: Explain,
  ): void {
    const { shard, app, op, tag, override } = request
    const { own } = this.topology
    explain(`this is cell ${own.name} of zone ${own.zone.name}, rules of version ${this.document.version}`)
    explain(
      `the request ${mayWrite ? 'may write' : 'only reads'}${request.isPressure ? ', and is load-test traffic' : ''}`,
    )
    if (override !== '') {
      const isKnown = this.topology.cell(override) !== undefined
      explain(
        isKnown
          ? `a permitted peer names cell ${override}`
          : `a peer names cell ${override}, which is unknown: ignored`,
      )
      if (isKnown) return
    }
    if (service !== null && service.kind !== 'R') {
      explain(`its service is of kind ${service.kind}: shards do not count`)
      return
    }
    if (shard === UNSHARDED) {
      explain('it has no shard: the own zone serves it')
      return
    }
    explain(
      `its shard is ${showShard(shard, this.document.shards)}${request.isHint ? ', by a hint only' : ''}`,
    )
    const tables = request.isPressure ? this.#pressureRules : this.#rules
    const [rule, ...beaten] = tables.candidates(shard, app, op, tag, nowMs)
    if (rule === undefined) return
    explain(
      `rule "${rule.id}" of priority ${rule.priority} names ${rule.cell === '' ? `zone ${rule.zone}` : `cell ${rule.cell}`}`,
    )
    for (const { id, priority } of beaten)
      explain(`rule "${id}" of priority ${priority} matches too and is outranked`)
    for (const { id, untilMs } of tables.rules) {
      if (untilMs <= nowMs) explain(`rule "${id}" ended at ${new Date(untilMs).toISOString()}`)
    }
  }
}

function explainOutcome({ outcome, cell }: Decision, own: Cell, explain: Explain): void {
  if (outcome === Outcome.Local) explain(`served here, in cell ${own.name}`)
  if (outcome === Outcome.Elsewhere && cell !== null) {
    const { name, zone, idc, state } = cell
    explain(
      `belongs to cell ${name} of zone ${zone.name} in data centre ${idc}${state === 'up' ? '' : `, which is in state ${state}`}`,
    )
  }
}
