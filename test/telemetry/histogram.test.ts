import t from 'tap'
import { BUCKET_BOUNDS_MS, BucketHistogram } from '../../lib/telemetry/histogram.ts'
import { createScopeStats, reportScope } from '../../lib/telemetry/stats.ts'

/** The bucket by definition: the first whose bound is not below the value. */
function bucketOf(value: number): number {
  const bucket = BUCKET_BOUNDS_MS.findIndex((bound) => value <= bound)
  return bucket === -1 ? BUCKET_BOUNDS_MS.length : bucket
}

t.test('every value falls into the bucket that its definition names, bounds included', async (t) => {
  const values = BUCKET_BOUNDS_MS.flatMap((bound) => [bound, bound - 1e-9, bound + 1e-9, bound * 1.3])
  for (const value of [0, 1e-12, ...values, 24.999, 25.001, 1e9]) {
    const histogram = new BucketHistogram()
    histogram.record(value)
    t.equal(histogram.snapshot().counts.indexOf(1), bucketOf(value), `${value} ms`)
  }
})

t.test('values that are no durations count as zero', async (t) => {
  const histogram = new BucketHistogram()
  for (const value of [-1, Number.NaN, Number.NEGATIVE_INFINITY]) histogram.record(value)
  t.equal(histogram.snapshot().counts[0], 3)
  t.equal(histogram.snapshot().sum, 0)
})

t.test('counts, sum and quantiles follow what was recorded', async (t) => {
  const histogram = new BucketHistogram()
  t.equal(histogram.quantile(0.5), null)
  t.equal(histogram.recentQuantile(0.5, 0), null)
  for (let value = 1; value <= 1000; value++) histogram.record(value / 10)
  const { counts, count, sum } = histogram.snapshot()
  t.equal(count, 1000)
  t.equal(
    counts.reduce((a, b) => a + b),
    1000,
  )
  t.ok(Math.abs(sum - 50_050) < 1e-6)
  t.ok(Math.abs((histogram.quantile(0.5) ?? 0) - 50) < 0.5)
  t.ok(Math.abs((histogram.quantile(0.99) ?? 0) - 99) < 0.5)
})

t.test('a quantile is never above the largest value, even past the last bound', async (t) => {
  const histogram = new BucketHistogram()
  histogram.record(1.1)
  t.equal(histogram.quantile(0.99), 1.1)
  histogram.record(90_000)
  t.equal(histogram.quantile(1), 90_000)
})

t.test('recent quantiles forget what is older than two windows', async (t) => {
  const histogram = new BucketHistogram()
  for (let i = 0; i < 1000; i++) histogram.record(2)
  t.ok((histogram.recentQuantile(0.5, 0) ?? 0) <= 2)
  for (let i = 0; i < 10; i++) histogram.record(400)
  t.ok((histogram.recentQuantile(0.5, 30_000) ?? 0) <= 2, 'within the first window both count')
  t.ok((histogram.recentQuantile(0.5, 60_000) ?? 0) > 250, 'the thousand quick ones are out')
  t.ok((histogram.quantile(0.5) ?? 0) <= 2, 'the whole life is not')
  t.ok((histogram.recentQuantile(0.5, 120_000) ?? 0) <= 2, 'without anything recent the whole life answers')
})

t.test('a report names the classes and leaves quantiles null before the first request', async (t) => {
  const stats = createScopeStats()
  t.same(reportScope(stats), {
    requests: 0,
    active: 0,
    responses: { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 },
    errors: 0,
    bytesIn: 0,
    bytesOut: 0,
    p50: null,
    p99: null,
  })
  stats.requests = 3
  stats.responses[0]++
  stats.responses[2]++
  stats.responses[1]++
  stats.duration.record(4)
  const report = reportScope(stats)
  t.same(report.responses, { '0': 1, '1xx': 1, '2xx': 1, '3xx': 0, '4xx': 0, '5xx': 0 })
  t.ok(report.p50 !== null && report.p50 > 3 && report.p50 <= 4)
  t.equal(reportScope({ ...stats, duration: { record() {} } }).p99, null)
})
