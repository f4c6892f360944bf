/**
 * A business process on `node:http` that tests start as a process of its own, to kill it: `node business-process.ts PORT`.
 *
 * `/` answers a text, `/echo` the body it was sent as it comes, `/chunked` some pieces, `/slow` after 30 ms, `/close` and
 * closes the connection, `/store/…` what was PUT there; `/chat` is a WebSocket that answers with what it is sent.
 */
import http from 'node:http'
import { WebSocketServer } from 'ws'

const HELLO = 'hello from node'
const stored = new Map<string, Buffer>()
const sockets = new WebSocketServer({ noServer: true, maxPayload: 4 << 20 })

const server = http.createServer((request, response) => {
  // A caller that leaves in the middle is no failure of this process.
  request.on('error', () => undefined)
  void answer(request, response).catch(() => response.destroy())
})

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const { method, url = '/', headers } = request
  const framing = headers['content-length'] ?? headers['transfer-encoding'] ?? ''
  if (url === '/echo') {
    response.setHeader('x-framing', framing)
    if (headers['content-length'] !== undefined)
      response.setHeader('content-length', headers['content-length'])
    request.pipe(response)
    return
  }
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  if (url === '/chunked') {
    for (const piece of ['one ', 'two ', 'three']) response.write(piece)
    response.end()
    return
  }
  if (url.startsWith('/store/')) {
    if (method === 'PUT') stored.set(url, Buffer.concat(chunks))
    response.statusCode = method === 'PUT' ? 201 : 200
    response.end(method === 'PUT' ? '' : stored.get(url))
    return
  }
  if (url === '/slow') await new Promise((resolve) => setTimeout(resolve, 30))
  if (url === '/close') response.setHeader('connection', 'close')
  response.setHeader('content-length', HELLO.length)
  response.end(HELLO)
}

server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => undefined)
  sockets.handleUpgrade(request, socket, head, (ws) => {
    ws.on('error', () => undefined)
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }))
  })
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.argv[2]), '127.0.0.1')
