/** `meshgate filter new NAME`: a filter that works and its test, as a place to start from. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ExitCode } from './exit-codes.ts'
import type { FilterNewOptions } from './options.ts'
import type { Output } from './paint.ts'

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/** Writes `NAME.ts` and `NAME.test.ts` into a folder and prints what to do next. Files that are there stay, unless `force`. */
export async function filterNew(
  name: string,
  options: FilterNewOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
): Promise<ExitCode> {
  if (!NAME.test(name)) {
    errors.write(
      `meshgate: "${name}" cannot name a filter; write lower case words joined by "-", such as tenant-check\n`,
    )
    return ExitCode.Usage
  }
  const folder = path.resolve(options.dir)
  try {
    const extension = await extensionFor(folder)
    const filterFile = path.join(folder, `${name}${extension}`)
    const testFile = path.join(folder, `${name}.test${extension}`)
    await mkdir(folder, { recursive: true })
    const taken = options.force === true ? [] : [filterFile, testFile].filter((file) => existsSync(file))
    if (taken.length > 0) {
      errors.write(
        `meshgate: ${taken.map(shown).join(' and ')} exists already; choose another name or add --force\n`,
      )
      return ExitCode.Failure
    }
    await writeFile(filterFile, filterText(name))
    await writeFile(testFile, testText(name, extension, testKitFor(folder)))
    output.write(nextSteps(filterFile, testFile))
    return ExitCode.Ok
  } catch (error) {
    errors.write(`meshgate: cannot write to ${shown(folder)}: ${(error as Error).message}\n`)
    return ExitCode.Failure
  }
}

/** `.ts`, or `.mts` where the nearest package.json makes `.ts` files CommonJS. */
async function extensionFor(folder: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    const text = await readFile(path.join(at, 'package.json'), 'utf8').catch(() => null)
    if (text !== null) return (JSON.parse(text) as { type?: string }).type === 'commonjs' ? '.mts' : '.ts'
    if (path.dirname(at) === at) return '.ts'
  }
}

/** How files in `folder` import the test kit: by its package name where that leads somewhere, else by its path. */
function testKitFor(folder: string): string {
  try {
    createRequire(path.join(folder, 'resolve.js')).resolve('meshgate/testing')
    return 'meshgate/testing'
  } catch {
    const own = fileURLToPath(new URL(`../testing${path.extname(import.meta.filename)}`, import.meta.url))
    const relative = path.relative(folder, own).split(path.sep).join('/')
    return relative.startsWith('.') ? relative : `./${relative}`
  }
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file)
  return relative === '' || relative.startsWith('..') ? file : relative
}

function nextSteps(filterFile: string, testFile: string): string {
  const use = shown(filterFile)
  return `wrote ${use}
wrote ${shown(testFile)}

Try it:
  node --test ${shown(testFile)}

Add it to "filters" in the configuration (the path is seen from that file):
  filters:
    - { use: ${path.isAbsolute(use) ? use : `./${use}`}, header: x-tenant }

The gateway takes up the file again whenever you save it.
`
}

function filterText(name: string): string {
  return `import type { Exchange, Filter, FilterServices } from 'meshgate'

interface Options {
  /** The header that every request must have. */
  readonly header?: string
}

/** JSON Schema of the options: \`meshgate check\` and the running gateway hold the configuration against it. */
const schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    header: { type: 'string', minLength: 1, description: 'The header that every request must have' },
  },
}

/** Runs once when the configuration is loaded. What can be prepared is prepared here. */
function create(options: Options, services: FilterServices): Filter {
  const header = (options.header ?? 'x-tenant').toLowerCase()
  const refused = services.metrics.counter('meshgate_user_refused_total', 'Requests without the header', {
    filter: services.name,
  })
  return {
    name: services.name,

    /** The route is known, nothing was forwarded yet. */
    onRoute(exchange: Exchange) {
      if (exchange.request.headers.has(header)) return undefined
      refused.value++
      return exchange.reply(400, \`header \${header} is missing\\n\`, { 'content-type': 'text/plain' })
    },

    /** The response is on its way to the caller. */
    onResponse(exchange: Exchange) {
      exchange.response?.headers.set('x-checked-by', '${name}')
    },
  }
}

export default { schema, create }
`
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`
}

function testText(name: string, extension: string, kit: string): string {
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testFilter } from ${quote(kit)}
import filter from ${quote(`./${name}${extension}`)}

test('forwards a request that has the header', async () => {
  const kit = testFilter(filter, { header: 'x-tenant' })
  const outcome = await kit.run({ path: '/', headers: { 'x-tenant': 'blue' } }, { status: 200, body: 'hello' })
  assert.equal(outcome.answeredBy, 'upstream')
  assert.equal(outcome.status, 200)
  assert.equal(outcome.headers['x-checked-by'], '${name}')
})

test('refuses a request without it', async () => {
  const kit = testFilter(filter, { header: 'x-tenant' })
  const outcome = await kit.run({ path: '/' })
  assert.equal(outcome.answeredBy, 'filter')
  assert.equal(outcome.status, 400)
  assert.equal(kit.counter('meshgate_user_refused_total', { filter: 'filter' }), 1)
})

test('refuses options that do not exist', () => {
  assert.throws(() => testFilter(filter, { haeder: 'x-tenant' }), /header/)
})
`
}
