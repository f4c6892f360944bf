/** GET /filters */
import { type Endpoint, json } from './endpoint.ts'

/** Filters in the order they run, with the fate of user modules. */
export const filters: Endpoint = {
  method: 'GET',
  path: '/filters',
  summary: 'the filter chain in its order',
  handle: ({ gateway }) => json({ filters: gateway.filters() }),
}
