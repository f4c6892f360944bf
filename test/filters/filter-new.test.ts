/** `meshgate filter new`: what it writes works as it is. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { filterNew } from '../../lib/cli/filter-new.ts'
import { loadUserModule } from '../../lib/filters/user-module.ts'

function recorder(): { text: string; write(chunk: string): boolean } {
  const output = {
    text: '',
    write: (chunk: string) => {
      output.text += chunk
      return true
    },
  }
  return output
}

async function make(name: string, dir: string, force = false) {
  const output = recorder()
  const errors = recorder()
  const code = await filterNew(name, { dir, force }, output as never, errors as never)
  return { code, output: output.text, errors: errors.text }
}

t.test('writes a filter that loads and a test that passes', async (t) => {
  const dir = path.join(t.testdir({ 'package.json': '{ "type": "module" }' }), 'filters')
  const { code, output, errors } = await make('tenant-check', dir)
  t.equal(code, 0, errors)
  t.match(output, /- \{ use: .*tenant-check\.ts, header: x-tenant \}/)
  t.match(output, /node --test .*tenant-check\.test\.ts/)
  t.equal((await loadUserModule(path.join(dir, 'tenant-check.ts'))).refused, null)
  // Without the variables of the runner that runs this file.
  const report = execFileSync(
    process.execPath,
    ['--test', '--test-reporter=tap', path.join(dir, 'tenant-check.test.ts')],
    {
      env: { PATH: process.env.PATH },
      encoding: 'utf8',
    },
  )
  t.match(report, /pass 3/)
  t.match(report, /fail 0/)
})

t.test('overwrites nothing unless forced', async (t) => {
  const dir = t.testdir({})
  t.equal((await make('a', dir)).code, 0)
  const file = path.join(dir, 'a.ts')
  writeFileSync(file, 'mine')
  const again = await make('a', dir)
  t.equal(again.code, 1)
  t.match(again.errors, /a\.ts and .*a\.test\.ts exists already/)
  t.equal(readFileSync(file, 'utf8'), 'mine')
  t.equal((await make('a', dir, true)).code, 0)
  t.match(readFileSync(file, 'utf8'), /onRoute/)
})

t.test('refuses names that cannot be one', async (t) => {
  const dir = t.testdir({})
  for (const name of ['', 'A', '../x', 'a b', '-a', 'a_b', '1a']) {
    const { code, errors } = await make(name, dir)
    t.equal(code, 64, name)
    t.match(errors, /lower case words/)
  }
})

t.test('writes .mts where .ts files are CommonJS', async (t) => {
  const dir = t.testdir({ 'package.json': '{ "type": "commonjs" }' })
  t.equal((await make('a', dir)).code, 0)
  t.ok(existsSync(path.join(dir, 'a.mts')))
  t.equal((await loadUserModule(path.join(dir, 'a.mts'))).refused, null)
})

t.test('says why it cannot write', async (t) => {
  const dir = t.testdir({ file: '' })
  const { code, errors } = await make('a', path.join(dir, 'file', 'below'))
  t.equal(code, 1)
  t.match(errors, /cannot write to/)
})
