/** GET /stats */
import { type Endpoint, json } from './endpoint.ts'

/** The process as a whole. */
export const stats: Endpoint = {
  method: 'GET',
  path: '/stats',
  summary: 'the process: phase, memory, event loop, connections, exchanges',
  handle: ({ gateway }) => json(gateway.stats()),
}
