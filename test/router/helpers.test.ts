import t from 'tap'
import type { Exchange } from '../../lib/core/exchange.ts'
import { compilePattern, fixedStart, matchesAllBelow, RuleError } from '../../lib/router/pattern.ts'
import { samplePattern } from '../../lib/router/pattern-sample.ts'
import { compileRedirect, type RedirectRule } from '../../lib/router/redirect.ts'
import { compilePathRewrite, type PathRewrite } from '../../lib/router/rewrite.ts'
import { cookieValue, queryValue } from '../../lib/router/values.ts'
import { WeightedChoice } from '../../lib/router/weights.ts'
import { type RequestParts, requestOf } from './request.ts'

t.test('finds one query parameter, the first of its name', async (t) => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ['a=1&b=2', 'b', '2'],
    ['a=1&a=2', 'a', '1'],
    ['ab=1&b=2', 'b', '2'],
    ['a', 'a', ''],
    ['a&b=1', 'a', ''],
    ['a=', 'a', ''],
    ['a=b=c', 'a', 'b=c'],
    ['a=x+y%20z', 'a', 'x y z'],
    ['%61=1', 'a', '1'],
    ['x+y=1', 'x y', '1'],
    ['a=%zz', 'a', '%zz'],
    ['a=%E4%B8%AD', 'a', '中'],
    ['&&b=1', 'b', '1'],
    ['', 'a', null],
    ['b=a', 'a', null],
    ['c&b=a=1', 'a', null],
  ]
  for (const [query, name, value] of cases) t.equal(queryValue(query, name), value, `${name} in ${query}`)
})

t.test('finds one cookie, the first of its name, without its quotes', async (t) => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ['a=1; b=2', 'b', '2'],
    ['a=1;b=2', 'b', '2'],
    ['xb=1; b=2', 'b', '2'],
    ['b=1; b=2', 'b', '1'],
    ['a="q"; b=x', 'a', 'q'],
    ['a=x=y ; b', 'a', 'x=y'],
    ['a=', 'a', ''],
    ['a', 'a', null],
    ['', 'a', null],
    ['b=a=1', 'a', null],
  ]
  for (const [header, name, value] of cases) t.equal(cookieValue(header, name), value, `${name} in ${header}`)
})

t.test('rewrites the whole path, the matched prefix, or what an expression finds', async (t) => {
  const cases: readonly (readonly [PathRewrite, string | undefined, string, string])[] = [
    [{ path: '/new' }, undefined, '/old/x', '/new'],
    [{ prefix: '/v2/' }, '/api/', '/api/a/b', '/v2/a/b'],
    [{ prefix: '/v2' }, '/api/', '/api/a', '/v2/a'],
    [{ prefix: '/v2/' }, '/api/', '/api', '/v2'],
    [{ prefix: '/' }, '/api/', '/api/a', '/a'],
    [{ prefix: '/' }, '/api/', '/api', '/'],
    [{ prefix: '/v2/' }, '/api/', '/%61pi/%7Ex', '/v2/~x'],
    [{ prefix: '/v2/' }, '/api/', '/api/%7Ex', '/v2/%7Ex'],
    [{ prefix: '/v2/' }, '/api/', '/apix', '/apix'],
    [{ prefix: '/b' }, '/a', '/a', '/b'],
    [{ prefix: '/in/' }, '/', '/x', '/in/x'],
    [{ regex: '^/a/(.*)$', replace: '/b/$1' }, undefined, '/a/x/y', '/b/x/y'],
    [{ regex: '^/a/(?<rest>.*)$', replace: '/$<rest>' }, '~.*', '/a/x', '/x'],
    [{ regex: '^/a/', replace: '/b/' }, undefined, '/c', '/c'],
    [{ regex: '^/', replace: '' }, undefined, '/x', '/x'],
    [{ regex: '^/a(.*)$', replace: '/b/$1' }, undefined, '/a..', '/'],
    [{ regex: '^/a(.*)$', replace: '/b/c/$1' }, undefined, '/a../x', '/b/x'],
  ]
  for (const [rewrite, rule, path, result] of cases) {
    t.equal(compilePathRewrite(rewrite, rule)!(path), result, `${path} by ${JSON.stringify(rewrite)}`)
  }
})

t.test('a rewrite that says nothing about the path changes none', async (t) => {
  t.equal(compilePathRewrite({}, '/'), null)
})

t.test('a rewrite that cannot work is refused', async (t) => {
  const cases: readonly (readonly [PathRewrite, string | undefined])[] = [
    [{ path: '/a', prefix: '/b' }, '/'],
    [{ path: 'a' }, undefined],
    [{ path: '/a?b' }, undefined],
    [{ path: '//a' }, undefined],
    [{ path: '/a/..' }, undefined],
    [{ prefix: '/a' }, undefined],
    [{ prefix: '/a' }, '~/x'],
    [{ regex: '/a' }, undefined],
    [{ regex: '(', replace: '' }, undefined],
    [{ path: '/a', replace: '/b' }, undefined],
  ]
  for (const [rewrite, rule] of cases)
    t.throws(() => compilePathRewrite(rewrite, rule), RuleError, JSON.stringify(rewrite))
})

