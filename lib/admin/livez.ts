/** GET /livez */
import { type Endpoint, json } from './endpoint.ts'

/** Answers 200 in every phase: a process that drains is alive and must not be restarted. */
export const livez: Endpoint = {
  method: 'GET',
  path: '/livez',
  summary: '200 as long as the process answers',
  handle: ({ gateway: { phase } }) => json({ phase }),
}
