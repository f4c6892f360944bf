/** The worker thread that `loadInWorker` starts: loads one file and sends the result back in pieces. */
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { ConfigReadError, type FromWorker, loadFile, type WorkerInput } from './load-file.ts'

// About half a millisecond of the main thread each.
const ROUTES_PER_MESSAGE = 100

if (!isMainThread && parentPort !== null) {
  yieldToRequests()
  await work(workerData as WorkerInput, parentPort)
}

/**
 * Where the process has one core, every millisecond of this thread is one that requests wait for. On Linux the priority
 * is that of the calling thread; elsewhere it would be that of the whole process, so it stays as it is.
 */
function yieldToRequests(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Not allowed here: the load is then as fast as requests are.
  }
}

async function work(input: WorkerInput, port: NonNullable<typeof parentPort>): Promise<void> {
  const send = (message: FromWorker) => port.postMessage(message)
  const catalog = new Map(input.schemas.map(([name, schema]) => [name, JSON.parse(schema) as object | null]))
  try {
    const result = await loadFile(input.file, catalog)
    if (result.config === null) {
      send({ kind: 'done', result })
      return
    }
    const { routes } = result.config
    for (let i = 0; i < routes.length; i += ROUTES_PER_MESSAGE) {
      send({ kind: 'routes', routes: routes.slice(i, i + ROUTES_PER_MESSAGE) })
      await once(port, 'message')
    }
    send({ kind: 'done', result: { ...result, config: { ...result.config, routes: [] } } })
  } catch (error) {
    if (!(error instanceof ConfigReadError)) throw error
    send({ kind: 'unreadable', message: error.message })
  }
}
