/** Rules about listeners and clusters that a schema cannot say. */
import { type Address, isSameBinding, parseAddress } from './address.ts'
import type { Draft, DraftCluster, DraftListener } from './draft.ts'
import { type ConfigPath, formatPath } from './problem.ts'
import { ADDRESS_HINT } from './schema-parts.ts'

interface Binding {
  readonly address: Address
  /** How to speak of its owner. */
  readonly owner: string
}

/** Names, addresses, and that no two listeners (or the admin port) share one. */
export function checkListeners(draft: Draft): void {
  draft.reportDuplicateNames('listeners', 'listener')
  const bindings: Binding[] = []
  for (const { value, path, has } of draft.entries<DraftListener>('listeners')) {
    const owner = has('name') ? `listener ${JSON.stringify(value.name)}` : formatPath(path)
    if (has('address')) checkBinding(draft, value.address, [...path, 'address'], owner, bindings)
  }
  const admin = draft.adminAddress
  if (admin !== null) checkBinding(draft, admin, ['admin', 'address'], 'the admin port', bindings)
}

function checkBinding(
  draft: Draft,
  text: string,
  path: ConfigPath,
  owner: string,
  bindings: Binding[],
): void {
  const address = parseAddress(text)
  if (typeof address === 'string') {
    draft.report(path, `${JSON.stringify(text)} is no address: ${address}`, ADDRESS_HINT)
    return
  }
  const taken = bindings.find((binding) => isSameBinding(binding.address, address))
  if (taken === undefined) bindings.push({ address, owner })
  else
    draft.report(
      path,
      `the address ${text} is taken by ${taken.owner}`,
      'give each listener an address of its own',
    )
}

/** Names, addresses and weights. */
export function checkClusters(draft: Draft): void {
  draft.reportDuplicateNames('clusters', 'cluster')
  for (const { value, path, has } of draft.entries<DraftCluster>('clusters')) {
    if (has('endpoints')) checkEndpoints(draft, value, path)
    if (!has('limits') || !has('connectionsPerEndpoint')) continue
    if (value.limits.connections < value.connectionsPerEndpoint) {
      draft.report(
        [...path, 'connectionsPerEndpoint'],
        `${value.connectionsPerEndpoint} connections are more than limits.connections (${value.limits.connections}) allows`,
        'raise the limit or keep fewer',
      )
    }
  }
}

function checkEndpoints(draft: Draft, cluster: DraftCluster, path: ConfigPath): void {
  let weights = 0
  const seen = new Set<string>()
  cluster.endpoints.forEach((endpoint, index) => {
    const isShort = typeof endpoint === 'string'
    const text = isShort ? endpoint : endpoint.address
    const at = [...path, 'endpoints', index, ...(isShort ? [] : ['address'])]
    checkEndpoint(draft, text, at)
    if (seen.has(text))
      draft.report(at, `the endpoint ${text} is listed twice`, 'give it a weight instead', 'warning')
    seen.add(text)
    weights += isShort ? 1 : endpoint.weight
  })
  if (weights === 0) {
    draft.report(
      [...path, 'endpoints'],
      'all weights are 0, so no endpoint gets a request',
      'give one of them a weight above 0',
    )
  }
}

function checkEndpoint(draft: Draft, text: string, at: ConfigPath): void {
  const address = parseAddress(text)
  const hint = 'write host:port, [::1]:port or unix:/path'
  if (typeof address === 'string') draft.report(at, `${JSON.stringify(text)} is no address: ${address}`, hint)
  else if (address.path !== null) return
  else if (address.host === '') draft.report(at, `${JSON.stringify(text)} names no host`, hint)
  else if (address.port === 0)
    draft.report(at, `${JSON.stringify(text)}: nothing can be reached on port 0`, hint)
}
