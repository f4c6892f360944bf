import t from 'tap'
import type { ScopeStats } from '../../lib/core/services.ts'
import { registerGatewayMetrics } from '../../lib/telemetry/gateway-metrics.ts'
import { MetricsRegistry } from '../../lib/telemetry/metrics.ts'
import { ProcessStats } from '../../lib/telemetry/process-stats.ts'
import { createScopeStats } from '../../lib/telemetry/stats.ts'
import { endpoint, FakeGateway } from '../admin/fake-gateway.ts'
import { type ParsedText, parsePrometheus } from './prometheus-text.ts'

const options = { version: '0.1.0', node: { app: 'trade', cell: 'RZ01A' } }

function valueOf({ samples }: ParsedText, name: string, labels: Record<string, string>): number | undefined {
  const wanted = Object.entries(labels)
  return samples.find(
    (sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value),
  )?.value
}

function hit(times: number, ms: number): ScopeStats {
  const stats = createScopeStats()
  stats.requests = times
  stats.responses[2] = times
  for (let i = 0; i < times; i++) stats.duration.record(ms)
  return stats
}

t.test('asking twice gives the same object, whatever the order of the labels', async (t) => {
  const metrics = new MetricsRegistry(options)
  const counter = metrics.counter('meshgate_things_total', 'x', { a: '1', b: '2' })
  t.equal(metrics.counter('meshgate_things_total', 'x', { b: '2', a: '1' }), counter)
  t.not(metrics.counter('meshgate_things_total', 'x', { a: '1', b: '3' }), counter)
  const histogram = metrics.histogram('meshgate_wait_seconds', 'x')
  t.equal(metrics.histogram('meshgate_wait_seconds', 'x'), histogram)
})

t.test('a name that Prometheus would not like is refused with what would be right', async (t) => {
  const metrics = new MetricsRegistry(options)
  t.throws(() => metrics.counter('meshgate_things', 'x'), { message: /must .* ends in _total/ })
  t.throws(() => metrics.histogram('meshgate_wait_ms', 'x'), { message: /_seconds/ })
  t.throws(() => metrics.gauge('meshgate-things', 'x', {}, () => 1), { message: /lower case words/ })
  metrics.counter('meshgate_things_total', 'x')
  t.throws(() => metrics.gauge('meshgate_things_total', 'x', {}, () => 1), {
    message: /is a counter already/,
  })
})

t.test('label sets past the limit share one series', async (t) => {
  const metrics = new MetricsRegistry(options)
  for (let i = 0; i < 5000; i++) metrics.counter('meshgate_users_total', 'x', { user: `u${i}` }).value++
  const { samples } = parsePrometheus(await metrics.text())
  const users = samples.filter(({ name }) => name === 'meshgate_users_total')
  t.equal(users.length, 2000)
  t.equal(users.find(({ labels }) => labels['otel_metric_overflow'] === 'true')?.value, 5000 - 1999)
})

t.test('the text holds counters, gauges and escaped labels', async (t) => {
  const metrics = new MetricsRegistry(options)
  const hostile = 'a"b\\c\nd{}=,#'
  metrics.counter('meshgate_errors_total', 'Errors.', { code: hostile }).value = 7
  let size = 3
  const withdraw = metrics.gauge('meshgate_queue_size', 'Size.', { queue: 'q' }, () => size)
  metrics.gauge('meshgate_broken', 'Throws.', {}, () => {
    throw new Error('no value')
  })
  const first = parsePrometheus(await metrics.text())
  t.equal(valueOf(first, 'meshgate_errors_total', { code: hostile }), 7)
  t.equal(first.types.get('meshgate_errors_total'), 'counter')
  t.equal(valueOf(first, 'meshgate_queue_size', { queue: 'q' }), 3)
  t.equal(first.types.get('meshgate_queue_size'), 'gauge')
  t.ok(Number.isNaN(valueOf(first, 'meshgate_broken', {})))
  t.equal(
    valueOf(first, 'target_info', {
      service_name: 'meshgate',
      meshgate_app: 'trade',
      meshgate_cell: 'RZ01A',
    }),
    1,
  )
  size = 4
  t.equal(valueOf(parsePrometheus(await metrics.text()), 'meshgate_queue_size', {}), 4, 'read anew')
  withdraw()
  t.equal(valueOf(parsePrometheus(await metrics.text()), 'meshgate_queue_size', {}), undefined)
})

