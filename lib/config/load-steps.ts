/**
 * Loads a sound configuration in the thread that serves, in short steps. A worker thread takes 60 ms to begin, and where there is
 * only one core it competes with requests for it, four milliseconds at a time.
 */
import type { Config, FilterCatalog, RouteConfig } from './config.ts'
import { checksumOf, type LoadResult, loadRest, type RouteLoader } from './load.ts'
import { isUnusual, parseUsual } from './source.ts'
import type { Turns } from './turns.ts'

/** Everything but the routes is read in one step, so it has to be small. */
const MAX_REST_LENGTH = 16 * 1024
/** Characters of routes that are read at once: 0.05 ms, and four times that when nothing of it is in the processor's caches. */
const GROUP_LENGTH = 256
/** Routes that are looked up between two rests. */
const ITEMS_PER_STEP = 64

/** A configuration and its text. */
export interface KnownConfig {
  readonly text: string
  readonly config: Config
}

/**
 * Loads `text`; null when it is not that simple: it has problems or warnings, is written in an unusual way, or has much beside
 * its routes. Then `loadInWorker` knows what to do. `known` had no problems and no warnings: when only routes differ from it,
 * those that are written alike are taken over, so that little is left to do.
 */
export async function loadInSteps(
  text: string,
  catalog: FilterCatalog,
  turns: Turns,
  known: KnownConfig | null = null,
): Promise<LoadResult | null> {
  const parts = splitRoutes(text)
  if (parts === null || parts.rest.length > MAX_REST_LENGTH) return null
  await turns.rest()
  const loader = loaderFor(parts.rest, catalog)
  if (loader === null) return null
  await turns.rest()
  const sameRoutes = known === null ? NONE : await routesByText(known, parts.rest, turns)
  const routes = await loadRoutes(parts.items, loader, sameRoutes, turns)
  if (routes === null || hasDuplicates(routes)) return null
  await turns.rest()
  const config: Config = Object.freeze({ ...loader.base, routes: Object.freeze(routes) })
  return { config, problems: [], checksum: checksumOf(text) }
}

const NONE: ReadonlyMap<string, RouteConfig> = new Map()

function loaderFor(text: string, catalog: FilterCatalog): RouteLoader | null {
  const rest = parseUsual(text)
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest) || 'routes' in rest) return null
  return loadRest(rest, catalog)
}

/** The routes of a configuration with the same `rest` by how they are written. Empty when that cannot be told. */
async function routesByText(
  { text, config }: KnownConfig,
  rest: string,
  turns: Turns,
): Promise<ReadonlyMap<string, RouteConfig>> {
  const parts = splitRoutes(text)
  if (parts?.rest !== rest) return NONE
  const routes = new Map<string, RouteConfig>()
  let index = 0
  for (const item of parts.items) {
    const route = config.routes[index++]
    if (route === undefined) return NONE
    if (!isUnusual(item)) routes.set(item, route)
    if (index % ITEMS_PER_STEP === 0) await turns.rest()
  }
  // Otherwise items were cut in two, and one is taken for another.
  return index === config.routes.length ? routes : NONE
}

async function loadRoutes(
  items: Iterable<string>,
  loader: RouteLoader,
  sameRoutes: ReadonlyMap<string, RouteConfig>,
  turns: Turns,
): Promise<RouteConfig[] | null> {
  const routes: RouteConfig[] = []
  let text = ''
  let count = 0
  let seen = 0
  /** Reads what has gathered; false when that is not possible. */
  const readGroup = (): boolean => {
    if (count === 0) return true
    const loaded = loadGroup(text, count, loader)
    if (loaded === null) return false
    for (const route of loaded) routes.push(route)
    text = ''
    count = 0
    return true
  }
  for (const item of items) {
    const same = sameRoutes.get(item)
    if (same === undefined) {
      text += item
      count++
    }
    if ((same !== undefined || text.length >= GROUP_LENGTH) && !readGroup()) return null
    if (same !== undefined) routes.push(same)
    if (same === undefined || ++seen % ITEMS_PER_STEP === 0) {
      const pause = turns.rest()
      if (pause !== null) await pause
    }
  }
  return readGroup() ? routes : null
}

function loadGroup(text: string, count: number, loader: RouteLoader): readonly RouteConfig[] | null {
  const value = parseUsual(text)
  // An item that was cut in two, say inside a quoted text, is no sound YAML or not one item.
  if (!Array.isArray(value) || value.length !== count) return null
  return loader.load(value)
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
  readonly items: Iterable<string>
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
  const first = /^[ ]*(?=- )/m.exec(list)
  // What stands above the first item are blank lines and comments.
  if (first === null || /^[ \t]*[^\s#]/m.test(list.slice(0, first.index))) return null
  return { rest: text.slice(0, found.index) + text.slice(end), items: itemsOf(list, first.index, first[0]) }
}

function* itemsOf(list: string, from: number, indent: string): Generator<string> {
  const next = `\n${indent}- `
  for (let at = from; at < list.length; ) {
    const end = list.indexOf(next, at) + 1 || list.length
    yield list.slice(at, end)
    at = end
  }
}
