/** A request head for tests of the router, made from what matters to it. */
import type { Headers, RequestHead } from '../../lib/core/message.ts'

/** What a test wants to say about its request. */
export interface RequestParts {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly authority?: string
  readonly operation?: string
  readonly service?: string
  readonly version?: string
  readonly group?: string
  readonly app?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Called for each header that is read. */
  readonly onRead?: (name: string) => void
}

/** Makes a request head; the path is `/` unless given. */
export function requestOf(parts: RequestParts = {}): RequestHead {
  const headers = new Map(Object.entries(parts.headers ?? {}))
  const get = (name: string) => {
    parts.onRead?.(name)
    return headers.get(name) ?? null
  }
  return {
    protocol: 'http1',
    method: parts.method ?? 'GET',
    path: parts.path ?? '/',
    query: parts.query ?? '',
    authority: parts.authority ?? '',
    operation: parts.operation ?? '',
    service: parts.service ?? '',
    version: parts.version ?? '',
    group: parts.group ?? '',
    app: parts.app ?? '',
    headers: { get, has: (name: string) => headers.has(name) } as unknown as Headers,
    bodyLength: 0,
    isIdempotent: true,
    budgetMs: 0,
    retain() {},
    release() {},
  }
}
