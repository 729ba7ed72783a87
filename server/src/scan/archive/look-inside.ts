import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type ByteQueue, createByteQueue, reasonOf, type TarEntry, tarEntries } from '../../core/index.ts'
import { arEntries } from './ar.ts'
import { unpackBzip2 } from './bzip2.ts'
import { headBytes, type Packing, packingOf } from './contents-kind.ts'
import { cpioEntries } from './cpio.ts'
import { createPartReader, isDocument } from './office.ts'
import { pdfParts } from './pdf.ts'
import { rpmEntries } from './rpm.ts'
import { through } from './through.ts'
import { unpackXz } from './xz.ts'
import { type Bytes, zipEntries } from './zip.ts'

/** A file inside an archive, named `archive!inner`, however deep it lies. */
export type Inner = { readonly name: string; readonly body: AsyncIterable<Buffer> }
export type Met = Inner | { readonly name: string; readonly problem: string }

export type Limits = {
  /** What an archive may unpack to, with all that lies inside the archives in it. */
  readonly unpackedBytes: number
  readonly entries: number
  /** Archives inside archives: an image, its layer, a package in it, and what that holds. */
  readonly depth: number
  /** A zip inside another archive, and a PDF, are read from memory, because they begin at their end. */
  readonly inMemoryBytes: number
}

/** A hundred times an archive's size is more than text is packed: beyond that it is made to harm. */
export const limitsFor = (sizeBytes: number): Limits => ({
  unpackedBytes: Math.min(16e9, 256e6 + 100 * sizeBytes),
  entries: 400_000,
  depth: 5,
  inMemoryBytes: 64e6,
})

type Opened = { readonly limits: Limits; unpackedBytes: number; entries: number }

/**
 * Every file inside the archive `name`. Archives are known by how they begin, so an image that was saved, its layers and
 * the packages in them need no names of their own. Each body must be read before the next entry is asked for, or is
 * passed over.
 */
export async function* filesInside(name: string, archive: Bytes, limits: Limits): AsyncGenerator<Met> {
  const opened: Opened = { limits, unpackedBytes: 0, entries: 0 }
  try {
    if (packingOf(archive.read(0, headBytes)) === 'zip') yield* insideZip(name, archive, opened, 1)
    else yield* inside(name, streamOf(archive), opened, 0)
  } catch (error) {
    yield { name, problem: archiveProblem(error) }
  }
}

const cut = 'the rest was not looked through'
const atLimit = (words: string): RangeError => new RangeError(`${words}; ${cut}`)

/** Why an archive was not read to its end. Met where its bodies are read, too. */
export function archiveProblem(error: unknown): string {
  const reason = reasonOf(error).slice(0, 200)
  return reason.endsWith(cut) ? reason : `the archive cannot be read to its end: ${reason}`
}

async function* streamOf({ sizeBytes, read }: Bytes): AsyncGenerator<Buffer> {
  const pieceBytes = 256 * 1024
  for (let at = 0; at < sizeBytes; at += pieceBytes) {
    const piece = read(at, Math.min(pieceBytes, sizeBytes - at))
    if (piece.length === 0) return
    yield piece
  }
}

async function* inside(
  name: string,
  chunks: AsyncIterable<Buffer>,
  opened: Opened,
  depth: number,
): AsyncGenerator<Met> {
  const queue = createByteQueue(chunks)
  const head = await queue.take(headBytes)
  const body = joined(head, queue)
  const packing = packingOf(head)
  if (packing !== undefined && depth >= opened.limits.depth)
    throw atLimit(`archives lie in it more than ${opened.limits.depth} deep`)
  const unpack = packing && unpackers[packing]
  const list = packing && listings[packing]
  if (unpack) yield* insidePacked(name, counted(unpack(body), opened), opened, depth + 1)
  else if (list) {
    for await (const entry of list(body)) {
      countEntry(opened)
      yield* inside(`${name}!${plain(entry.name)}`, entry.body, opened, depth + 1)
    }
  } else if (packing === 'zip') {
    yield* insideZip(name, await inMemory(name, body, opened), opened, depth + 1)
  } else if (packing === 'pdf') {
    yield* insidePdf(name, await inMemory(name, body, opened), opened, depth + 1)
  } else yield { name, body }
}

