/** Looks up one cookie or query parameter without taking the rest apart. */

/**
 * The value of one query parameter: the first of that name, percent-decoded, `+` read as a space; `''` for a
 * name without `=`, null when absent. `query` comes without its `?`.
 */
export function queryValue(query: string, name: string): string | null {
  const length = query.length
  for (let start = 0; start < length; ) {
    let end = query.indexOf('&', start)
    if (end < 0) end = length
    const equals = query.indexOf('=', start)
    const nameEnd = equals < 0 || equals > end ? end : equals
    if (isName(query, start, nameEnd, name)) {
      return nameEnd === end ? '' : decode(query.slice(nameEnd + 1, end))
    }
    start = end + 1
  }
  return null
}

function isName(query: string, start: number, end: number, name: string): boolean {
  if (end - start === name.length && query.startsWith(name, start)) return true
  if (end - start <= name.length) return name.includes(' ') && decode(query.slice(start, end)) === name
  // Longer than the name: the same only if escapes shrink it.
  const escape = query.indexOf('%', start)
  return escape >= 0 && escape < end && decode(query.slice(start, end)) === name
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/**
 * The value of one cookie in a `Cookie` header (RFC 6265 section 4.2): the first of that name, without the
 * quotes around it; null when absent.
 */
export function cookieValue(header: string, name: string): string | null {
  const length = header.length
  for (let start = 0; start < length; ) {
    let end = header.indexOf(';', start)
    if (end < 0) end = length
    while (start < end && isSpace(header.charCodeAt(start))) start++
    const equals = start + name.length
    if (equals < end && header.charCodeAt(equals) === 61 && header.startsWith(name, start)) {
      return unquote(header, equals + 1, end)
    }
    start = end + 1
  }
  return null
}

function unquote(text: string, start: number, end: number): string {
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  const isQuoted = end - start >= 2 && text.charCodeAt(start) === 34 && text.charCodeAt(end - 1) === 34
  return isQuoted ? text.slice(start + 1, end - 1) : text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9
}
