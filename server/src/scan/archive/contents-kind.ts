import type { Encoding } from '../finding.ts'

/** What contents are, by how they begin: a name promises, the bytes tell. */
export type ContentsKind = 'text' | 'binary' | 'media' | 'archive'
export type Packing = 'gzip' | 'zstd' | 'xz' | 'bzip2' | 'tar' | 'zip' | 'ar' | 'cpio' | 'rpm' | 'pdf'

/** Bytes in a row; any byte where none is given. */
type Signature = readonly (number | undefined)[]

const probeBytes = 8192

/** So much of the beginning must be there for `packingOf` to tell. */
export const headBytes = 512

const signatures: readonly (readonly [Packing, number, Signature])[] = [
  ['gzip', 0, [0x1f, 0x8b, 8]],
  ['zstd', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
  // With the mark of its first block, because three letters are soon written.
  ['bzip2', 0, [0x42, 0x5a, 0x68, undefined, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]],
  ['zip', 0, [0x50, 0x4b, 3, 4]],
  ['ar', 0, [...Buffer.from('!<arch>\n')]],
  ['cpio', 0, [...Buffer.from('07070'), undefined, ...Buffer.from('0')]],
  ['rpm', 0, [0xed, 0xab, 0xee, 0xdb]],
  ['pdf', 0, [...Buffer.from('%PDF-1.')]],
  ['pdf', 0, [...Buffer.from('%PDF-2.')]],
  ['tar', 257, [0x75, 0x73, 0x74, 0x61, 0x72]],
]

/** Pictures, sound, fonts, and what is packed in ways that are not undone here: nothing in them can be read. */
const media: readonly Signature[] = [
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x47, 0x49, 0x46, 0x38],
  [0x52, 0x49, 0x46, 0x46],
  [0x77, 0x4f, 0x46, 0x46],
  [0x77, 0x4f, 0x46, 0x32],
  [0x4f, 0x67, 0x67, 0x53],
  [0x49, 0x44, 0x33],
  [0x37, 0x7a, 0xbc, 0xaf],
  [0, 1, 0, 0, 0],
]

const startsAt = (head: Buffer, at: number, signature: Signature): boolean =>
  head.length >= at + signature.length &&
  signature.every((byte, index) => byte === undefined || head[at + index] === byte)

export function packingOf(head: Buffer): Packing | undefined {
  return signatures.find(([, at, signature]) => startsAt(head, at, signature))?.[0]
}

export function kindOfContents(head: Buffer): ContentsKind {
  if (packingOf(head)) return 'archive'
  if (encodingOf(head) !== 'utf8' || !head.subarray(0, probeBytes).includes(0)) return 'text'
  const isMedia = media.some((signature) => startsAt(head, 0, signature))
  return isMedia || startsAt(head, 4, [0x66, 0x74, 0x79, 0x70]) ? 'media' : 'binary'
}

const shortestUnmarked = 16

/** By the byte order mark, or by what only UTF-16 has: letters with a zero beside each. */
export function encodingOf(head: Buffer): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf16be'
  const probe = head.subarray(0, headBytes)
  if (probe.length < shortestUnmarked || (probe[0] !== 0 && probe[1] !== 0)) return 'utf8'
  if (isWide(probe, 1)) return 'utf16le'
  return isWide(probe, 0) ? 'utf16be' : 'utf8'
}

/** Whether nine in ten letters have their zero at this place of the two, and no control character is among them. */
function isWide(probe: Buffer, zeroAt: number): boolean {
  let [zeros, pairs] = [0, 0]
  for (let at = 0; at + 1 < probe.length; at += 2, pairs++) {
    const [zero, letter] = [probe[at + zeroAt] ?? 0, probe[at + 1 - zeroAt] ?? 0]
    if (zero === 0 && letter < 32 && letter !== 9 && letter !== 10 && letter !== 13) return false
    if (zero === 0) zeros++
  }
  return zeros >= 0.9 * pairs
}
