/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2020-03-05): a header in front of the
 * first byte that tells the addresses of the connection a load balancer accepted.
 */
import net from 'node:net'
import type { Codec } from '../core/codec.ts'
import type { Connection } from './connection.ts'
import { Peer } from './peer.ts'

/** `required` closes connections without the header; `optional` serves them under the address they came from. */
export type ProxyProtocolMode = 'off' | 'optional' | 'required'

const V1_PREFIX = Buffer.from('PROXY ')
const V1_MAX_BYTES = 107
const V2_SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const V2_HEADER_BYTES = 16
const V2_MAX_BYTES = 4096

/** What the first bytes turned out to be. `null` in `peer` keeps the connection's own addresses (LOCAL, UNKNOWN). */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'header'; readonly length: number; readonly peer: Peer | null }

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' }
const ABSENT: ProxyHeader = { kind: 'absent' }

/** Reads a header of either version from the start of `bytes`. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAs(bytes, V2_SIGNATURE)) return bytes.length < V2_HEADER_BYTES ? INCOMPLETE : parseV2(bytes)
  if (startsAs(bytes, V1_PREFIX)) return bytes.length < V1_PREFIX.length ? INCOMPLETE : parseV1(bytes)
  return ABSENT
}

/** Whether `bytes` begin with `prefix`, or with as much of it as has arrived. */
function startsAs(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length)
  return bytes.compare(prefix, 0, length, 0, length) === 0
}

function parseV1(bytes: Buffer): ProxyHeader {
  const lineEnd = bytes.indexOf('\r\n', 0, 'latin1')
  if (lineEnd < 0 || lineEnd + 2 > V1_MAX_BYTES) {
    return bytes.length < V1_MAX_BYTES && lineEnd < 0
      ? INCOMPLETE
      : invalid('version 1 line is longer than 107 bytes')
  }
  const length = lineEnd + 2
  const words = bytes.latin1Slice(0, lineEnd).split(' ')
  if (words[1] === 'UNKNOWN') return { kind: 'header', length, peer: null }
  const family = words[1] === 'TCP4' ? 4 : words[1] === 'TCP6' ? 6 : 0
  if (family === 0 || words.length !== 6)
    return invalid('version 1 line is not TCP4, TCP6 or UNKNOWN with four fields')
  const [, , source = '', target = '', sourcePort = '', targetPort = ''] = words
  if (net.isIP(source) !== family || net.isIP(target) !== family)
    return invalid('version 1 line has a bad address')
  if (!isPort(sourcePort) || !isPort(targetPort)) return invalid('version 1 line has a bad port')
  const peer = new Peer(source, Number(sourcePort), target, Number(targetPort))
  return { kind: 'header', length, peer }
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function parseV2(bytes: Buffer): ProxyHeader {
  const version = (bytes[12] as number) >> 4
  const command = (bytes[12] as number) & 0x0f
  const family = bytes[13] as number
  const length = V2_HEADER_BYTES + bytes.readUInt16BE(14)
  if (version !== 2 || command > 1) return invalid('version 2 header has an unknown version or command')
  if (command === 1 && (family >> 4 > 3 || (family & 0x0f) > 2))
    return invalid('version 2 header has an unknown address family or transport')
  if (length > V2_MAX_BYTES) return invalid('version 2 header is longer than 4096 bytes')
  if (bytes.length < length) return INCOMPLETE
  if (command === 0) return { kind: 'header', length, peer: null }
  if (family === 0x11) return inetPeer(bytes, length, 4)
  if (family === 0x21) return inetPeer(bytes, length, 16)
  return { kind: 'header', length, peer: null }
}

function inetPeer(bytes: Buffer, length: number, addressBytes: number): ProxyHeader {
  const at = V2_HEADER_BYTES
  if (length < at + 2 * addressBytes + 4) return invalid('version 2 header is too short for its addresses')
  const source = formatIp(bytes.subarray(at, at + addressBytes))
  const target = formatIp(bytes.subarray(at + addressBytes, at + 2 * addressBytes))
  const ports = at + 2 * addressBytes
  const peer = new Peer(source, bytes.readUInt16BE(ports), target, bytes.readUInt16BE(ports + 2))
  return { kind: 'header', length, peer }
}

function formatIp(raw: Buffer): string {
  if (raw.length === 4) return raw.join('.')
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(raw.readUInt16BE(i).toString(16))
  // URL's parser compresses zeros in the canonical way (RFC 5952).
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason }
}

/** Reads the header, then hands the connection to the codec behind it. */
export class ProxyProtocolCodec implements Codec {
  readonly #connection: Connection
  readonly #mode: ProxyProtocolMode
  readonly #createCodec: () => Codec
  #held: Buffer = Buffer.alloc(0)

  constructor(connection: Connection, mode: ProxyProtocolMode, timeoutMs: number, createCodec: () => Codec) {
    this.#connection = connection
    this.#mode = mode
    this.#createCodec = createCodec
    connection.setTimer(timeoutMs)
  }

  onBytes(bytes: Buffer, offset: number, end: number): void {
    const held = Buffer.concat([this.#held, bytes.subarray(offset, end)])
    const header = parseProxyHeader(held)
    if (header.kind === 'incomplete') {
      this.#held = held
      return
    }
    if (header.kind === 'invalid' || (header.kind === 'absent' && this.#mode === 'required')) {
      this.#connection.destroy()
      return
    }
    if (header.kind === 'header' && header.peer !== null) this.#connection.peer = header.peer
    this.#handOver(held, header.kind === 'header' ? header.length : 0)
  }

  #handOver(held: Buffer, offset: number): void {
    this.#connection.setTimer(0)
    const codec = this.#createCodec()
    this.#connection.handOver(codec)
    if (offset < held.length) codec.onBytes(held, offset, held.length)
  }

  onEnd(): void {
    this.#connection.destroy()
  }

  onDrain(): void {}

  /** The header did not come in time. */
  onTimer(): void {
    this.#connection.destroy()
  }

  onClose(): void {}
}
