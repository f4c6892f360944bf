/** Which core the proxy runs on and which one load and backend share. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The role of a process decides its core. */
export type Role = 'proxy' | 'load'

/** How processes are placed. */
export interface Cores {
  readonly isPinned: boolean
  /** Words put in front of a command line. */
  readonly prefix: Readonly<Record<Role, readonly string[]>>
  /** One sentence for the report. */
  readonly note: string
}

/** Looks at the machine once. Without `taskset` or a second core nothing is pinned, and the note says so. */
export function findCores(): Cores {
  const allowed = allowedCores()
  if (allowed.length < 2) return unpinned('there is only one core')
  if (!hasTaskset()) return unpinned('taskset is missing')
  const [load, proxy] = allowed as [number, number]
  return {
    isPinned: true,
    prefix: { proxy: ['taskset', '-c', String(proxy)], load: ['taskset', '-c', String(load)] },
    note: `proxy on core ${proxy}, load and backend on core ${load}`,
  }
}

function unpinned(reason: string): Cores {
  return {
    isPinned: false,
    prefix: { proxy: [], load: [] },
    note: `nothing is pinned, because ${reason}: rates are not comparable, CPU per request only roughly`,
  }
}

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Cores that this process may use, such as `0-1,4`; empty where the system does not say. */
function allowedCores(): number[] {
  let status: string
  try {
    status = readFileSync('/proc/self/status', 'latin1')
  } catch {
    return []
  }
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? ''
  return list.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number) as [number, number?]
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}
