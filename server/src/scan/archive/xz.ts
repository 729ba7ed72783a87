import { type ByteQueue, createByteQueue } from '../../core/index.ts'
import { createLzma, type Lzma } from './lzma.ts'

/** What the writer of a file may ask for; the strongest setting of xz wants as much. */
const largestDictionaryBytes = 64 * 1024 * 1024
const streamHeaderBytes = 12
const lzma2 = 0x21
const checkBytes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]
const broken = (): RangeError => new RangeError('its structure is damaged')

/** What the streams of an xz file hold: blocks of LZMA2, by the description of the format at tukaani.org. */
export async function* unpackXz(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const queue = createByteQueue(chunks)
  for (;;) {
    const header = await queue.take(streamHeaderBytes)
    // Zeros may fill up the space between two streams.
    if (header.every((byte) => byte === 0)) return
    if (header.length < streamHeaderBytes || header.readUInt32BE(0) !== 0xfd377a58) throw broken()
    yield* blocksOf(queue, checkBytes[(header[7] ?? 0) & 15] ?? 0)
  }
}

async function* blocksOf(queue: ByteQueue, afterBlock: number): AsyncGenerator<Buffer> {
  for (let size = await byteOf(queue); size !== 0; size = await byteOf(queue)) {
    const header = await queue.take(size * 4 + 3)
    const dictionary = dictionaryBytes(header)
    if (dictionary > largestDictionaryBytes)
      throw new RangeError(
        `it needs more than ${largestDictionaryBytes / 2 ** 20} MB of memory to be unpacked`,
      )
    const counted = { bytes: 0 }
    yield* chunksOf(queue, createLzma(dictionary), counted)
    await queue.skip(((4 - (counted.bytes % 4)) % 4) + afterBlock)
  }
  await skipIndex(queue)
}

async function byteOf(queue: ByteQueue): Promise<number> {
  const [byte] = await queue.take(1)
  if (byte === undefined) throw new RangeError('unexpected end of file')
  return byte
}

/** Seven bits in a byte, the lowest first. */
function numberAt(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0
  for (let next = at, scale = 1; next < Math.min(bytes.length, at + 9); next++, scale *= 128) {
    const byte = bytes[next] ?? 0
    value += (byte & 127) * scale
    if (byte < 128) return { value, next: next + 1 }
  }
  throw broken()
}

/** From the header of a block without its first byte, which is its size. */
function dictionaryBytes(header: Buffer): number {
  const flags = header[0] ?? 0
  let at = 1
  for (const flag of [0x40, 0x80]) if (flags & flag) at = numberAt(header, at).next
  const filter = numberAt(header, at)
  const properties = numberAt(header, filter.next)
  if ((flags & 3) !== 0 || filter.value !== lzma2 || properties.value !== 1)
    throw new RangeError('it is packed with a filter that is not known here')
  return dictionarySize(header[properties.next] ?? 0)
}

/** 4 kB, 6 kB, 8 kB, 12 kB, … */
const dictionarySize = (code: number): number => (2 | (code & 1)) * 2 ** ((code >> 1) + 11)

/** The chunks of LZMA2, up to the one that ends it. */
async function* chunksOf(queue: ByteQueue, lzma: Lzma, counted: { bytes: number }): AsyncGenerator<Buffer> {
  const take = async (length: number): Promise<Buffer> => {
    const bytes = await queue.take(length)
    if (bytes.length < length) throw new RangeError('unexpected end of file')
    counted.bytes += length
    return bytes
  }
  for (let [control = 0] = await take(1); control !== 0; [control = 0] = await take(1)) {
    if (control > 2 && control < 0x80) throw broken()
    if (control === 1 || control >= 0xe0) lzma.resetDictionary()
    const size = (await take(2)).readUInt16BE() + 1
    if (control < 0x80) {
      const plain = await take(size)
      lzma.pass(plain)
      yield plain
    } else yield await packedChunk({ control, size }, lzma, take)
  }
}

async function packedChunk(
  { control, size }: { control: number; size: number },
  lzma: Lzma,
  take: (length: number) => Promise<Buffer>,
): Promise<Buffer> {
  const packedSize = (await take(2)).readUInt16BE() + 1
  if (control >= 0xc0) lzma.setProperties((await take(1))[0] ?? 0)
  else if (control >= 0xa0) lzma.resetState()
  return lzma.unpack(await take(packedSize), ((control & 31) << 16) + size)
}

/** The index lists the sizes of the blocks, and the footer follows; both are known by now. */
async function skipIndex(queue: ByteQueue): Promise<void> {
  let length = 1
  const next = async (): Promise<number> => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = await byteOf(queue)
      length++
      value += (byte & 127) * scale
      if (byte < 128 || scale > 2 ** 56) return value
    }
  }
  const records = await next()
  for (let i = 0; i < records; i++) {
    await next()
    await next()
  }
  await queue.skip(((4 - (length % 4)) % 4) + 4 + streamHeaderBytes)
}
