/** The zone rules as a document says them, checked and with every default filled in. docs/filters.md describes the keys. */

/** R: sharded by user; G: one set for all; C: one set a city. */
export type ZoneKind = 'R' | 'G' | 'C'

/** `up`: takes its share; `warm`: `percent` of it; `drain`: only what reaches it anyway; `down`: nothing. */
export type CellState = 'up' | 'warm' | 'drain' | 'down'

/** One deployment unit. */
export interface CellRules {
  readonly name: string
  readonly idc: string
  /** Share of its zone, 0–100. */
  readonly weight: number
  readonly state: CellState
  /** Part of its weight that it takes while `warm`, 0–100. */
  readonly percent: number
  /** Takes load-test traffic. */
  readonly shadow: boolean
  /** Cluster that leads there; `''` for the one that `crossZone.cluster` names. */
  readonly cluster: string
}

/** One logical unit. */
export interface ZoneRulesEntry {
  readonly name: string
  readonly kind: ZoneKind
  readonly elastic: boolean
  readonly cells: readonly CellRules[]
}

/** Whom a rule is about; an empty list is everyone. */
export interface RuleScope {
  readonly apps: readonly string[]
  /** Operations, `interface.method` of RPCs or paths: exact, or everything that begins with what stands before a final `*`. */
  readonly ops: readonly string[]
  readonly tags: readonly string[]
}

/** Sends shards to a zone or to one cell of it. */
export interface ShardRule extends RuleScope {
  readonly id: string
  readonly priority: number
  readonly shards: readonly number[]
  readonly zone: string
  /** `''` for any cell of the zone. */
  readonly cell: string
  /** Milliseconds since 1970 from which on the rule counts no more; Infinity for ever. */
  readonly untilMs: number
}

/** What is known about the services of some operations. */
export interface ServiceRule {
  readonly apps: readonly string[]
  readonly ops: readonly string[]
  readonly kind: ZoneKind
  /** Zone for kinds G and C; `''` for any of the kind. */
  readonly zone: string
  /** The operations only read, whatever the protocol says. */
  readonly reads: boolean
}

/** One place that may tell the shard. */
export interface ExtractRule {
  readonly from: 'mmtp.shard' | 'header' | 'cookie' | 'uid'
  /** Header or cookie. */
  readonly name: string
  /** Key of a JSON object that holds the value; `''` when the value is no JSON. */
  readonly json: string
  /** The value is a shard already, not a user id. */
  readonly isShard: boolean
  readonly slice: readonly [start: number, end: number]
  /** Mmtp: only a shard that the access layer verified. */
  readonly verifiedOnly: boolean
  /** May choose a zone, but no request is refused for it. */
  readonly hint: boolean
}

/** Rules of load-test traffic. */
export interface PressureRules {
  /** Null: the rules of ordinary traffic. */
  readonly rules: readonly ShardRule[] | null
  /** Only cells that declare `shadow` get it. */
  readonly shadowUpstream: boolean
  /** Cluster for what stays in this cell; `''` for the route's own. */
  readonly cluster: string
}

/** How requests get to other zones. */
export interface CrossZone {
  readonly mode: 'forward' | 'redirect'
  /** How often one request may be sent on, 1–10. */
  readonly maxHops: number
  /** Name of the cluster that leads to a cell, with `{cell}`, `{zone}`, `{idc}`, `{protocol}`. */
  readonly cluster: string
  /** Where redirected HTTP callers go, with the same marks; the path is put behind. `''`: they are told the cell and no address. */
  readonly location: string
}

/** A whole document. */
export interface LdcDocument {
  readonly version: number
  /** `''`: the pod says it. */
  readonly selfCell: string
  /** How many shards there are. */
  readonly shards: number
  /** Digits of the verified user id. */
  readonly userSlice: readonly [start: number, end: number]
  readonly extract: readonly ExtractRule[]
  readonly cities: readonly string[]
  /** Data centre → city. */
  readonly idcs: Readonly<Record<string, string>>
  readonly zones: readonly ZoneRulesEntry[]
  readonly rules: readonly ShardRule[]
  readonly services: readonly ServiceRule[]
  readonly pressure: PressureRules
  /** Shards that are being moved: no writes. */
  readonly frozen: readonly number[]
  readonly frozenRetryAfterMs: number
  /** Where a kind of zone fails over to, in order. */
  readonly failover: Readonly<Record<ZoneKind, readonly string[]>>
  /** Healthy endpoints, in per cent, under which a cell counts as down. */
  readonly healthyFloor: number
  /** Header by which a trusted peer names the cell; `''` for none. */
  readonly overrideHeader: string
  /** Listeners whose peers may do so; empty for every trusted one. */
  readonly overrideListeners: readonly string[]
  readonly crossZone: CrossZone
  /** Shards, in per cent, that one new version may move. */
  readonly maxMovedPercent: number
  /** The version that may move more; 0 for none. */
  readonly guardOverrideFor: number
}

/** Something wrong with a document. */
export interface LdcProblem {
  /** Such as `rules[2].shards`. */
  readonly path: string
  /** What is wrong and what would be right. */
  readonly message: string
}

/** A cell or a zone of a document by its name. */
export function findCell(document: LdcDocument, name: string): CellRules | null {
  for (const zone of document.zones) {
    for (const cell of zone.cells) if (cell.name === name) return cell
  }
  return null
}
