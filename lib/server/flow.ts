/** The small steps of messages in motion: how they are sent, who is paused for whom, and how what was held goes on. */
import type { DownstreamStream, LocalReply, UpstreamStream } from '../core/codec.ts'
import type { Exchange } from '../core/exchange.ts'
import type { ResponseHead } from '../core/message.ts'
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

/** Sends the request on its stream: the head, and what there is of the body. The stream may fail while this runs. */
export function sendRequest(exchange: Exchange, drive: Drive, stream: UpstreamStream): void {
  const body = exchange.requestBody
  if (body !== null) {
    stream.sendRequest(exchange.request, body.length === 0)
    if (body.length > 0 && exchange.upstream === stream) stream.sendBody(body, 0, body.length, true)
    return
  }
  const hold = drive.requestHold
  const isWhole = exchange.requestEnded
  stream.sendRequest(exchange.request, isWhole && (hold === null || hold.isEmpty))
  if (hold !== null && exchange.upstream === stream) sendHeld(stream, hold, isWhole)
  if (drive.isRequestPaused && exchange.upstream === stream && stream.isWritable) {
    resumeRequest(exchange, drive)
  }
}

/** Sends the response to the caller: the head, and what there is of the body. */
export function sendResponse(exchange: Exchange, drive: Drive): void {
  const response = exchange.response as ResponseHead
  const { downstream } = exchange
  const body = exchange.responseBody ?? (drive.isLocal ? (response as LocalReply).body : null)
  if (body !== null) {
    downstream.sendResponse(response, body.length === 0)
    exchange.responseBytes += body.length
    if (body.length > 0) downstream.sendBody(body, 0, body.length, true)
    return
  }
  const hold = drive.responseHold
  const isWhole = drive.responseEnded
  downstream.sendResponse(response, isWhole && (hold === null || hold.isEmpty))
  if (hold === null) return
  exchange.responseBytes += hold.length
  sendHeld(downstream, hold, isWhole)
}
