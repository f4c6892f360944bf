/** GET /config */
import { type Endpoint, json } from './endpoint.ts'

/** The configuration that serves, secrets redacted by the inspector. */
export const config: Endpoint = {
  method: 'GET',
  path: '/config',
  summary: 'the serving configuration, its version, and why the newest change was refused',
  handle: ({ gateway }) => json(gateway.config()),
}
