import { createByteQueue, type TarEntry } from '../../core/index.ts'

const headerBytes = 110
const longestNameBytes = 64 * 1024

/** The plain files of a cpio archive of the newer kind, as rpm packages and initial file systems hold one. */
export async function* cpioEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const queue = createByteQueue(chunks)
  for (;;) {
    const header = (await queue.take(headerBytes)).toString('latin1')
    if (header.length < headerBytes) return
    if (!/^07070[12]/.test(header)) throw new RangeError('its structure is damaged')
    const field = (index: number): number => Number.parseInt(header.slice(6 + 8 * index, 14 + 8 * index), 16)
    const [mode, sizeBytes, nameBytes] = [field(1), field(6), field(11)]
    if (![mode, sizeBytes, nameBytes].every(Number.isSafeInteger) || nameBytes > longestNameBytes)
      throw new RangeError('a size in the archive is no number')
    const name = (await queue.take(nameBytes)).toString('utf8').replace(/\0.*$/s, '')
    await queue.skip(toFour(headerBytes + nameBytes))
    if (name === 'TRAILER!!!') return
    const body = queue.part(sizeBytes)
    if ((mode & 0o170000) === 0o100000) yield { name, body }
    await body.skipRest()
    await queue.skip(toFour(sizeBytes))
  }
}

const toFour = (length: number): number => (4 - (length % 4)) % 4
