import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLogSink } from '../../lib/telemetry/log-sink.ts'

function create(t: Test) {
  const path = join(t.testdir(), 'access.log')
  const seen = { dropped: 0, errors: [] as Error[] }
  const sink = openLogSink(
    path,
    (lines) => {
      seen.dropped += lines
    },
    (error) => seen.errors.push(error),
  )
  t.teardown(() => sink.close())
  return { path, sink, seen }
}

t.test('creates the file, appends to what is there, keeps the order', async (t) => {
  const { path, sink } = create(t)
  t.ok(existsSync(path))
  for (let i = 0; i < 5000; i++) sink.write(`line ${i} – ä`)
  await sink.flush()
  const lines = readFileSync(path, 'utf8').split('\n')
  t.equal(lines.length, 5001)
  t.equal(lines[4999], 'line 4999 – ä')
  await sink.close()
  const again = openLogSink(path, () => {})
  again.write('last')
  await again.close()
  t.ok(readFileSync(path, 'utf8').endsWith('line 4999 – ä\nlast\n'))
})

t.test('lines are written soon without anybody flushing', async (t) => {
  const { path, sink } = create(t)
  sink.write('hello')
  while (readFileSync(path, 'utf8') === '') await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(readFileSync(path, 'utf8'), 'hello\n')
})

t.test('flush resolves although more lines keep coming', async (t) => {
  const { sink } = create(t)
  sink.write('before')
  const flushed = sink.flush()
  let isOver = false
  flushed.then(() => {
    isOver = true
  })
  for (let i = 0; !isOver && i < 10_000; i++) {
    sink.write('more')
    await new Promise(setImmediate)
  }
  t.ok(isOver)
  await sink.flush()
  await sink.flush()
})

t.test('a queue that is full drops and counts, and takes lines again when it is written', async (t) => {
  const { path, sink, seen } = create(t)
  const line = 'x'.repeat(1023)
  for (let i = 0; i < 10_000; i++) sink.write(line)
  t.equal(seen.dropped, 10_000 - 8192)
  await sink.flush()
  sink.write('room again')
  await sink.flush()
  t.equal(seen.dropped, 10_000 - 8192)
  const text = readFileSync(path, 'utf8')
  t.equal(text.length, 8192 * 1024 + 11)
  t.ok(text.endsWith('\nroom again\n'))
})

t.test('after a rotation lines go to the new file and none is lost', async (t) => {
  const { path, sink, seen } = create(t)
  sink.write('one')
  const flushed = sink.flush()
  renameSync(path, `${path}.1`)
  sink.reopen()
  sink.write('two')
  await flushed
  await sink.flush()
  sink.reopen()
  sink.write('three')
  await sink.close()
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'one\n')
  t.equal(readFileSync(path, 'utf8'), 'two\nthree\n')
  t.equal(seen.dropped, 0)
})

t.test('a reopen that fails keeps the old file and says why', async (t) => {
  const { path, sink, seen } = create(t)
  renameSync(path, `${path}.1`)
  mkdirSync(path)
  sink.reopen()
  sink.write('still here')
  await sink.flush()
  t.match(seen.errors, [{ code: 'EISDIR' }])
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'still here\n')
  rmSync(path, { recursive: true })
})

t.test(
  'closing writes what is queued; later lines are dropped and counted; closing again is harmless',
  async (t) => {
    const { path, sink, seen } = create(t)
    sink.write('queued')
    const closed = sink.close()
    sink.write('late')
    await closed
    await sink.close()
    sink.reopen()
    t.equal(readFileSync(path, 'utf8'), 'queued\n')
    t.equal(seen.dropped, 1)
  },
)

t.test(
  'a full disk costs lines, which are counted, and nothing else',
  { skip: !existsSync('/dev/full') },
  async (t) => {
    const seen = { dropped: 0, errors: [] as Error[] }
    const sink = openLogSink(
      '/dev/full',
      (lines) => {
        seen.dropped += lines
      },
      (error) => seen.errors.push(error),
    )
    sink.write('one')
    sink.write('two')
    await sink.flush()
    t.equal(seen.dropped, 2)
    t.match(seen.errors, [{ code: 'ENOSPC' }])
    sink.write('three')
    await sink.close()
    t.equal(seen.dropped, 3)
  },
)

t.test('a path that cannot be opened throws at once', async (t) => {
  const file = join(t.testdir(), 'file')
  writeFileSync(file, '')
  t.throws(() => openLogSink(join(file, 'access.log'), () => {}), { code: 'ENOTDIR' })
})

t.test('null writes to stdout, and no timer holds the process', async (t) => {
  const url = new URL('../../lib/telemetry/log-sink.ts', import.meta.url)
  const script = `import { openLogSink } from ${JSON.stringify(url.href)}
    const sink = openLogSink(null, () => {})
    for (let i = 0; i < 100; i++) sink.write('line ' + i)
    await sink.close()
    console.log('still open')`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.equal(stdout.split('\n').length, 102)
  t.ok(stdout.endsWith('line 99\nstill open\n'))
})
