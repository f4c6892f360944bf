// Holds the dependency rules of docs/architecture.md: who may import whom inside lib/, and which folder
// an npm package or a socket belongs to. To allow something new, change a table below and that page.
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** In a row of FOLDERS: the folder may import anything of lib. */
const EVERYTHING = '*'

/**
 * Folder of lib/ → what it may import from the rest of lib/: a folder, or one module of a folder. Arrows point
 * down the levels, so two folders of one level never see each other. Files directly in lib/ may import anything.
 */
const FOLDERS: Record<string, readonly string[]> = {
  core: [],

  buffer: ['core'],
  config: ['core'],
  telemetry: ['core'],
  filters: ['core'],
  router: ['core'],

  protocols: ['core', 'buffer'],
  net: ['core', 'buffer'],

  upstream: ['core', 'buffer', 'net'],

  server: ['core', 'buffer', 'net', 'filters/chain', 'router', 'upstream', 'protocols/index'],
  admin: ['core'],

  // The commands stand beside lib's own files at the top: they may import anything.
  cli: [EVERYTHING],
}

/** Folder of lib/protocols/ → its siblings that it may import. hessian and rpc are parts that two protocols share. */
const PROTOCOLS: Record<string, readonly string[]> = {
  bolt: ['hessian', 'rpc'],
  dubbo: ['hessian', 'rpc'],
  grpc: ['http2'],
  hessian: [],
  http1: [],
  http2: [],
  mmtp: [],
  rpc: [],
}

/** npm package → the folders that may import it: one package, one folder, unless a comment says why not. */
const PACKAGES: Record<string, readonly string[]> = {
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/exporter-prometheus': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-metrics': ['telemetry'],
  commander: ['cli'],
  fastify: ['admin'],
  ioredis: ['filters'],
  jose: ['filters'],
  'lru-cache': ['filters'],
  msgpackr: ['filters'],
  pino: ['telemetry'],
  'rate-limiter-flexible': ['filters'],
  // A filter's option schema sits beside the filter.
  typebox: ['config', 'filters'],
  'js-yaml': ['config'],
  // Zone rules are a file of their own, in YAML as the configuration is.
  yaml: ['config', 'filters'],
}

/** Built-in module → the only folders that may import it. A module that is not listed is free for all. */
const BUILTINS: Record<string, readonly string[]> = {
  'node:dgram': ['net'],
  'node:http': [],
  'node:http2': [],
  'node:https': [],
  'node:net': ['net'],
  'node:tls': ['net'],
}

/** Names of node:net that open no socket, so that any folder may use them. */
const ADDRESS_HELPERS = new Set(['BlockList', 'SocketAddress', 'isIP', 'isIPv4', 'isIPv6'])

/**
 * Folders inside which types may refer to one another in a circle. The contracts of core describe one another
 * (an exchange has a route, a codec makes exchanges); what is imported as a value may not form a circle there either.
 */
const MUTUAL_TYPES = new Set(['core'])

interface Import {
  specifier: string
  /** Whether the whole statement is `import type` or `export type`, which leaves nothing at run time. */
  isTypeOnly: boolean
  /** The imported names, or `null` for anything but `import { a, b } from`. */
  names: string[] | null
}

const lib = fileURLToPath(new URL('../lib', import.meta.url))
const sources = new Map(
  globSync('**/*.ts', { cwd: lib })
    .sort()
    .map((file) => [file.replaceAll('\\', '/'), readFileSync(`${lib}/${file}`, 'utf8')]),
)

t.test('lib imports only what the dependency rules allow', async (t) => {
  for (const problem of checkImports(sources)) t.fail(problem)
  t.pass(`${sources.size} files`)
})

t.test('no files of lib import one another in a circle', async (t) => {
  t.same(findCycles(sources), [])
})

t.test(
  'every runtime dependency of the package belongs to a folder, and nothing else is listed',
  async (t) => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    t.same(Object.keys(manifest.dependencies).sort(), Object.keys(PACKAGES).sort())
  },
)

