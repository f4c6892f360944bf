/** Finds routes that can never match, and routes between which only the file's order decides. */
import type { MatchRule } from '../core/route.ts'
import { type Condition, Test } from './condition.ts'
import { Relation, relate } from './overlap.ts'
import { RuleError } from './pattern.ts'
import { type CompiledRule, compileRule, TextKind } from './rule.ts'

/** What `meshgate check` says about two routes. */
export interface Conflict {
  /** Position of the route that loses, from 0. */
  readonly index: number
  /** Position of the route that wins. */
  readonly otherIndex: number
  /**
   * - `shadowed`: the route can never match, another one always wins;
   * - `ambiguous`: both are equally specific and a request can match both, so the first in the file wins.
   */
  readonly kind: 'ambiguous' | 'shadowed'
  /** One sentence for a person, with what to do. */
  readonly message: string
}

/** A route as {@link findConflicts} wants it. */
export interface LabelledRule {
  readonly rule: MatchRule
  readonly label: string
}

interface Member {
  readonly index: number
  readonly rule: CompiledRule
}

/** What was found out about one route. */
interface Finding {
  /** Hosts on which another route always wins, and one such route. */
  coveredHosts: number
  lastCovered: string
  coverer: number
  isLookedAtFirst: boolean
  /** A route that wins sometimes, and the host; -1 when there is none. */
  rival: number
  rivalHost: string
}

/** Up to so many routes of one place are compared each with each. */
const COMPARE_ALL = 64
/** In a larger place each route is compared with at most so many that no index tells apart from it. */
const COMPARE_SOME = 32

/**
 * At most one conflict a route, in the file's order. What is reported is certain; two regular expressions
 * meet only if a text is found that both match, and of thousands of routes that share one path and no
 * exact condition not every pair is looked at. Rules that do not compile are passed over. Time grows
 * linearly with the number of routes.
 */
export function findConflicts(entries: readonly LabelledRule[]): Conflict[] {
  const rules = entries.map(({ rule }) => tryCompile(rule))
  const findings = new Map<number, Finding>()
  for (const [key, members] of places(rules)) {
    const host = key.slice(0, key.indexOf(' '))
    comparePlace(members, (loser, winner, relation) => record(findings, loser, winner, relation, host))
  }
  const conflicts: Conflict[] = []
  for (const [index, finding] of findings) {
    const isShadowed = finding.coveredHosts >= rules[index]!.hosts.length
    const otherIndex = isShadowed || finding.rival < 0 ? finding.coverer : finding.rival
    const kind = isShadowed ? 'shadowed' : 'ambiguous'
    conflicts.push({
      index,
      otherIndex,
      kind,
      message: describe(entries, rules, index, otherIndex, kind, finding),
    })
  }
  return conflicts.sort((a, b) => a.index - b.index)
}

function tryCompile(rule: MatchRule): CompiledRule | null {
  try {
    return compileRule(rule)
  } catch (error) {
    if (error instanceof RuleError) return null
    throw error
  }
}

/** Routes by the place in which they compete: host and path, or host and operation, or service. */
function places(rules: readonly (CompiledRule | null)[]): Map<string, Member[]> {
  const places = new Map<string, Member[]>()
  rules.forEach((rule, index) => {
    if (rule === null) return
    for (const host of rule.hosts) {
      // Expressions share a place with the prefix that is their fixed start: they are looked at just before it.
      const kind = rule.kind === TextKind.Regex ? TextKind.Start : rule.kind
      const key = `${host} ${rule.index}.${kind} ${rule.text}`
      const members = places.get(key)
      if (members === undefined) places.set(key, [{ index, rule }])
      else members.push({ index, rule })
    }
  })
  return places
}

type Report = (loser: Member, winner: Member, relation: Relation) => void

function comparePlace(members: readonly Member[], report: Report): void {
  if (members.length < 2) return
  const levels = new Map<string, Member[]>()
  for (const member of members) {
    const level = `${member.rule.kind} ${member.rule.count}`
    const known = levels.get(level)
    if (known === undefined) levels.set(level, [member])
    else known.push(member)
  }
  for (const level of levels.values()) compareEqual(level, report)
  const isRoot = members[0]!.rule.text === '/'
  if (isRoot) compareAcross(members, report)
}

/** `~/.*` is looked at before the prefix `/` and leaves nothing for it. */
function compareAcross(members: readonly Member[], report: Report): void {
  const patterns = members.filter(({ rule }) => rule.kind === TextKind.Regex).slice(0, COMPARE_SOME)
  for (const member of members) {
    if (member.rule.kind === TextKind.Regex) continue
    const winner = patterns.find(({ rule }) => relate(rule, member.rule) === Relation.Covers)
    if (winner !== undefined) report(member, winner, Relation.Covers)
  }
}

