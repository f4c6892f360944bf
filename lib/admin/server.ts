/** The admin port: an HTTP server in front of the table of endpoints. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayInspector } from '../core/inspect.ts'
import type { Logger } from '../core/services.ts'
import { AdminError, type AdminReply, type AdminRequest, json } from './endpoint.ts'
import { ENDPOINTS } from './endpoints.ts'
import { guard } from './guard.ts'

/** A port that is bound already; the transport makes it. */
export interface AdminPort {
  /** The host as configured, null on a Unix socket. */
  readonly host: string | null
  /** Gives every connection there to `server`. */
  handTo(server: FastifyInstance['server']): void
}

/** A running admin port. */
export interface AdminServer {
  /** Stops listening and cuts off what is under way. */
  close(): Promise<void>
}

const MAX_BODY_BYTES = 4096
const MAX_HEADER_BYTES = 16 * 1024
const MAX_CONNECTIONS = 128
const REQUEST_TIMEOUT_MS = 10_000
const IDLE_TIMEOUT_MS = 30_000

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** Serves the admin port. Its web framework is loaded here and not before, which takes some 100 ms of the event loop: call it when nobody waits. */
export async function serveAdmin(
  port: AdminPort,
  gateway: GatewayInspector,
  log: Logger,
): Promise<AdminServer> {
  const { fastify } = await import('fastify')
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    exposeHeadRoutes: true,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
  })
  const { server } = app
  server.maxConnections = MAX_CONNECTIONS
  const closing = new AbortController()
  install(app, port.host, { gateway, log, closing: closing.signal })
  await app.ready()
  port.handTo(server)
  return {
    async close() {
      closing.abort()
      // Ends its timeouts; it never listened, which is the error that the callback gets.
      server.close(() => undefined)
      server.closeAllConnections()
      await app.close()
    },
  }
}

interface Context {
  readonly gateway: GatewayInspector
  readonly log: Logger
  readonly closing: AbortSignal
}

function install(app: FastifyInstance, boundHost: string | null, context: Context): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS)
    const { localAddress } = request.socket
    guard({ method: request.method, headers: request.headers, localAddress, boundHost })
  })
  // Every body is text to us, whatever its type: `curl -d` claims that it is a form.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  for (const endpoint of ENDPOINTS) {
    app.route({
      method: endpoint.method,
      url: endpoint.path,
      handler: async (request, reply) =>
        send(request, reply, await endpoint.handle(toAdminRequest(request, reply, context))),
    })
  }
  app.setNotFoundHandler((request, reply) => send(request, reply, refuseUnknown(request, reply)))
  app.setErrorHandler((error, request, reply) => send(request, reply, refuse(error, request, context)))
}

function toAdminRequest(request: FastifyRequest, reply: FastifyReply, context: Context): AdminRequest {
  return {
    gateway: context.gateway,
    log: context.log,
    query: queryOf(request),
    body: typeof request.body === 'string' ? request.body : '',
    signal() {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      return AbortSignal.any([gone.signal, context.closing])
    },
  }
}

function queryOf(request: FastifyRequest): Map<string, string> {
  return new Map(new URLSearchParams(/\?(.*)$/s.exec(request.url)?.[1] ?? ''))
}

function send(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body }: AdminReply,
): FastifyReply {
  reply.code(status).headers(headers)
  if (typeof body === 'string' || !('json' in body)) return reply.send(body)
  const pretty = queryOf(request).get('pretty')
  const isPretty = pretty !== undefined && pretty !== '0' && pretty !== 'false'
  return reply.send(`${JSON.stringify(body.json, null, isPretty ? 2 : undefined)}\n`)
}

function refuseUnknown(request: FastifyRequest, reply: FastifyReply): AdminReply {
  const path = request.url.replace(/\?.*$/s, '')
  const methods = ENDPOINTS.filter((endpoint) => endpoint.path === path).map(({ method }) => method)
  if (methods.length > 0) {
    const allow = methods.includes('GET') ? ['HEAD', ...methods].join(', ') : methods.join(', ')
    reply.header('allow', allow)
    return failure(405, 'METHOD_NOT_ALLOWED', `${path} takes ${allow}, not ${request.method}`)
  }
  const endpoints = ENDPOINTS.map(({ method, path, summary }) => `${method} ${path}: ${summary}`)
  return failure(404, 'NOT_FOUND', `there is no ${path}`, { endpoints })
}

function refuse(error: unknown, request: FastifyRequest, { log, closing }: Context): AdminReply {
  if (error instanceof AdminError) return failure(error.status, error.code, error.message)
  const { statusCode = 500, code, message } = error as { statusCode?: number; code?: string; message: string }
  if (statusCode < 500) return failure(statusCode, code ?? 'BAD_REQUEST', message)
  // What was cut off because its caller went away or we close is no fault of ours.
  if (code === 'ABORT_ERR')
    return failure(503, 'ABORTED', closing.aborted ? 'the admin port closes' : message)
  log.error({ err: error, path: request.url }, 'an admin request failed')
  return failure(500, 'INTERNAL', message)
}

function failure(status: number, error: string, message: string, more: object = {}): AdminReply {
  return json({ error, message, ...more }, status)
}
