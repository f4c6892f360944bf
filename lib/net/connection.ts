/** One socket as codecs see it: a {@link Wire} for output, and the driver of a {@link Codec} for input. */
import type net from 'node:net'
import { slabs } from '../buffer/pools.ts'
import type { Slab } from '../buffer/slab-pool.ts'
import type { Codec, Wire } from '../core/codec.ts'
import type { Logger, TimerEntry } from '../core/services.ts'
import type { OnRead } from './adopt.ts'
import type { Flushable, Loop } from './loop.ts'
import { Output } from './output.ts'
import { Peer } from './peer.ts'
import { firstReadBuffer, ReadSlot } from './reads.ts'

/** Output queued beyond this makes a connection not writable. */
export const HIGH_WATERMARK = 256 * 1024
/** Output below this makes it writable again. */
export const LOW_WATERMARK = 64 * 1024
/** A closing connection is looked at this often … */
const CLOSING_LOOK_MS = 1000
/** … and reset when its peer took nothing of what is queued in so many looks. */
const CLOSING_LOOKS = 10

/** What all connections of a gateway share. */
export interface NetContext {
  readonly loop: Loop
  readonly log: Logger
}

/** Told when a connection is gone, so that whoever keeps it can forget it. */
export interface ConnectionOwner {
  onConnectionClosed(connection: Connection): void
}

const OWNER = Symbol('meshgate.connection')

/** A socket that belongs to a connection. */
interface OwnedSocket extends net.Socket {
  [OWNER]?: Connection
}

let nextId = 1
/** The connection whose read callback ran last: Node asks for its next buffer right after it, without saying for whom. */
let lastReader: Connection | null = null

/** Shared by every socket: reads land in `Connection.readInto`. */
export const ON_READ: OnRead = {
  buffer: nextBuffer,
  callback: onRead as (bytesRead: number, buffer: Buffer) => boolean,
}

function nextBuffer(): Buffer {
  const reader = lastReader
  lastReader = null
  // Undefined tells Node to keep the buffer it has.
  return reader === null ? firstReadBuffer() : (reader.nextReadBuffer() as Buffer)
}

function onRead(this: OwnedSocket, bytesRead: number, buffer: Buffer): boolean {
  const connection = this[OWNER]
  if (connection === undefined) return false
  return connection.readInto(buffer, bytesRead)
}

/** See {@link Wire}. Created for an accepted or a connected socket; `start` begins to read. */
export class Connection implements Wire, Flushable, TimerEntry {
  readonly id = nextId++
  readonly socket: net.Socket
  readonly createdMs: number
  peer: Peer
  position = 0
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly #context: NetContext
  readonly #owner: ConnectionOwner
  readonly #reads = new ReadSlot()
  #codec: Codec | null = null
  #slab: Slab | null = null
  #output: Output | null = null
  #isQueued = false
  #isClosing = false
  #isClosed = false
  #isBlocked = false
  #lastRead = 0
  /** Looks at the closing connection since its output moved, and how much there was then. */
  #looks = 0
  #leftAtLook = Infinity
  #error: Error | null = null

  constructor(socket: net.Socket, context: NetContext, owner: ConnectionOwner) {
    this.socket = socket
    this.#context = context
    this.#owner = owner
    this.createdMs = context.loop.now()
    this.peer = peerOf(socket)
    ;(socket as OwnedSocket)[OWNER] = this
    socket.on('error', onSocketError)
    socket.on('end', onSocketEnd)
    socket.on('close', onSocketClose)
  }

  /** The codec that reads this connection; null before {@link Connection.start}. */
  get codec(): Codec | null {
    return this.#codec
  }

  /** Hands the connection to its codec and begins to read. `isPooled` is false for a socket without `onread`. */
  start(codec: Codec, isPooled: boolean): void {
    this.#codec = codec
    if (!isPooled) this.socket.on('data', onSocketData)
    this.socket.resume()
  }

