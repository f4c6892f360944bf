/** Names for routes that the configuration does not name. */
import type { MatchRule } from './core/route.ts'

/** One line that tells what a rule matches, e.g. `POST /orders/` or `demo.order.*`. */
export function describeMatch(match: MatchRule): string {
  const words: string[] = []
  if (match.service !== undefined) words.push(describeService(match))
  if (match.method !== undefined) words.push([match.method].flat().join(','))
  const host = match.host === undefined ? '' : [match.host].flat().join(',')
  if (host !== '' || match.path !== undefined) words.push(host + (match.path ?? ''))
  if (match.operation !== undefined) words.push(match.operation)
  for (const [key, rules] of [
    ['header', match.headers],
    ['query', match.query],
    ['cookie', match.cookies],
  ] as const) {
    if (rules !== undefined) words.push(`${key} ${Object.keys(rules).join(',')}`)
  }
  return words.length === 0 ? 'everything' : words.join(' ')
}

/** As SOFARPC writes it: `com.example.OrderService:1.0:blue`. */
function describeService({ service, version, group, app }: MatchRule): string {
  const parts = group === undefined ? [service, version] : [service, version ?? '', group]
  const name = parts.filter((part) => part !== undefined).join(':')
  return app === undefined ? name : `${name} from ${[app].flat().join(',')}`
}

/** Gives every route of one configuration a name of its own. */
export class RouteNames {
  readonly #taken = new Set<string>()

  /** The configured name, or what the route matches, with a number where that is taken. */
  nameOf(route: { readonly name?: string; readonly match: MatchRule }): string {
    const wanted = route.name ?? describeMatch(route.match)
    let name = wanted
    for (let number = 2; this.#taken.has(name); number++) name = `${wanted} #${number}`
    this.#taken.add(name)
    return name
  }
}
