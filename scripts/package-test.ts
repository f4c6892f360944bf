// Tests what users get: packs the package, installs the tarball in a new project elsewhere, and uses it
// from there — the command, the gateway itself, the library's exports and their types.
//
// With TEST_COUNTS_FILE set, a line "package passed failed skipped" is appended to that file.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const workDir = mkdtempSync(join(tmpdir(), 'meshgate-package-'))
const project = join(workDir, 'project')
const installed = join(project, 'node_modules', 'meshgate')

// The pinned Node first: npm, npx and the installed command all start through `env node`.
const env: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`,
}
// npm hands its own settings down to scripts; the new project must not take this one's for its own.
for (const name of Object.keys(env)) {
  if (/^npm_(package|lifecycle|config_local_prefix|config_prefix)/i.test(name) || name === 'INIT_CWD')
    delete env[name]
}

interface Outcome {
  code: number | string
  stdout: string
  stderr: string
}

let passed = 0
let failed = 0

/** Optional: it reads MessagePack faster where it could be built, and nothing misses it where scripts are not run. */
const OPTIONAL_SCRIPTS = new Set(['node_modules/msgpackr-extract'])

try {
  await run()
} finally {
  rmSync(workDir, { recursive: true, force: true })
}
console.log(`package tests: ${passed} passed, ${failed} failed`)
if (process.env.TEST_COUNTS_FILE)
  appendFileSync(process.env.TEST_COUNTS_FILE, `package ${passed} ${failed} 0\n`)
process.exitCode = failed > 0 ? 1 : 0

async function run(): Promise<void> {
  const isInstalled = await check('packs and installs in a new project', packAndInstall)
  if (!isInstalled) return
  await check('holds the compiled code and the papers, not the sources, tests or tools', checkFiles)
  await check('brings no development runtime, and no install script that it needs', checkDependencies)
  await check('meshgate --help names the subcommands', checkHelp)
  await check('meshgate check accepts a good configuration and refuses a bad one', checkConfigCommand)
  await check('meshgate run answers a request from an HTTP backend and stops on SIGTERM', checkRun)
  await check('meshgate filter new writes a filter that serves and a test that passes', checkFilterNew)
  await check('every path in "exports" can be imported, and nothing else', checkExports)
  await check('the type declarations compile in a strict project', checkTypes)
}

async function packAndInstall(): Promise<void> {
  // `npm pack` builds first: that is the package's prepack script.
  await succeed('npm', ['pack', '--silent', '--pack-destination', workDir], root)
  const tarball = readdirSync(workDir).find((name) => name.endsWith('.tgz'))
  assert.ok(tarball, 'npm pack left no tarball')
  mkdirSync(project)
  const newProject = { name: 'consumer', version: '1.0.0', private: true, type: 'module' }
  writeFileSync(join(project, 'package.json'), JSON.stringify(newProject))
  await succeed('npm', ['install', '--no-audit', '--no-fund', join(workDir, tarball)], project)
}

async function checkFiles(): Promise<void> {
  const names = readdirSync(installed)
  for (const name of ['dist', 'LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']) {
    assert.ok(names.includes(name), `${name} is missing`)
  }
  for (const name of ['lib', 'test', 'perf', 'scripts', 'runtime', 'node_modules']) {
    assert.ok(!names.includes(name), `${name} is in the package`)
  }
  const dist = readdirSync(join(installed, 'dist'))
  assert.ok(
    dist.includes('main.js') && dist.includes('main.js.map'),
    'dist/main.js or its source map is missing',
  )
  assert.match(readFileSync(join(installed, 'dist', 'main.js'), 'utf8'), /^#!\/usr\/bin\/env node\n/)
}

async function checkDependencies(): Promise<void> {
  const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'))
  const packages = Object.entries<{ hasInstallScript?: boolean; optional?: boolean }>(lock.packages)
  for (const [path, entry] of packages) {
    assert.doesNotMatch(path, /node_modules\/node-(bin-)?(linux|darwin|win)-/)
    const isAllowed = entry.optional === true && OPTIONAL_SCRIPTS.has(path)
    assert.ok(isAllowed || !entry.hasInstallScript, `${path} has an install script`)
  }
}

async function checkHelp(): Promise<void> {
  const { stdout } = await succeed('npx', ['--no-install', 'meshgate', '--help'], project)
  for (const word of ['run', 'check']) assert.match(stdout, new RegExp(`\\b${word}\\b`))
  const version = await succeed('npx', ['--no-install', 'meshgate', '--version'], project)
  assert.match(version.stdout, new RegExp(manifest.version.replaceAll('.', '\\.')))
}

async function checkConfigCommand(): Promise<void> {
  writeFileSync(join(project, 'good.yaml'), configuration(15001, 15000, 8080))
  await succeed('npx', ['--no-install', 'meshgate', 'check', 'good.yaml'], project)
  writeFileSync(join(project, 'bad.yaml'), `${configuration(15001, 15000, 8080)}nonsense: true\n`)
  const refused = await execute('npx', ['--no-install', 'meshgate', 'check', 'bad.yaml'], project)
  assert.notEqual(refused.code, 0, 'meshgate check accepted an unknown key')
  assert.match(refused.stdout + refused.stderr, /nonsense/)
}

async function checkFilterNew(): Promise<void> {
  await succeed('npx', ['--no-install', 'meshgate', 'filter', 'new', 'tenant-check'], project)
  await succeed('node', ['--test', join('filters', 'tenant-check.test.ts')], project)
  const filters = 'filters: [{ use: ./filters/tenant-check.ts, header: x-tenant }]\n'
  writeFileSync(join(project, 'filter.yaml'), `${configuration(15001, 15000, 8080)}${filters}`)
  await succeed('npx', ['--no-install', 'meshgate', 'check', 'filter.yaml'], project)
}

async function checkRun(): Promise<void> {
  const backend = createServer((request, response) => response.end(`backend saw ${request.url}`))
  backend.listen(0, '127.0.0.1')
  await once(backend, 'listening')
  const [listenerPort, adminPort] = [await freePort(), await freePort()]
  const file = join(project, 'run.yaml')
  writeFileSync(file, configuration(listenerPort, adminPort, (backend.address() as AddressInfo).port))
  // Started without npx: a signal to npx would not tell whether meshgate itself stops on it.
  const command = join(project, 'node_modules', '.bin', 'meshgate')
  const gateway = spawn(command, ['run', '-c', file], {
    cwd: project,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [gateway.stdout, gateway.stderr])
    stream.setEncoding('utf8').on('data', (text) => (log += text))
  const stopped = ended(gateway)
  try {
    const answer = await firstAnswer(`http://127.0.0.1:${listenerPort}/hello`, gateway)
    assert.equal(answer.status, 200)
    assert.equal(await answer.text(), 'backend saw /hello')
    const ready = await fetch(`http://127.0.0.1:${adminPort}/ready`)
    assert.equal(ready.status, 200)
    gateway.kill('SIGTERM')
    const outcome = await Promise.race([stopped, delay(15_000, 'still running', { ref: false })])
    assert.equal(outcome, 0, 'exit code after SIGTERM')
  } catch (error) {
    throw new Error(`${(error as Error).message}\n--- what the gateway wrote:\n${log}`, { cause: error })
  } finally {
    gateway.kill('SIGKILL')
    backend.closeAllConnections()
    backend.close()
  }
}

