/** Rules about routes that match RPCs or lead to clusters that speak an RPC protocol. */
import type { ProtocolName } from '../core/message.ts'
import type { Draft, DraftRoute, Entry } from './draft.ts'
import { isIdentifier } from './java-names.ts'
import type { ConfigPath } from './problem.ts'
import { show } from './schema-walk.ts'
import { splitServiceName } from './service-name.ts'

type Match = DraftRoute['match']
type Target = DraftRoute['to']

/** The keys of `to` that are about a call alone. */
const CALL_KEYS = ['parameters', 'parameterNames', 'json'] as const
/** The keys of `to` for clusters that speak an RPC protocol. */
export const RPC_KEYS = ['service', 'version', 'group', ...CALL_KEYS] as const

const HTTP_METHOD = /^[A-Z0-9!#$%&'*+.^_`|~-]+$/
const HTTP_METHOD_HINT = 'methods are upper case, such as GET'
const JAVA_METHOD_HINT = 'write the name of the Java method, such as createOrder'

/** What goes together in a match: an RPC has a service, version, group, application, method and headers, and nothing else. */
export function checkRpcMatch(draft: Draft, match: Match, at: ConfigPath): void {
  checkMethods(draft, match, [...at, 'method'])
  if (match.service === undefined) {
    for (const key of ['version', 'group', 'app'] as const) {
      if (match[key] !== undefined)
        draft.reportKey([...at, key], `${key} is for RPCs and needs service`, 'add service; "*" is any')
    }
    return
  }
  for (const key of ['path', 'host', 'operation', 'query', 'cookies'] as const) {
    if (match[key] !== undefined)
      draft.reportKey([...at, key], `an RPC, which service asks for, has no ${key}`, 'leave one of them out')
  }
  checkShortForm(draft, match, at)
}

function checkMethods(draft: Draft, { method, service }: Match, at: ConfigPath): void {
  if (method === undefined) return
  const isFine = service === undefined ? (name: string) => HTTP_METHOD.test(name) : isIdentifier
  const hint = service === undefined ? HTTP_METHOD_HINT : JAVA_METHOD_HINT
  const methods = typeof method === 'string' ? [method] : (method as readonly string[])
  methods.forEach((name, index) => {
    const place = typeof method === 'string' ? at : [...at, index]
    if (!isFine(name)) draft.report(place, `${show(name)} is not possible here`, hint)
  })
}

/** A version or group that is given twice. */
function checkShortForm(
  draft: Draft,
  { service, version, group }: { service?: string; version?: string; group?: string },
  at: ConfigPath,
): void {
  const name = splitServiceName(service ?? '')
  for (const [key, short, long] of [
    ['version', name.version, version],
    ['group', name.group, group],
  ] as const) {
    if (short === '' || long === undefined) continue
    const message = `service names the ${key} ${show(short)} already`
    draft.reportKey([...at, key], message, `leave ${key} out, or shorten service to ${name.service}`)
  }
}

/** Whether an RPC cluster gets what it can serve: RPCs of its own protocol, or calls that the route describes. */
export function checkRpcTarget(
  draft: Draft,
  { value, path, has }: Entry<DraftRoute>,
  protocols: ReadonlyMap<string, ProtocolName>,
): void {
  const { to } = value
  if (to.redirect !== undefined) {
    if (has('match') && value.match.service !== undefined)
      draft.reportKey([...path, 'to', 'redirect'], 'an RPC cannot be redirected', 'give a cluster')
    return
  }
  const spoken = protocolsOf(to, protocols)
  if (spoken === null) return
  const at = [...path, 'to']
  const isRpc = spoken.some(isRpcProtocol)
  if (!isRpc) checkPlainTarget(draft, to, at)
  else checkCall(draft, to, at, spoken)
  if (!has('match')) return
  if (value.match.service !== undefined) checkPassThrough(draft, value, path, isRpc)
  else if (isRpc) checkTranslated(draft, value, at)
}

/** What the clusters of a route speak, each once; null when one of them is unknown. */
function protocolsOf(to: Target, protocols: ReadonlyMap<string, ProtocolName>): ProtocolName[] | null {
  const spoken = new Set<ProtocolName>()
  const names = [to.cluster, ...(to.clusters ?? []).map(({ cluster }) => cluster)]
  for (const name of names) {
    if (name === undefined) continue
    const protocol = protocols.get(name)
    if (protocol === undefined) return null
    spoken.add(protocol)
  }
  return spoken.size === 0 ? null : [...spoken]
}

function isRpcProtocol(protocol: ProtocolName): boolean {
  return protocol === 'bolt' || protocol === 'dubbo'
}

function checkPlainTarget(draft: Draft, to: Target, at: ConfigPath): void {
  for (const key of RPC_KEYS) {
    if (to[key] !== undefined)
      draft.reportKey([...at, key], `${key} is for clusters that speak bolt or dubbo`, 'leave it out')
  }
  if (to.method !== undefined && !HTTP_METHOD.test(to.method))
    draft.report([...at, 'method'], `${show(to.method)} is not possible here`, HTTP_METHOD_HINT)
}

function checkCall(draft: Draft, to: Target, at: ConfigPath, spoken: readonly ProtocolName[]): void {
  checkShortForm(draft, to, at)
  for (const key of ['operation', 'path'] as const) {
    if (to[key] !== undefined && spoken.every(isRpcProtocol))
      draft.reportKey(
        [...at, key],
        `a cluster that speaks ${spoken.join(' or ')} has no use for ${key}`,
        'leave it out',
      )
  }
  if (to.method === undefined) {
    for (const key of CALL_KEYS) {
      if (to[key] !== undefined)
        draft.reportKey(
          [...at, key],
          `${key} belongs to a call, which needs method`,
          'add service and method',
        )
    }
    return
  }
  if (!isIdentifier(to.method))
    draft.report([...at, 'method'], `${show(to.method)} is not possible here`, JAVA_METHOD_HINT)
  if (to.service === undefined)
    draft.report([...at, 'method'], 'a call needs the service of its method', 'add service')
  if (spoken.length > 1) {
    const message = `a call goes to clusters of one protocol, not of ${spoken.join(' and ')}`
    draft.report([...at, 'clusters'], message, 'make a route for each protocol')
  }
  checkParameterNames(draft, to, at)
}

function checkParameterNames(
  draft: Draft,
  { parameters = [], parameterNames }: Target,
  at: ConfigPath,
): void {
  if (parameterNames === undefined) return
  const place = [...at, 'parameterNames']
  if (parameterNames.length !== parameters.length) {
    const message = `${parameterNames.length} names are given for ${parameters.length} parameters`
    draft.report(place, message, 'name all of them, in their order')
  }
  parameterNames.forEach((name, index) => {
    if (parameterNames.indexOf(name) < index)
      draft.report([...place, index], `the name ${show(name)} is listed twice`, 'give each its own')
  })
}

/** RPCs on their way to a cluster: nothing but the service changes. */
function checkPassThrough(draft: Draft, { to, rewrite }: DraftRoute, path: ConfigPath, isRpc: boolean): void {
  if (!isRpc) {
    const message = 'the route matches RPCs, which no cluster here speaks'
    draft.report([...path, 'to'], message, 'give a cluster of the protocol that they come in')
  }
  if (to.method !== undefined)
    draft.reportKey(
      [...path, 'to', 'method'],
      'an RPC keeps its method, which is in its body',
      'leave it out',
    )
  if (rewrite !== undefined)
    draft.reportKey(
      [...path, 'rewrite'],
      'an RPC has no path to rewrite',
      'use to.service to rename its service',
    )
}

/** Requests that are no RPC on their way to a cluster that takes nothing else. */
function checkTranslated(draft: Draft, { match, to }: DraftRoute, at: ConfigPath): void {
  if (to.method !== undefined) return
  const key = (['operation', 'path', 'host', 'query', 'cookies', 'method'] as const).find(
    (each) => match[each] !== undefined,
  )
  if (key === undefined) return
  const message = `what match.${key} asks for is no RPC, and the cluster takes only RPCs`
  draft.report(at, message, 'add service and method, and parameters if it has any')
}
