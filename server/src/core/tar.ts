import { type ByteQueue, createByteQueue } from './byte-queue.ts'

export type TarEntry = { readonly name: string; readonly body: AsyncIterable<Buffer> }

const blockBytes = 512
const longestNameBytes = 64 * 1024

/**
 * The plain files of a tar archive, in their order: ustar, with the long names of GNU and of pax. What is not read of an
 * entry is passed over when the next one is asked for.
 */
export async function* tarEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const queue = createByteQueue(chunks)
  let longName: string | undefined
  for (let header = await nextHeader(queue); header; header = await nextHeader(queue)) {
    const sizeBytes = sizeOf(header)
    const type = String.fromCharCode(header[156] ?? 0)
    if (type === 'L' || type === 'x') {
      longName = longNameIn(await queue.take(shortEnough(sizeBytes)), type) ?? longName
    } else {
      const body = queue.part(sizeBytes)
      // '\0' and '0' are plain files; others are folders, links and devices.
      if (type === '0' || type === '\0') yield { name: longName ?? nameOf(header), body }
      await body.skipRest()
      longName = undefined
    }
    await queue.skip((blockBytes - (sizeBytes % blockBytes)) % blockBytes)
  }
}

/** Two blocks of zeros end an archive; many writers leave them out. */
async function nextHeader(queue: ByteQueue): Promise<Buffer | undefined> {
  const header = await queue.take(blockBytes)
  return header.length < blockBytes || header[0] === 0 ? undefined : header
}

function shortEnough(sizeBytes: number): number {
  if (sizeBytes > longestNameBytes) throw new RangeError('a name in the archive is too long')
  return sizeBytes
}

const longNameIn = (text: Buffer, type: 'L' | 'x'): string | undefined =>
  type === 'L' ? textOf(text) : paxPath(text)

const textOf = (bytes: Buffer): string => {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

function nameOf(header: Buffer): string {
  const name = textOf(header.subarray(0, 100))
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? textOf(header.subarray(345, 500)) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Octal digits, or with the first bit set a binary number. */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136)
  const first = field[0] ?? 0
  const size =
    first & 0x80 ? Number(field.readBigUInt64BE(4)) : Number.parseInt(textOf(field).trim() || '0', 8)
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError('a size in the archive is no number')
  return size
}

/** Records of `length key=value LF`. */
function paxPath(text: Buffer): string | undefined {
  for (let at = 0; at < text.length; ) {
    const blank = text.indexOf(32, at)
    const length = Number(text.toString('latin1', at, Math.max(at, blank)))
    if (blank < 0 || !Number.isSafeInteger(length) || length <= 0) return
    const record = text.toString('utf8', blank + 1, at + length - 1)
    if (record.startsWith('path=')) return record.slice(5)
    at += length
  }
  return
}
