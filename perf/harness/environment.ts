/** What a result was measured on: enough to judge it, nothing that names the machine. */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'

/** The checkout this harness belongs to. */
export const ROOT = join(import.meta.dirname, '..', '..')

/** Stored with every result. */
export interface Environment {
  /** Day of the run, `2026-01-31`. */
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
  readonly meshgate: string
  readonly placement: string
  /** Versions of the peers that took part, by name. */
  readonly peers: Readonly<Record<string, string>>
}

/** Describes this machine. */
export function describeEnvironment(placement: string, peers: Readonly<Record<string, string>>): Environment {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const cpus = os.cpus()
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    kernel: `${os.type()} ${os.release().split('-')[0]} ${os.arch()}`,
    node: process.version,
    meshgate: manifest.version,
    placement,
    peers,
  }
}

/** One line for people. */
export function environmentLine(environment: Environment): string {
  const peers = Object.entries(environment.peers).map(([name, version]) => `${name} ${version}`)
  return [
    environment.date,
    environment.cpu,
    `${environment.cores} cores`,
    environment.kernel,
    `Node ${environment.node.slice(1)}`,
    `meshgate ${environment.meshgate}`,
    ...peers,
    environment.placement,
  ].join('; ')
}