t.test('the checker finds every form of import and ignores comments', async (t) => {
  const source = `
/** @example import { no } from './comment.ts' */
import fs from 'node:fs'
import { a, type B,
  c as d } from '../core/a.ts'
import type { T } from "./types.ts"
import * as all from 'pino'
import './effect.ts'
// import './also-a-comment.ts'
export * from './all.ts'
export { e } from './e.ts'
export const late = () => import('./late.ts')
export type U = import('./u.ts').U
export const text = "from './string.ts'"
`
  t.same(
    readImports(source).map((found) => found.specifier),
    [
      'node:fs',
      '../core/a.ts',
      './types.ts',
      'pino',
      './effect.ts',
      './all.ts',
      './e.ts',
      './late.ts',
      './u.ts',
    ],
  )
  t.same(readImports(source)[1].names, ['a', 'B', 'c'])
})

t.test('the checker refuses what breaks a rule', async (t) => {
  const refused: [file: string, source: string][] = [
    ['core/a.ts', `import { x } from '../buffer/slab.ts'`],
    ['router/a.ts', `import { x } from '../filters/chain.ts'`],
    ['server/a.ts', `import { x } from '../filters/auth.ts'`],
    ['server/a.ts', `import { x } from '../protocols/bolt/codec.ts'`],
    ['net/a.ts', `import type { X } from '../gateway.ts'`],
    ['protocols/bolt/a.ts', `import { x } from '../dubbo/codec.ts'`],
    ['protocols/bolt/a.ts', `import { connect } from 'node:net'`],
    ['upstream/a.ts', `import tls from 'node:tls'`],
    ['router/a.ts', `import pino from 'pino'`],
    ['telemetry/a.ts', `import left from 'left-pad'`],
    ['telemetry/a.ts', `import fs from 'fs'`],
    ['utils/a.ts', ''],
    ['main.ts', `import { x } from '../test/support/x.ts'`],
    ['core/a.ts', `import { x } from './b.js'`],
  ]
  for (const [file, source] of refused) {
    t.equal(checkImports(new Map([[file, source]])).length, 1, `${file}: ${source}`)
  }
})

t.test('the checker allows what the rules allow', async (t) => {
  const allowed: [file: string, source: string][] = [
    ['gateway.ts', `import { x } from './protocols/bolt/codec.ts'\nimport pino from 'pino'`],
    ['server/a.ts', `import { x } from '../filters/chain.ts'\nimport { y } from '../protocols/index.ts'`],
    ['protocols/bolt/a.ts', `import { x } from '../hessian/decoder.ts'`],
    ['protocols/index.ts', `import { x } from './bolt/codec.ts'`],
    ['telemetry/log.ts', `import pino from 'pino'\nimport { a } from '@opentelemetry/api'`],
    ['config/a.ts', `import { Type } from 'typebox/type'\nimport { isIP } from 'node:net'`],
    ['net/a.ts', `import net from 'node:net'`],
  ]
  for (const [file, source] of allowed) t.same(checkImports(new Map([[file, source]])), [], file)
})

t.test('the checker finds a circle of three files', async (t) => {
  const circle = new Map([
    ['net/a.ts', `import { b } from './b.ts'`],
    ['net/b.ts', `import { c } from './c.ts'`],
    ['net/c.ts', `import type { A } from './a.ts'`],
  ])
  t.same(findCycles(circle), ['net/a.ts -> net/b.ts -> net/c.ts -> net/a.ts'])
})

t.test('the checker lets the types of core refer to one another, but not its values', async (t) => {
  const backwards = (clause: string) =>
    new Map([
      ['core/a.ts', `import { b } from './b.ts'`],
      ['core/b.ts', `${clause} from './a.ts'`],
    ])
  t.same(findCycles(backwards('import type { A }')), [])
  t.same(findCycles(backwards('import { a }')), ['core/a.ts -> core/b.ts -> core/a.ts'])
})

/** Every breach of the rules, as sentences. */
function checkImports(files: ReadonlyMap<string, string>): string[] {
  const problems: string[] = []
  for (const [file, source] of files) {
    const folder = folderOf(file)
    if (folder !== null && !Object.hasOwn(FOLDERS, folder)) {
      problems.push(`lib/${file}: folder ${folder} is not in the table of test/architecture.test.ts`)
      continue
    }
    for (const found of readImports(source)) {
      const problem = found.specifier.startsWith('.')
        ? checkRelative(file, found.specifier)
        : checkModule(folder, found)
      if (problem !== null) problems.push(`lib/${file}: ${problem}`)
    }
  }
  return problems
}

