/** How two rules of the same place in the table relate: can one request match both? */
import { type Condition, exactValues, holds, Test } from './condition.ts'
import { matchesAllBelow } from './pattern.ts'
import { samplePattern } from './pattern-sample.ts'
import { type CompiledRule, TextKind } from './rule.ts'

/**
 * - `Disjoint`: no request matches both, or none that could be found;
 * - `Overlaps`: some request matches both;
 * - `Covers`: every request that matches the second matches the first.
 */
export const Relation = { Disjoint: 0, Overlaps: 1, Covers: 2 } as const
export type Relation = (typeof Relation)[keyof typeof Relation]

/**
 * How `first` relates to `second`, host aside; their paths, operations or services are both expressions with the same
 * fixed start, or the same text. Certain when it says that they meet; where it cannot tell it says `Disjoint`.
 */
export function relate(first: CompiledRule, second: CompiledRule): Relation {
  const relations = [relateText(first, second), relateMethods(first.methods, second.methods)]
  for (const condition of first.conditions ?? []) {
    const other = counterpart(condition, second.conditions)
    relations.push(other === null ? Relation.Overlaps : relateConditions(condition, other))
    if (relations[relations.length - 1] === Relation.Disjoint) return Relation.Disjoint
  }
  return Math.min(...relations) as Relation
}

function relateText(first: CompiledRule, second: CompiledRule): Relation {
  if (first.kind !== TextKind.Regex || first.pattern === second.pattern) return Relation.Covers
  if (traitsOf(first).matchesAll) return Relation.Covers
  // A prefix is looked at after an expression, so only one that matches everything matters to it.
  if (second.kind !== TextKind.Regex) return Relation.Disjoint
  const meets =
    traitsOf(second).samples.some((text) => first.regex!.test(text)) ||
    traitsOf(first).samples.some((text) => second.regex!.test(text))
  return meets ? Relation.Overlaps : Relation.Disjoint
}

interface PatternTraits {
  readonly matchesAll: boolean
  readonly samples: readonly string[]
}

/** Found out once for each rule, though it is compared with many. */
const traits = new WeakMap<CompiledRule, PatternTraits>()

function traitsOf(rule: CompiledRule): PatternTraits {
  let known = traits.get(rule)
  if (known === undefined) {
    known = { matchesAll: matchesAllBelow(rule.pattern), samples: samplePattern(rule.pattern, rule.regex!) }
    traits.set(rule, known)
  }
  return known
}

function relateMethods(first: readonly string[] | null, second: readonly string[] | null): Relation {
  if (first === null) return Relation.Covers
  if (second === null) return Relation.Overlaps
  if (second.every((method) => first.includes(method))) return Relation.Covers
  return second.some((method) => first.includes(method)) ? Relation.Overlaps : Relation.Disjoint
}

function counterpart(condition: Condition, others: readonly Condition[] | null): Condition | null {
  return others?.find((other) => other.source === condition.source && other.name === condition.name) ?? null
}

function relateConditions(first: Condition, second: Condition): Relation {
  if (first.test === Test.Absent || second.test === Test.Absent) {
    return first.test === second.test ? Relation.Covers : Relation.Disjoint
  }
  if (first.test === Test.Present) return Relation.Covers
  if (second.test === Test.Present) return Relation.Overlaps
  const wanted = exactValues(second)
  if (wanted !== null) return relateValues(wanted, first)
  const given = exactValues(first)
  if (given !== null) return Math.min(relateValues(given, second), Relation.Overlaps) as Relation
  if (first.test === Test.Prefix && second.test === Test.Prefix) {
    if (second.text.startsWith(first.text)) return Relation.Covers
    return first.text.startsWith(second.text) ? Relation.Overlaps : Relation.Disjoint
  }
  if (first.test === Test.Range && second.test === Test.Range) return relateRanges(first, second)
  return relateByExample(first, second)
}

/** How a condition relates to one that asks for one of `values`. */
function relateValues(values: readonly string[], condition: Condition): Relation {
  if (values.every((value) => holds(condition, value))) return Relation.Covers
  return values.some((value) => holds(condition, value)) ? Relation.Overlaps : Relation.Disjoint
}

function relateRanges(first: Condition, second: Condition): Relation {
  if (first.from <= second.from && second.to <= first.to) return Relation.Covers
  return first.from < second.to && second.from < first.to ? Relation.Overlaps : Relation.Disjoint
}

/** For a regular expression, or kinds that do not compare: looks for a value that both accept. */
function relateByExample(first: Condition, second: Condition): Relation {
  if (first.test === Test.Regex && second.test === Test.Regex && first.text === second.text)
    return Relation.Covers
  const meets =
    examples(first).some((text) => holds(second, text)) || examples(second).some((text) => holds(first, text))
  return meets ? Relation.Overlaps : Relation.Disjoint
}

function examples(condition: Condition): string[] {
  if (condition.test === Test.Range) return [`${condition.from}`]
  if (condition.test === Test.Prefix) return [condition.text]
  // The path of an operation rule keeps a prefix as its text and an expression of its own.
  return condition.regex === null ? [] : samplePattern(condition.regex.source, condition.regex)
}
