/** What metrics are made of, for those who keep them and those who export them. */
import type { Counter, ScopeStats } from '../core/services.ts'
import type { BucketHistogram } from './histogram.ts'

/** Names and values that tell the series of one name apart. */
export type Labels = Readonly<Record<string, string>>

/** What carries {@link ScopeStats}. */
export type ScopeKind = 'listener' | 'route' | 'cluster'

/** One scope and the name it is exported under. */
export interface NamedScope {
  readonly name: string
  readonly stats: ScopeStats
}

/** One set of labels of a family and the object that holds its number. */
export interface Series<T> {
  readonly labels: Labels
  readonly value: T
}

/** What holds the number of a series, by the type of its family. */
export interface SeriesTypes {
  counter: Counter
  histogram: BucketHistogram
  gauge: () => number
}

/** All series of one metric name. */
export interface Family<Type extends keyof SeriesTypes = keyof SeriesTypes> {
  readonly type: Type
  readonly name: string
  readonly help: string
  readonly series: Map<string, Series<SeriesTypes[Type]>>
}

/** What the text says about the process itself. */
export interface MetricsOptions {
  /** Version of meshgate. */
  readonly version: string
  readonly node: { readonly app: string; readonly cell: string }
  /** Scopes of one kind that get series of their own; the others share one. */
  readonly maxScopes?: number
}

/** Marks the series that stands for all that found no room; OpenTelemetry's name for it. */
export const OVERFLOW_LABELS: Labels = { otel_metric_overflow: 'true' }

/** What an exporter reads. */
export interface MetricsSource {
  readonly options: Required<MetricsOptions>
  /** Every family that has a series. */
  families(): Iterable<Family>
  /** The scopes of one kind. */
  scopes(kind: ScopeKind): Iterable<NamedScope>
}
