/** A session that was proven, and what became of one that was not. */
import type { Session } from './payload.ts'

/** Why there is no session. `unavailable` is no statement about the caller: the store could not be asked. */
export const FAULTS = [
  'missing',
  'malformed',
  'forged',
  'unknown-key',
  'unknown',
  'expired',
  'early',
  'revoked',
  'unavailable',
] as const
export type Fault = (typeof FAULTS)[number]

/** A proven session as the caches keep it. */
export class Verified {
  /** Exchanged when a store is told that the session lives on. */
  session: Session
  /** What filters see. */
  readonly principal: Readonly<Record<string, string>>
  /** Wall-clock milliseconds until which the store need not be asked again; `Infinity` for what proves itself. */
  readonly freshUntil: number
  readonly isLegacy: boolean
  /** Wall-clock milliseconds from which it is to be made anew. */
  renewAt: number
  /** What it was made anew as, so that requests in parallel get the same. */
  renewal: string | null = null

  constructor(session: Session, freshUntil: number, renewAt: number, isLegacy: boolean) {
    this.session = session
    this.principal = Object.freeze(session.attributes)
    this.freshUntil = freshUntil
    this.renewAt = renewAt
    this.isLegacy = isLegacy
  }
}
