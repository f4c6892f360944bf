/** GET /metrics */
import { content, type Endpoint } from './endpoint.ts'

/** Everything a Prometheus server scrapes. */
export const metrics: Endpoint = {
  method: 'GET',
  path: '/metrics',
  summary: 'metrics as Prometheus text',
  handle: async ({ gateway }) =>
    content('text/plain; version=0.0.4; charset=utf-8', await gateway.metricsText()),
}
