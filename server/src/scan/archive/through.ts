import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** What a transformation makes of some bytes. Whoever stops reading ends it. */
export async function* through(
  packed: Iterable<Buffer> | AsyncIterable<Buffer>,
  transform: Transform,
): AsyncGenerator<Buffer> {
  // A failure is met where the bytes are read.
  const flow = pipeline(Readable.from(packed, { objectMode: false }), transform).catch(() => undefined)
  try {
    for await (const chunk of transform) yield chunk
  } finally {
    transform.destroy()
    // Until then somebody may still be reading what the bytes come from.
    await flow
  }
}
