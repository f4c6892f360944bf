/** GET /errors */
import { type Endpoint, json } from './endpoint.ts'

/** The newest failures. */
export const errors: Endpoint = {
  method: 'GET',
  path: '/errors',
  summary: 'recent errors, newest first: the last of each code and place, with their number',
  handle: ({ gateway }) => json({ errors: gateway.recentErrors() }),
}
