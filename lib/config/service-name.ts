/** Names of RPC services as SOFARPC writes them. */

/** A service with its version and group; `''` for a part that is not there. */
export interface ServiceName {
  readonly service: string
  readonly version: string
  /** SOFARPC's uniqueId, Dubbo's group. */
  readonly group: string
}

/** Takes `interface[:version[:uniqueId]]` apart; any text is fine. */
export function splitServiceName(text: string): ServiceName {
  const first = text.indexOf(':')
  if (first === -1) return { service: text, version: '', group: '' }
  const second = text.indexOf(':', first + 1)
  return {
    service: text.slice(0, first),
    version: second === -1 ? text.slice(first + 1) : text.slice(first + 1, second),
    group: second === -1 ? '' : text.slice(second + 1),
  }
}
