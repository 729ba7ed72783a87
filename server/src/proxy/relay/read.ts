import type { Duplex } from 'node:stream'

/** Exactly so many bytes of a paused stream; throws when it ends before. */
export function take(stream: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // One listener until it is settled: each new one is called at once when a part is there, and would keep the process busy.
    const events = ['readable', 'end', 'close']
    const settle = (): void => {
      for (const event of events) stream.off(event, look)
      stream.off('error', fail)
    }
    const fail = (error: Error): void => {
      settle()
      reject(error)
    }
    const look = (): void => {
      const bytes: Buffer | null = count === 0 ? Buffer.alloc(0) : stream.read(count)
      if (bytes?.length === count) {
        settle()
        resolve(bytes)
      } else if (bytes !== null || stream.readableEnded || stream.destroyed) fail(new Error('it ended early'))
    }
    for (const event of events) stream.on(event, look)
    stream.on('error', fail)
    look()
  })
}

/** The work, or the end of the stream that it reads, when it takes too long. */
export async function inSeconds<T>(seconds: number, stream: Duplex, work: Promise<T>): Promise<T> {
  const late = setTimeout(() => stream.destroy(), seconds * 1000)
  return work.finally(() => clearTimeout(late))
}
