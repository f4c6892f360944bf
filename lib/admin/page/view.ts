/**
 * Elements of the page. Text goes in as text only, never as markup, whatever a name or an error message holds. What did not
 * change is not touched, so that a selection survives the refresh. Runs in the browser; see `format.ts`.
 */
import type { PageDocument, PageElement } from './dom.ts'

/** One cell of a table. */
export interface Cell {
  readonly text: string
  readonly className?: string
  readonly title?: string
  /** Draws a line of these values in place of the text. */
  readonly line?: readonly number[]
}

/** One row of a table; `key` finds it again after the next reading. */
export interface Row {
  readonly key: string
  readonly className?: string
  readonly cells: readonly Cell[]
}

/** Writes into the page. */
export interface View {
  text(id: string, text: string, className?: string, title?: string): void
  show(id: string, isShown: boolean): void
  style(id: string, className: string): void
  line(id: string, values: readonly number[]): void
  rows(id: string, rows: readonly Row[]): void
  /** A list of paragraphs; each has a class of its own. */
  list(id: string, items: readonly Cell[]): void
}

/** Makes the view of a document. */
export function createView(document: PageDocument): View {
  const elements = new Map<string, PageElement>()
  const keys = new WeakMap<PageElement, string>()

  function find(id: string): PageElement {
    const known = elements.get(id) ?? document.getElementById(id)
    if (known === null) throw new Error(`the page has no element "${id}"`)
    elements.set(id, known)
    return known
  }

  function write(element: PageElement, cell: Cell): void {
    if (cell.line !== undefined) drawLine(document, element, cell.line)
    else if (element.textContent !== cell.text) element.textContent = cell.text
    const className = cell.className ?? ''
    if (element.className !== className) element.className = className
    const title = cell.title ?? ''
    if (element.title !== title) element.title = title
  }

  /** Gives `parent` exactly `count` children of a tag. */
  function resize(parent: PageElement, tag: string, count: number): void {
    while (parent.children.length > count) parent.children[parent.children.length - 1].remove()
    while (parent.children.length < count) parent.append(document.createElement(tag))
  }

  /** The row of a key at a position: one that is there already is moved, not rewritten. */
  function rowAt(body: PageElement, index: number, key: string): PageElement {
    const here = body.children[index] ?? null
    if (here !== null && keys.get(here) === key) return here
    let row: PageElement | null = null
    for (let i = index + 1; i < body.children.length && row === null; i++) {
      if (keys.get(body.children[i]) === key) row = body.children[i]
    }
    row ??= document.createElement('tr')
    keys.set(row, key)
    body.insertBefore(row, here)
    return row
  }

  return {
    text(id, text, className, title) {
      const element = find(id)
      write(element, { text, className: className ?? element.className, title: title ?? element.title })
    },
    show(id, isShown) {
      find(id).hidden = !isShown
    },
    style(id, className) {
      find(id).className = className
    },
    line(id, values) {
      drawLine(document, find(id), values)
    },
    rows(id, rows) {
      const body = find(id)
      rows.forEach((row, index) => {
        const element = rowAt(body, index, row.key)
        if (element.className !== (row.className ?? '')) element.className = row.className ?? ''
        resize(element, 'td', row.cells.length)
        row.cells.forEach((cell, column) => {
          write(element.children[column], cell)
        })
      })
      resize(body, 'tr', rows.length)
    },
    list(id, items) {
      const parent = find(id)
      resize(parent, 'p', items.length)
      items.forEach((item, index) => {
        write(parent.children[index], item)
      })
    },
  }
}

/** Draws values as a line over a filled area, the newest at the right edge. */
export function drawLine(document: PageDocument, parent: PageElement, values: readonly number[]): void {
  const namespace = 'http://www.w3.org/2000/svg'
  const width = 60
  const height = 20
  let svg = parent.firstElementChild
  if (svg === null) {
    svg = document.createElementNS(namespace, 'svg')
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
    svg.setAttribute('preserveAspectRatio', 'none')
    svg.setAttribute('aria-hidden', 'true')
    svg.append(
      document.createElementNS(namespace, 'polygon'),
      document.createElementNS(namespace, 'polyline'),
    )
    parent.append(svg)
  }
  const shown = values.slice(-width)
  const top = Math.max(...shown, 1e-9)
  const left = width - shown.length + 1
  const points = shown.map(
    (value, i) => `${left + i},${(height - 1 - (value / top) * (height - 3)).toFixed(1)}`,
  )
  const isDrawn = points.length > 1
  svg.setAttribute('class', shown.some((value) => value > 0) ? '' : 'flat')
  svg.children[0].setAttribute(
    'points',
    isDrawn ? `${left},${height} ${points.join(' ')} ${width},${height}` : '',
  )
  svg.children[1].setAttribute('points', isDrawn ? points.join(' ') : '')
}
