/** Callers of every kind at once, well-behaved and not, that check what they are given. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { WebSocket } from 'ws'
import { connectMmtp, type MmtpCaller } from '../../lib/mmtp.ts'
import { call } from './http.ts'

/** What a gateway answers while its business process is away. */
const OUTAGE_STATUSES = [502, 503, 504]
/** The same over Mmtp: a failure of the business process, or none there. */
const OUTAGE_CODES = [4001, 4002]
const LARGE = 256 * 1024
const PIPELINED = 8

/** Where the callers go. */
export interface Targets {
  readonly web: number
  readonly rpc: number
  /** What `GET /` answers. */
  readonly text: string
}

/** Runs until it is stopped. Answers and outages are counted, whatever should not be is listed. */
export class MixedLoad {
  answered = 0
  /** Answers of the gateway's own while the business process was away. */
  outages = 0
  /** Requests that their caller gave up. */
  givenUp = 0
  readonly wrong: string[] = []
  readonly #targets: Targets
  readonly #actors: Promise<unknown>
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
  #isStopping = false

  constructor(targets: Targets) {
    this.#targets = targets
    const actors: [name: string, count: number, pauseMs: number, act: () => Promise<void>][] = [
      ['GET', 8, 3, () => this.#get()],
      ['POST', 3, 10, () => this.#post()],
      ['pipelined', 2, 20, () => this.#pipeline()],
      ['leaving', 2, 15, () => this.#leave()],
      ['slow', 2, 50, () => this.#readSlowly()],
      ['WebSocket', 2, 30, () => this.#chat()],
    ]
    const running = actors.flatMap(([name, count, pauseMs, act]) =>
      Array.from({ length: count }, () => this.#repeat(name, pauseMs, act)),
    )
    this.#actors = Promise.all([...running, this.#mmtp(), this.#mmtp()])
  }

  /** Begins nothing more and settles when everything is over. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#actors
    this.#agent.destroy()
  }

  async #repeat(name: string, pauseMs: number, act: () => Promise<void>): Promise<void> {
    while (!this.#isStopping) {
      await act().catch((error) => this.wrong.push(`${name}: ${error}`))
      await sleep(pauseMs)
    }
  }

  /** Counts an answer and tells whether it came from the business process. */
  #isAnswer(what: string, status: number): boolean {
    if (OUTAGE_STATUSES.includes(status)) {
      this.outages++
      return false
    }
    if (status !== 200) {
      this.wrong.push(`${what}: status ${status}`)
      return false
    }
    this.answered++
    return true
  }

  async #get(): Promise<void> {
    const { web, text } = this.#targets
    const answer = await call(web, { agent: this.#agent })
    if (this.#isAnswer('GET', answer.status) && answer.text !== text) this.wrong.push(`GET: ${answer.text}`)
  }

  /** Chunked and with a length in turn. A body that met the outage comes back cut off. */
  async #post(): Promise<void> {
    const body = randomBytes(1 + Math.floor(Math.random() * LARGE))
    const isChunked = Math.random() < 0.5
    const headers = isChunked ? { 'transfer-encoding': 'chunked' } : {}
    const { web } = this.#targets
    const options = { path: '/echo', method: 'POST', body, headers, agent: this.#agent }
    const answer = await call(web, options).catch((error) => {
      if (!['ECONNRESET', 'EPIPE'].includes(error.code)) throw error
      this.outages++
      return null
    })
    if (answer === null || !this.#isAnswer('POST', answer.status)) return
    if (!answer.body.equals(body)) this.wrong.push(`POST: ${answer.body.length} of ${body.length} bytes`)
  }

  /** Several requests in one packet; their answers come in order. */
  async #pipeline(): Promise<void> {
    const { web, text } = this.#targets
    const socket = await connect(web)
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    socket.write(request.repeat(PIPELINED - 1) + request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    const answers = (await readAll(socket)).split('HTTP/1.1 ').slice(1)
    if (answers.length === PIPELINED)
      for (const answer of answers) {
        const isWhole = this.#isAnswer('pipelined', Number(answer.slice(0, 3)))
        if (isWhole && !answer.endsWith(text)) this.wrong.push(`pipelined: ${answer}`)
      }
    else this.wrong.push(`pipelined: ${answers.length} answers of ${PIPELINED}`)
  }

  /** Goes away in the middle: of the head, of the body, of the answer. */
  async #leave(): Promise<void> {
    const socket = await connect(this.#targets.web)
    const head = `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE}\r\n\r\n`
    const at = Math.random()
    if (at < 0.3) socket.write(head.slice(0, 20))
    else if (at < 0.6) socket.write(head + 'x'.repeat(1000))
    else socket.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    await sleep(Math.random() * 25)
    if (Math.random() < 0.5) socket.destroy()
    else socket.resetAndDestroy()
    this.givenUp++
  }

  /** Takes a large answer a piece at a time, or leaves behind the first one. */
  async #readSlowly(): Promise<void> {
    const socket = await connect(this.#targets.web)
    const length = LARGE * 4
    socket.write(`POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`)
    socket.write(Buffer.alloc(length, 'slow '))
    const isPatient = Math.random() < 0.7
    let received = 0
    for await (const chunk of socket.iterator({ destroyOnReturn: true })) {
      received += (chunk as Buffer).length
      if (!isPatient) break
      await sleep(2)
    }
    if (received > length) this.answered++
    else if (isPatient) this.outages++
    else this.givenUp++
  }

  async #chat(): Promise<void> {
    const client = new WebSocket(`ws://127.0.0.1:${this.#targets.web}/chat`, { perMessageDeflate: false })
    // A refused upgrade or a business process that dies: the close event tells.
    client.on('error', () => undefined)
    const closed = new Promise((resolve) => client.on('close', resolve))
    client.on('open', () => client.send('hello'))
    let left = 5
    client.on('message', (data) => {
      if (String(data) !== 'hello') this.wrong.push(`WebSocket: ${data}`)
      this.answered++
      if (--left > 0) client.send('hello')
      else if (Math.random() < 0.5) client.close(1000)
      else client.terminate()
    })
    await closed
    if (left > 0) this.outages++
  }

  /** Calls on one connection, one of whose callers cancels its own; a connection that drains is replaced. */
  async #mmtp(): Promise<void> {
    while (!this.#isStopping) {
      const caller = await connectMmtp(`127.0.0.1:${this.#targets.rpc}`)
      const whileUsable = async (pauseMs: number, act: () => Promise<void>): Promise<void> => {
        while (!this.#isStopping && caller.isUsable) {
          await act().catch((error) => this.wrong.push(`Mmtp: ${error}`))
          await sleep(pauseMs)
        }
      }
      const callers = Array.from({ length: 6 }, () => whileUsable(5, () => this.#callMmtp(caller)))
      // Slow enough for the gateway's budget of cancelled calls.
      await Promise.all([...callers, whileUsable(50, () => this.#cancelMmtp(caller))])
      await caller.close()
    }
  }

  async #cancelMmtp(caller: MmtpCaller): Promise<void> {
    const controller = new AbortController()
    const answer = caller.call('demo.slow', '{}', { timeoutMs: 10_000, signal: controller.signal })
    setTimeout(() => controller.abort(new Error('changed my mind')), Math.random() * 20)
    await answer.catch(() => undefined)
    this.givenUp++
  }

  async #callMmtp(caller: MmtpCaller): Promise<void> {
    const body = `{"n":${Math.random()}}`
    const { status, body: echoed } = await caller.call('demo.echo', body, { timeoutMs: 10_000 })
    if (OUTAGE_CODES.includes(status)) this.outages++
    else if (status !== 1000) this.wrong.push(`Mmtp: status ${status}`)
    else if (echoed.toString() !== body) this.wrong.push(`Mmtp: ${echoed}`)
    else this.answered++
  }
}

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  return socket
}

function readAll(socket: net.Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  return new Promise((resolve) => socket.on('close', () => resolve(text)))
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
