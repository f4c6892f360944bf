/** GET /ready */
import { type Endpoint, json } from './endpoint.ts'

/** Whether traffic should come here: 503 while starting, draining or stopped. */
export const ready: Endpoint = {
  method: 'GET',
  path: '/ready',
  summary: '200 while requests are taken, 503 otherwise',
  handle: ({ gateway: { phase } }) => json({ phase }, phase === 'ready' ? 200 : 503),
}
