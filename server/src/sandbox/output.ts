import type { Readable } from 'node:stream'

const tailBytes = 64 * 1024

/** Takes out of one stream what must not be seen; it may hold back the beginning of it until it knows. */
export type OutputFilter = {
  push(chunk: Uint8Array): Buffer
  /** What was held back. */
  end(): Buffer
}

/** Nothing more is read of the stream before a promise that it returns is settled. */
export type OutputTaker = (stream: 'stdout' | 'stderr', chunk: Buffer) => unknown

type Needs = {
  outputBytes: number
  /** One for each stream; everything passes when absent. */
  newFilter: (() => OutputFilter) | undefined
  onOutput: OutputTaker | undefined
  onFlood: () => void
}

/** `push` returns what the taker did. */
type Sink = { push(chunk: Buffer): unknown; end(): void }

export type Output = {
  open(name: 'stdout' | 'stderr'): Sink
  attach(name: 'stdout' | 'stderr', stream: Readable): void
  tail(name: 'stdout' | 'stderr'): string
}

/** Passes output on, filtered, until both streams together reach their limit, and keeps the end of each. */
export function createOutput({ outputBytes, newFilter, onOutput, onFlood }: Needs): Output {
  const tails = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
  let left = outputBytes
  let flooded = false

  function show(name: 'stdout' | 'stderr', chunk: Buffer): unknown {
    if (chunk.length === 0) return undefined
    tails[name] = Buffer.concat([tails[name], chunk]).subarray(-tailBytes)
    return onOutput?.(name, chunk)
  }

  /** The limit counts what was written, not what is left of it. */
  function take(name: 'stdout' | 'stderr', chunk: Buffer, filter: OutputFilter): unknown {
    const kept = chunk.subarray(0, left)
    left -= kept.length
    const taken = show(name, filter.push(kept))
    if (kept.length === chunk.length || flooded) return taken
    flooded = true
    onFlood()
    return taken
  }

  function open(name: 'stdout' | 'stderr'): Sink {
    const filter = newFilter?.() ?? passAll
    return { push: (chunk) => take(name, chunk, filter), end: () => show(name, filter.end()) }
  }

  return {
    open,
    attach(name, stream) {
      const sink = open(name)
      stream.on('data', (chunk: Buffer) => {
        const taken = sink.push(chunk)
        if (!(taken instanceof Promise)) return
        stream.pause()
        // What the taker could not take is the taker's to tell.
        taken.catch(() => undefined).finally(() => stream.resume())
      })
      // Also a stream that broke has a last word.
      stream.once('close', sink.end)
    },
    tail(name) {
      const text = tails[name].toString('utf8')
      return flooded && name === 'stderr'
        ? `${text}\n[keyward: output ended at ${outputBytes} bytes]\n`
        : text
    },
  }
}

const passAll: OutputFilter = {
  push: (chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength),
  end: () => Buffer.alloc(0),
}