/** Compares routes of one place and equal specificity, in the file's order. */
function compareEqual(members: readonly Member[], report: Report): void {
  if (members.length <= COMPARE_ALL) {
    for (let i = 1; i < members.length; i++) compareWith(members[i]!, members, 0, i, report)
    return
  }
  const key = commonExact(members)
  if (key === null) {
    compareUnindexed(members, report)
    return
  }
  const byValue = new Map<string, Member[]>()
  const rest: Member[] = []
  for (const member of members) {
    const value = exactValue(member, key)
    const part = value === null ? rest : (byValue.get(value) ?? [])
    if (value !== null && part.length === 0) byValue.set(value, part)
    part.push(member)
  }
  for (const part of byValue.values()) compareEqual(part, report)
  compareEqual(rest, report)
  compareApart([...byValue.values()].flat(), rest, report)
}

/** Duplicates wherever they are, and each route with the ones just before it. */
function compareUnindexed(members: readonly Member[], report: Report): void {
  const seen = new Map<string, Member>()
  members.forEach((member, i) => {
    const signature = signatureOf(member.rule)
    const twin = seen.get(signature)
    if (twin !== undefined) report(member, twin, Relation.Covers)
    else {
      seen.set(signature, member)
      compareWith(member, members, Math.max(0, i - COMPARE_SOME), i, report)
    }
  })
}

/** Routes with an exact value against routes without one: each against the first few of the other side. */
function compareApart(valued: readonly Member[], rest: readonly Member[], report: Report): void {
  const compareBoth = (a: Member, b: Member) => {
    const [winner, loser] = a.index < b.index ? [a, b] : [b, a]
    const relation = relate(winner.rule, loser.rule)
    if (relation !== Relation.Disjoint) report(loser, winner, relation)
  }
  for (const a of valued) for (const b of rest.slice(0, COMPARE_SOME)) compareBoth(a, b)
  for (const b of rest.slice(COMPARE_SOME)) for (const a of valued.slice(0, COMPARE_SOME)) compareBoth(a, b)
}

function compareWith(
  loser: Member,
  members: readonly Member[],
  from: number,
  to: number,
  report: Report,
): void {
  for (let i = from; i < to; i++) {
    const relation = relate(members[i]!.rule, loser.rule)
    if (relation !== Relation.Disjoint) report(loser, members[i]!, relation)
    if (relation === Relation.Covers) return
  }
}

/** The header, query parameter or cookie whose exact values tell most of the routes apart; null when none does. */
function commonExact(members: readonly Member[]): Condition | null {
  const values = new Map<string, Set<string>>()
  let best: Condition | null = null
  let most = 1
  for (const { rule } of members) {
    for (const condition of rule.conditions ?? []) {
      if (condition.test !== Test.Exact) continue
      const id = `${condition.source} ${condition.name}`
      const known = values.get(id) ?? new Set()
      values.set(id, known.add(condition.text))
      if (known.size > most) {
        most = known.size
        best = condition
      }
    }
  }
  return best
}

function exactValue(member: Member, key: Condition): string | null {
  const found = member.rule.conditions?.find(
    (each) => each.test === Test.Exact && each.source === key.source && each.name === key.name,
  )
  return found?.text ?? null
}

function signatureOf(rule: CompiledRule): string {
  const conditions = (rule.conditions ?? []).map((c) =>
    JSON.stringify([c.source, c.name, c.test, c.text, c.from, c.to]),
  )
  return JSON.stringify([
    rule.pattern,
    rule.methods === null ? null : [...rule.methods].sort(),
    conditions.sort(),
  ])
}

function record(
  findings: Map<number, Finding>,
  loser: Member,
  winner: Member,
  relation: Relation,
  host: string,
): void {
  let finding = findings.get(loser.index)
  if (finding === undefined) {
    finding = {
      coveredHosts: 0,
      lastCovered: '',
      coverer: -1,
      isLookedAtFirst: false,
      rival: -1,
      rivalHost: '',
    }
    findings.set(loser.index, finding)
  }
  if (relation === Relation.Covers) {
    // A route has one place a host, and places are looked at one by one.
    if (finding.lastCovered !== host) finding.coveredHosts++
    finding.lastCovered = host
    if (finding.coverer < 0) finding.coverer = winner.index
    if (winner.rule.kind !== loser.rule.kind) finding.isLookedAtFirst = true
  }
  if (finding.rival >= 0) return
  finding.rival = winner.index
  finding.rivalHost = host
}

function describe(
  entries: readonly LabelledRule[],
  rules: readonly (CompiledRule | null)[],
  index: number,
  otherIndex: number,
  kind: Conflict['kind'],
  finding: Finding,
): string {
  const loser = `'${entries[index]!.label}'`
  const winner = `'${entries[otherIndex]!.label}'`
  if (kind === 'ambiguous') {
    const where = rules[index]!.hosts.length > 1 ? ` on host ${finding.rivalHost}` : ''
    return `routes ${winner} and ${loser} are equally specific and a request can match both${where}; ${winner} wins only because it stands first, so give one of them one more condition`
  }
  if (finding.isLookedAtFirst) {
    return `route ${loser} can never match: the regular expression of route ${winner} is looked at first and matches every request that it does`
  }
  const isTwin = signatureOf(rules[index]!) === signatureOf(rules[otherIndex]!)
  const reason = isTwin ? 'has the same match' : 'matches every request that it does'
  const advice = isTwin ? 'remove one of them' : `put ${loser} first or give it one more condition`
  return `route ${loser} can never match: route ${winner} stands before it and ${reason}; ${advice}`
}
