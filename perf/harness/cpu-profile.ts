/** Reads a V8 CPU profile and says in plain text where the time went. */

import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[]
}

/** The parts of a `.cpuprofile` that are read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[]
}

/** One line of a list: a name and its share of the time that was not idle. */
export interface Share {
  readonly name: string
  readonly percent: number
}

/** Where the time went. */
export interface ProfileSummary {
  readonly sampledMs: number
  readonly idlePercent: number
  /** Time in the function itself. */
  readonly self: readonly Share[]
  /** Time in the function and all that it called. */
  readonly inclusive: readonly Share[]
  readonly files: readonly Share[]
  readonly lines: readonly Share[]
}

const IDLE = '(idle)'
/** Stands for the file of what has none: garbage collection, C++. */
const NATIVE = '(native)'

/** Adds the samples up. File names are shown relative to `root`. */
export function summarizeProfile(profile: CpuProfile, root: string): ProfileSummary {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const selfOfNode = new Map<number, number>()
  let total = 0
  profile.samples.forEach((id, i) => {
    const delta = Math.max(0, profile.timeDeltas[i] ?? 0)
    selfOfNode.set(id, (selfOfNode.get(id) ?? 0) + delta)
    total += delta
  })
  let idle = 0
  const self = new Map<string, number>()
  const files = new Map<string, number>()
  const lines = new Map<string, number>()
  for (const [id, time] of selfOfNode) {
    const node = nodes.get(id)!
    if (node.callFrame.functionName === IDLE) {
      idle += time
      continue
    }
    const file = fileOf(node, root)
    add(self, nameOf(node, root), time)
    add(files, file, time)
    if (file === NATIVE) continue // its line numbers mean nothing
    const ticks = node.positionTicks?.reduce((sum, position) => sum + position.ticks, 0) ?? 0
    for (const position of node.positionTicks ?? []) {
      add(lines, `${file}:${position.line}`, (time * position.ticks) / ticks)
    }
  }
  const inclusive = inclusiveTimes(profile, nodes, selfOfNode, root)
  const busy = total - idle
  return {
    sampledMs: total / 1000,
    idlePercent: total === 0 ? 0 : (idle / total) * 100,
    self: ranked(self, busy),
    inclusive: ranked(inclusive, busy),
    files: ranked(files, busy),
    lines: ranked(lines, busy),
  }
}

/** Time of each function with all below it; a function that is on the stack twice counts once. */
function inclusiveTimes(
  profile: CpuProfile,
  nodes: ReadonlyMap<number, ProfileNode>,
  selfOfNode: ReadonlyMap<number, number>,
  root: string,
): Map<string, number> {
  const times = new Map<string, number>()
  const below = (node: ProfileNode, onStack: ReadonlySet<string>): number => {
    const name = nameOf(node, root)
    const isFirst = !onStack.has(name)
    const stack = isFirst ? new Set(onStack).add(name) : onStack
    let time = selfOfNode.get(node.id) ?? 0
    for (const child of node.children ?? []) time += below(nodes.get(child)!, stack)
    if (isFirst && node.callFrame.functionName !== IDLE) add(times, name, time)
    return time
  }
  const top = profile.nodes[0]
  if (top !== undefined) below(top, new Set())
  times.delete('(root)')
  return times
}

function nameOf(node: ProfileNode, root: string): string {
  const { functionName, lineNumber } = node.callFrame
  const file = fileOf(node, root)
  if (file === NATIVE) return functionName === '' ? NATIVE : functionName
  return `${functionName === '' ? '(anonymous)' : functionName}  ${file}:${lineNumber + 1}`
}

function fileOf(node: ProfileNode, root: string): string {
  const { url } = node.callFrame
  if (url === '') return NATIVE
  return url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value)
}

function ranked(sums: ReadonlyMap<string, number>, whole: number): Share[] {
  const shares = [...sums].map(([name, time]) => ({ name, percent: whole === 0 ? 0 : (time / whole) * 100 }))
  return shares.sort((a, b) => b.percent - a.percent)
}
