/** A small business process: plain HTTP on localhost, knowing nothing of the gateway in front of it. */
import http from 'node:http'

const port = Number(process.env.BUSINESS_PORT ?? 18080)
let orders = 0

const server = http.createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  const answer =
    request.method === 'POST' && request.url === '/orders'
      ? { order: ++orders, accepted: parse(body) }
      : { method: request.method, url: request.url, headers: request.headers, body }
  response.setHeader('content-type', 'application/json')
  response.end(`${JSON.stringify(answer)}\n`)
})

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

server.on('error', (error: NodeJS.ErrnoException) => {
  const why =
    error.code === 'EADDRINUSE'
      ? `port ${port} is in use; choose another one with BUSINESS_PORT`
      : error.message
  process.stderr.write(`business process: ${why}\n`)
  process.exit(1)
})
server.listen(port, '127.0.0.1', () => process.send?.('ready'))
process.on('SIGTERM', () => server.close())
// Ctrl-C reaches every process of the terminal. The gateway finishes its requests first and needs this one for that;
// when it is gone the channel to it closes.
if (process.connected) {
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit(0))
}
