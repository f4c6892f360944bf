/** What a request of a protocol without services says about them: nothing. */

/** The part of `RequestHead` that only RPC protocols fill; the heads of the others extend it. */
export class PlainRequest {
  get service(): string {
    return ''
  }

  get version(): string {
    return ''
  }

  get group(): string {
    return ''
  }

  get app(): string {
    return ''
  }
}
