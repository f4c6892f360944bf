/**
 * Prometheus text by OpenTelemetry: a producer hands our plain numbers to a metric reader, whose result the Prometheus
 * serializer writes. Loaded with the first scrape only: these packages take longer to load than all of meshgate.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ValueType } from '@opentelemetry/api'
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram as HistogramValue,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  MetricReader,
  type ResourceMetrics,
  type ScopeMetrics,
} from '@opentelemetry/sdk-metrics'
import type { ScopeStats } from '../core/services.ts'
import { type Family, type Labels, type MetricsSource, OVERFLOW_LABELS, type ScopeKind } from './families.ts'
import { BUCKET_BOUNDS_MS, type BucketHistogram } from './histogram.ts'
import { ScopeShares } from './scope-shares.ts'
import { responseClass } from './stats.ts'

const BOUNDS_SECONDS = BUCKET_BOUNDS_MS.map((bound) => bound / 1000)

/** A histogram point is some 25 lines, so these take about a millisecond. */
const POINTS_AT_ONCE = 16
const BUSY_MS = 2

/** Families of a kind of scope. Requests through a listener are all requests, so those carry the plain names. */
const PREFIXES: Readonly<Record<ScopeKind, string>> = {
  listener: 'meshgate_',
  route: 'meshgate_route_',
  cluster: 'meshgate_cluster_',
}

/** Connects a registry to OpenTelemetry; the function that comes back collects and serializes. */
export function createPrometheusText(registry: MetricsSource): () => Promise<string> {
  const { version, node } = registry.options
  const reader = new PullReader({ metricProducers: [new RegistryProducer(registry)] })
  const resource = resourceFromAttributes({
    'service.name': 'meshgate',
    'service.version': version,
    'meshgate.app': node.app,
    'meshgate.cell': node.cell,
    'process.runtime.version': process.versions.node,
  })
  // The provider is what gives the reader its resource; it has no timer and nothing to close.
  new MeterProvider({ resource, readers: [reader] })
  const writer = new PoliteWriter(resource)
  return async () => writer.write((await reader.collect()).resourceMetrics.scopeMetrics)
}

/**
 * Serializes a few points at a time and lets the event loop turn between: a thousand routes are 2 MB of text and 0.1 s of
 * work, which no request should have to wait for.
 */
class PoliteWriter {
  readonly #target: ResourceMetrics
  readonly #targetSerializer = new PrometheusSerializer('', false, undefined, false, true)
  readonly #serializer = new PrometheusSerializer('', false, undefined, true, true)

  constructor(resource: Resource) {
    this.#target = { resource, scopeMetrics: [] }
  }

