/** Bodies in motion: who is paused for whom, and what is held until it can go on. */
import type { DownstreamStream, UpstreamStream } from '../core/codec.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Drive } from './drive.ts'
import { Hold } from './hold.ts'

/** Body bytes that are held for an exchange before their source is paused. */
const HOLD_BYTES = 64 * 1024

/** Holds back the request's body at its source. */
export function pauseRequest(exchange: Exchange, drive: Drive): void {
  if (drive.isRequestPaused) return
  drive.isRequestPaused = true
  exchange.downstream.pause()
}

export function resumeRequest(exchange: Exchange, drive: Drive): void {
  if (!drive.isRequestPaused) return
  drive.isRequestPaused = false
  exchange.downstream.resume()
}

/** Holds back the response's body at its source. */
export function pauseResponse(exchange: Exchange, drive: Drive): void {
  if (drive.isResponsePaused) return
  drive.isResponsePaused = true
  exchange.upstream?.pause()
}

export function resumeResponse(exchange: Exchange, drive: Drive): void {
  if (!drive.isResponsePaused) return
  drive.isResponsePaused = false
  exchange.upstream?.resume()
}

/** Keeps a piece of the request's body; false when it is gathered and passes the limit. */
export function holdRequest(
  exchange: Exchange,
  drive: Drive,
  bytes: Buffer,
  offset: number,
  end: number,
): boolean {
  drive.requestHold ??= new Hold()
  const hold = drive.requestHold
  if (drive.gathersRequest) return gather(hold, drive, bytes, offset, end)
  hold.push(bytes, offset, end)
  if (hold.length >= HOLD_BYTES && !exchange.requestEnded) pauseRequest(exchange, drive)
  return true
}

/** Keeps a piece of the response's body; false when it is gathered and passes the limit. */
export function holdResponse(
  exchange: Exchange,
  drive: Drive,
  bytes: Buffer,
  offset: number,
  end: number,
): boolean {
  drive.responseHold ??= new Hold()
  const hold = drive.responseHold
  if (drive.gathersResponse) return gather(hold, drive, bytes, offset, end)
  hold.push(bytes, offset, end)
  if (hold.length >= HOLD_BYTES && !drive.responseEnded) pauseResponse(exchange, drive)
  return true
}

function gather(hold: Hold, drive: Drive, bytes: Buffer, offset: number, end: number): boolean {
  if (hold.length + end - offset > drive.runtime.gatherLimit) return false
  hold.push(bytes, offset, end)
  return true
}

/** Sends what is held; the last piece ends the body when `isWhole`. */
export function sendHeld(target: DownstreamStream | UpstreamStream, hold: Hold, isWhole: boolean): void {
  let left = hold.length
  hold.drainTo((bytes, length) => {
    left -= length
    target.sendBody(bytes, 0, length, isWhole && left === 0)
  })
}
