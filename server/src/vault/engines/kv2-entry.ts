import type { Kv2Meta } from './kv2-meta.ts'

/** What one entry of the storage holds of a secret: its metadata, and beside it the text of the newest version, when that is short. */
export type Kv2Entry = { readonly meta: Kv2Meta; readonly newest: Buffer | undefined }

/** A longer text has an entry of its own: else whoever asks for metadata alone would pay for it. */
export const longestBeside = 4096
/** No JSON begins with it. Metadata alone are plain JSON, as earlier versions of Keyward wrote all of them. */
const mark = 1
const headBytes = 5

/** Mark, length of the metadata (4 bytes), metadata, text. Whoever is done with the bytes wipes them. */
export function entryBytes(meta: Kv2Meta, newest: Uint8Array | undefined): Buffer {
  const json = JSON.stringify(meta)
  if (!newest) return Buffer.from(json, 'utf8')
  const metaBytes = Buffer.byteLength(json)
  const out = Buffer.allocUnsafe(headBytes + metaBytes + newest.length)
  out[0] = mark
  out.writeUInt32BE(metaBytes, 1)
  out.write(json, headBytes, 'utf8')
  out.set(newest, headBytes + metaBytes)
  return out
}

/** `newest` lies in `bytes`: what wipes those wipes it. */
export function entryFrom(bytes: Buffer): Kv2Entry {
  if (bytes[0] !== mark) return { meta: metaFrom(bytes), newest: undefined }
  const end = headBytes + bytes.readUInt32BE(1)
  return { meta: metaFrom(bytes.subarray(headBytes, end)), newest: bytes.subarray(end) }
}

const metaFrom = (bytes: Buffer): Kv2Meta => JSON.parse(bytes.toString('utf8')) as Kv2Meta