const locate = (rule: RedirectRule, parts: RequestParts, path?: string) =>
  compileRedirect(rule, path).location({ request: requestOf(parts) } as unknown as Exchange)

t.test('redirects to another scheme, host or path and keeps the query', async (t) => {
  const from = { path: '/a/b', query: 'x=1', authority: 'h.io:8080' }
  t.equal(locate({ scheme: 'https' }, from), 'https://h.io/a/b?x=1')
  t.equal(locate({ scheme: 'https', host: 'www.h.io:8443' }, from), 'https://www.h.io:8443/a/b?x=1')
  t.equal(locate({ host: 'new.io' }, from), '//new.io/a/b?x=1')
  t.equal(locate({ path: '/c' }, from), '/c?x=1')
  t.equal(locate({ path: '/c', stripQuery: true }, from), '/c')
  t.equal(locate({ prefix: '/n/' }, from, '/a/'), '/n/b?x=1')
  t.equal(locate({ regex: '^/a/(.*)$', replace: '/$1/a' }, from), '/b/a?x=1')
  t.equal(locate({ scheme: 'https' }, { ...from, authority: '[::1]:80' }), 'https://[::1]/a/b?x=1')
  t.equal(locate({ scheme: 'https' }, { ...from, authority: '' }), '/a/b?x=1')
  t.equal(compileRedirect({ path: '/c' }, undefined).status, 302)
  t.equal(compileRedirect({ path: '/c', status: 308 }, undefined).status, 308)
})

t.test('a request cannot steer a redirect to another host or into the header', async (t) => {
  t.equal(locate({ prefix: '/' }, { path: '/a//evil.io/x' }, '/a/'), '/evil.io/x')
  t.equal(locate({ regex: '^/a', replace: '' }, { path: '/a/\\evil.io' }), '/evil.io')
  t.equal(
    locate({ path: '/c' }, { query: 'a\r\nset-cookie: x\xff中' }),
    '/c?a%0D%0Aset-cookie:%20x%FF%E4%B8%AD',
  )
})

t.test('a redirect that cannot work is refused', async (t) => {
  const bad = [
    {},
    { status: 200, path: '/a' },
    { scheme: 'ftp' },
    { host: '*.a.io' },
    { host: 'a b' },
    { replace: 'x' },
  ]
  for (const rule of bad) t.throws(() => locate(rule as RedirectRule, {}), RuleError, JSON.stringify(rule))
})

t.test('weights share out the choices', async (t) => {
  const choices = [
    { weight: 1, target: 'a' },
    { weight: 0, target: 'never' },
    { weight: 3, target: 'b' },
  ]
  let next = 0
  const choice = new WeightedChoice(choices, () => (next++ % 100) / 100)
  const counts: Record<string, number> = {}
  for (let i = 0; i < 1_000; i++) {
    const target = choice.pick()
    counts[target] = (counts[target] ?? 0) + 1
  }
  t.same(counts, { a: 250, b: 750 })
  t.equal(choice.at(0), 'a')
  t.equal(choice.at(0.2499), 'a')
  t.equal(choice.at(0.25), 'b')
  t.equal(choice.at(0.9999), 'b')
  t.equal(
    new WeightedChoice(
      [{ weight: 5, target: 'x' }],
      () => t.fail('one target needs no chance') as never,
    ).pick(),
    'x',
  )
  for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => new WeightedChoice([{ weight, target: 'x' }]), RuleError, `${weight}`)
  }
})

t.test('knows with what every match of an expression begins', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['/a/b', '/a/b'],
    ['^/a\\.b/\\d+$', '/a.b/'],
    ['/ab*', '/a'],
    ['/ab?', '/a'],
    ['/ab{0,2}', '/a'],
    ['/ab+', '/ab'],
    ['/a|/b', ''],
    ['/a(b|c)', '/a'],
    ['/[ab]', '/'],
    ['.*', ''],
    ['/a\\/b', '/a/b'],
    ['/a[|]b', '/a'],
  ]
  for (const [source, start] of cases) t.equal(fixedStart(source), start, source)
  t.ok(matchesAllBelow('/a/.*'))
  t.ok(matchesAllBelow('.*$'))
  t.notOk(matchesAllBelow('/a/.+'))
  t.notOk(matchesAllBelow('/a/.*x'))
})

t.test('samples of an expression match it', async (t) => {
  for (const source of [
    '/a/[0-9]+',
    '/(x|y)/\\d{3}',
    '/a(?:/[^/]+)*',
    '/[a-z]{2,4}\\.png',
    '/.*',
    '/a\\w?',
    '/(?<n>z+?)/',
  ]) {
    const regex = compilePattern(source, true, [])
    const samples = samplePattern(source, regex)
    t.ok(samples.length > 0, source)
    t.ok(
      samples.every((text) => regex.test(text)),
      samples.join(' '),
    )
  }
  t.same(samplePattern('/(?=x)y', /^(?:\/(?=x)y)$/), [])
})
