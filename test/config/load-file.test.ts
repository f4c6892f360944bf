import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checksumOf } from '../../lib/config/load.ts'
import { ConfigReadError, loadFile, loadInWorker } from '../../lib/config/load-file.ts'
import { redactConfig } from '../../lib/config/redact.ts'
import { watchConfig } from '../../lib/config/watch.ts'

const CATALOG = new Map<string, object | null>([
  ['rate-limit', { type: 'object', properties: { qps: { type: 'integer' } } }],
])
const HEAD = 'listeners: [ { name: in, protocol: http1, address: ":80" } ]\n'

t.test('loads in a worker what it loads in this thread, frozen, routes in order', async (t) => {
  let text = `${HEAD}clusters: [ { name: out, protocol: http1, endpoints: ["a:1"] } ]\nroutes:\n`
  for (let i = 0; i < 1201; i++)
    text += `  - { match: { path: /${i}, headers: { X-A: b } }, to: { cluster: out } }\n`
  const file = join(t.testdir({ 'c.yaml': text }), 'c.yaml')
  const [here, there] = await Promise.all([loadFile(file, CATALOG), loadInWorker(file, CATALOG)])
  t.equal(there.config?.routes.length, 1201)
  t.same(there, here)
  t.ok(Object.isFrozen(there.config?.routes[1200].match.headers) && Object.isFrozen(there.config?.routes))
  t.ok(Object.isFrozen(there.config?.node.labels))
})

t.test('reports problems and unreadable files from a worker as from this thread', async (t) => {
  const folder = t.testdir({ 'bad.yaml': `${HEAD}filters: [ { use: rate-limit, qps: x } ]\n` })
  const { config, problems } = await loadInWorker(join(folder, 'bad.yaml'), CATALOG)
  t.equal(config, null)
  t.match(problems, [{ path: 'filters[0].qps', line: 2 }])
  for (const load of [loadFile, loadInWorker]) {
    await t.rejects(load(join(folder, 'none.yaml'), CATALOG), ConfigReadError)
    await t.rejects(
      load(join(folder, 'none.yaml'), CATALOG),
      /cannot read .*none\.yaml: the file does not exist/,
    )
    await t.rejects(load(folder, CATALOG), /it is a folder/)
  }
})

/** A watch that tells of its next change by a promise. */
function startWatch(t: { teardown(close: () => void): void }, file: string, text: string) {
  const changes = { count: 0, next: Promise.withResolvers<void>() }
  const watch = watchConfig(
    file,
    () => {
      changes.count++
      changes.next.resolve()
      changes.next = Promise.withResolvers()
    },
    { debounceMs: 5, checksum: checksumOf(text) },
  )
  // A watch alone keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => {
    watch.close()
    clearInterval(alive)
  })
  return changes
}

t.test('notices changes in place, by renaming, and after the file was away', async (t) => {
  const folder = t.testdir({ 'c.yaml': 'a' })
  const file = join(folder, 'c.yaml')
  const changes = startWatch(t, file, 'a')
  let next = changes.next.promise
  writeFileSync(file, 'b')
  await next
  next = changes.next.promise
  writeFileSync(join(folder, '.c.swp'), 'c')
  renameSync(join(folder, '.c.swp'), file)
  await next
  next = changes.next.promise
  rmSync(file)
  writeFileSync(file, 'd')
  await next
  t.equal(changes.count, 3)
})

t.test('notices when the links of a mounted ConfigMap are exchanged', async (t) => {
  const folder = t.testdir({})
  mkdirSync(join(folder, '..v1'))
  writeFileSync(join(folder, '..v1', 'c.yaml'), 'a')
  symlinkSync('..v1', join(folder, '..data'))
  symlinkSync('..data/c.yaml', join(folder, 'c.yaml'))
  const changes = startWatch(t, join(folder, 'c.yaml'), 'a')
  const next = changes.next.promise
  mkdirSync(join(folder, '..v2'))
  writeFileSync(join(folder, '..v2', 'c.yaml'), 'b')
  symlinkSync('..v2', join(folder, '..tmp'))
  renameSync(join(folder, '..tmp'), join(folder, '..data'))
  rmSync(join(folder, '..v1'), { recursive: true })
  await next
  t.equal(changes.count, 1)
})

t.test('is silent about a file that was written again with the same text, and after close', async (t) => {
  const folder = t.testdir({ 'c.yaml': 'a' })
  const file = join(folder, 'c.yaml')
  const changes = startWatch(t, file, 'a')
  writeFileSync(file, 'a')
  writeFileSync(join(folder, 'other'), 'x')
  const next = changes.next.promise
  writeFileSync(file, 'b')
  await next
  t.equal(changes.count, 1, 'one call for the one change')
  const closed = watchConfig(file, () => void t.fail('called after close'), { debounceMs: 1 })
  closed.close()
  const again = changes.next.promise
  writeFileSync(file, 'c')
  await again
})

t.test('hides what stands under keys that sound like secrets', (t) => {
  const config = {
    clusters: [{ name: 'out', hashKey: 'request.header.x-user' }],
    filters: [
      {
        use: 'sign',
        options: { secret: 'abc', appKey: 'k', keys: { a: 'b', c: ['d'] }, maxKeys: 1000, salt: 7 },
      },
      { use: 'rate-limit', options: { key: 'request.header.x-user', qps: 5 } },
      {
        use: 'x',
        options: {
          key: 'real secret',
          accessToken: 't',
          Password: 'p',
          'x-api-key': 'q',
          monkey: 'm',
          token: null,
        },
      },
      { use: 'headers', options: { request: { set: { authorization: 'Basic x', accept: 'y' } } } },
    ],
  }
  t.same(redactConfig(config), {
    clusters: [{ name: 'out', hashKey: 'request.header.x-user' }],
    filters: [
      {
        use: 'sign',
        options: {
          secret: '[redacted]',
          appKey: '[redacted]',
          keys: { a: '[redacted]', c: ['[redacted]'] },
          maxKeys: 1000,
          salt: '[redacted]',
        },
      },
      { use: 'rate-limit', options: { key: 'request.header.x-user', qps: 5 } },
      {
        use: 'x',
        options: {
          key: '[redacted]',
          accessToken: '[redacted]',
          Password: '[redacted]',
          'x-api-key': '[redacted]',
          monkey: 'm',
          token: null,
        },
      },
      { use: 'headers', options: { request: { set: { authorization: '[redacted]', accept: 'y' } } } },
    ],
  })
  t.end()
})