t.test('a gauge that was replaced is not withdrawn by the one before it', async (t) => {
  const metrics = new MetricsRegistry(options)
  const withdraw = metrics.gauge('meshgate_size', 'x', {}, () => 1)
  metrics.gauge('meshgate_size', 'x', {}, () => 2)
  withdraw()
  t.equal(valueOf(parsePrometheus(await metrics.text()), 'meshgate_size', {}), 2)
})

t.test('histograms are cumulative, in seconds, and end in +Inf', async (t) => {
  const metrics = new MetricsRegistry(options)
  const stats = hit(0, 0)
  for (const ms of [0.1, 0.25, 3, 12, 999, 60_000]) stats.duration.record(ms)
  stats.requests = 6
  metrics.exportScopes('listener', () => [{ name: 'in', stats }])
  const wait = metrics.histogram('meshgate_wait_seconds', 'Wait.', { filter: 'f' })
  wait.record(2)
  const parsed = parsePrometheus(await metrics.text())
  for (const [name, count, sum] of [
    ['meshgate_request_duration_seconds', 6, 61.01435],
    ['meshgate_wait_seconds', 1, 0.002],
  ] as const) {
    t.equal(parsed.types.get(name), 'histogram')
    const buckets = parsed.samples.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => Number(labels['le'].replace('+Inf', 'Infinity')))
    t.same(
      bounds,
      [...bounds].sort((a, b) => a - b),
    )
    t.equal(bounds[0], 0.00025)
    t.equal(bounds.at(-1), Number.POSITIVE_INFINITY)
    t.ok(
      buckets.every((bucket, i) => i === 0 || bucket.value >= buckets[i - 1].value),
      'never falls',
    )
    t.equal(buckets.at(-1)?.value, count)
    t.equal(valueOf(parsed, `${name}_count`, {}), count)
    t.ok(Math.abs((valueOf(parsed, `${name}_sum`, {}) ?? 0) - sum) < 1e-9)
  }
  const le = (bound: string) => valueOf(parsed, 'meshgate_request_duration_seconds_bucket', { le: bound })
  t.equal(le('0.00025'), 2)
  t.equal(le('0.003'), 3)
  t.equal(le('0.015'), 4)
  t.equal(le('1'), 5)
  t.equal(le('30'), 5)
})

t.test(
  'listeners, routes and clusters have families of their own; scopes without a request have none',
  async (t) => {
    const metrics = new MetricsRegistry(options)
    const stats = hit(4, 1)
    stats.responses[5] = 1
    stats.errors = 2
    stats.active = 3
    stats.bytesIn = 100
    stats.bytesOut = 900
    metrics.exportScopes('listener', () => [{ name: 'in', stats }])
    metrics.exportScopes('route', () => [
      { name: 'busy', stats: hit(5, 1) },
      { name: 'idle', stats: createScopeStats() },
    ])
    metrics.exportScopes('cluster', () => [{ name: 'out', stats: hit(6, 1) }])
    const text = await metrics.text()
    const parsed = parsePrometheus(text)
    t.equal(valueOf(parsed, 'meshgate_requests_total', { listener: 'in', code_class: '2xx' }), 4)
    t.equal(valueOf(parsed, 'meshgate_requests_total', { listener: 'in', code_class: '5xx' }), 1)
    t.equal(valueOf(parsed, 'meshgate_requests_total', { listener: 'in', code_class: '0' }), 0)
    t.equal(valueOf(parsed, 'meshgate_request_errors_total', { listener: 'in' }), 2)
    t.equal(valueOf(parsed, 'meshgate_active_requests', { listener: 'in' }), 3)
    t.equal(valueOf(parsed, 'meshgate_received_bytes_total', { listener: 'in' }), 100)
    t.equal(valueOf(parsed, 'meshgate_sent_bytes_total', { listener: 'in' }), 900)
    t.equal(valueOf(parsed, 'meshgate_route_request_duration_seconds_count', { route: 'busy' }), 5)
    t.equal(valueOf(parsed, 'meshgate_cluster_requests_total', { cluster: 'out', code_class: '2xx' }), 6)
    t.notMatch(text, 'idle')
  },
)

