/** One HTTP request to an admin port, with any header a test likes. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { type AdminServer, serveAdmin } from '../../lib/admin/server.ts'
import type { GatewayInspector } from '../../lib/core/inspect.ts'
import type { Logger } from '../../lib/core/services.ts'
import { parseAddress } from '../../lib/net/address.ts'
import { holdPort } from '../../lib/net/held-port.ts'

/** An answer, read whole. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON. Throws when it is none. */
  json(): any
}

/** What may be said beside method and path. */
export interface CallOptions {
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** `address` is `host:port` or the path of a Unix socket; `line` is like `GET /stats`. */
export function call(
  address: string,
  line: string,
  { headers = {}, body }: CallOptions = {},
): Promise<Answer> {
  const [method, path] = line.split(' ')
  const [host, port] = address.split(/:(?=\d+$)/)
  const target = address.startsWith('/')
    ? { socketPath: address }
    : { host: host.replace(/[[\]]/g, ''), port }
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...target, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text),
        })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Binds an address as the configuration writes it and serves the admin port there. */
export async function startAdmin(
  address: string,
  gateway: GatewayInspector,
  log: Logger,
): Promise<AdminServer & { readonly address: string }> {
  const port = await holdPort(parseAddress(address), () => undefined)
  const server = await serveAdmin(port, gateway, log)
  return {
    address: port.address,
    async close() {
      await server.close()
      port.close()
    },
  }
}
