/** `meshgate session`: what it makes is what the session filter accepts. */
import path from 'node:path'
import t from 'tap'
import { ExitCode } from '../../lib/cli/exit-codes.ts'
import { sessionInspect, sessionIssue, sessionKey } from '../../lib/cli/session.ts'
import { session } from '../../lib/filters/session/index.ts'
import { testFilter } from '../../lib/testing.ts'

function capture() {
  let text = ''
  return {
    write: (more: string) => void (text += more),
    get text() {
      return text
    },
  }
}

t.test('a made key makes tokens that the filter accepts and inspect shows', async (t) => {
  const line = capture()
  t.equal(sessionKey({ id: 'k1' }, line), ExitCode.Ok)
  t.match(line.text, /^k1 [A-Za-z0-9+/]{43}=\n$/)
  const keys = path.join(t.testdir({ keys: line.text }), 'keys')
  const kit = testFilter(session, { realms: { pc: { keys: { file: keys }, cookie: 'sid' } } })
  t.teardown(() => kit.close())
  const now = kit.clock.wallNow()
  for (const sign of [false, true]) {
    const out = capture()
    const options = { keys, realm: 'pc', user: '2088', attribute: ['nick=a=b', 'level=2'], life: '10m', sign }
    t.equal(await sessionIssue(options, out, capture(), now), ExitCode.Ok)
    const token = out.text.trim()
    const { exchange } = await kit.run({ path: '/', headers: { cookie: `sid=${token}` } })
    t.match(exchange, { userId: '2088', principal: { nick: 'a=b', level: '2' } })
    const shown = capture()
    t.equal(await sessionInspect(token, { keys, realm: 'pc' }, shown, capture(), now), ExitCode.Ok)
    t.match(JSON.parse(shown.text), {
      realm: 'pc',
      key: 'k1',
      userId: '2088',
      expiresAt: '2026-01-01T00:10:00.000Z',
      isExpired: false,
      bytes: token.length,
    })
    const errors = capture()
    t.equal(
      await sessionInspect(token, { keys, realm: 'wireless' }, capture(), errors, now),
      ExitCode.Failure,
    )
    t.match(errors.text, /not made for realm wireless with the key "k1"/)
    t.notMatch(errors.text, line.text.split(' ')[1].trim())
  }
})

t.test('what is wrong is said', async (t) => {
  const folder = t.testdir({ keys: `k2 ${Buffer.alloc(32, 'x').toString('base64')}\n`, bad: 'k2 c2VjcmV0\n' })
  const keys = path.join(folder, 'keys')
  const issue = { keys, realm: 'pc', user: '1', attribute: [] as string[], life: '10m' }
  const cases: [code: ExitCode, pattern: RegExp, options: typeof issue][] = [
    [ExitCode.Usage, /"soon" is no life/, { ...issue, life: 'soon' }],
    [ExitCode.Usage, /"10ms" is no life/, { ...issue, life: '10ms' }],
    [ExitCode.Usage, /attribute "nick" lacks a name/, { ...issue, attribute: ['nick'] }],
    [ExitCode.Failure, /none: ENOENT/, { ...issue, keys: path.join(folder, 'none') }],
    [ExitCode.Failure, /at least 32 random bytes/, { ...issue, keys: path.join(folder, 'bad') }],
  ]
  for (const [code, pattern, options] of cases) {
    const errors = capture()
    t.equal(await sessionIssue(options, capture(), errors), code)
    t.match(errors.text, pattern)
    t.notMatch(errors.text, /c2VjcmV0/)
  }
  const errors = capture()
  t.equal(sessionKey({ id: 'a b' }, capture(), errors), ExitCode.Usage)
  t.equal(await sessionInspect('nonsense', { keys, realm: 'pc' }, capture(), errors), ExitCode.Failure)
  t.match(errors.text, /this is no token/)
})
