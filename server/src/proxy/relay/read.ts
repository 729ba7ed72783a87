import { once } from 'node:events'
import type { Duplex } from 'node:stream'

/** Exactly so many bytes of a paused stream; throws when it ends before. */
export async function take(stream: Duplex, count: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = count === 0 ? Buffer.alloc(0) : stream.read(count)
    if (bytes?.length === count) return bytes
    if (bytes !== null || stream.readableEnded || stream.destroyed) throw new Error('it ended early')
    const over = new AbortController()
    const { signal } = over
    try {
      await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal })))
    } finally {
      over.abort()
    }
  }
}

/** The work, or the end of the stream that it reads, when it takes too long. */
export async function inSeconds<T>(seconds: number, stream: Duplex, work: Promise<T>): Promise<T> {
  const late = setTimeout(() => stream.destroy(), seconds * 1000)
  return work.finally(() => clearTimeout(late))
}
