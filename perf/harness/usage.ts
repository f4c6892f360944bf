/** CPU time and memory of a process and all its children, from /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/** Linux reports CPU time in ticks of 10 ms on every platform Node runs on. */
const TICK_MS = 10

interface ProcessEntry {
  readonly parent: number
  readonly cpuTicks: number
}

/** CPU milliseconds (user and system) that the tree below and with `pid` has used; null without /proc. */
export function cpuMilliseconds(pid: number): number | null {
  const table = processTable()
  if (table === null) return null
  let ticks = 0
  for (const member of tree(table, pid)) ticks += table.get(member)?.cpuTicks ?? 0
  return ticks * TICK_MS
}

/** Resident bytes of the tree below and with `pid`; null without /proc. */
export function residentBytes(pid: number): number | null {
  const table = processTable()
  if (table === null) return null
  let bytes = 0
  for (const member of tree(table, pid)) bytes += statusKiB(member, 'VmRSS') * 1024
  return bytes
}

function processTable(): Map<number, ProcessEntry> | null {
  let names: string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return null
  }
  const table = new Map<number, ProcessEntry>()
  for (const name of names) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const entry = readStat(pid)
    if (entry !== null) table.set(pid, entry)
  }
  return table
}

/** Parses /proc/PID/stat; the command in parentheses may itself hold spaces and parentheses. */
function readStat(pid: number): ProcessEntry | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null // it ended meanwhile
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  // From the third field on: 1 is the parent, 11 and 12 are user and system time.
  return { parent: Number(fields[1]), cpuTicks: Number(fields[11]) + Number(fields[12]) }
}

function tree(table: Map<number, ProcessEntry>, root: number): number[] {
  const members = [root]
  for (let i = 0; i < members.length; i++) {
    for (const [pid, entry] of table) if (entry.parent === members[i]) members.push(pid)
  }
  return members
}

function statusKiB(pid: number, field: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1')
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}
