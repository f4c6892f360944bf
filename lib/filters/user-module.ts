/** Loads users' filter modules: TypeScript as it is (Node strips the types) or JavaScript. */
import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { dirname, extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FilterDefinition } from '../core/filter.ts'

/** A user's module as it was loaded, or why it was refused. */
export type UserModule =
  | { readonly path: string; readonly definition: FilterDefinition; readonly refused: null }
  | { readonly path: string; readonly definition: null; readonly refused: string }

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs']
const require = createRequire(import.meta.url)
let loads = 0

/** True when `use` names a module and not a built-in filter. */
export function isModulePath(use: string): boolean {
  return use.startsWith('./') || use.startsWith('../') || use.startsWith('/')
}

/**
 * Loads the newest text of a module. Never throws: a module that is broken is refused with the file, the line where one is
 * known, and what would be right. Node keeps every loaded version for as long as the process lives, and modules that
 * this one imports are not loaded again.
 */
export async function loadUserModule(path: string): Promise<UserModule> {
  const refuse = (message: string): UserModule => ({ path, definition: null, refused: message })
  const extension = extname(path)
  if (!EXTENSIONS.includes(extension)) {
    return refuse(`${path}: a filter module ends in ${EXTENSIONS.join(', ')}, not "${extension}"`)
  }
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    return refuse(`${path}: ${describeReadError(error as NodeJS.ErrnoException)}`)
  }
  delete require.cache[path] // a module in CommonJS form is kept by path, whatever the query says
  let exported: Record<string, unknown>
  try {
    exported = (await import(`${pathToFileURL(path).href}?version=${++loads}`)) as Record<string, unknown>
  } catch (error) {
    return refuse(describeLoadError(error, path, text))
  }
  const definition = definitionOf(exported.default)
  return definition === null
    ? refuse(`${path}: ${describeExports(exported)}`)
    : { path, definition, refused: null }
}

function definitionOf(value: unknown): FilterDefinition | null {
  if (typeof value === 'function') return { schema: null, create: value as FilterDefinition['create'] }
  if (typeof value !== 'object' || value === null) return null
  const { create, schema = null, perRoute } = value as Partial<FilterDefinition>
  if (typeof create !== 'function' || (schema !== null && typeof schema !== 'object')) return null
  if (perRoute === undefined) return { schema, create }
  return typeof perRoute === 'boolean' ? { schema, create, perRoute } : null
}

function describeExports(exported: Record<string, unknown>): string {
  const expected =
    'a filter module exports as default a function (options, services) => filter, or { schema, create }'
  const value = exported.default
  if (value === undefined) return `there is no default export; ${expected}`
  if (typeof value !== 'object' || value === null)
    return `the default export is ${String(value)}; ${expected}`
  if (!('create' in value)) return `the default export has no "create"; ${expected}`
  return `the default export is malformed: "create" must be a function, "schema" an object or null, "perRoute" a boolean`
}

function describeReadError(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'there is no such file'
  if (error.code === 'EISDIR') return 'this is a folder; name the file'
  return error.code === 'EACCES' ? 'the file cannot be read: permission denied' : error.message
}

/** Node writes the place of a syntax error above the message, and that of a thrown error into its first frame. */
function describeLoadError(error: unknown, path: string, text: string): string {
  if (!(error instanceof Error)) return `${path}: threw ${String(error)} while it was loaded`
  const { code } = error as NodeJS.ErrnoException
  const stack = (error.stack ?? '')
    .replaceAll(pathToFileURL(path).href, path)
    .replaceAll(/\?version=\d+/g, '')
  const place = placeOf(stack, path) || (error instanceof SyntaxError ? placeOfSyntaxError(text, path) : '')
  const hint =
    code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' ? '; only syntax that can be erased is allowed' : ''
  const stripHint =
    code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING'
      ? '; move it out of node_modules or compile it'
      : ''
  return `${path}${place}: ${firstLine(error.message)}${hint}${stripHint}`
}