  async write(scopes: readonly ScopeMetrics[]): Promise<string> {
    // With nothing else to say the serializer adds a line that there is nothing.
    const parts = [this.#targetSerializer.serialize(this.#target).replace(/^# no registered metrics\n?/m, '')]
    let turnAtMs = performance.now()
    for (const { scope, metrics } of scopes) {
      for (const metric of metrics) {
        for (let offset = 0; offset < metric.dataPoints.length; offset += POINTS_AT_ONCE) {
          parts.push(this.#serialize(scope, metric, offset))
          if (performance.now() - turnAtMs < BUSY_MS) continue
          await nextTurn()
          turnAtMs = performance.now()
        }
      }
    }
    return parts.join('')
  }

  #serialize(scope: ScopeMetrics['scope'], metric: MetricData, offset: number): string {
    const dataPoints = metric.dataPoints.slice(offset, offset + POINTS_AT_ONCE)
    const { resource } = this.#target
    const part = { ...metric, dataPoints } as MetricData
    const text = this.#serializer.serialize({ resource, scopeMetrics: [{ scope, metrics: [part] }] })
    // HELP and TYPE stand once, before the first point.
    return offset === 0 ? text : text.replace(/^(#.*\n)+/, '')
  }
}

/** Collects when it is told to and holds nothing. */
class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** Reads the registry and the scopes at the moment of collection. */
class RegistryProducer implements MetricProducer {
  readonly #registry: MetricsSource
  readonly #shares: Readonly<Record<ScopeKind, ScopeShares>>

  constructor(registry: MetricsSource) {
    this.#registry = registry
    const { maxScopes } = registry.options
    this.#shares = {
      listener: new ScopeShares(maxScopes),
      route: new ScopeShares(maxScopes),
      cluster: new ScopeShares(maxScopes),
    }
  }

  async collect() {
    const metrics: MetricData[] = []
    for (const kind of ['listener', 'route', 'cluster'] as const) {
      const points = new ScopePoints(kind)
      const { own, rest } = this.#shares[kind].share(this.#registry.scopes(kind))
      for (const { name, stats } of own)
        points.add({ [kind]: name }, stats, stats.duration as BucketHistogram)
      if (rest !== null) points.add(OVERFLOW_LABELS, rest.stats, rest.duration)
      metrics.push(...points.families())
    }
    for (const family of this.#registry.families()) metrics.push(familyData(family))
    return {
      resourceMetrics: {
        resource: resourceFromAttributes({}),
        scopeMetrics: [{ scope: { name: 'meshgate' }, metrics }],
      },
      errors: [],
    }
  }
}

/** Gathers the points of every scope of one kind, so that each family is written in one piece. */
class ScopePoints {
  readonly #prefix: string
  readonly #requests: DataPoint<number>[] = []
  readonly #errors: DataPoint<number>[] = []
  readonly #active: DataPoint<number>[] = []
  readonly #received: DataPoint<number>[] = []
  readonly #sent: DataPoint<number>[] = []
  readonly #durations: DataPoint<HistogramValue>[] = []

  constructor(kind: ScopeKind) {
    this.#prefix = PREFIXES[kind]
  }

  add(labels: Labels, stats: ScopeStats, duration: Pick<BucketHistogram, 'snapshot'>): void {
    for (let hundreds = 0; hundreds <= 5; hundreds++) {
      const count = stats.responses[hundreds] ?? 0
      this.#requests.push(point({ ...labels, code_class: responseClass(hundreds) }, count))
    }
    this.#errors.push(point(labels, stats.errors))
    this.#active.push(point(labels, stats.active))
    this.#received.push(point(labels, stats.bytesIn))
    this.#sent.push(point(labels, stats.bytesOut))
    this.#durations.push(point(labels, histogramValue(duration)))
  }

  families(): MetricData[] {
    if (this.#active.length === 0) return []
    const prefix = this.#prefix
    return [
      sum(`${prefix}requests_total`, 'Finished requests by class of status.', this.#requests),
      sum(`${prefix}request_errors_total`, 'Requests that meshgate itself failed.', this.#errors),
      sum(`${prefix}received_bytes_total`, 'Bytes of request bodies.', this.#received),
      sum(`${prefix}sent_bytes_total`, 'Bytes of response bodies.', this.#sent),
      gauge(`${prefix}active_requests`, 'Requests that are running.', this.#active),
      histogram(
        `${prefix}request_duration_seconds`,
        'From the head of the request to the end of its response.',
        this.#durations,
      ),
    ]
  }
}

function familyData(family: Family): MetricData {
  const { name, help } = family
  if (isType(family, 'counter')) {
    return sum(
      name,
      help,
      Array.from(family.series.values(), ({ labels, value }) => point(labels, value.value)),
    )
  }
  if (isType(family, 'histogram')) {
    const points = Array.from(family.series.values(), ({ labels, value }) =>
      point(labels, histogramValue(value)),
    )
    return histogram(name, help, points)
  }
  const { series } = family as Family<'gauge'>
  return gauge(
    name,
    help,
    Array.from(series.values(), ({ labels, value }) => point(labels, readGauge(value))),
  )
}

function isType<Type extends Family['type']>(family: Family, type: Type): family is Family<Type> {
  return family.type === type
}

/** One gauge that fails must not cost the operator all the others: its value is NaN, which shows. */
function readGauge(read: () => number): number {
  try {
    return read()
  } catch {
    return Number.NaN
  }
}

function histogramValue(source: Pick<BucketHistogram, 'snapshot'>): HistogramValue {
  const { counts, count, sum } = source.snapshot()
  return { buckets: { boundaries: BOUNDS_SECONDS, counts: [...counts] }, count, sum: sum / 1000 }
}

// The serializer writes no timestamps, so that every point may share this one.
const NO_TIME: [number, number] = [0, 0]

function point<T>(attributes: Labels, value: T): DataPoint<T> {
  return { startTime: NO_TIME, endTime: NO_TIME, attributes, value }
}

function describe(name: string, description: string) {
  return {
    descriptor: { name, description, unit: '', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
}

function sum(name: string, help: string, dataPoints: DataPoint<number>[]): MetricData {
  return { ...describe(name, help), dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
}

function gauge(name: string, help: string, dataPoints: DataPoint<number>[]): MetricData {
  return { ...describe(name, help), dataPointType: DataPointType.GAUGE, dataPoints }
}

function histogram(name: string, help: string, dataPoints: DataPoint<HistogramValue>[]): MetricData {
  return { ...describe(name, help), dataPointType: DataPointType.HISTOGRAM, dataPoints }
}
