/** Turns one reading of the gateway into the page. Runs in the browser; see `format.ts`. */
import type {
  ClusterReport,
  EndpointReport,
  FilterReport,
  ListenerReport,
  RecentError,
  RouteReport,
  ScopeReport,
} from '../../core/inspect.ts'
import type { Overview } from '../overview.ts'
import { formatBytes, formatCount, formatDuration, formatMs, formatRate, formatTime } from './format.ts'
import type { History, Sample } from './history.ts'
import type { Cell, Row, View } from './view.ts'

/** Keeps the counters of a reading and shows all of it. */
export function render(overview: Overview, history: History, view: View): void {
  history.begin(overview.stats.uptimeMs)
  const all = { requests: 0, errors: 0, failed: 0, refused: 0, bytesIn: 0, bytesOut: 0 }
  for (const listener of overview.listeners) {
    const sample = sampleOf(listener)
    for (const field of Object.keys(all) as (keyof typeof all)[]) all[field] += sample[field]
    history.add(`listener ${listener.name}`, sample)
  }
  history.add('all', all)
  for (const cluster of overview.clusters) history.add(`cluster ${cluster.name}`, sampleOf(cluster))
  for (const route of overview.routes.routes) history.add(`route ${route.name}`, sampleOf(route))
  renderHead(overview, view)
  renderBanners(overview, view)
  renderTiles(overview, history, view)
  renderTables(overview, history, view)
}

/** The counters whose rates are shown. */
export function sampleOf(scope: ScopeReport): Sample {
  return {
    requests: scope.requests,
    errors: scope.errors,
    failed: scope.responses['5xx'] ?? 0,
    refused: scope.responses['4xx'] ?? 0,
    bytesIn: scope.bytesIn,
    bytesOut: scope.bytesOut,
  }
}

/** The line on top. */
export function renderHead({ time, stats, config, logLevel }: Overview, view: View): void {
  view.text('version', stats.version)
  view.text('node', `${stats.node.app} @ ${stats.node.cell}`)
  view.text('phase', stats.phase, `badge ${stats.phase === 'ready' ? 'good' : 'warn'}`)
  view.text('uptime', formatDuration(stats.uptimeMs))
  view.text(
    'config',
    `v${config.version} · ${config.checksum.slice(0, 8)} · ${formatDuration(Date.parse(time) - Date.parse(config.loadedAt))} old`,
    '',
    `${config.file}\n${config.checksum}\nloaded ${config.loadedAt}`,
  )
  view.text('log-level', logLevel)
}

/** What an operator must see first: everything that is wrong. */
export function renderBanners({ stats, config, clusters, filters }: Overview, view: View): void {
  const items: Cell[] = []
  if (config.refused !== null) {
    const problems = config.refused.map((problem) => `\n  ${problem}`).join('')
    const text = `The newest configuration was refused; version ${config.version} serves on.${problems}`
    items.push({ text, className: 'banner bad' })
  }
  if (stats.phase !== 'ready') {
    items.push({ text: `The gateway is ${stats.phase}: it takes no new requests.`, className: 'banner warn' })
  }
  for (const { name, endpoints } of clusters) {
    const unusable = endpoints.filter((endpoint) => !endpoint.isUsable)
    if (unusable.length === 0) continue
    const isDown = unusable.length === endpoints.length
    const text = isDown
      ? `Cluster ${name} has no usable endpoint: its requests fail.`
      : `Cluster ${name}: ${unusable.length} of ${endpoints.length} endpoints unusable (${unusable.map(({ address }) => address).join(', ')}).`
    items.push({ text, className: isDown ? 'banner bad' : 'banner warn' })
  }
  for (const { name, refused } of filters) {
    if (refused === null) continue
    const text = `The newest version of filter ${name} was refused; the old one serves on.\n  ${refused}`
    items.push({ text, className: 'banner warn' })
  }
  view.list('banners', worstFirst(items, 8))
}