function checkRelative(file: string, specifier: string): string | null {
  if (!specifier.endsWith('.ts')) return `${specifier} must end in .ts`
  const target = resolveImport(file, specifier)
  if (target.startsWith('../')) return `${specifier} leaves lib/`
  const from = folderOf(file)
  const to = folderOf(target)
  if (from === null || FOLDERS[from].includes(EVERYTHING)) return null
  if (to === null) return `${from} may not import lib/${target}: only files directly in lib/ may`
  if (from === to) return from === 'protocols' ? checkProtocol(file, target) : null
  const isAllowed = FOLDERS[from].some((entry) => entry === to || `${entry}.ts` === target)
  return isAllowed ? null : `${from} may not import lib/${target}`
}

function checkProtocol(file: string, target: string): string | null {
  const [from, to] = [protocolOf(file), protocolOf(target)]
  if (from === null || to === null || from === to) return null
  return PROTOCOLS[from]?.includes(to) ? null : `protocol ${from} may not import lib/${target}`
}

function checkModule(folder: string | null, { specifier, names }: Import): string | null {
  if (specifier.startsWith('node:')) {
    const owners = Object.hasOwn(BUILTINS, specifier) ? BUILTINS[specifier] : null
    if (folder === null || owners === null || owners.includes(folder)) return null
    if (specifier === 'node:net' && names?.every((name) => ADDRESS_HELPERS.has(name))) return null
    return `${folder} may not import ${specifier}`
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (!Object.hasOwn(PACKAGES, name)) return `${specifier} is neither a listed package nor a node: module`
  if (folder === null || PACKAGES[name].includes(folder)) return null
  return `${folder} may not import ${name}`
}

/** The circles, as `a -> b -> a`. Type imports count, except where MUTUAL_TYPES says otherwise. */
function findCycles(files: ReadonlyMap<string, string>): string[] {
  const cycles: string[] = []
  const finished = new Set<string>()
  const path: string[] = []
  const visit = (file: string): void => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || finished.has(file)) return
    path.push(file)
    for (const { specifier, isTypeOnly } of readImports(files.get(file) ?? '')) {
      if (!specifier.startsWith('.')) continue
      const target = resolveImport(file, specifier)
      const isMutual =
        isTypeOnly && folderOf(target) === folderOf(file) && MUTUAL_TYPES.has(folderOf(file) ?? '')
      if (!isMutual) visit(target)
    }
    path.pop()
    finished.add(file)
  }
  for (const file of files.keys()) visit(file)
  return cycles
}

/** The imports and re-exports of a module, in the order they are written. */
function readImports(source: string): Import[] {
  const code = source.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, '').replace(/^[ \t]*\/\/.*$/gm, '')
  const pattern =
    /^[ \t]*(?:import|export)\s+([\w$\s{},*]+?)\s*\bfrom\s*(['"])(.+?)\2|^[ \t]*import\s*(['"])(.+?)\4|\bimport\(\s*(['"])(.+?)\6/gm
  return [...code.matchAll(pattern)].map((match) => ({
    specifier: match[3] ?? match[5] ?? match[7],
    isTypeOnly: /^type\b/.test(match[1] ?? ''),
    names: readNames(match[1]),
  }))
}

function readNames(clause: string | undefined): string[] | null {
  const list = /^(?:type\s+)?\{([\s\S]*)\}$/.exec(clause?.trim() ?? '')?.[1]
  if (list === undefined) return null
  return list
    .split(',')
    .map((item) => item.trim().replace(/^type\s+/, ''))
    .filter((item) => item !== '')
    .map((item) => item.split(/\s+as\s+/)[0])
}

function resolveImport(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier)
}

/** First folder of a path inside lib/, or `null` for a file directly in it. */
function folderOf(file: string): string | null {
  const slash = file.indexOf('/')
  return slash < 0 ? null : file.slice(0, slash)
}

/** Folder below protocols/, or `null` for a file directly in it. */
function protocolOf(file: string): string | null {
  const parts = file.split('/')
  return parts.length > 2 ? parts[1] : null
}
