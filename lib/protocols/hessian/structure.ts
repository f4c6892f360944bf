/** What the reader and the skipper share about containers: sizes, indices and what is wrong with them. */
import { type Dialect, Op } from './dialect.ts'
import { HessianError } from './limits.ts'
import { truncated } from './text.ts'

/** How a container ends. */
export const Ends = {
  /** With its last element. */
  Counted: 0,
  /** With a mark behind its last element (draft). */
  CountedMark: 1,
  /** A list, with a mark at any place. */
  Mark: 2,
  /** A map, with a mark in place of a key. */
  MarkAtKey: 3,
} as const

/**
 * Returns the int at `at`, which counts something or is an index. Only the forms of an int will do, and no negative
 * one; `sizeWidth` gives the bytes it took.
 */
export function readSize(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) throw truncated(end)
  const lead = bytes[at]
  if (lead >= 0x80 && lead <= 0xbf) return lead >= 0x90 ? lead - 0x90 : notNegative(lead - 0x90, at)
  if (lead !== 0x49 && (lead < 0x80 || lead > 0xd7)) throw unexpected('a length or an index', lead, at)
  if (at + sizeWidth(bytes, at) > end) throw truncated(end)
  if (lead === 0x49) return notNegative(read32(bytes, at + 1), at)
  if (lead <= 0xcf) return notNegative(((lead - 0xc8) << 8) | bytes[at + 1], at)
  return notNegative(((lead - 0xd4) << 16) | (bytes[at + 1] << 8) | bytes[at + 2], at)
}

/** Bytes of the int at `at`, which `readSize` has checked. */
export function sizeWidth(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]
  if (lead < 0x80) return 5
  return lead < 0xc0 ? 1 : lead < 0xd0 ? 2 : 3
}

/** Four bytes, signed. */
export function read32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

function notNegative(value: number, at: number): number {
  if (value < 0) throw new HessianError(`a length or an index is ${value}`, at)
  return value
}

/** Refuses a list that has more elements than there are bytes behind its head, which ends at `next`. */
export function checkLength(count: number, next: number, end: number): void {
  if (count < 0) throw new HessianError(`a list has a length of ${count}`, next)
  if (count > end - next) throw new HessianError(`a list of ${count} elements has ${end - next} bytes`, next)
}

/** The error for a first byte that begins no value of the dialect. */
export function notAValue(bytes: Uint8Array, at: number, dialect: Dialect): HessianError {
  const lead = bytes[at]
  switch (dialect.ops[lead]) {
    case Op.End:
      return new HessianError('an end mark stands where a value is due', at)
    case Op.Remote:
      return new HessianError('remote references are not supported', at)
    case Op.Xml:
      return new HessianError('XML values are not supported', at)
    default:
      return new HessianError(`no value of the ${dialect.name} dialect begins with ${hex(lead)}`, at)
  }
}

/** The error for a reference to a container that has not begun. */
export function noSuchSlot(index: number, at: number): HessianError {
  return new HessianError(`a reference to container ${index}, which has not begun`, at)
}

/** The error for a class index without a class. */
export function noSuchClass(index: number, at: number): HessianError {
  return new HessianError(`no class ${index} has been defined`, at)
}

/** The error for a type index without a type. */
export function noSuchType(index: number, at: number): HessianError {
  return new HessianError(`no type ${index} has been named`, at)
}

/** The error for a name that is too long. */
export function longName(limit: number, at: number): HessianError {
  return new HessianError(`a name is longer than ${limit} bytes`, at)
}

/** The error for a container that lies too deep. */
export function tooDeep(limit: number, at: number): HessianError {
  return new HessianError(`containers lie more than ${limit} deep`, at)
}

/** The error for a message of too many elements. */
export function tooMany(limit: number, what: 'elements' | 'classes', at: number): HessianError {
  return new HessianError(`the message has more than ${limit} ${what}`, at)
}

/** The error for a class of too many fields. */
export function tooManyFields(limit: number, at: number): HessianError {
  return new HessianError(`a class has more than ${limit} fields`, at)
}

/** The error for another value than the one that is due. */
export function unexpected(what: string, lead: number, at: number): HessianError {
  return new HessianError(`${what} was due, not ${hex(lead)}`, at)
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}
