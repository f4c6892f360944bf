/** Sessions of an HTTP session service: asked for by id, owned and kept alive by the service. */
import { parseSessionJson } from './json.ts'
import type { Session } from './payload.ts'
import type { SessionStore } from './store.ts'

/** Where the service is. */
export interface HttpPlace {
  readonly url: string
  /** Sent with each question, e.g. a credential of this gateway. */
  readonly headers: Readonly<Record<string, string>>
  readonly realm: string
  readonly timeoutMs: number
  readonly lifeMs: number
}

/** `fetch`, or what a test puts in its place. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

const MAX_ANSWER_BYTES = 65_536

/** Asks `POST url` with `{ "realm", "id" }`: 200 with a session as JSON, 404 for none. The id stands in the body, because access logs show addresses. */
export class HttpStore implements SessionStore {
  readonly kind = 'http'
  readonly #place: HttpPlace
  readonly #fetch: Fetch
  readonly #now: () => number

  constructor(place: HttpPlace, now: () => number, fetchLike: Fetch = fetch) {
    this.#place = place
    this.#now = now
    this.#fetch = fetchLike
  }

  async get(id: string): Promise<Session | null> {
    const { url, headers, realm, timeoutMs, lifeMs } = this.#place
    const response = await this.#fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ realm, id }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.status === 404) {
      await response.body?.cancel()
      return null
    }
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`the session service answered ${response.status}`)
    }
    const session = parseSessionJson(await readText(response), { id, now: this.#now(), lifeMs })
    if (session === null) throw new Error('the session service answered no session')
    return session
  }

  put(): void {
    throw new Error('a session service keeps its sessions itself')
  }

  touch(): void {}

  remove(): void {}

  close(): void {}
}

async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of response.body ?? []) {
    length += piece.length
    if (length > MAX_ANSWER_BYTES)
      throw new Error(`the session service answered more than ${MAX_ANSWER_BYTES} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}