t.test(
  'more hit routes than the limit: the first keep their names, the rest is one sum that only grows',
  async (t) => {
    const metrics = new MetricsRegistry({ ...options, maxScopes: 2 })
    const routes = ['a', 'b', 'c', 'd', 'b'].map((name) => ({ name, stats: hit(1, 1) }))
    metrics.exportScopes('route', () => routes)
    const rest = { otel_metric_overflow: 'true' }
    const first = parsePrometheus(await metrics.text())
    t.equal(valueOf(first, 'meshgate_route_requests_total', { route: 'a', code_class: '2xx' }), 1)
    t.equal(valueOf(first, 'meshgate_route_requests_total', { route: 'c', code_class: '2xx' }), undefined)
    t.equal(valueOf(first, 'meshgate_route_requests_total', { ...rest, code_class: '2xx' }), 3)
    t.equal(valueOf(first, 'meshgate_route_request_duration_seconds_count', rest), 3)
    t.equal(valueOf(first, 'meshgate_route_request_duration_seconds_bucket', { ...rest, le: '+Inf' }), 3)
    routes[3].stats.responses[2] = 50
    const second = parsePrometheus(await metrics.text())
    t.equal(valueOf(second, 'meshgate_route_requests_total', { route: 'b', code_class: '2xx' }), 1)
    t.equal(valueOf(second, 'meshgate_route_requests_total', { ...rest, code_class: '2xx' }), 52)
  },
)

t.test('a large family comes in one piece although it is written in many', async (t) => {
  const metrics = new MetricsRegistry(options)
  const routes = Array.from({ length: 300 }, (_, i) => ({ name: `r${i}`, stats: hit(1, 1) }))
  metrics.exportScopes('route', () => routes)
  const { samples } = parsePrometheus(await metrics.text())
  t.equal(samples.filter(({ name }) => name === 'meshgate_route_request_duration_seconds_count').length, 300)
  t.equal(samples.filter(({ name }) => name === 'meshgate_route_requests_total').length, 1800)
})

t.test('process and gateway report themselves', async (t) => {
  const metrics = new MetricsRegistry(options)
  const processStats = new ProcessStats()
  t.teardown(() => processStats.close())
  processStats.register(metrics)
  const gateway = new FakeGateway()
  registerGatewayMetrics(metrics, gateway)
  gateway.clusterReports[0].endpoints = [endpoint('a:1'), endpoint('b:1', { isUsable: false })]
  gateway.configReport.refused = ['line 1: wrong']
  const parsed = parsePrometheus(await metrics.text())
  t.ok((valueOf(parsed, 'process_resident_memory_bytes', {}) ?? 0) > 1e6)
  t.equal(valueOf(parsed, 'meshgate_ready', {}), 1)
  t.equal(valueOf(parsed, 'meshgate_config_version', {}), 3)
  t.equal(valueOf(parsed, 'meshgate_config_refused', {}), 1)
  t.equal(valueOf(parsed, 'meshgate_unusable_endpoints', {}), 1)
  t.equal(valueOf(parsed, 'meshgate_connections', { side: 'downstream' }), 60)
  t.equal(valueOf(parsed, 'meshgate_slabs', { state: 'leased' }), 3)
  t.equal(valueOf(parsed, 'meshgate_timers', {}), 82)
  t.equal(valueOf(parsed, 'meshgate_live_exchanges', {}), 9)
})

t.test('readings of the event loop hold still within a window, however many read', async (t) => {
  let nowMs = 0
  const processStats = new ProcessStats(() => nowMs)
  t.teardown(() => processStats.close())
  nowMs = 5000
  const reading = processStats.eventLoop()
  nowMs = 9999
  t.equal(processStats.eventLoop(), reading)
  nowMs = 10_000
  t.not(processStats.eventLoop(), reading)
  t.ok(reading.utilization >= 0 && reading.utilization <= 1)
  t.ok(reading.delayP99Ms >= 0)
  t.ok(processStats.memory().rss > processStats.memory().heapUsed)
  t.ok(processStats.uptimeMs() > 0)
})
