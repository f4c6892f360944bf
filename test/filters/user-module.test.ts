/** Users' modules: real files, loaded, refused and taken up again. */
import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import {
  isModulePath,
  loadUserModule,
  type UserModule,
  watchUserModule,
} from '../../lib/filters/user-module.ts'
import { testFilter } from '../../lib/testing.ts'

const GOOD = `import type { Exchange } from 'meshgate'
interface Options { status: number }
export default {
  schema: { type: 'object', properties: { status: { type: 'integer' } }, additionalProperties: false },
  create: (options: Options, { name }: { name: string }) => ({
    name,
    onRoute: (exchange: Exchange) => exchange.reply(options.status, 'v1'),
  }),
}
`

/** Files in a folder of their own; the folder says that its files are modules. */
async function folderWith(t: Test, files: Record<string, string>): Promise<string> {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }', ...files })
  return folder
}

async function refusalOf(t: Test, text: string, name = 'x.ts'): Promise<string> {
  const file = path.join(await folderWith(t, { [name]: text }), name)
  const { definition, refused } = await loadUserModule(file)
  t.equal(definition, null)
  t.ok(refused?.startsWith(file), `${refused} begins with the file`)
  return refused?.slice(file.length) ?? ''
}

t.test('tells paths from names', async (t) => {
  for (const use of ['./a.ts', '../a.ts', '/a/b.ts']) t.equal(isModulePath(use), true)
  for (const use of ['access-log', 'a/b', 'a.ts']) t.equal(isModulePath(use), false)
})

t.test('loads TypeScript as it is: a definition', async (t) => {
  const file = path.join(await folderWith(t, { 'x.ts': GOOD }), 'x.ts')
  const { definition, refused } = await loadUserModule(file)
  t.equal(refused, null)
  const kit = testFilter(definition as FilterDefinition, { status: 202 })
  t.match(await kit.run(), { status: 202, body: 'v1' })
  t.throws(() => testFilter(definition as FilterDefinition, { stats: 202 }), /stats/)
})

t.test('loads a bare factory, JavaScript, and a module that imports its neighbour', async (t) => {
  const folder = await folderWith(t, {
    'factory.ts': `import { body } from './part.ts'\nexport default () => ({ name: 'f', onRoute: (x: any) => x.reply(200, body) })`,
    'part.ts': `export const body: string = 'part'`,
    'plain.mjs': `export default { create: () => ({ name: 'p', onRoute: x => x.reply(201) }) }`,
  })
  const factory = await loadUserModule(path.join(folder, 'factory.ts'))
  t.match(await testFilter(factory.definition as FilterDefinition).run(), { body: 'part' })
  const plain = await loadUserModule(path.join(folder, 'plain.mjs'))
  t.match(await testFilter(plain.definition as FilterDefinition).run(), { status: 201 })
})

t.test('names the line and column of what it cannot read', async (t) => {
  t.match(await refusalOf(t, 'export default () => {\n  const x: = 3\n}\n'), /^:2:12: Unexpected token/)
  t.match(await refusalOf(t, 'const a = 1\nenum B { C }\nexport default a'), /^:2:1: .*enum.*erased/)
  t.match(await refusalOf(t, 'export default (\n', 'x.mjs'), /^:\d+.*: Unexpected end of input/)
  t.match(await refusalOf(t, "import { nope } from 'node:fs'\nexport default nope\n"), /^:1:10: .*nope/)
  t.match(await refusalOf(t, "import x from './gone.ts'\nexport default x\n"), /gone\.ts/)
  t.match(await refusalOf(t, "\n\nthrow new Error('at load')\nexport {}\n"), /^:3:7: at load/)
  t.match(await refusalOf(t, "export {}\nthrow 'text'\n"), /threw text/)
})

