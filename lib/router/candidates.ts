/** The routes that share one place in the table, in the order in which they are tried. */
import type { RequestHead } from '../core/message.ts'
import { type Condition, holds, readValue, type Source, Test } from './condition.ts'

/** One route in one place of the table. */
export interface Candidate<T> {
  readonly target: T
  readonly label: string
  /** Position in the file. */
  readonly order: number
  readonly count: number
  /** Null for any method. */
  readonly methods: readonly string[] | null
  /** Over the whole text, null when the place says it all. */
  readonly regex: RegExp | null
  readonly conditions: readonly Condition[] | null
  /** Position among the routes of its place once they are ordered: the smaller wins. */
  rank: number
}

/** Below this many, trying one after the other is as fast as an index. */
const INDEX_FROM = 8

/**
 * Routes of one place, the most specific first. Many of them that ask for an exact value of the same header,
 * query parameter or cookie are indexed by that value, so that their number does not matter.
 */
export class Candidates<T> {
  #list: Candidate<T>[] = []
  #source: Source = 0
  #name = ''
  #byValue: Map<string, Candidates<T>> | null = null
  #rest: Candidates<T> | null = null

  /** Adds a route; `seal` must follow. */
  add(candidate: Candidate<T>): void {
    this.#list.push(candidate)
  }

  /** Orders the routes and indexes them. */
  seal(): void {
    if (this.#list.length === 1) return
    this.#list.sort(bySpecificity)
    for (let i = 0; i < this.#list.length; i++) this.#list[i]!.rank = i
    this.#index()
  }

  /** The first route that holds for the request, null when none does. `text` is what `regex` looks at, `path` the path as it is matched. */
  find(request: RequestHead, text: string, path: string): Candidate<T> | null {
    if (this.#byValue !== null) return this.#findIndexed(request, text, path)
    const list = this.#list
    for (let i = 0; i < list.length; i++) {
      const candidate = list[i]!
      if (accepts(candidate, request, text, path)) return candidate
    }
    return null
  }

  #findIndexed(request: RequestHead, text: string, path: string): Candidate<T> | null {
    const value = readValue(this.#source, this.#name, request, path)
    const hit = (value === null ? undefined : this.#byValue!.get(value))?.find(request, text, path) ?? null
    const other = this.#rest === null ? null : this.#rest.find(request, text, path)
    if (hit === null) return other
    return other === null || hit.rank < other.rank ? hit : other
  }

  #index(): void {
    if (this.#list.length < INDEX_FROM) return
    const key = commonKey(this.#list)
    if (key === null) return
    this.#source = key.source
    this.#name = key.name
    this.#byValue = new Map()
    for (const candidate of this.#list) {
      const value = candidate.conditions?.find((each) => isKey(each, key))?.text
      let part = value === undefined ? this.#rest : this.#byValue.get(value)
      if (part === null || part === undefined) {
        part = new Candidates()
        if (value === undefined) this.#rest = part
        else this.#byValue.set(value, part)
      }
      part.add(value === undefined ? candidate : without(candidate, key))
    }
    for (const part of this.#byValue.values()) part.#index()
    if (this.#rest !== null) this.#rest.#index()
    this.#list = []
  }
}

/** A regular expression before a prefix, then more conditions, then the file's order. */
function bySpecificity(a: Candidate<unknown>, b: Candidate<unknown>): number {
  const byRegex = (a.regex === null ? 1 : 0) - (b.regex === null ? 1 : 0)
  return byRegex || b.count - a.count || a.order - b.order
}

function accepts(candidate: Candidate<unknown>, request: RequestHead, text: string, path: string): boolean {
  if (candidate.methods !== null && !candidate.methods.includes(request.method)) return false
  if (candidate.regex !== null && !candidate.regex.test(text)) return false
  const conditions = candidate.conditions
  if (conditions === null) return true
  for (let i = 0; i < conditions.length; i++) {
    const condition = conditions[i]!
    if (!holds(condition, readValue(condition.source, condition.name, request, path))) return false
  }
  return true
}

/** The header, query parameter or cookie for which most of the routes want an exact value; null when few do. */
function commonKey(list: readonly Candidate<unknown>[]): Condition | null {
  const counts = new Map<string, { condition: Condition; count: number }>()
  let best: { condition: Condition; count: number } | null = null
  for (const candidate of list) {
    for (const condition of candidate.conditions ?? []) {
      if (condition.test !== Test.Exact) continue
      const id = `${condition.source} ${condition.name}`
      const known = counts.get(id) ?? { condition, count: 0 }
      known.count++
      counts.set(id, known)
      if (best === null || known.count > best.count) best = known
    }
  }
  return best !== null && best.count >= INDEX_FROM ? best.condition : null
}

function isKey(condition: Condition, key: Condition): boolean {
  return condition.test === Test.Exact && condition.source === key.source && condition.name === key.name
}

function without<T>(candidate: Candidate<T>, key: Condition): Candidate<T> {
  const conditions = candidate.conditions!.filter((each) => !isKey(each, key))
  return { ...candidate, conditions: conditions.length === 0 ? null : conditions }
}