async function checkExports(): Promise<void> {
  for (const path of Object.keys(manifest.exports)) {
    const specifier = `meshgate${path.slice(1)}`
    const attributes = specifier.endsWith('.json') ? `, { with: { type: 'json' } }` : ''
    const code = `const m = await import('${specifier}'${attributes}); if (Object.keys(m).length === 0) throw new Error('exports nothing')`
    await succeed('node', ['--input-type=module', '-e', code], project)
  }
  const closed = `await import('meshgate/dist/main.js')`
  const { stderr } = await execute('node', ['--input-type=module', '-e', closed], project)
  assert.match(stderr, /ERR_PACKAGE_PATH_NOT_EXPORTED/)
}

async function checkTypes(): Promise<void> {
  const specifiers = Object.keys(manifest.exports)
    .filter((path) => !path.endsWith('.json'))
    .map((path) => `meshgate${path.slice(1)}`)
  const lines = specifiers.map(
    (name, i) => `import * as m${i} from '${name}'\nexport const names${i}: object = m${i}`,
  )
  writeFileSync(join(project, 'consumer.ts'), `${lines.join('\n')}\n`)
  const flags = '--noEmit --strict --module nodenext --target es2022 --types node --skipLibCheck'.split(' ')
  const typeRoots = ['--typeRoots', join(root, 'node_modules', '@types')]
  await succeed(join(root, 'node_modules', '.bin', 'tsc'), [...flags, ...typeRoots, 'consumer.ts'], project)
  checkDeclarationImports(join(installed, 'dist'))
}

