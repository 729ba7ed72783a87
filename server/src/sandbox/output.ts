import type { Readable } from 'node:stream'

const tailBytes = 64 * 1024

/** Takes out of one stream what must not be seen; it may hold back the beginning of it until it knows. */
export type OutputFilter = {
  push(chunk: Uint8Array): Buffer
  /** What was held back. */
  end(): Buffer
}

type Needs = {
  outputBytes: number
  /** One for each stream; everything passes when absent. */
  newFilter: (() => OutputFilter) | undefined
  onOutput: ((stream: 'stdout' | 'stderr', chunk: Buffer) => void) | undefined
  onFlood: () => void
}

type Sink = { push(chunk: Buffer): void; end(): void }

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

  function show(name: 'stdout' | 'stderr', chunk: Buffer): void {
    if (chunk.length === 0) return
    tails[name] = Buffer.concat([tails[name], chunk]).subarray(-tailBytes)
    onOutput?.(name, chunk)
  }

  /** The limit counts what was written, not what is left of it. */
  function take(name: 'stdout' | 'stderr', chunk: Buffer, filter: OutputFilter): void {
    const kept = chunk.subarray(0, left)
    left -= kept.length
    show(name, filter.push(kept))
    if (kept.length === chunk.length || flooded) return
    flooded = true
    onFlood()
  }

  function open(name: 'stdout' | 'stderr'): Sink {
    const filter = newFilter?.() ?? passAll
    return { push: (chunk) => take(name, chunk, filter), end: () => show(name, filter.end()) }
  }

  return {
    open,
    attach(name, stream) {
      const sink = open(name)
      stream.on('data', sink.push)
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
