/** What both roles keep of one stream: how much may still be sent and received, and which ends have been seen. */
import type { SendingStream, Waiting } from './outbound.ts'

/**
 * A stream is *open* from its first frame, *half-closed* once one side sent END, and *closed* when both did or
 * either cancelled. A closed one is no longer found by its id: what still arrives for it is late and skipped.
 */
export abstract class MmtpStream implements SendingStream {
  id = 0
  isClosed = false

  declare sendWindow: number
  messageBytes = 0
  isEndGiven = false
  hasSentEnd = false
  waiting: Waiting | null = null
  /** A RESPONSE or REQUEST went out. */
  hasSentHead = false

  declare receiveWindow: number
  /** Bytes whose credit was not yet given back on the stream. */
  owed = 0
  /** Bytes whose credit is withheld from the connection while the stream is paused. */
  withheld = 0
  receivedBytes = 0
  hasReceivedHead = false
  hasReceivedEnd = false
  isPaused = false

  constructor(sendWindow: number, receiveWindow: number) {
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
  }

  abstract readonly usesCrc: boolean
  abstract readonly isOneWay: boolean

  /** Takes a piece of the body that arrived. */
  abstract deliver(bytes: Buffer, offset: number, end: number, last: boolean, hasCrc: boolean): void
  /** The peer cancelled, or the stream cannot go on. It is closed when this is called. */
  abstract fail(reason: StreamFailure, detail: string): void
  /** What waited has been sent, or the connection takes output again. */
  abstract drained(): void
}

/** Why a stream ended before its time. `code` is that of the CANCEL or GOAWAY behind it. */
export interface StreamFailure {
  readonly kind: 'cancelled' | 'broken' | 'too-large' | 'stalled' | 'gone' | 'refused'
  readonly code: number
}
