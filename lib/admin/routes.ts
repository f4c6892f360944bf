/** GET /routes */
import { type Endpoint, integerParameter, json } from './endpoint.ts'

/** Routes and their rates, busiest first. */
export const routes: Endpoint = {
  method: 'GET',
  path: '/routes',
  summary: 'routes, busiest first; ?limit=100',
  handle: (request) =>
    json(request.gateway.routes(integerParameter(request, 'limit', { min: 1, max: 100_000, fallback: 100 }))),
}
