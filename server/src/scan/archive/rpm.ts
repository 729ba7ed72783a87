import { createByteQueue, type TarEntry } from '../../core/index.ts'

const leadBytes = 96
const headerMark = 0x8eade801
const longestHeaderBytes = 64 * 1024 * 1024

/** What an rpm package holds: its header, in which its scripts stand, and its payload, a packed cpio archive. */
export async function* rpmEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const queue = createByteQueue(chunks)
  await queue.skip(leadBytes)
  const sizeOfHeader = async (): Promise<number> => {
    const intro = await queue.take(16)
    if (intro.length < 16 || intro.readUInt32BE(0) !== headerMark)
      throw new RangeError('its structure is damaged')
    const sizeBytes = 16 * intro.readUInt32BE(8) + intro.readUInt32BE(12)
    if (sizeBytes > longestHeaderBytes) throw new RangeError('its header is too long')
    return sizeBytes
  }
  const signatures = await sizeOfHeader()
  await queue.skip(signatures + ((8 - (signatures % 8)) % 8))
  const header = queue.part(await sizeOfHeader())
  yield { name: 'header', body: header }
  await header.skipRest()
  yield { name: 'payload', body: queue.rest() }
}