t.test('says what a module must export', async (t) => {
  t.match(await refusalOf(t, 'export const x = 1\n'), /no default export; .*\(options, services\) => filter/)
  t.match(await refusalOf(t, 'export default 3\n'), /default export is 3/)
  t.match(await refusalOf(t, 'export default {}\n'), /no "create"/)
  t.match(await refusalOf(t, 'export default { create: 3 }\n'), /malformed/)
  t.match(await refusalOf(t, 'export default { create() {}, schema: 3 }\n'), /malformed/)
  t.match(await refusalOf(t, 'export default { create() {}, perRoute: 1 }\n'), /malformed/)
})

t.test('refuses files that are not there, not readable or not modules', async (t) => {
  const folder = await folderWith(t, { 'x.txt': '', 'closed.ts': GOOD, 'folder.ts': {} as never })
  const refused = async (name: string) => (await loadUserModule(path.join(folder, name))).refused
  t.match(await refused('gone.ts'), /no such file/)
  t.match(await refused('x.txt'), /ends in .ts/)
  t.match(await refused('folder.ts'), /this is a folder/)
  if (process.getuid?.() !== 0) {
    await chmod(path.join(folder, 'closed.ts'), 0)
    t.match(await refused('closed.ts'), /permission denied/)
  }
})

t.test('gives the place in the module where a factory threw', async (t) => {
  const text =
    'export default {\n  schema: null,\n  create: (): never => {\n    throw new Error("no table")\n  },\n}\n'
  const file = path.join(await folderWith(t, { 'x.ts': text }), 'x.ts')
  const { definition } = await loadUserModule(file)
  t.throws(() => testFilter(definition as FilterDefinition, {}, { module: file }), {
    message: `${file}:4:11: no table`,
  })
})

// Neither a watch nor its timers keep a process alive; the test has to.
const alive = setInterval(() => {}, 10_000)
t.teardown(() => clearInterval(alive))

/** A watch whose changes are awaited one by one. */
function watched(t: Test, file: string): { next(): Promise<UserModule> } {
  const arrived: UserModule[] = []
  const waiting: ((module: UserModule) => void)[] = []
  const watch = watchUserModule(file, (module) => {
    const resolve = waiting.shift()
    if (resolve === undefined) arrived.push(module)
    else resolve(module)
  })
  t.teardown(() => watch.close())
  return {
    next: () => {
      const module = arrived.shift()
      return module === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(module)
    },
  }
}

async function bodyOf({ definition }: UserModule): Promise<string> {
  return (await testFilter(definition as FilterDefinition, { status: 200 }).run()).body
}

t.test('takes up a module when it is saved, refuses it when broken, and again when mended', async (t) => {
  const file = path.join(await folderWith(t, { 'x.ts': GOOD }), 'x.ts')
  const first = await loadUserModule(file)
  const changes = watched(t, file)
  await writeFile(file, GOOD.replace('v1', 'v2'))
  t.equal(await bodyOf(await changes.next()), 'v2')
  await writeFile(file, 'export default (')
  t.match(await changes.next(), { definition: null, refused: /x\.ts:1/ })
  await writeFile(file, GOOD.replace('v1', 'v3'))
  t.equal(await bodyOf(await changes.next()), 'v3')
  t.equal(await bodyOf(first), 'v1', 'what was loaded before goes on as it was')
})

t.test('notices editors that replace the file, links that are moved, and a file that goes', async (t) => {
  const folder = await folderWith(t, { 'x.ts': GOOD })
  const file = path.join(folder, 'x.ts')
  const changes = watched(t, file)
  await writeFile(path.join(folder, 'x.ts.new'), GOOD.replace('v1', 'renamed'))
  await rename(path.join(folder, 'x.ts.new'), file)
  t.equal(await bodyOf(await changes.next()), 'renamed')
  await rm(file)
  t.match(await changes.next(), { refused: /no such file/ })
  await mkdir(path.join(folder, 'v2'))
  await writeFile(path.join(folder, 'v2', 'x.ts'), GOOD.replace('v1', 'linked'))
  await symlink(path.join(folder, 'v2', 'x.ts'), file)
  t.equal(await bodyOf(await changes.next()), 'linked')
})
