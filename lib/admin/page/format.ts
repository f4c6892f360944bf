/**
 * Numbers as an operator reads them. Runs in the browser: each function is sent as its own source text, so it may use its
 * parameters, its locals and the other functions of the page, nothing else of this module.
 */

/** Three significant digits and a unit prefix: `0`, `0.42`, `9.81`, `123`, `1.23k`, `45.6M`. */
export function formatCount(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T']
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return unit === 0 && Number.isInteger(value) ? String(value) : threeDigits(value) + units[unit]
}

/** A rate per second; `–` when it is not known yet. */
export function formatRate(value: number | null): string {
  if (value === null) return '–'
  return value > 0 && value < 0.01 ? '<0.01' : formatCount(value)
}

/** `0.42 ms`, `12.3 ms`, `1.25 s`; `–` for null. */
export function formatMs(value: number | null): string {
  if (value === null) return '–'
  return value < 999.5 ? `${threeDigits(value)} ms` : `${threeDigits(value / 1000)} s`
}

/** `0 B`, `9.81 KiB`, `123 MiB`. */
export function formatBytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${threeDigits(value)} ${units[unit]}`
}

/** The two largest units: `42 s`, `5 min 3 s`, `3 h 12 min`, `12 d 4 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (days > 0) return `${days} d ${hours % 24} h`
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`
  return `${seconds} s`
}

/** Three significant digits, down to thousandths; 0 is `0`. */
export function threeDigits(value: number): string {
  if (value === 0) return '0'
  if (value < 0.095) return value.toFixed(3)
  if (value < 9.995) return value.toFixed(2)
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0)
}

/** The time of day of an ISO 8601 time, in the browser's zone. */
export function formatTime(iso: string): string {
  return new Date(iso).toLocaleTimeString('en-GB')
}