/** skipLibCheck hides a declaration that points nowhere, so follow the relative imports by hand. */
function checkDeclarationImports(dist: string): void {
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  const declarations = new Set(files.filter((file) => file.endsWith('.d.ts')).map((file) => join(dist, file)))
  assert.ok(declarations.size > 0, 'no declarations in dist')
  for (const file of declarations) {
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(
      /(?:from|import\()\s*["'](\.[^"']+)["']/g,
    )) {
      const target = join(file, '..', specifier.replace(/\.[jt]s$/, '.d.ts'))
      assert.ok(declarations.has(target), `${file} points to ${specifier}, which is not there`)
    }
  }
}

function configuration(listenerPort: number, adminPort: number, backendPort: number): string {
  return `node: { app: package-test }
admin: { address: 127.0.0.1:${adminPort} }
listeners:
  - { name: http, protocol: http1, address: 127.0.0.1:${listenerPort} }
clusters:
  - { name: web, protocol: http1, endpoints: [127.0.0.1:${backendPort}] }
routes:
  - { match: { path: / }, to: { cluster: web } }
`
}

/** Runs one check, prints its outcome and counts it; returns whether it passed. */
async function check(name: string, body: () => Promise<void>): Promise<boolean> {
  const startedAt = Date.now()
  try {
    await body()
    passed++
    console.log(`ok    ${name}  ${Date.now() - startedAt} ms`)
    return true
  } catch (error) {
    failed++
    console.log(`FAIL  ${name}  ${Date.now() - startedAt} ms`)
    console.log((error as Error).message.replace(/^/gm, '      '))
    return false
  }
}

function execute(command: string, args: string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env, timeout: 300_000, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? 1), stdout, stderr })
    })
  })
}

/** Like execute, but anything other than exit code 0 is an error that shows what was printed. */
async function succeed(command: string, args: string[], cwd: string): Promise<Outcome> {
  const outcome = await execute(command, args, cwd)
  if (outcome.code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${outcome.code}\n${outcome.stdout}${outcome.stderr}`,
    )
  }
  return outcome
}

/** Exit code of a process, or the signal that ended it, or why it never started. */
function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    child.on('error', (error) => resolve(error.message))
  })
}

/** Asks until something answers: the gateway needs a moment to listen. */
async function firstAnswer(url: string, gateway: ChildProcess): Promise<Response> {
  const giveUpAt = Date.now() + 15_000
  for (;;) {
    try {
      return await fetch(url)
    } catch (error) {
      if (gateway.exitCode !== null) throw new Error(`the gateway ended with ${gateway.exitCode}`)
      if (Date.now() > giveUpAt) throw new Error('no answer within 15 s', { cause: error })
      await delay(50)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