/** `:line:column`, `:line` or nothing. */
function placeOf(stack: string, path: string): string {
  const lines = stack.split('\n')
  const head = /:(\d+)$/.exec(lines[0])
  if (head !== null && lines[0].startsWith(path)) {
    const caret = lines.slice(1, 4).find((line) => /^\s*\^+\s*$/.test(line))
    return caret === undefined ? `:${head[1]}` : `:${head[1]}:${caret.indexOf('^') + 1}`
  }
  const frame = lines.find((line) => line.includes(`${path}:`) && line.trimStart().startsWith('at '))
  const place = frame === undefined ? null : /:(\d+):(\d+)\)?$/.exec(frame)
  return place === null ? '' : `:${place[1]}:${place[2]}`
}

/** V8 keeps the place of a syntax error in plain JavaScript to itself; the parser of TypeScript tells. */
function placeOfSyntaxError(text: string, path: string): string {
  try {
    stripTypeScriptTypes(text, { sourceUrl: path })
    return ''
  } catch (error) {
    return placeOf((error as Error).stack ?? '', path)
  }
}

function firstLine(text: string): string {
  return text.split('\n')[0]
}

/** One module that is followed. */
export interface UserModuleWatch {
  /** Loads the module for the first time. */
  load(): Promise<UserModule>
  /** Looks at the file now; settles when what came of it was told. */
  check(): Promise<void>
  close(): void
}

const SETTLE_MS = 50

/**
 * Loads a module again whenever its text changes and tells `onChange` what came of it; the owner swaps the chain, or keeps the
 * old one when it was refused. A text that was loaded last is not loaded again: a module that comes back after it was gone
 * is told as it was. The folder is watched, not the file, because editors and mounted config maps replace files.
 * With `isFollowing` false nothing happens before somebody calls `check`.
 */
export function watchUserModule(
  path: string,
  onChange: (module: UserModule) => void,
  isFollowing = true,
): UserModuleWatch {
  return new ModuleWatch(path, onChange, isFollowing)
}

class ModuleWatch implements UserModuleWatch {
  readonly #path: string
  readonly #onChange: (module: UserModule) => void
  readonly #watcher: FSWatcher | null
  /** Of the text that was seen last; taken before the first load, so that no change falls between. */
  #known: Promise<string>
  /** The version that was loaded last and the text it came from. */
  #good: { readonly digest: string; readonly module: UserModule } | null = null
  /** Checks run one after the other, so that the newest text has the last word. */
  #checks: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(path: string, onChange: (module: UserModule) => void, isFollowing: boolean) {
    this.#path = path
    this.#onChange = onChange
    this.#known = digest(path)
    this.#watcher = isFollowing ? this.#watch() : null
  }

  async load(): Promise<UserModule> {
    return this.#load(await this.#known)
  }

  check(): Promise<void> {
    this.#checks = this.#checks.then(() => this.#check())
    return this.#checks
  }

  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Null where the folder cannot be watched, because it is not there or the system has no watches left. */
  #watch(): FSWatcher | null {
    try {
      const watcher = watch(dirname(this.#path), { persistent: false }, () => this.#arm())
      watcher.on('error', () => watcher.close())
      return watcher
    } catch {
      return null
    }
  }

  /** An editor writes in several steps: the text is read once they are over. */
  #arm(): void {
    if (this.#isClosed) return
    if (this.#timer === null) this.#timer = setTimeout(() => this.#onSettled(), SETTLE_MS).unref()
    else this.#timer.refresh()
  }

  #onSettled(): void {
    this.#timer = null
    void this.check()
  }

  async #check(): Promise<void> {
    const before = await this.#known
    this.#known = digest(this.#path)
    const now = await this.#known
    if (now === before || this.#isClosed) return
    const module = now === this.#good?.digest ? this.#good.module : await this.#load(now)
    if (!this.#isClosed) this.#onChange(module)
  }

  async #load(digest: string): Promise<UserModule> {
    const module = await loadUserModule(this.#path)
    if (module.definition !== null) this.#good = { digest, module }
    return module
  }
}

/** `''` for a file that is not there, so that deleting it counts as a change. */
async function digest(path: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  } catch {
    return ''
  }
}
