/** POST /heap-snapshot */
import { getHeapSnapshot } from 'node:v8'
import { content, type Endpoint } from './endpoint.ts'
import { claimProcess } from './exclusive.ts'

/**
 * Sends a heap snapshot for Chromium's developer tools. The process stands still while it is taken (about a second for
 * 100 MB of heap), needs up to twice the heap in memory, and the file holds whatever passes through, secrets too.
 */
export const heapSnapshot: Endpoint = {
  method: 'POST',
  path: '/heap-snapshot',
  summary: 'a V8 heap snapshot; the process stands still while it is taken',
  handle({ log }) {
    const release = claimProcess('heap snapshot')
    log.warn({}, 'heap snapshot asked for by the admin port: the process pauses')
    try {
      const snapshot = getHeapSnapshot()
      // `end` comes before the caller has the last byte, `close` also when it went away.
      snapshot.once('end', release).once('close', release)
      return content('application/octet-stream', snapshot, {
        'content-disposition': `attachment; filename="meshgate-${process.pid}.heapsnapshot"`,
      })
    } catch (error) {
      release()
      throw error
    }
  },
}
