import { readFileSync } from 'node:fs'
import t from 'tap'
import { ENDPOINTS } from '../../lib/admin/endpoints.ts'
import type { ScopeStats } from '../../lib/core/services.ts'
import { GATEWAY_COUNTERS } from '../../lib/telemetry/gateway-counters.ts'
import { registerGatewayMetrics } from '../../lib/telemetry/gateway-metrics.ts'
import { MetricsRegistry } from '../../lib/telemetry/metrics.ts'
import { ProcessStats } from '../../lib/telemetry/process-stats.ts'
import { createScopeStats } from '../../lib/telemetry/stats.ts'
import { FakeGateway } from './fake-gateway.ts'

const page = readFileSync(new URL('../../docs/admin.md', import.meta.url), 'utf8')

t.test('docs/admin.md lists the endpoints that exist, in their order, and no other', async (t) => {
  const listed = [...page.matchAll(/^\| `((?:GET|POST) \S+)` \|/gm)].map(([, request]) => request)
  t.same(
    listed,
    ENDPOINTS.map(({ method, path }) => `${method} ${path}`),
  )
})

t.test('docs/admin.md lists the metrics that exist and no other', async (t) => {
  const metrics = new MetricsRegistry({ version: '0', node: { app: 'a', cell: 'c' } })
  const processStats = new ProcessStats()
  t.teardown(() => processStats.close())
  processStats.register(metrics)
  registerGatewayMetrics(metrics, new FakeGateway())
  const stats: ScopeStats = { ...createScopeStats(), requests: 1 }
  for (const kind of ['listener', 'route', 'cluster'] as const) {
    metrics.exportScopes(kind, () => [{ name: kind, stats }])
  }
  const text = await metrics.text()
  const counters = Object.values(GATEWAY_COUNTERS).map(({ name }) => name)
  const exported = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
  const [, section] = page.split('\n## Metrics\n')
  const tables = section.split('\n').filter((line) => line.startsWith('|'))
  const listed = tables.flatMap((line) => [...line.matchAll(/`((?:meshgate|process|target)_[a-z0-9_]+)`/g)])
  t.same(listed.map(([, name]) => name).sort(), [...exported, ...counters].sort())
})
