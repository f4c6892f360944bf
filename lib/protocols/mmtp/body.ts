/** Decodes bodies for whoever must read them; a proxy passes them on as they are. */
import { promisify } from 'node:util'
import { brotliDecompress, constants, gunzip, zstdDecompress } from 'node:zlib'
import { Encoding } from './constants.ts'

/** ENCODINGS of a peer that can use {@link decodeBody}. */
export const DECODABLE: number =
  (1 << Encoding.Identity) | (1 << Encoding.Zstd) | (1 << Encoding.Gzip) | (1 << Encoding.Brotli)

/** A window of 8 MiB is what RFC 9659 lets senders of zstd use. */
const MAX_ZSTD_WINDOW_LOG = 23

const gunzipAsync = promisify(gunzip)
const brotliAsync = promisify(brotliDecompress)
const zstdAsync = promisify(zstdDecompress)

/**
 * The decoded body, at most `maxBytes` of it. Rejects when the bytes are damaged, when they decode to more, or when
 * nobody here knows the encoding. An identity body is returned as it is.
 */
export async function decodeBody(encoding: number, body: Buffer, maxBytes: number): Promise<Buffer> {
  switch (encoding) {
    case Encoding.Identity:
      return body
    case Encoding.Zstd: {
      const params = { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG }
      return zstdAsync(body, { params, maxOutputLength: maxBytes })
    }
    case Encoding.Gzip:
      return gunzipAsync(body, { maxOutputLength: maxBytes })
    case Encoding.Brotli:
      return brotliAsync(body, { maxOutputLength: maxBytes })
    default:
      throw new Error(`body encoding ${encoding} is unknown: use 0 identity, 1 zstd, 3 gzip or 4 brotli`)
  }
}