/** Red before yellow, and no more than `most`: a page full of banners hides the numbers. */
export function worstFirst(items: readonly Cell[], most: number): Cell[] {
  const isBad = (item: Cell): boolean => item.className === 'banner bad'
  const sorted = [...items.filter(isBad), ...items.filter((item) => !isBad(item))]
  if (sorted.length <= most) return sorted
  return [...sorted.slice(0, most), { text: `and ${sorted.length - most} more`, className: 'banner warn' }]
}

/** The large numbers. */
export function renderTiles({ stats, listeners }: Overview, history: History, view: View): void {
  const errors = history.rate('all', 'errors')
  const failed = history.rate('all', 'failed')
  view.text('requests-rate', formatRate(history.rate('all', 'requests')))
  view.line('requests-line', history.series('all', 'requests'))
  view.text('errors-rate', formatRate(errors), errors !== null && errors > 0 ? 'value bad' : 'value')
  view.line('errors-line', history.series('all', 'errors'))
  view.style('errors-line', errors !== null && errors > 0 ? 'bad' : '')
  view.text('failed-rate', formatRate(failed), failed !== null && failed > 0 ? 'value bad' : 'value')
  view.line('failed-line', history.series('all', 'failed'))
  view.style('failed-line', failed !== null && failed > 0 ? 'bad' : '')
  const p99 = listeners.map((listener) => listener.p99 ?? -1)
  const slowest = listeners[p99.indexOf(Math.max(...p99))]
  view.text('p99', formatMs(slowest?.p99 ?? null))
  view.text('p50', slowest === undefined ? '' : `p50 ${formatMs(slowest.p50)} · ${slowest.name}`)
  view.text('live', formatCount(stats.exchanges.live))
  view.text('connections', `${stats.connections.downstream} in · ${stats.connections.upstream} out`)
  const { utilization, delayP99Ms } = stats.eventLoop
  view.text('loop', `${(utilization * 100).toFixed(0)} %`, `value${loadClass(utilization)}`)
  view.text('loop-delay', `delay p99 ${formatMs(delayP99Ms)}`)
  view.text('memory', formatBytes(stats.memory.rss))
  view.text('heap', `heap ${formatBytes(stats.memory.heapUsed)} · slabs ${stats.slabs.leased}`)
}

/** Above these the one thread of the gateway is what limits it. */
export function loadClass(utilization: number): string {
  if (utilization >= 0.95) return ' bad'
  return utilization >= 0.8 ? ' warn' : ''
}

/** All tables. */
export function renderTables(overview: Overview, history: History, view: View): void {
  const { listeners, clusters, routes, filters, errors } = overview
  view.rows(
    'listeners',
    listeners.map((listener) => listenerRow(listener, history)),
  )
  view.rows(
    'clusters',
    clusters.flatMap((cluster) => clusterRows(cluster, history)),
  )
  view.rows(
    'routes',
    routes.routes.map((route) => routeRow(route, history)),
  )
  const shown = routes.routes.length
  view.text(
    'routes-note',
    shown < routes.total ? `the ${shown} busiest of ${routes.total}` : `${routes.total}`,
  )
  view.rows('filters', filters.map(filterRow))
  view.show('errors-section', errors.length > 0)
  view.rows('errors', errors.map(errorRow))
}

/** A failure: when, what, where, why. */
export function errorRow(error: RecentError, index: number): Row {
  const where = [error.listener, error.route, error.cluster].filter((name) => name !== '').join(' → ')
  return {
    key: String(index),
    cells: [
      { text: formatTime(error.time), className: 'dim', title: error.time },
      { text: error.count > 1 ? `${error.code} × ${error.count}` : error.code, className: 'code' },
      { text: where, className: 'dim where', title: where },
      {
        text: error.message,
        className: 'message',
        title: `${error.message}\npeer ${error.peer}\ntrace ${error.traceId}`,
      },
    ],
  }
}

