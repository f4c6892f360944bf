import fc from 'fast-check'
import t from 'tap'
import {
  canonicalPath,
  canonicalRulePath,
  isDivisive,
  pathReadings,
  resolveDots,
} from '../../lib/router/path.ts'

t.test('resolves dot segments as RFC 3986 does, and nothing else', async (t) => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/a/%2E%2e/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a//../b', '/a/b'],
    ['/..', null],
    ['/a/../..', null],
    ['/a/../../a/b', null],
    ['/...', '/...'],
    ['/.a/..b', '/.a/..b'],
    ['/a%2f../b', '/a%2f../b'],
    ['/%7E/./%2F', '/%7E/%2F'],
    ['/a%00', null],
    ['a', null],
    ['', null],
  ]
  for (const [path, resolved] of cases) t.equal(resolveDots(path), resolved, path)
})

t.test('spells a path in one way', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['/a-b_c.d~e', '/a-b_c.d~e'],
    ['/%61%2D%7e', '/a-~'],
    ['/%40%3A%2b', '/@:+'],
    ['/%e4%b8%ad', '/%E4%B8%AD'],
    ['/\xe4\xb8\xad', '/%E4%B8%AD'],
    ['/\u4e2d\u{1f600}', '/%E4%B8%AD%F0%9F%98%80'],
    ['/a b"', '/a%20b%22'],
    ['/%2f%5c\\', '/%2F%5C%5C'],
    ['/;a%3b', '/;a%3B'],
    ['/%', '/%25'],
    ['/%zz%4', '/%25zz%254'],
    ['/%%32%66', '/%252f'],
    ['/%25%32', '/%252'],
  ]
  for (const [path, canonical] of cases) t.equal(canonicalPath(path), canonical, path)
  t.equal(canonicalRulePath('/é中'), '/%C3%A9%E4%B8%AD')
})

t.test('a path has more than one reading only where servers differ', async (t) => {
  t.same(pathReadings('/a/b'), ['/a/b'])
  t.same(pathReadings('/%61'), ['/a'])
  t.same(pathReadings('/a%2Fb'), ['/a%2Fb', '/a/b'])
  t.same(pathReadings('/a//b'), ['/a//b', '/a/b'])
  t.same(new Set(pathReadings('/a;x/b')), new Set(['/a;x/b', '/a/b']))
  t.ok(pathReadings('/p/..;/q')!.includes('/q'))
  t.ok(pathReadings('/a;x%2fb')!.includes('/a/b'))
  t.ok(pathReadings('/a;x%2fb')!.includes('/a'))
  t.equal(pathReadings('/..%2f..'), null)
  t.equal(pathReadings('/..;'), null)
  t.ok(isDivisive('/a%5cb'))
  t.notOk(isDivisive('/a.b'))
})

t.test('normal forms are stable for any path', async (t) => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2F',
    '%',
    '%25',
    ';',
    'a',
    'B',
    '\\',
    '%41',
    '%e4',
    ' ',
    '\xff',
    '\ud83d',
    '//',
  )
  const path = fc.array(piece, { maxLength: 12 }).map((pieces) => '/' + pieces.join(''))
  fc.assert(
    fc.property(path, (text) => {
      const canonical = canonicalPath(text)
      if (canonicalPath(canonical) !== canonical) throw new Error('the canonical spelling of itself differs')
      if (/[^\x21-\x7e]/.test(canonical)) throw new Error('not printable')
      const resolved = resolveDots(text)
      if (resolved === null) return
      if (resolveDots(resolved) !== resolved) throw new Error('dots are left')
      for (const reading of pathReadings(resolved) ?? []) {
        if (resolveDots(reading) !== reading) throw new Error(`the reading ${reading} has dots`)
      }
    }),
    { numRuns: 2_000 },
  )
  t.pass('2,000 paths')
})
