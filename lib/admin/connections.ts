/** GET /connections */
import { type Endpoint, integerParameter, json } from './endpoint.ts'

/** Open connections of both sides, newest first. */
export const connections: Endpoint = {
  method: 'GET',
  path: '/connections',
  summary: 'open connections, newest first; ?limit=100',
  handle: (request) =>
    json(
      request.gateway.connections(integerParameter(request, 'limit', { min: 1, max: 10_000, fallback: 100 })),
    ),
}
