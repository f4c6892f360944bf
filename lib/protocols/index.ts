/** The table of protocols. Importing it has no effect. */
import type { Protocol } from '../core/codec.ts'
import type { ProtocolName } from '../core/message.ts'
import { createDetector, type ServerProtocol } from './detect.ts'
import { http1 } from './http1/index.ts'
import { mmtp } from './mmtp/index.ts'

export type { ServerProtocol } from './detect.ts'

/** Every protocol that listeners accept and clusters speak. */
export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = { http1, mmtp }

/** What a listener may be configured with. */
export const LISTENER_PROTOCOLS: Readonly<Record<string, ServerProtocol>> = {
  ...PROTOCOLS,
  auto: createDetector(PROTOCOLS),
}
