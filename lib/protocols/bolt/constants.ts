/** Numbers of SOFABolt v1 and v2 (docs/protocols/bolt.md). Everything on the wire is big-endian. */

/** First byte of a frame. */
export const Proto = { V1: 1, V2: 2 } as const

/** Version byte that only v2 has: whether its frames may bear a checksum. */
export const CrcVersion = { Never: 1, Possible: 2 } as const

/** Bit of v2's switch byte: a CRC-32 of the frame follows its content. */
export const SWITCH_CRC = 0x01
/** From here on a Java peer closes the connection. */
export const SWITCH_LIMIT = 0x80

export const FrameType = { Response: 0, Request: 1, OneWay: 2 } as const

/** Command codes. GoAway is an extension that only meshes know. */
export const Command = { Heartbeat: 0, Request: 1, Response: 2, GoAway: 100 } as const

/** The only version of commands there is. */
export const COMMAND_VERSION = 1

/** Serializers that meshgate has to know; all others pass through. */
export const Serializer = { Hessian: 1, Java: 2 } as const

/** Bytes before class name, header block and content, of the shortest kind of frame. */
export const MIN_FIXED_LENGTH = 20
export const CRC_LENGTH = 4

/** Java reads lengths of class name and header block as signed shorts. */
export const MAX_SHORT_LENGTH = 0x7fff

/** Frames that do not end within this time break the connection. */
export const FRAME_TIMEOUT_MS = 30_000
/** A heartbeat has to be answered in this time … */
export const HEARTBEAT_ACK_MS = 1_000
/** … and a peer that missed so many in a row is dead. */
export const MAX_MISSED_HEARTBEATS = 3

/** Contents from here on are lent to the wire in place of being copied. */
export const LEND_BYTES = 16 * 1024

/** Keys of the header block that SOFARPC writes. */
export const Key = {
  Service: 'service',
  TargetService: 'sofa_head_target_service',
  Method: 'sofa_head_method_name',
  App: 'app',
  Protocol: 'protocol',
  Type: 'type',
  TraceId: 'rpc_trace_context.sofaTraceId',
  RpcId: 'rpc_trace_context.sofaRpcId',
  ResponseError: 'sofa_head_response_error',
} as const

export const REQUEST_CLASS = 'com.alipay.sofa.rpc.core.request.SofaRequest'
export const RESPONSE_CLASS = 'com.alipay.sofa.rpc.core.response.SofaResponse'
export const EXCEPTION_CLASS = 'com.alipay.remoting.rpc.exception.RpcServerException'

/** Status of a response. The numbers jump from 9 to 16; with any other one a Java client closes its connection. */
export const Status = {
  Success: 0,
  Error: 1,
  ServerException: 2,
  Unknown: 3,
  Busy: 4,
  ErrorComm: 5,
  NoProcessor: 6,
  Timeout: 7,
  ClientSendError: 8,
  CodecException: 9,
  ConnectionClosed: 16,
  SerializationFailed: 17,
  DeserializationFailed: 18,
} as const
export type Status = (typeof Status)[keyof typeof Status]

const KNOWN_STATUSES: ReadonlySet<number> = new Set(Object.values(Status))

/** What may be sent in place of `status`: itself, or `Unknown` for one that would make the client close its connection. */
export function sendableStatus(status: number): number {
  return status === Status.Success || KNOWN_STATUSES.has(status) ? status : Status.Unknown
}
