/** Bytes that come in chunks of any size, taken in the sizes that a format has. */
export type ByteQueue = {
  /** So many bytes; fewer only at the end. */
  take(length: number): Promise<Buffer>
  skip(length: number): Promise<void>
  /** The next bytes as a sequence of their own. The queue goes on where it was left, or after `skipRest`. */
  part(length: number): AsyncIterable<Buffer> & { skipRest(): Promise<void> }
  /** Everything that is left. */
  rest(): AsyncIterable<Buffer>
}

export function createByteQueue(chunks: AsyncIterable<Buffer>): ByteQueue {
  const source = chunks[Symbol.asyncIterator]()
  let left: Buffer = Buffer.alloc(0)

  /** The next bytes, at most so many; empty at the end. */
  async function some(most: number): Promise<Buffer> {
    while (left.length === 0) {
      const next = await source.next()
      if (next.done) return left
      left = next.value
    }
    const taken = left.subarray(0, most)
    left = left.subarray(taken.length)
    return taken
  }

  async function take(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let missing = length; missing > 0; ) {
      const taken = await some(missing)
      if (taken.length === 0) break
      parts.push(taken)
      missing -= taken.length
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
  }

  function part(length: number): ReturnType<ByteQueue['part']> {
    let missing = length
    async function* bytes(): AsyncGenerator<Buffer> {
      while (missing > 0) {
        const taken = await some(missing)
        if (taken.length === 0) return
        missing -= taken.length
        yield taken
      }
    }
    return {
      [Symbol.asyncIterator]: () => bytes(),
      async skipRest() {
        for await (const _ of bytes());
      },
    }
  }

  return {
    take,
    part,
    skip: (length) => part(length).skipRest(),
    rest: () => part(Number.POSITIVE_INFINITY),
  }
}
