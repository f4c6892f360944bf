/** Hessian by other implementations than meshgate's, for the business processes of tests. */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** What tests use of hessian.js. */
export interface Hessian {
  readonly EncoderV2: new () => { write(value: unknown): unknown; get(): Buffer }
  readonly DecoderV2: new (bytes: Buffer) => { read(): any }
}

/** As SOFARPC writes it. */
export const draftHessian = require('hessian.js-1') as Hessian
/** As Dubbo writes it. */
export const finalHessian = require('hessian.js') as Hessian

/** Values one after the other in one stream; `{ $class, $ }` is one of a Java class. */
export function encodeValues(hessian: Hessian, ...values: readonly unknown[]): Buffer {
  const encoder = new hessian.EncoderV2()
  for (const value of values) encoder.write(value)
  return encoder.get()
}
