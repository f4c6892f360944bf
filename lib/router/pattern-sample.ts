/** Makes texts that a regular expression matches, to show that two expressions meet. */

/** Reads one expression; keeps its place in it. */
interface Cursor {
  readonly source: string
  at: number
  /** How often something optional is repeated. */
  readonly optional: number
}

/**
 * Up to two different texts that the expression (over a whole text) matches; empty when none is found, which says nothing:
 * lookarounds and the rarer escapes are not understood. `regex` is the expression compiled.
 */
export function samplePattern(source: string, regex: RegExp): string[] {
  const samples = new Set<string>()
  for (const optional of [0, 1]) {
    const cursor = { source, at: 0, optional }
    const text = alternatives(cursor)
    if (cursor.at >= source.length && regex.test(text)) samples.add(text)
  }
  return [...samples]
}

/** The first alternative's text; the others are read over. */
function alternatives(cursor: Cursor): string {
  const text = sequence(cursor)
  while (cursor.source[cursor.at] === '|') {
    cursor.at++
    sequence(cursor)
  }
  return text
}

function sequence(cursor: Cursor): string {
  let text = ''
  while (
    cursor.at < cursor.source.length &&
    cursor.source[cursor.at] !== '|' &&
    cursor.source[cursor.at] !== ')'
  ) {
    const piece = atom(cursor)
    text += piece.repeat(repetitions(cursor))
  }
  return text
}

function atom(cursor: Cursor): string {
  const c = cursor.source[cursor.at++]!
  if (c === '^' || c === '$') return ''
  if (c === '.') return 'x'
  if (c === '\\') return escaped(cursor.source[cursor.at++] ?? '')
  if (c === '[') return fromClass(cursor)
  if (c !== '(') return c
  const head = /^\?(?::|<[A-Za-z_]\w*>)/.exec(cursor.source.slice(cursor.at))
  if (head !== null) cursor.at += head[0].length
  const text = alternatives(cursor)
  cursor.at++
  return text
}

function escaped(c: string): string {
  if (c === 'd') return '1'
  if (c === 'w' || c === 'D' || c === 'S') return 'x'
  if (c === 'W') return '-'
  return c === 's' ? ' ' : /[bB]/.test(c) ? '' : c
}

function fromClass(cursor: Cursor): string {
  const start = cursor.at
  while (cursor.at < cursor.source.length && cursor.source[cursor.at] !== ']') {
    cursor.at += cursor.source[cursor.at] === '\\' ? 2 : 1
  }
  const body = cursor.source.slice(start, cursor.at)
  cursor.at++
  try {
    const members = new RegExp(`^[${body}]$`)
    return (
      ['x', '1', 'X', '-', body[0]!, ...'abcdefghijklmnopqrstuvwyz023456789_~.'].find((c) =>
        members.test(c),
      ) ?? ''
    )
  } catch {
    return ''
  }
}

function repetitions(cursor: Cursor): number {
  const c = cursor.source[cursor.at]
  const counted = c === '{' ? /^\{(\d+)(?:,\d*)?\}/.exec(cursor.source.slice(cursor.at)) : null
  let count = 1
  if (c === '*' || c === '?') count = cursor.optional
  if (counted !== null) count = Math.min(Number(counted[1]), 64)
  if (c === '*' || c === '?' || c === '+' || counted !== null) {
    cursor.at += counted === null ? 1 : counted[0].length
    if (cursor.source[cursor.at] === '?') cursor.at++
  }
  return count
}
