/**
 * Loads a sound configuration in the thread that serves, in short steps. A worker thread takes 60 ms to begin, and where there is
 * only one core it competes with requests for it, four milliseconds at a time.
 */
import type { Config, FilterCatalog, RouteConfig } from './config.ts'
import { checksumOf, type LoadResult, loadValue } from './load.ts'
import { parseUsual } from './source.ts'
import type { Turns } from './turns.ts'

/** Everything but the routes is checked with each group of routes, so it has to be small. */
const MAX_REST_LENGTH = 16 * 1024
/** Characters of routes that are read at once. */
const GROUP_LENGTH = 1024

/**
 * Loads `text`; null when it is not that simple: it has problems or warnings, is written in an unusual way, or has little in
 * its routes and much elsewhere. Then `loadInWorker` knows what to do.
 */
export async function loadInSteps(
  text: string,
  catalog: FilterCatalog,
  turns: Turns,
): Promise<LoadResult | null> {
  const parts = splitRoutes(text)
  if (parts === null || parts.rest.length > MAX_REST_LENGTH) return null
  const rest = parseUsual(parts.rest)
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest) || 'routes' in rest) return null
  const base = loadValue(rest, catalog)
  if (base === null) return null
  const routes: RouteConfig[] = []
  for (const group of groupsOf(parts.items)) {
    const loaded = loadGroup(group, rest, catalog)
    if (loaded === null) return null
    for (const route of loaded) routes.push(route)
    const pause = turns.rest()
    if (pause !== null) await pause
  }
  if (hasDuplicates(routes)) return null
  const config: Config = Object.freeze({ ...base, routes: Object.freeze(routes) })
  return { config, problems: [], checksum: checksumOf(text) }
}

function loadGroup(group: Group, rest: object, catalog: FilterCatalog): readonly RouteConfig[] | null {
  const value = parseUsual(group.text)
  // An item that was cut in two, say inside a quoted text, is no sound YAML or not one item.
  if (!Array.isArray(value) || value.length !== group.count) return null
  return loadValue({ ...rest, routes: value }, catalog)?.routes ?? null
}

function hasDuplicates(routes: readonly RouteConfig[]): boolean {
  const names = new Set<string>()
  for (const { name } of routes) {
    if (name === undefined) continue
    if (names.has(name)) return true
    names.add(name)
  }
  return false
}

/** A text without its routes, and the routes, each from its dash to the next one. */
interface Parts {
  readonly rest: string
  readonly items: readonly string[]
}

/**
 * Cuts the block list under the top-level key `routes`. Only lines are looked at: where that is wrong (a quoted text that
 * looks like a list) the pieces are no YAML, which their parsing tells. Null when there is no such list, or two.
 */
function splitRoutes(text: string): Parts | null {
  const key = /^routes:[ \t]*(?:#.*)?$/gm
  const found = key.exec(text)
  if (found === null) return { rest: text, items: [] }
  if (key.exec(text) !== null) return null
  const from = found.index + found[0].length + 1
  // The list ends at the next line that begins with a key.
  const after = /^[^\s#-]/gm
  after.lastIndex = from
  const end = after.exec(text)?.index ?? text.length
  const list = text.slice(from, end)
  const indent = /^[ ]*(?=- )/m.exec(list)?.[0]
  if (indent === undefined) return null
  const items = list.split(new RegExp(`^(?=${indent}- )`, 'm'))
  // What stands above the first item are blank lines and comments.
  const above = items[0]?.startsWith(`${indent}- `) === true ? '' : (items.shift() ?? '')
  if (/^[ \t]*[^\s#]/m.test(above)) return null
  return { rest: text.slice(0, found.index) + text.slice(end), items }
}

interface Group {
  readonly text: string
  readonly count: number
}

function* groupsOf(items: readonly string[]): Generator<Group> {
  let text = ''
  let count = 0
  for (const item of items) {
    text += item
    count++
    if (text.length < GROUP_LENGTH) continue
    yield { text, count }
    text = ''
    count = 0
  }
  if (count > 0) yield { text, count }
}
