/** A business process for any framed protocol: reads frames, writes once per read. */
import net from 'node:net'
import { FrameBatch, type FrameLayout, FrameReader } from './frame-stream.ts'

/** Options that every echo server takes. */
export const ECHO_OPTIONS = {
  port: { type: 'string' },
  /** What is answered: `text`, the string that was sent, or `order`, an object of ten fields. */
  payload: { type: 'string', default: 'text' },
  /** Length of the string. */
  body: { type: 'string', default: '256' },
} as const

/** One accepted connection of one protocol. */
export interface Answerer {
  /** Takes one frame and appends what it is answered with. */
  onFrame(bytes: Buffer, offset: number, end: number): void
  /** Called after the frames of one read, before what was appended is written. */
  afterRead(): void
}

/** Listens on loopback. A connection that sends nonsense is told of on stderr and closed. */
export function serveEcho(
  port: number,
  layout: FrameLayout,
  createAnswerer: (batch: FrameBatch) => Answerer,
): void {
  const server = net.createServer({ noDelay: true }, (socket) => {
    const batch = new FrameBatch(socket)
    const answerer = createAnswerer(batch)
    const reader = new FrameReader(layout, (bytes, offset, end) => answerer.onFrame(bytes, offset, end))
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk, chunk.length)
      } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`)
        socket.destroy()
        return
      }
      answerer.afterRead()
      batch.flush()
    })
  })
  server.listen({ port, host: '127.0.0.1', backlog: 4096 })
}
