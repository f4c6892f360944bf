/** POST /drain */
import { type Endpoint, json } from './endpoint.ts'

/** Starts the drain and answers at once: listeners close, what runs may finish, the process ends. It cannot be taken back. */
export const drain: Endpoint = {
  method: 'POST',
  path: '/drain',
  summary: 'stops taking requests, finishes what runs, then ends the process',
  handle({ gateway, log }) {
    log.info({}, 'drain started by the admin port')
    gateway.drain().catch((error: unknown) => log.error({ err: error }, 'the drain failed'))
    return json({ phase: gateway.phase }, 202)
  },
}
