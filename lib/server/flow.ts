/** The small steps of bodies in motion: who is paused for whom, and how what was held goes on. */
import type { DownstreamStream, UpstreamStream } from '../core/codec.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Drive } from './drive.ts'
import type { Hold } from './hold.ts'

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

/** Lets go of a stream whose both directions are over: its codec may give it to another exchange while hooks of this one still wait. */
export function releaseStream(exchange: Exchange, drive: Drive): void {
  if (drive.responseEnded && exchange.requestEnded) exchange.upstream = null
}

/** Sends what is held; its trailers or else its last piece end the body when `isWhole`. */
export function sendHeld(target: DownstreamStream | UpstreamStream, hold: Hold, isWhole: boolean): void {
  const { trailers } = hold
  let left = hold.length
  hold.drainTo((bytes, length) => {
    left -= length
    target.sendBody(bytes, 0, length, isWhole && left === 0 && trailers === null)
  })
  if (trailers !== null) target.sendTrailers(trailers)
}
