import { createInflateRaw, inflateRawSync } from 'node:zlib'
import { through } from './through.ts'

export type ZipEntry = {
  readonly name: string
  /** Undefined for what cannot be opened: encrypted, or packed in a way that is not undone here. */
  readonly body: AsyncIterable<Buffer> | undefined
}

/** Bytes that can be read at any place. */
export type Bytes = { readonly sizeBytes: number; read(at: number, length: number): Buffer }

type Listed = {
  name: string
  method: number
  encrypted: boolean
  at: number
  packedBytes: number
  bytes: number
}

const endSignature = 0x06054b50
const longEndSignature = 0x06064b50
const listedSignature = 0x02014b50
const longestDirectoryBytes = 64 * 1024 * 1024
/** Smaller entries are unpacked in one call, which costs less than a stream. */
const smallBytes = 1024 * 1024
const pieceBytes = 256 * 1024

/** The files of a zip archive, as its central directory lists them: that is what programs go by. */
export function* zipEntries(archive: Bytes): Generator<ZipEntry> {
  const directory = directoryOf(archive)
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === listedSignature; ) {
    const lengths = [28, 30, 32].map((field) => directory.readUInt16LE(at + field))
    const [nameLength = 0, extraLength = 0, commentLength = 0] = lengths
    const end = at + 46 + nameLength + extraLength
    const listed = listedAt(directory, at, at + 46 + nameLength, Math.min(end, directory.length))
    if (!listed.name.endsWith('/')) yield { name: listed.name, body: bodyOf(archive, listed) }
    at = end + commentLength
  }
}

/** The central directory: found by the record at the end, before a comment of up to 64 kB. */
function directoryOf(archive: Bytes): Buffer {
  const tailAt = Math.max(0, archive.sizeBytes - 65_557)
  const tail = archive.read(tailAt, archive.sizeBytes - tailAt)
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (end < 0 || end + 22 > tail.length || tail.readUInt32LE(end) !== endSignature)
    throw new RangeError('the archive has no directory')
  let [sizeBytes, at] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)]
  const longEnd = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 6, 6]), end)
  if (at === 0xffffffff && longEnd >= 0 && tail.readUInt32LE(longEnd) === longEndSignature) {
    sizeBytes = Number(tail.readBigUInt64LE(longEnd + 40))
    at = Number(tail.readBigUInt64LE(longEnd + 48))
  }
  if (sizeBytes > longestDirectoryBytes) throw new RangeError('the directory of the archive is too long')
  return archive.read(at, sizeBytes)
}

function listedAt(directory: Buffer, at: number, extraAt: number, extraEnd: number): Listed {
  const listed = {
    name: directory.toString('utf8', at + 46, extraAt),
    method: directory.readUInt16LE(at + 10),
    encrypted: (directory.readUInt16LE(at + 8) & 1) === 1,
    packedBytes: directory.readUInt32LE(at + 20),
    bytes: directory.readUInt32LE(at + 24),
    at: directory.readUInt32LE(at + 42),
  }
  return withLongFields(listed, directory.subarray(extraAt, extraEnd))
}

/** ZIP64: what does not fit 32 bits stands, in this order, in extra field 1. */
function withLongFields(listed: Listed, extra: Buffer): Listed {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    const long = { ...listed }
    let next = at + 4
    for (const field of ['bytes', 'packedBytes', 'at'] as const) {
      if (long[field] !== 0xffffffff || next + 8 > extra.length) continue
      long[field] = Number(extra.readBigUInt64LE(next))
      next += 8
    }
    return long
  }
  return listed
}

function bodyOf(archive: Bytes, listed: Listed): ZipEntry['body'] {
  if (listed.encrypted || (listed.method !== 0 && listed.method !== 8)) return
  return unpacked(archive, listed)
}

async function* unpacked(archive: Bytes, { at, packedBytes, bytes, method }: Listed): AsyncGenerator<Buffer> {
  const local = archive.read(at, 30)
  if (local.length < 30) throw new RangeError('an entry lies outside the archive')
  const from = at + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (method === 0) yield* pieces(archive, from, packedBytes)
  else if (packedBytes <= smallBytes && bytes <= smallBytes)
    yield inflateRawSync(archive.read(from, packedBytes), { maxOutputLength: smallBytes })
  else yield* through(pieces(archive, from, packedBytes), createInflateRaw())
}

function* pieces(archive: Bytes, from: number, length: number): Generator<Buffer> {
  for (let at = from; at < from + length; at += pieceBytes) {
    const piece = archive.read(at, Math.min(pieceBytes, from + length - at))
    if (piece.length === 0) return
    yield piece
  }
}
