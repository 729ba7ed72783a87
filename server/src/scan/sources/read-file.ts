import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { encodingOf, kindOfContents } from '../archive/contents-kind.ts'
import type { Encoding } from '../finding.ts'

const firstReadBytes = 64 * 1024
const windowBytes = 4 * 1024 * 1024
/** Before and after a window: more than the longest match reaches. */
const contextBytes = 32 * 1024
/** UTF-16 files are decoded whole; a longer one is a data file. */
const longestUtf16Bytes = 64 * 1024 * 1024
/** Programs are looked through for tokens in them; a longer one is a disk image or a recording. */
const longestBinaryBytes = 64 * 1024 * 1024

/** A file as far as it must be known to decide what to do with it. An open descriptor is the caller's to close. */
export type Loaded =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'whole'; readonly bytes: Buffer; readonly encoding: Encoding; readonly binary: boolean }
  | {
      readonly kind: 'large'
      readonly descriptor: number
      readonly sizeBytes: number
      readonly binary: boolean
    }
  | { readonly kind: 'archive'; readonly descriptor: number; readonly sizeBytes: number }

export type FileReader = {
  /** The bytes of a whole file are good until the next one is read: they stand in the same memory. */
  load(path: string): Loaded
  /** Room for what is unpacked from one archive, from the archive before if that one is done. */
  withRoom<T>(use: (memory: Buffer) => Promise<T>): Promise<T>
}

/** One stretch of a file: matches that begin in [emitFrom, emitTo) of `bytes` belong to it. */
export type Stretch = { bytes: Buffer; offset: number; line: number; emitFrom: number; emitTo: number }

/**
 * Reads the beginning; the rest only of what can hold a secret. Never waits on a pipe and never follows a link put there
 * meanwhile. Synchronous, because a promise for each of four system calls costs more than looking through a file does,
 * and into one memory, because making room for each file costs as much again.
 */
export function createFileReader(): FileReader {
  const memory = Buffer.allocUnsafeSlow(windowBytes)
  let spare: Buffer | undefined

  function loadOpen(descriptor: number): Loaded {
    const status = fstatSync(descriptor)
    if (!status.isFile()) return { kind: 'skipped', reason: 'not a regular file' }
    const { size } = status
    // A file of the kernel's own says nothing of its size.
    const wanted = Math.min(firstReadBytes, Math.max(size, 8192))
    const head = memory.subarray(0, readInto(memory, 0, wanted, { descriptor, position: 0 }))
    const found = kindOfContents(head)
    if (found === 'media' || (found === 'binary' && size > longestBinaryBytes)) return { kind: 'nothing' }
    if (found === 'archive') return { kind: 'archive', descriptor, sizeBytes: size }
    const encoding = encodingOf(head)
    if (encoding !== 'utf8') return utf16File(descriptor, size, encoding)
    const binary = found === 'binary'
    if (size > windowBytes) return { kind: 'large', descriptor, sizeBytes: size, binary }
    const rest = Math.max(0, size - head.length)
    const length = head.length + readInto(memory, head.length, rest, { descriptor, position: head.length })
    return { kind: 'whole', bytes: memory.subarray(0, length), encoding, binary }
  }

  return {
    async withRoom(use) {
      const room = spare ?? Buffer.allocUnsafeSlow(windowBytes + 2 * contextBytes)
      spare = undefined
      try {
        return await use(room)
      } finally {
        spare = room
      }
    },
    load(path) {
      const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      let keep = false
      try {
        const loaded = loadOpen(descriptor)
        keep = loaded.kind === 'large' || loaded.kind === 'archive'
        return loaded
      } finally {
        if (!keep) closeSync(descriptor)
      }
    },
  }
}

function utf16File(descriptor: number, sizeBytes: number, encoding: Encoding): Loaded {
  if (sizeBytes > longestUtf16Bytes) return { kind: 'skipped', reason: 'UTF-16 text of more than 64 MB' }
  return { kind: 'whole', bytes: readAt(descriptor, 0, sizeBytes), encoding, binary: false }
}

/** A large file in overlapping windows, in constant memory: the bytes of one are good until the next is asked for. */
export function* stretchesOf(descriptor: number, sizeBytes: number): Generator<Stretch> {
  const memory = Buffer.allocUnsafeSlow(windowBytes + 2 * contextBytes)
  let line = 1
  for (let at = 0; at < sizeBytes; at += windowBytes) {
    const offset = Math.max(0, at - contextBytes)
    const wanted = Math.min(sizeBytes, at + windowBytes + contextBytes) - offset
    const bytes = memory.subarray(0, readInto(memory, 0, wanted, { descriptor, position: offset }))
    yield { bytes, offset, line, emitFrom: at - offset, emitTo: at - offset + windowBytes }
    line += countLines(bytes, 0, at + windowBytes - contextBytes - offset)
  }
}

/**
 * The same for bytes that come once and in turn, such as an unpacked file, in `memory` that one of them uses after the
 * other. Contents that fit one window come whole, with nothing around them.
 */
export async function* stretchesOfStream(
  chunks: AsyncIterable<Buffer>,
  memory: Buffer,
): AsyncGenerator<Stretch> {
  let [length, offset, emitFrom, line] = [0, 0, 0, 1]
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(memory, length, from)
      length += copied
      from += copied
      if (length < memory.length) continue
      const emitTo = length - contextBytes
      yield { bytes: memory, offset, line, emitFrom, emitTo }
      // What comes next is told with the context that was before it.
      const kept = emitTo - contextBytes
      line += countLines(memory, 0, kept)
      memory.copyWithin(0, kept, length)
      offset += kept
      length -= kept
      emitFrom = contextBytes
    }
  }
  if (length > emitFrom) yield { bytes: memory.subarray(0, length), offset, line, emitFrom, emitTo: length }
}

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at >= 0 && at < to; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

type Position = { descriptor: number; position: number }

/** How much there was to read. */
function readInto(memory: Buffer, at: number, length: number, { descriptor, position }: Position): number {
  let filled = 0
  while (filled < length) {
    const count = readSync(descriptor, memory, at + filled, length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}

export function readAt(descriptor: number, position: number, length: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(length)
  return memory.subarray(0, readInto(memory, 0, length, { descriptor, position }))
}
