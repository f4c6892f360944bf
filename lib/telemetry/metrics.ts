/** The registry of metrics: plain numbers that their owners write, read when somebody asks for the text. */
import type { Counter, Histogram, Metrics } from '../core/services.ts'
import {
  type Family,
  type Labels,
  type MetricsOptions,
  type MetricsSource,
  type NamedScope,
  OVERFLOW_LABELS,
  type ScopeKind,
  type SeriesTypes,
} from './families.ts'
import { BucketHistogram } from './histogram.ts'

/** Label sets that one name may have. Past it they share one series, so a label made from what callers send cannot grow without limit. */
const MAX_SERIES = 2000
const DEFAULT_MAX_SCOPES = 1000
const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/

/** Creates, finds and exports metrics. OpenTelemetry is loaded by the first {@link MetricsRegistry.text}. */
export class MetricsRegistry implements Metrics, MetricsSource {
  readonly options: Required<MetricsOptions>
  readonly #families = new Map<string, Family>()
  readonly #scopes = new Map<ScopeKind, () => Iterable<NamedScope>>()
  #text: Promise<() => Promise<string>> | null = null

  constructor(options: MetricsOptions) {
    this.options = { maxScopes: DEFAULT_MAX_SCOPES, ...options }
  }

  /** Finds or creates a counter; its name must end in `_total`. The caller adds to `value`. */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    checkName(name, '_total', 'counter')
    return this.#find('counter', name, help, labels, () => ({ value: 0 }))
  }

  /** Finds or creates a histogram; its name must end in `_seconds`, although it records milliseconds. */
  histogram(name: string, help: string, labels: Labels = {}): Histogram {
    checkName(name, '_seconds', 'histogram')
    return this.#find('histogram', name, help, labels, () => new BucketHistogram())
  }

  /** Has `read` asked whenever metrics are read; when it throws the value is NaN. A second one with the same labels replaces the first. */
  gauge(name: string, help: string, labels: Labels, read: () => number): () => void {
    checkName(name, '', 'gauge')
    const { series } = this.#family('gauge', name, help)
    const key = keyOf(labels)
    const entry = { labels, value: read }
    if (series.size < MAX_SERIES || series.has(key)) series.set(key, entry)
    return () => {
      if (series.get(key) === entry) series.delete(key)
    }
  }

  /** Exports every listener, route or cluster that `read` yields, by `name`. Scopes without a request are left out. */
  exportScopes(kind: ScopeKind, read: () => Iterable<NamedScope>): void {
    this.#scopes.set(kind, read)
  }

  /** Every family that has a series. */
  families(): Iterable<Family> {
    return [...this.#families.values()].filter((family) => family.series.size > 0)
  }

  /** The scopes of one kind; empty before {@link MetricsRegistry.exportScopes}. */
  scopes(kind: ScopeKind): Iterable<NamedScope> {
    return this.#scopes.get(kind)?.() ?? []
  }

  /** Everything as Prometheus text. The first call takes about 0.2 s, because it loads OpenTelemetry. */
  async text(): Promise<string> {
    this.#text ??= import('./prometheus.ts').then(({ createPrometheusText }) => createPrometheusText(this))
    return (await this.#text)()
  }

  #find<Type extends 'counter' | 'histogram'>(
    type: Type,
    name: string,
    help: string,
    labels: Labels,
    create: () => SeriesTypes[Type],
  ): SeriesTypes[Type] {
    const { series } = this.#family(type, name, help)
    const key = keyOf(labels)
    const known = series.get(key)
    if (known !== undefined) return known.value
    if (series.size >= MAX_SERIES - 1 && labels !== OVERFLOW_LABELS) {
      return this.#find(type, name, help, OVERFLOW_LABELS, create)
    }
    const value = create()
    series.set(key, { labels, value })
    return value
  }

  #family<Type extends keyof SeriesTypes>(type: Type, name: string, help: string): Family<Type> {
    const known = this.#families.get(name)
    if (known === undefined) {
      const family: Family<Type> = { type, name, help, series: new Map() }
      this.#families.set(name, family as unknown as Family)
      return family
    }
    if (known.type !== type) {
      throw new TypeError(`the metric ${name} is a ${known.type} already, it cannot be a ${type} too`)
    }
    return known as unknown as Family<Type>
  }
}

function checkName(name: string, suffix: string, type: string): void {
  if (NAME.test(name) && name.endsWith(suffix)) return
  const wanted = suffix === '' ? '' : ` that ends in ${suffix}`
  throw new TypeError(
    `"${name}" is no name for a ${type}; it must be lower case words joined by _${wanted}, e.g. meshgate_example${suffix}`,
  )
}

/** Equal for equal labels in any order. */
function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}
