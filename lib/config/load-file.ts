/** Loads a configuration file, here or in a worker thread. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Config, FilterCatalog, RouteConfig } from './config.ts'
import { type LoadResult, loadConfig } from './load.ts'

/** A loaded file. */
export interface FileResult extends LoadResult {
  /** What was read, for `locateFindings`. */
  readonly text: string
}

/** What the thread of `worker.ts` is started with. */
export interface WorkerInput {
  readonly file: string
  /** Filter names with their schemas as JSON. */
  readonly schemas: readonly (readonly [name: string, schema: string])[]
}

/** What the thread sends. Each `routes` waits for {@link ToWorker}; the last message is one of the others. */
export type FromWorker =
  | { readonly kind: 'routes'; readonly routes: readonly RouteConfig[] }
  /** The routes of the configuration are left out. */
  | { readonly kind: 'done'; readonly result: FileResult }
  | { readonly kind: 'unreadable'; readonly message: string }

/** Asks for the next piece. */
export type ToWorker = 'next'

/** The file could not be read at all. The message names it and says why. */
export class ConfigReadError extends Error {
  override get name(): string {
    return 'ConfigReadError'
  }
}

/** Reads a configuration file. Rejects with {@link ConfigReadError}. */
export async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigReadError(`cannot read ${file}: ${describeReadError(error as NodeJS.ErrnoException)}`, {
      cause: error,
    })
  }
}

/** Loads a file in this thread, for a start. Rejects with {@link ConfigReadError} when it cannot be read. */
export async function loadFile(file: string, catalog: FilterCatalog): Promise<FileResult> {
  const text = await readConfigFile(file)
  return { ...loadConfig(text, catalog), text }
}

/**
 * As {@link loadFile}, in a worker thread, so that requests go on meanwhile: for what `loadInSteps` leaves. The routes come over in pieces, one
 * a loop turn, because taking over and freezing tens of thousands at once would hold up the data path.
 */
export async function loadInWorker(file: string, catalog: FilterCatalog): Promise<FileResult> {
  const { Worker } = await import('node:worker_threads')
  // Schemas may carry functions, which cannot be sent and are no part of JSON Schema.
  const schemas = [...catalog].map(([name, schema]) => [name, JSON.stringify(schema)] as const)
  const workerData: WorkerInput = { file, schemas }
  const worker = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), { workerData })
  const routes: RouteConfig[] = []
  return new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error(`the thread that loads ${file} ended early`)))
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'routes') {
        for (const route of message.routes) routes.push(freezeDeeply(route))
        setImmediate(() => worker.postMessage('next' satisfies ToWorker))
        return
      }
      if (message.kind === 'unreadable') reject(new ConfigReadError(message.message))
      else resolve(assemble(message.result, routes))
      void worker.terminate()
    })
  })
}

function assemble(result: FileResult, routes: readonly RouteConfig[]): FileResult {
  if (result.config === null) return result
  const config: Config = { ...result.config, routes }
  return { ...result, config: freezeDeeply(config) }
}

/** Freezes an object and all below it that is not frozen yet. */
function freezeDeeply<T extends object>(value: T): T {
  if (Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null) freezeDeeply(part)
  }
  return value
}

function describeReadError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return 'the file does not exist'
    case 'EACCES':
    case 'EPERM':
      return 'this user may not read it'
    case 'EISDIR':
      return 'it is a folder'
    default:
      return error.message
  }
}
