import { createByteQueue, type TarEntry } from '../../core/index.ts'

const magicBytes = 8
const headerBytes = 60
const longestNames = 16 * 1024 * 1024

/** The members of an ar archive, in their order: Debian packages, static libraries; with the long names of GNU and BSD. */
export async function* arEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const queue = createByteQueue(chunks)
  await queue.skip(magicBytes)
  let longNames = ''
  for (
    let header = await queue.take(headerBytes);
    header.length > 0;
    header = await queue.take(headerBytes)
  ) {
    const { field, sizeBytes, nameBytes } = memberOf(header)
    const inFront = (await queue.take(nameBytes)).toString('utf8').replace(/\0+$/, '')
    if (field === '//') longNames = (await queue.take(Math.min(sizeBytes, longestNames))).toString('utf8')
    else {
      const body = queue.part(sizeBytes - nameBytes)
      if (!symbols.has(field)) yield { name: inFront || nameOf(field, longNames), body }
      await body.skipRest()
    }
    await queue.skip(sizeBytes % 2)
  }
}

/** Tables for linkers. */
const symbols: ReadonlySet<string> = new Set(['/', '/SYM64/'])

/** The names of BSD stand before the member, as `#1/` and their length say. */
function memberOf(header: Buffer): { field: string; sizeBytes: number; nameBytes: number } {
  if (header.length < headerBytes || header.toString('latin1', 58, 60) !== '`\n')
    throw new RangeError('its structure is damaged')
  const field = header.toString('latin1', 0, 16).trim()
  const sizeBytes = Number(header.toString('latin1', 48, 58).trim())
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
    throw new RangeError('a size in the archive is no number')
  return { field, sizeBytes, nameBytes: Math.min(sizeBytes, Number(/^#1\/(\d{1,5})$/.exec(field)?.[1] ?? 0)) }
}

/** `name/`, or `/12` for what stands at 12 in the list of long names. */
function nameOf(field: string, longNames: string): string {
  const at = /^\/(\d{1,10})$/.exec(field)?.[1]
  if (at === undefined) return field.replace(/\/$/, '')
  return longNames.slice(Number(at)).split('\n')[0]?.replace(/\/$/, '') ?? ''
}
