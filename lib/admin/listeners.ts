/** GET /listeners */
import { type Endpoint, json } from './endpoint.ts'

/** Listeners and their rates. */
export const listeners: Endpoint = {
  method: 'GET',
  path: '/listeners',
  summary: 'listeners with their rates',
  handle: ({ gateway }) => json({ listeners: gateway.listeners() }),
}