/** The columns that every scope has. */
export function scopeCells(key: string, scope: ScopeReport, history: History): Cell[] {
  const rate = (field: string, className: string): Cell => {
    const value = history.rate(key, field)
    return {
      text: formatRate(value),
      className: value !== null && value > 0 ? `number ${className}` : 'number zero',
    }
  }
  return [
    { ...rate('requests', 'strong'), title: `${scope.requests} requests in all` },
    { text: '', className: 'line', line: history.series(key, 'requests') },
    { ...rate('refused', 'warn'), title: `${scope.responses['4xx'] ?? 0} in all` },
    { ...rate('failed', 'bad'), title: `${scope.responses['5xx'] ?? 0} in all` },
    { ...rate('errors', 'bad'), title: `${scope.errors} failed by meshgate in all` },
    { text: formatCount(scope.active), className: scope.active > 0 ? 'number' : 'number zero' },
    { text: formatMs(scope.p50), className: 'number' },
    { text: formatMs(scope.p99), className: 'number' },
  ]
}

/** A listener. */
export function listenerRow(listener: ListenerReport, history: History): Row {
  const key = `listener ${listener.name}`
  return {
    key,
    cells: [
      { text: listener.name, className: 'name', title: listener.name },
      { text: `${listener.protocol} ${listener.address}`, className: 'dim where' },
      ...scopeCells(key, listener, history),
      { text: formatCount(listener.connections), className: 'number' },
    ],
  }
}

/** A cluster, and below it its endpoints. */
export function clusterRows(cluster: ClusterReport, history: History): Row[] {
  const key = `cluster ${cluster.name}`
  const waiting = cluster.queued === 0 ? '' : ` · ${cluster.queued} waiting`
  let connections = 0
  for (const endpoint of cluster.endpoints) connections += endpoint.connections
  const row: Row = {
    key,
    cells: [
      { text: cluster.name, className: 'name', title: cluster.name },
      {
        text: `${cluster.protocol} ${cluster.balancer}${waiting}`,
        className: waiting === '' ? 'dim where' : 'warn where',
      },
      ...scopeCells(key, cluster, history),
      { text: formatCount(connections), className: 'number' },
    ],
  }
  return [row, ...cluster.endpoints.map((endpoint, index) => endpointRow(`${key} ${index}`, endpoint))]
}

/** An endpoint, under the columns of its cluster as far as they mean something for it. */
export function endpointRow(key: string, endpoint: EndpointReport): Row {
  const { isUsable, active, connectFailures } = endpoint
  const resolved = endpoint.resolved.join(', ')
  // An address that is no name needs no second mention.
  const where = endpoint.address.startsWith(resolved) && resolved !== '' ? '' : resolved
  const empty = { text: '' }
  return {
    key,
    className: 'endpoint',
    cells: [
      { text: endpoint.address, className: isUsable ? 'name' : 'name bad', title: endpoint.address },
      { text: resolved === '' ? 'not resolved' : where, className: 'dim where', title: resolved },
      isUsable
        ? { text: `weight ${endpoint.weight}`, className: 'number dim' }
        : { text: 'unusable', className: 'number bad' },
      empty,
      empty,
      empty,
      {
        text: connectFailures === 0 ? '' : formatCount(connectFailures),
        className: isUsable ? 'number dim' : 'number bad',
        title: `${connectFailures} connects failed in all`,
      },
      { text: formatCount(active), className: active > 0 ? 'number' : 'number zero' },
      empty,
      empty,
      { text: formatCount(endpoint.connections), className: 'number' },
    ],
  }
}

/** A route. */
export function routeRow(route: RouteReport, history: History): Row {
  const key = `route ${route.name}`
  return {
    key,
    cells: [
      { text: route.name, className: 'name', title: `${route.name}\n${route.match}` },
      { text: `→ ${route.to}`, className: 'dim where', title: route.to },
      ...scopeCells(key, route, history),
      { text: '' },
    ],
  }
}

/** A filter. */
export function filterRow(filter: FilterReport, index: number): Row {
  return {
    key: String(index),
    cells: [
      { text: String(index + 1), className: 'dim' },
      { text: filter.name, className: 'name', title: filter.module ?? filter.use },
      { text: filter.hooks.join(' '), className: 'dim' },
      { text: formatCount(filter.replies), className: filter.replies > 0 ? 'number' : 'number zero' },
      { text: formatCount(filter.failures), className: filter.failures > 0 ? 'number bad' : 'number zero' },
      { text: formatCount(filter.suspensions), className: filter.suspensions > 0 ? 'number' : 'number zero' },
    ],
  }
}
