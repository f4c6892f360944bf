/** GET /clusters */
import { type Endpoint, json } from './endpoint.ts'

/** Clusters, their endpoints and rates. */
export const clusters: Endpoint = {
  method: 'GET',
  path: '/clusters',
  summary: 'clusters with their endpoints',
  handle: ({ gateway }) => json({ clusters: gateway.clusters() }),
}
