/** Steady load over HTTP/1.1 keep-alive connections that notices every request without a whole answer. */
import { once } from 'node:events'
import net from 'node:net'

/** What the load does. */
export interface LoadOptions {
  readonly connections: number
  /** Pause between an answer and the next request on a connection, in milliseconds. */
  readonly pauseMs?: number
  readonly path?: string
}

/** Load that runs until it is stopped. */
export class HttpLoad {
  answered = 0
  /** Answers by status. */
  readonly statuses = new Map<number, number>()
  /** Requests without a whole answer, and why. */
  readonly lost: string[] = []
  /** Connections that could not be made. */
  refused = 0
  /** Where the connections to come go. */
  port: number
  readonly #options: LoadOptions
  readonly #running: Promise<void>[] = []
  readonly #sockets = new Set<net.Socket>()
  #isStopping = false

  constructor(port: number, options: LoadOptions) {
    this.port = port
    this.#options = options
    for (let i = 0; i < options.connections; i++) this.#running.push(this.#run())
  }

  /** Sends no more and settles when every answer is in. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Settles when every connection has ended, because nobody listens any more. */
  async untilRefused(): Promise<void> {
    await Promise.all(this.#running)
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const socket = net.connect(this.port, '127.0.0.1')
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => this.#sockets.delete(socket))
      if (!(await isConnected(socket))) {
        this.refused++
        return
      }
      await this.#converse(socket)
      socket.destroy()
    }
  }

  /** Requests on one connection until its peer says that it closes. */
  async #converse(socket: net.Socket): Promise<void> {
    const { path = '/', pauseMs = 0 } = this.#options
    const answers = new Answers(socket)
    while (!this.#isStopping) {
      if (answers.isOver) return
      socket.write(`GET ${path} HTTP/1.1\r\nHost: load\r\n\r\n`)
      const answer = await answers.next()
      if (answer === null) {
        // A connection that was never answered may have been waiting in the kernel when the port closed.
        if (answers.count > 0) this.lost.push(`after ${answers.count} answers: ${answers.why}`)
        else this.refused++
        return
      }
      this.answered++
      this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1)
      if (answer.isLast) return
      if (pauseMs > 0) await Promise.race([sleep(pauseMs), answers.over])
    }
  }
}

interface LoadAnswer {
  readonly status: number
  /** `Connection: close`. */
  readonly isLast: boolean
}

/** Reads answers with a Content-Length, one by one. */
class Answers {
  count = 0
  isOver = false
  why = ''
  /** Settles when the peer closed. */
  readonly over: Promise<void>
  #text = ''
  #wake: (() => void) | null = null

  constructor(socket: net.Socket) {
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#text += text
      this.#wake?.()
    })
    this.over = new Promise((resolve) => {
      const end = (why: string) => (): void => {
        this.isOver = true
        this.why ||= why
        resolve()
        this.#wake?.()
      }
      socket.on('error', (error) => end(error.message)())
      socket.on('end', end('FIN'))
      socket.on('close', end('closed'))
    })
  }

  async next(): Promise<LoadAnswer | null> {
    for (;;) {
      const answer = this.#take()
      if (answer !== null) return answer
      if (this.isOver) return null
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #take(): LoadAnswer | null {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return null
    const head = this.#text.slice(0, end).toLowerCase()
    const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0)
    if (this.#text.length < end + 4 + length) return null
    this.#text = this.#text.slice(end + 4 + length)
    this.count++
    return { status: Number(head.slice(9, 12)), isLast: head.includes('\r\nconnection: close') }
  }
}

async function isConnected(socket: net.Socket): Promise<boolean> {
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
