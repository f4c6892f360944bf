/** Zone rules that the tests start from. */
import { parse } from 'yaml'
import type { LdcDocument } from '../../../lib/filters/ldc/document.ts'
import {
  type Decision,
  makeDecision,
  makeZoneRequest,
  ZoneEngine,
  type ZoneRequest,
} from '../../../lib/filters/ldc/engine.ts'
import { parseDocument } from '../../../lib/filters/ldc/parse.ts'

/** A day in March 2026. */
export const NOW = Date.UTC(2026, 2, 1)

/** Two zones of kind R, an elastic one, one of kind G, one of kind C in each city. */
export const RULES = `
version: 118
self: { cell: RZ01A }
extract:
  - { from: mmtp.shard, verifiedOnly: true }
  - { from: header, name: tri-unit-info, json: userid, as: shard }
  - { from: header, name: uid, slice: [-3, -1] }
  - { from: cookie, name: zone_op, as: shard, hint: true }
cities: { hz: {}, sh: {} }
idcs: { hz1: { city: hz }, hz2: { city: hz }, sh1: { city: sh } }
zones:
  RZ01: { kind: R, cells: { RZ01A: { idc: hz1, weight: 50, shadow: true }, RZ01B: { idc: hz1, weight: 50 } } }
  RZ02: { kind: R, cells: { RZ02A: { idc: hz2, weight: 100 } } }
  RZ0X: { kind: R, elastic: true, cells: { RZ0XA: { idc: sh1, weight: 100, shadow: true } } }
  GZ00: { kind: G, cells: { GZ00A: { idc: hz1, weight: 50 }, GZ00B: { idc: hz2, weight: 50 } } }
  CZ10: { kind: C, cells: { CZ10A: { idc: hz1, weight: 100 } } }
  CZ20: { kind: C, cells: { CZ20A: { idc: sh1, weight: 100 } } }
rules:
  - { id: base-1, shards: '00-49', zone: RZ01 }
  - { id: base-2, shards: '50-99', zone: RZ02 }
  - { id: bounce, priority: 100, shards: '40-49', apps: [trade], ops: ['alipay.trade.*'], zone: RZ0X, until: '2026-11-12T02:00:00Z' }
  - { id: grey, priority: 50, shards: '00', tags: [grey-b], cell: RZ01B }
services:
  - { ops: ['config.*'], kind: G }
  - { ops: ['city.*'], kind: C }
  - { ops: ['account.query*'], reads: true }
frozen: ['12-13', '60']
override: { header: x-ldc-cell }
crossZone: { mode: forward, maxHops: 2, cluster: '{cell}-{protocol}' }
`

const PARSED = parse(RULES) as Record<string, unknown>

/** The document as a parser gives it, with top-level keys replaced. */
export function rulesValue(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...structuredClone(PARSED), ...changes }
}

/** The same, checked. Throws with all problems. */
export function rulesDocument(changes: Record<string, unknown> = {}): LdcDocument {
  const { document, problems } = parseDocument(rulesValue(changes), '')
  if (document === null) throw new Error(JSON.stringify(problems))
  return document
}

/** An engine over {@link rulesDocument}. */
export function makeEngine(changes: Record<string, unknown> = {}): ZoneEngine {
  return new ZoneEngine(rulesDocument(changes))
}

/** One decision. */
export function decide(engine: ZoneEngine, request: Partial<ZoneRequest>, nowMs = NOW): Decision {
  const decision = makeDecision()
  engine.decide(makeZoneRequest(request), nowMs, decision)
  return decision
}
