/** What is measured: something that starts, listens on a port, and can be stopped. */
import type { Launched, Sandbox } from './sandbox.ts'

/** One proxy of a comparison. */
export interface Subject {
  /** `meshgate`, `nginx`, … */
  readonly name: string
  readonly version: string
  /** Starts it in front of the backend and resolves once it listens. */
  start(sandbox: Sandbox, backendPort: number): Promise<Running>
}

/** A started proxy, server or backend. */
export interface Running {
  readonly name: string
  readonly port: number
  readonly process: Launched
}