  /** Replaces the codec, e.g. once the PROXY header has been read. */
  handOver(codec: Codec): void {
    this.#codec = codec
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get queuedBytes(): number {
    return this.position + this.socket.writableLength
  }

  get isWritable(): boolean {
    if (this.position + this.socket.writableLength < HIGH_WATERMARK) return true
    this.#isBlocked = true
    return false
  }

  now(): number {
    return this.#context.loop.now()
  }

  setTimer(delayMs: number): void {
    if (this.#isClosing) return
    if (delayMs === 0) this.#context.loop.cancel(this)
    else this.#context.loop.schedule(this, delayMs)
  }

  onTimer(): void {
    if (this.#isClosing) this.#giveUp()
    else this.#guard((codec) => codec.onTimer())
  }

  reserve(length: number): Buffer {
    const slab = this.#slab
    if (slab !== null && this.position + length <= slab.bytes.length) {
      if (!this.#isQueued) this.#queue()
      return slab.bytes
    }
    return this.#reserveSlow(length)
  }

  write(bytes: Buffer, offset: number, end: number): void {
    let from = offset
    while (from < end) {
      const room = this.#slab === null ? 0 : this.#slab.bytes.length - this.position
      const length = Math.min(end - from, room === 0 ? slabs.slabSize : room)
      const target = this.reserve(length)
      bytes.copy(target, this.position, from, from + length)
      this.position += length
      from += length
    }
  }

  lend(bytes: Buffer, offset: number, end: number): void {
    if (this.#isClosed || this.#isClosing || this.socket.writableEnded) return
    this.#flushBatch()
    this.#writer().lend(bytes, offset, end)
  }

  pauseRead(): void {
    if (!this.#isClosing) this.socket.pause()
  }

  resumeRead(): void {
    if (!this.#isClosed) this.socket.resume()
  }

  end(): void {
    if (this.#isClosed || this.socket.writableEnded) return
    this.#flushBatch()
    this.socket.end()
  }

  close(): void {
    if (this.#isClosed || this.#isClosing) return
    this.#flushBatch()
    this.#context.loop.schedule(this, CLOSING_LOOK_MS)
    this.#isClosing = true
    this.socket.end()
    // What the peer still sends is read and dropped until it closes, too: closing a socket with unread input resets
    // the connection, and the peer may lose the answer it has not read yet (RFC 9112 section 9.6).
    this.socket.resume()
  }

  destroy(): void {
    this.#isClosing = true
    this.socket.destroy()
  }

  /** Called by the loop when the turn ends. */
  flush(): void {
    this.#isQueued = false
    this.#flushBatch()
    if (this.#isBlocked && this.socket.writableLength === 0) this.onFlushed()
  }

  /** Called by {@link Output} when everything written before has left. */
  onFlushed(): void {
    if (!this.#isBlocked || this.#isClosing || this.socket.destroyed) return
    if (this.queuedBytes > LOW_WATERMARK) return
    this.#isBlocked = false
    this.#guard((codec) => codec.onDrain())
  }

  /** Called by the read callback; false stops reading. */
  readInto(buffer: Buffer, bytesRead: number): boolean {
    if (bytesRead > 0) this.#deliver(buffer, bytesRead)
    this.#lastRead = bytesRead
    // Not before: a socket that the codec dials asks for its first buffer meanwhile, with the same function.
    lastReader = this
    return true
  }

  /** The buffer for the next read, undefined to keep the one in use. */
  nextReadBuffer(): Buffer | undefined {
    if (this.#isClosed) return firstReadBuffer()
    return this.#reads.next(this.#lastRead) ?? undefined
  }

  /** A chunk that Node allocated, for sockets without `onread`. */
  readChunk(chunk: Buffer): void {
    this.#deliver(chunk, chunk.length)
  }

  /** The peer's FIN. */
  onEnd(): void {
    if (this.#isClosing) return
    this.#guard((codec) => codec.onEnd())
  }

  /** Remembers why the connection is about to close. */
  onError(error: Error): void {
    this.#error = error
  }

  /** The socket is closed; last event. */
  onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isClosing = true
    this.#context.loop.cancel(this)
    this.#reads.close()
    this.#output?.close()
    this.#slab?.release()
    this.#slab = null
    this.position = 0
    const codec = this.#codec
    if (codec !== null) this.#guard(() => codec.onClose(this.#error))
    this.#owner.onConnectionClosed(this)
    this.peer.onClose()
  }

  #deliver(buffer: Buffer, length: number): void {
    const codec = this.#codec
    if (codec === null || this.#isClosing) return
    this.#reads.begin()
    try {
      codec.onBytes(buffer, 0, length)
    } catch (error) {
      this.#onBug(error)
    }
    this.#reads.end()
  }

  #guard(call: (codec: Codec) => void): void {
    const codec = this.#codec
    if (codec === null) return
    try {
      call(codec)
    } catch (error) {
      this.#onBug(error)
    }
  }

  /** A codec must not throw. When one does, that is a defect of ours: it costs this connection and nothing else. */
  #onBug(error: unknown): void {
    this.#context.log.error({ err: error, peer: this.peer.remoteAddress }, 'codec failed, connection closed')
    this.destroy()
  }

  /** The peer had its time: to take what is queued, or to close once it had everything. */
  #giveUp(): void {
    const { writableLength, writableFinished } = this.socket
    if (writableLength < this.#leftAtLook) this.#looks = 0
    this.#leftAtLook = writableLength
    if (writableFinished || ++this.#looks > CLOSING_LOOKS) this.socket.destroy()
    else this.#context.loop.schedule(this, CLOSING_LOOK_MS)
  }

  #queue(): void {
    this.#isQueued = true
    this.#context.loop.flushLater(this)
  }

  #reserveSlow(length: number): Buffer {
    this.#flushBatch()
    if (this.#slab === null || this.#slab.bytes.length < length) {
      this.#slab?.release()
      this.#slab = length <= slabs.slabSize ? slabs.acquire() : this.#writer().largeSlab(length)
    }
    if (!this.#isQueued) this.#queue()
    return this.#slab.bytes
  }

  #writer(): Output {
    this.#output ??= new Output(this.socket, this)
    return this.#output
  }

  /** Writes the batch. The slab goes back to the pool when the kernel took everything, and stays with the stream otherwise. */
  #flushBatch(): void {
    const slab = this.#slab
    if (slab === null) return
    const length = this.position
    this.position = 0
    this.#slab = null
    if (length === 0 || this.#isClosed || this.socket.writableEnded || this.socket.destroyed) {
      slab.release()
      return
    }
    const socket = this.socket
    socket.write(slab.bytes.subarray(0, length))
    if (socket.writableLength === 0) slab.release()
    else this.#writer().hold(slab)
  }
}

function connectionOf(socket: net.Socket): Connection {
  return (socket as OwnedSocket)[OWNER] as Connection
}

function onSocketData(this: net.Socket, chunk: Buffer): void {
  connectionOf(this).readChunk(chunk)
}

function onSocketEnd(this: net.Socket): void {
  connectionOf(this).onEnd()
}

function onSocketError(this: net.Socket, error: Error): void {
  connectionOf(this).onError(error)
}

function onSocketClose(this: net.Socket): void {
  connectionOf(this).onClose()
}

/** Addresses must be asked for while the socket is open. */
function peerOf(socket: net.Socket): Peer {
  return new Peer(
    socket.remoteAddress ?? '',
    socket.remotePort ?? 0,
    socket.localAddress ?? '',
    socket.localPort ?? 0,
  )
}
