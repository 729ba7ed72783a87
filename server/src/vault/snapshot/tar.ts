import { AppError } from '../../core/index.ts'

// The oldest common form of POSIX's tar ("ustar"), enough for a few files with short names:
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html

type TarFile = { readonly name: string; readonly content: Buffer }

const block = 512
const checksumAt = 148

export function writeTar(files: readonly TarFile[], at: Date): Buffer {
  const parts = files.flatMap(({ name, content }) => [
    headerOf(name, content.length, at),
    content,
    Buffer.alloc((block - (content.length % block)) % block),
  ])
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

function headerOf(name: string, size: number, at: Date): Buffer {
  const header = Buffer.alloc(block)
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`
  header.write(name, 0, 100, 'ascii')
  header.write(octal(0o600, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(size, 11), 124)
  header.write(octal(Math.floor(at.getTime() / 1000), 11), 136)
  header.write('        ', checksumAt)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  header.write(`${octal(sumOf(header), 6)} `, checksumAt)
  return header
}

/** Files by name; what is not whole is refused. */
export function readTar(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>()
  let at = 0
  while (at + block <= bytes.length && bytes[at] !== 0) {
    const header = Buffer.from(bytes.subarray(at, at + block))
    const size = numberAt(header, 124, 12)
    const stated = numberAt(header, checksumAt, 8)
    header.fill(' ', checksumAt, checksumAt + 8)
    const end = at + block + size
    if (sumOf(header) !== stated || end > bytes.length) throw invalid
    files.set(header.toString('ascii', 0, header.indexOf(0)), bytes.subarray(at + block, end))
    at = at + block + Math.ceil(size / block) * block
  }
  if (files.size === 0 || at >= bytes.length) throw invalid
  return files
}

const sumOf = (header: Buffer): number => header.reduce((sum, byte) => sum + byte, 0)

function numberAt(header: Buffer, from: number, length: number): number {
  const text = header.toString('ascii', from, from + length).replace(/[\0 ]+$/, '')
  if (!/^[0-7]{1,11}$/.test(text)) throw invalid
  return Number.parseInt(text, 8)
}

const invalid = new AppError('request.invalid', 'failed to read the snapshot: it is no archive, or not whole')
