import { Transform } from 'node:stream'
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'

/** Servers send `deflate` with and without the zlib header; the first byte tells. */
function createAnyInflate(): Transform {
  let inner: Transform | undefined
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (!inner) {
        inner = ((chunk[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()
        inner.on('data', (data) => this.push(data))
        inner.on('error', (error) => this.destroy(error))
      }
      inner.write(chunk, done)
    },
    flush(done) {
      if (!inner) return done()
      inner.once('end', () => done())
      inner.end()
    },
    destroy(error, done) {
      inner?.destroy()
      done(error)
    },
  })
}

const decoders: Record<string, () => Transform> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createAnyInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

/** What undoes a Content-Encoding, last coding first; undefined when one of them is unknown. */
export function decodersOf(contentEncoding: string): Transform[] | undefined {
  const codings = contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  if (codings.some((coding) => !Object.hasOwn(decoders, coding)) || codings.length > 4) return undefined
  return codings.reverse().flatMap((coding) => decoders[coding]?.() ?? [])
}
