// The smallest archive that container engines import: folders, small files and links, in the format of POSIX.1-1988.

export type TarEntry =
  | { kind: 'folder'; path: string; mode: number }
  | { kind: 'file'; path: string; mode: number; content: Buffer }
  | { kind: 'link'; path: string; target: string }

const blockBytes = 512
const types = { file: '0', link: '2', folder: '5' } as const

/** Paths are relative and shorter than 100 bytes. The same entries give the same bytes: no owner, no time. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    if (entry.kind !== 'file') return [headerOf(entry, 0)]
    const { length } = entry.content
    return [
      headerOf(entry, length),
      entry.content,
      Buffer.alloc((blockBytes - (length % blockBytes)) % blockBytes),
    ]
  })
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)])
}

function headerOf(entry: TarEntry, sizeBytes: number): Buffer {
  const header = Buffer.alloc(blockBytes)
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at)
  header.write(entry.path, 0, 100)
  octal(entry.kind === 'link' ? 0o777 : entry.mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(sizeBytes, 124, 12)
  octal(0, 136, 12)
  header.write(types[entry.kind], 156)
  if (entry.kind === 'link') header.write(entry.target, 157, 100)
  header.write('ustar\0' + '00', 257)
  // The sum is taken over a header whose own field holds spaces.
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}