type Stream = AsyncIterable<Buffer>

/** What is packed as one. */
const unpackers: Partial<Record<Packing, (packed: Stream) => Stream>> = {
  gzip: (packed) => through(packed, createGunzip()),
  zstd: (packed) => through(packed, createZstdDecompress()),
  xz: unpackXz,
  bzip2: unpackBzip2,
}

/** What lists its files one after the other. */
const listings: Partial<Record<Packing, (archive: Stream) => AsyncIterable<TarEntry>>> = {
  tar: tarEntries,
  ar: arEntries,
  cpio: cpioEntries,
  rpm: rpmEntries,
}

/** What was packed alone has the name of the archive without its ending; a tar has the names of its own entries. */
async function* insidePacked(
  name: string,
  chunks: AsyncIterable<Buffer>,
  opened: Opened,
  depth: number,
): AsyncGenerator<Met> {
  const queue = createByteQueue(chunks)
  const head = await queue.take(headBytes)
  const base = name.split(/[/!]/).at(-1) ?? name
  const alone = packingOf(head) === undefined
  yield* inside(
    alone ? `${name}!${base.replace(/\.(?:gz|zst|xz|bz2)$/i, '')}` : name,
    joined(head, queue),
    opened,
    depth,
  )
}

async function* insideZip(name: string, archive: Bytes, opened: Opened, depth: number): AsyncGenerator<Met> {
  let closed = 0
  const textOf = isDocument(zipEntries(archive)) ? await createPartReader(zipEntries(archive)) : undefined
  for (const entry of zipEntries(archive)) {
    countEntry(opened)
    const inner = `${name}!${plain(entry.name)}`
    const body = entry.body && counted(entry.body, opened)
    const text = body && textOf?.(entry.name, body)
    // What is said in a document is no XML any more.
    if (text) yield { name: `${inner}!text.txt`, body: text }
    else if (body) yield* inside(inner, body, opened, depth)
    else closed++
  }
  if (closed > 0)
    yield { name, problem: `${closed} files in it are encrypted, or packed in a way that is not known here` }
}

async function* insidePdf(
  name: string,
  { sizeBytes, read }: Bytes,
  opened: Opened,
  depth: number,
): AsyncGenerator<Met> {
  for await (const part of pdfParts(read(0, sizeBytes))) {
    countEntry(opened)
    yield* inside(`${name}!${plain(part.name)}`, counted([part.bytes], opened), opened, depth)
  }
}

/** Names are a stranger's: without what leads elsewhere, they name a place inside the archive and nothing else. */
const plain = (name: string): string => name.replace(/^(?:\.{0,2}\/)+/, '')

async function inMemory(name: string, body: AsyncIterable<Buffer>, opened: Opened): Promise<Bytes> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of body) {
    sizeBytes += part.length
    if (sizeBytes > opened.limits.inMemoryBytes)
      throw atLimit(`${name} has to be read whole, and has more than ${opened.limits.inMemoryBytes / 1e6} MB`)
    parts.push(part)
  }
  const all = Buffer.concat(parts)
  return { sizeBytes: all.length, read: (at, length) => all.subarray(at, at + length) }
}

async function* joined(head: Buffer, queue: ByteQueue): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head
  yield* queue.rest()
}

async function* counted(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  opened: Opened,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    opened.unpackedBytes += chunk.length
    if (opened.unpackedBytes > opened.limits.unpackedBytes)
      throw atLimit(`it unpacks to more than ${Math.round(opened.limits.unpackedBytes / 1e6)} MB`)
    yield chunk
  }
}

function countEntry(opened: Opened): void {
  opened.entries++
  if (opened.entries > opened.limits.entries)
    throw atLimit(`it holds more than ${opened.limits.entries} files`)
}
