/** GET and POST /log-level */
import { AdminError, type AdminRequest, type Endpoint, json } from './endpoint.ts'

/** The level of the log. */
export const logLevel: Endpoint = {
  method: 'GET',
  path: '/log-level',
  summary: 'the level of the log',
  handle: ({ gateway }) => json({ level: gateway.logLevel() }),
}

/** Changes the level of the log until the process ends: `?level=debug`, or `{"level": "debug"}` as body. */
export const setLogLevel: Endpoint = {
  method: 'POST',
  path: '/log-level',
  summary: 'changes the level of the log; ?level=debug or {"level":"debug"}',
  handle(request) {
    const { gateway, log } = request
    const before = gateway.logLevel()
    const level = readLevel(request)
    try {
      gateway.setLogLevel(level)
    } catch (error) {
      if (error instanceof RangeError) throw new AdminError(400, 'BAD_PARAMETER', error.message)
      throw error
    }
    log.info({ before, level }, 'log level changed by the admin port')
    return json({ level: gateway.logLevel(), before })
  },
}

function readLevel({ query, body }: AdminRequest): string {
  const level = query.get('level') ?? levelOfBody(body)
  if (typeof level === 'string') return level
  throw new AdminError(
    400,
    'BAD_PARAMETER',
    'the level is missing; give ?level=debug or a body of {"level": "debug"}',
  )
}

function levelOfBody(body: string): unknown {
  if (body === '') return undefined
  try {
    return (JSON.parse(body) as { level?: unknown } | null)?.level
  } catch {
    throw new AdminError(400, 'BAD_BODY', 'the body is no JSON; it must be like {"level": "debug"}')
  }
}
