/** Durations and sizes as people write them: `250ms`, `3s`, `64KiB`. */

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
}

/** What a marked value means; the loader turns both into plain numbers. */
export type Unit = 'duration' | 'size'

/** Pattern of a duration with its unit, for the published schema. */
export const DURATION_PATTERN = '^\\d+(\\.\\d+)?(ms|s|m|h)$'

/** Pattern of a size with its unit, for the published schema. */
export const SIZE_PATTERN = '^\\d+(\\.\\d+)?(B|KiB|MiB|GiB|kB|KB|MB|GB)$'

/** How each unit is written, for hints. */
export const UNIT_HINTS: Readonly<Record<Unit, string>> = {
  duration: 'write a duration such as 250ms, 3s or 1m (a plain integer is milliseconds)',
  size: 'write a size such as 512B, 64KiB or 4MiB (a plain integer is bytes)',
}

// Timers of Node and of the timer wheel count in 32-bit milliseconds.
const MAX_DURATION_MS = 2 ** 31 - 1

/** Milliseconds of a duration, rounded; null when `value` is none. A plain integer is milliseconds. */
export function parseDuration(value: unknown): number | null {
  const milliseconds = parseUnit(value, DURATION_UNITS)
  return milliseconds === null || milliseconds > MAX_DURATION_MS ? null : milliseconds
}

/** Bytes of a size, rounded; null when `value` is none. A plain integer is bytes. */
export function parseSize(value: unknown): number | null {
  return parseUnit(value, SIZE_UNITS)
}

function parseUnit(value: unknown, units: Readonly<Record<string, number>>): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null
  if (typeof value !== 'string') return null
  const parts = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(value)
  if (parts === null) return null
  const factor = Object.hasOwn(units, parts[2] as string) ? units[parts[2] as string] : undefined
  if (factor === undefined) return null
  const result = Math.round(Number(parts[1]) * factor)
  return Number.isSafeInteger(result) ? result : null
}
