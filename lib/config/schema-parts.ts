/** Pieces that several sections of the schema share. Plain JSON Schema, so that it costs nothing to load. */
import { DURATION_PATTERN, SIZE_PATTERN } from './units.ts'

/**
 * Makes the schema of a duration. `unit` marks it for the loader, which turns it into milliseconds. `defaultValue`
 * is written as people write it.
 */
export function duration<const Default extends string>(description: string, defaultValue: Default) {
  return {
    type: ['string', 'integer'],
    pattern: DURATION_PATTERN,
    minimum: 0,
    unit: 'duration',
    default: defaultValue,
    description,
  } as const
}

/** As {@link duration}, for a duration whose default depends on something else; the loader fills it in. */
export function derivedDuration(description: string, defaultNote: string) {
  return {
    type: ['string', 'integer'],
    pattern: DURATION_PATTERN,
    minimum: 0,
    unit: 'duration',
    defaultNote,
    description,
  } as const
}

/** Makes the schema of a size; the loader turns it into bytes. */
export function size<const Default extends string | number>(
  description: string,
  defaultValue: Default,
  minimum = 0,
) {
  return {
    type: ['string', 'integer'],
    pattern: SIZE_PATTERN,
    minimum,
    unit: 'size',
    default: defaultValue,
    description,
  } as const
}

/** Makes the schema of a whole number. */
export function count<const Default extends number>(
  description: string,
  defaultValue: Default,
  minimum = 0,
  maximum = 2 ** 31 - 1,
) {
  return { type: 'integer', minimum, maximum, default: defaultValue, description } as const
}

/** As {@link count}, for a number whose default depends on something else; the loader fills it in. */
export function derivedCount(description: string, defaultNote: string, minimum: number, maximum: number) {
  return { type: 'integer', minimum, maximum, defaultNote, description } as const
}

/** Names become labels of metrics and parts of paths on the admin port. */
export function name(description: string) {
  return {
    type: 'string',
    pattern: '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$',
    hint: 'use letters, digits, "_", "-", "." and ":", at most 128 of them',
    description,
  } as const
}

/** Schema of a free text. */
export function text(description: string) {
  return { type: 'string', minLength: 1, description } as const
}

/** What an address looks like, for hints. */
export const ADDRESS_HINT = 'write host:port, [::1]:port, :port or unix:/path'

/** Schema of an address; its form is checked by `address.ts`. */
export function address(description: string) {
  return { type: 'string', minLength: 1, hint: ADDRESS_HINT, description } as const
}

/** The protocols that can be configured. */
export const PROTOCOLS = ['http1', 'mmtp', 'bolt', 'dubbo'] as const
