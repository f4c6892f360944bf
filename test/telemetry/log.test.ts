import { spawnSync } from 'node:child_process'
import t from 'tap'
import { createLogger, LOG_LEVELS } from '../../lib/telemetry/log.ts'
import { RecentErrors } from '../../lib/telemetry/recent-errors.ts'
import { isSecretName, redact } from '../../lib/telemetry/redact.ts'

function createTestLog(options: Parameters<typeof createLogger>[0] = {}) {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => lines.push(JSON.parse(line)) }
  return { log: createLogger({ ...options, destination }), lines }
}

t.test('a line is one JSON object with time, level, fields and message', async (t) => {
  const { log, lines } = createTestLog({ fields: { app: 'trade' } })
  log.info({ listener: 'http' }, 'listens')
  t.match(lines, [
    { level: 'info', time: /^\d{4}-\d\d-\d\dT/, app: 'trade', listener: 'http', msg: 'listens' },
  ])
})

t.test('the level can be changed while the log runs', async (t) => {
  const { log, lines } = createTestLog({ level: 'warn' })
  log.info({}, 'too quiet')
  t.equal(log.isLevelEnabled('info'), false)
  log.setLevel('trace')
  t.equal(log.level, 'trace')
  for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) {
    t.equal(log.isLevelEnabled(level), true)
    log[level]({}, `a ${level}`)
  }
  log.setLevel('silent')
  log.error({}, 'not a word')
  t.equal(log.isLevelEnabled('error'), false)
  t.same(
    lines.map(({ msg }) => msg),
    ['a trace', 'a debug', 'a info', 'a warn', 'a error'],
  )
  t.throws(() => log.setLevel('loud'), { name: 'RangeError', message: /"loud".*trace, debug/ })
  t.throws(() => createLogger({ level: 'loud' as never }), RangeError)
  t.equal(log.isLevelEnabled('loud'), false)
  t.equal(LOG_LEVELS.length, 6)
})

t.test('secrets do not reach the log, wherever they stand', async (t) => {
  const { log, lines } = createTestLog()
  log.info(
    {
      headers: { Authorization: 'Bearer hunter2', cookie: 'sid=hunter2', accept: 'text/html' },
      pairs: [
        ['set-cookie', 'hunter2'],
        ['x-request-id', 'keep'],
      ],
      accessToken: 'hunter2',
      session: { id: 'hunter2', 'x-sign': 99 },
      nested: { deep: [{ password: 'hunter2' }] },
      assigned: 'keep',
    },
    'request',
  )
  t.notMatch(JSON.stringify(lines), 'hunter2')
  t.match(lines[0], {
    headers: { Authorization: '[redacted]', accept: 'text/html' },
    pairs: [
      ['set-cookie', '[redacted]'],
      ['x-request-id', 'keep'],
    ],
    session: { id: '[redacted]', 'x-sign': '[redacted]' },
    assigned: 'keep',
  })
})

t.test('names are judged by their words', async (t) => {
  for (const name of [
    'sign',
    'X-Sign',
    'token',
    'sessionId',
    'mgs_session',
    'apiKey',
    'private-key',
    'Set-Cookie',
  ]) {
    t.ok(isSecretName(name), name)
  }
  for (const name of ['design', 'assign', 'tokens', 'sessions', 'key', 'signal', 'path', '']) {
    t.notOk(isSecretName(name), name)
  }
})

t.test('redact copes with cycles, errors, bytes and hostile keys', async (t) => {
  const cyclic: Record<string, unknown> = { name: 'a' }
  cyclic['self'] = cyclic
  t.same(redact(cyclic), { name: 'a', self: '[circular]' })
  const shared = { x: 1 }
  t.same(redact({ a: shared, b: shared }), { a: { x: 1 }, b: { x: 1 } }, 'twice is no cycle')
  t.same(redact({ body: Buffer.from('abc'), token: Buffer.from('abc') }), {
    body: '[3 bytes]',
    token: '[redacted]',
  })
  const parsed = redact(JSON.parse('{"__proto__": {"token": "x"}}')) as object
  t.equal(JSON.stringify(parsed), '{"__proto__":{"token":"[redacted]"}}')
  let deep: unknown = 'end'
  for (let i = 0; i < 5000; i++) deep = { deep }
  t.match(JSON.stringify(redact(deep)), 'too deep')
  t.same(redact([null, undefined, true, 5, 'text']), [null, undefined, true, 5, 'text'])
  const when = new Date(0)
  t.same(redact({ when }), { when: '1970-01-01T00:00:00.000Z' })
})

t.test('an error is logged with code, stack and cause', async (t) => {
  const { log, lines } = createTestLog()
  const error = Object.assign(new TypeError('broken', { cause: new Error('root') }), { code: 'E_X' })
  log.error({ err: error }, 'it failed')
  t.match(lines[0], {
    level: 'error',
    err: {
      type: 'TypeError',
      code: 'E_X',
      message: 'broken',
      stack: /log\.test/,
      cause: { message: 'root' },
    },
  })
})

t.test('without a destination the lines go to stderr and are complete when the process exits', async (t) => {
  const url = new URL('../../lib/telemetry/log.ts', import.meta.url)
  const script = `import { createLogger } from ${JSON.stringify(url.href)}
    const log = createLogger()
    for (let i = 0; i < 1000; i++) log.info({ i }, 'line')
    log.flush()
    process.exit(0)`
  const { stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  t.equal(stdout, '')
  t.equal(stderr.trim().split('\n').length, 1000)
  t.match(JSON.parse(stderr.trim().split('\n')[999]), { i: 999 })
})

t.test('recent errors are few, newest first, and short', async (t) => {
  const errors = new RecentErrors(3)
  const failure = (timeMs: number, code: string, route = '') => ({
    ...{ timeMs, code, message: `at ${timeMs}`, listener: 'in', route, cluster: '', peer: '', traceId: '' },
  })
  t.same(errors.list(), [])
  for (let i = 1; i <= 5; i++) errors.add(failure(i, 'NO_ROUTE', `route ${i}`))
  t.same(
    errors.list().map(({ route }) => route),
    ['route 5', 'route 4', 'route 3'],
  )
  errors.add({ ...failure(6, 'INTERNAL', 'y'.repeat(100_000)), message: 'x'.repeat(100_000) })
  const [newest] = errors.list()
  t.equal(newest?.message.length, 512)
  t.equal(newest?.route.length, 512)
})

t.test('a flood of one kind of error is one line with a number, and hides no other', async (t) => {
  const errors = new RecentErrors(3)
  const failure = (timeMs: number, code: string) => ({
    ...{
      timeMs,
      code,
      message: `at ${timeMs}`,
      listener: 'in',
      route: 'r',
      cluster: '',
      peer: '',
      traceId: '',
    },
  })
  errors.add(failure(1, 'INTERNAL'))
  for (let i = 2; i <= 1001; i++) errors.add(failure(i, 'RATE_LIMITED'))
  t.match(errors.list(), [
    { code: 'RATE_LIMITED', count: 1000, message: 'at 1001', time: '1970-01-01T00:00:01.001Z' },
    { code: 'INTERNAL', count: 1 },
  ])
})
