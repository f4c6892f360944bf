import t from 'tap'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
} from '../../lib/admin/page/format.ts'
import { createHistory } from '../../lib/admin/page/history.ts'
import { loadClass, worstFirst } from '../../lib/admin/page/render.ts'

t.test('numbers have three digits and a unit', async (t) => {
  const counts: [number, string][] = [
    [0, '0'],
    [7, '7'],
    [0.333333, '0.33'],
    [0.0421, '0.042'],
    [9.996, '10.0'],
    [123.4, '123'],
    [999.4, '999'],
    [999.6, '1.00k'],
    [12_345, '12.3k'],
    [45_600_000, '45.6M'],
  ]
  for (const [value, text] of counts) t.equal(formatCount(value), text)
  t.equal(formatRate(null), '–')
  t.equal(formatRate(0), '0')
  t.equal(formatRate(0.001), '<0.01')
  t.equal(formatRate(2000), '2.00k')
  t.equal(formatMs(null), '–')
  t.equal(formatMs(0.4231), '0.42 ms')
  t.equal(formatMs(2345), '2.35 s')
  t.equal(formatBytes(0), '0 B')
  t.equal(formatBytes(96_468_992), '92.0 MiB')
  t.equal(formatBytes(1_500_000_000), '1.40 GiB')
  t.equal(formatDuration(42_900), '42 s')
  t.equal(formatDuration(303_000), '5 min 3 s')
  t.equal(formatDuration(11_520_000), '3 h 12 min')
  t.equal(formatDuration(12 * 86_400_000 + 4 * 3_600_000), '12 d 4 h')
  t.equal(formatDuration(-5), '0 s')
})

t.test('rates are differences of counters over the server’s own clock', async (t) => {
  const history = createHistory(5)
  const read = (atMs: number, requests: number) => {
    history.begin(atMs)
    history.add('a', { requests })
  }
  read(1000, 500)
  t.equal(history.rate('a', 'requests'), null)
  read(2000, 600)
  t.equal(history.rate('a', 'requests'), 100)
  read(2000, 600)
  t.same(history.series('a', 'requests'), [100], 'the same moment twice is one reading')
  read(2500, 800)
  t.same(history.series('a', 'requests'), [100, 400])
  t.equal(history.rate('a', 'requests'), 200, 'over what there is of three seconds')
  t.equal(history.rate('unknown', 'requests'), null)
})

t.test('a counter that fell and a process that restarted give no negative rates', async (t) => {
  const history = createHistory(5)
  for (const [atMs, requests] of [
    [1000, 500],
    [2000, 3],
  ]) {
    history.begin(atMs)
    history.add('a', { requests })
  }
  t.equal(history.rate('a', 'requests'), 0)
  history.begin(10)
  history.add('a', { requests: 1 })
  t.equal(history.rate('a', 'requests'), null, 'forgotten')
})

t.test('history is bounded and forgets keys that vanished', async (t) => {
  const history = createHistory(5)
  for (let i = 1; i <= 100; i++) {
    history.begin(i * 1000)
    history.add('a', { requests: i })
    if (i === 1) history.add('gone', { requests: 1 })
  }
  t.equal(history.series('a', 'requests').length, 5)
  t.same(history.series('gone', 'requests'), [])
})

t.test('banners are few and the worst come first', async (t) => {
  const bad = { text: 'bad', className: 'banner bad' }
  const warn = { text: 'warn', className: 'banner warn' }
  t.same(worstFirst([warn, bad, warn], 3), [bad, warn, warn])
  const many = worstFirst([...Array.from({ length: 20 }, () => warn), bad], 8)
  t.equal(many.length, 9)
  t.equal(many[0], bad)
  t.equal(many[8].text, 'and 13 more')
})

t.test('a busy event loop stands out', async (t) => {
  t.equal(loadClass(0.5), '')
  t.equal(loadClass(0.85), ' warn')
  t.equal(loadClass(0.99), ' bad')
})
