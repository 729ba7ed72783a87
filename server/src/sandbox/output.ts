import type { Readable } from 'node:stream'

const tailBytes = 64 * 1024

type Needs = {
  outputBytes: number
  onOutput: ((stream: 'stdout' | 'stderr', chunk: Buffer) => void) | undefined
  onFlood: () => void
}

export type Output = {
  attach(name: 'stdout' | 'stderr', stream: Readable): void
  tail(name: 'stdout' | 'stderr'): string
}

/** Passes output on until both streams together reach their limit, and keeps the end of each. */
export function createOutput({ outputBytes, onOutput, onFlood }: Needs): Output {
  const tails = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
  let left = outputBytes
  let flooded = false

  function take(name: 'stdout' | 'stderr', chunk: Buffer): void {
    const kept = chunk.subarray(0, left)
    left -= kept.length
    if (kept.length > 0) {
      tails[name] = Buffer.concat([tails[name], kept]).subarray(-tailBytes)
      onOutput?.(name, kept)
    }
    if (kept.length === chunk.length || flooded) return
    flooded = true
    onFlood()
  }

  return {
    attach: (name, stream) => void stream.on('data', (chunk: Buffer) => take(name, chunk)),
    tail(name) {
      const text = tails[name].toString('utf8')
      return flooded && name === 'stderr'
        ? `${text}\n[keyward: output ended at ${outputBytes} bytes]\n`
        : text
    },
  }
}
