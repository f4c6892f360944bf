/** The little that the page uses of a browser. Declared here, because the library of all browser types would let server code use `document` too. */

/** An element of the page. */
export interface PageElement {
  textContent: string | null
  className: string
  title: string
  hidden: boolean
  readonly children: ArrayLike<PageElement>
  readonly firstElementChild: PageElement | null
  append(...children: PageElement[]): void
  remove(): void
  setAttribute(name: string, value: string): void
  insertBefore(child: PageElement, before: PageElement | null): void
}

/** The document of the page. */
export interface PageDocument {
  title: string
  readonly hidden: boolean
  createElement(tag: string): PageElement
  createElementNS(namespace: string, tag: string): PageElement
  getElementById(id: string): PageElement | null
  addEventListener(type: 'visibilitychange', listener: () => void): void
}

/** The window of the page. */
export interface PageWindow {
  readonly document: PageDocument
  readonly location: { readonly search: string }
  fetch(url: string, options: object): Promise<{ ok: boolean; status: number; json(): Promise<unknown> }>
  setTimeout(callback: () => void, delayMs: number): number
  clearTimeout(id: number): void
}
