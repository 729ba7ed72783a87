import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { AppError, reasonOf } from '../core/index.ts'
import type { Durability } from '../store/index.ts'

/**
 * A file of fixed size, written round and round in frames of text, each with its position and a checksum. Positions only grow; where
 * one lies in the file is its rest by the file's size. So nothing old is ever taken for new, the disk has the room in advance, and a
 * sync has no size of a file to store.
 */
export type Journal = {
  readonly file: string
  /** What an earlier process has left: the frames from `position` on, up to one that did not get to the disk whole. */
  recover(position: number): string[]
  /** The frames between two positions. */
  read(from: number, to: number): Iterable<string>
  /** Where to go on, so that nothing of what lies there now can ever be read again. */
  after(position: number): number
  /** Goes on at `position`; all before it is needed no more. */
  start(position: number): void
  /** Hands a frame to the operating system; returns the position after it, or undefined while there is no room. */
  write(text: string): number | undefined
  /** Resolves when all that has been written is on disk. */
  sync(): Promise<void>
  /** What lies before `position` is needed no more. */
  release(position: number): void
  /** Throws the reason if nothing can be written. */
  check(): void
  close(): void
}

/** 4000 entries of the usual size. */
const sizeBytes = 2 * 1024 * 1024
/** Of one frame; UTF-8 takes at most three bytes for each. */
export const mostCharacters = 128 * 1024
const headBytes = 20
const lengthAt = 12
const checksumAt = 16
/** Its first byte is in no UTF-8, so that no text holds it. */
const mark = 0xff4b_574a
/** In the disk's mode, a frame is written when those before it are on disk: so none of them may be missing. */
const flagOfDisk = 1

type Frame = { readonly text: string; readonly end: number; readonly onDisk: boolean }

export function openFileJournal(file: string, durability: Durability): Journal {
  const place = opened(file)
  const { fd, size } = place
  const buffer = Buffer.alloc(headBytes + mostCharacters * 3)
  const flags = durability === 'disk' ? flagOfDisk : 0
  let head = 0
  let tail = 0
  let failure: AppError | undefined

  const unwritable = (error: unknown): AppError =>
    new AppError('store.unavailable', `${file} cannot be written: ${reasonOf(error)}`)

  function put(bytes: number, position: number): void {
    const at = position % size
    const first = Math.min(bytes, size - at)
    writeWhole(fd, buffer, 0, first, at)
    if (first < bytes) writeWhole(fd, buffer, first, bytes - first, 0)
  }

  /** What a power cut or a kill leaves is a last frame that is not whole. Anything else that is missing was taken away. */
  function assertIsEnd(ring: Buffer, position: number, end: number): void {
    for (let at = ring.indexOf(0xff, end - position); at >= 0; at = ring.indexOf(0xff, at + 1))
      if (frameAt(ring, at, position + at)?.onDisk)
        throw new AppError(
          'audit.broken',
          `${file}: entries before its position ${position + at} are missing or altered. Nothing was changed. Keep this file for inspection, and move it aside to start without the entries in it.`,
        )
  }

  return {
    file,
    recover(position) {
      const ring = fill(place, Buffer.alloc(size), position)
      const texts: string[] = []
      let at = position
      for (let frame = frameAt(ring, 0, at); frame; frame = frameAt(ring, at - position, at)) {
        texts.push(frame.text)
        at = frame.end
      }
      assertIsEnd(ring, position, at)
      return texts
    },
    read: (from, to) => framesBetween(place, from, to),
    after: (position) => position + size,
    start(position) {
      head = position
      tail = position
    },
    write(text) {
      if (failure) throw failure
      const payload = buffer.write(text, headBytes, 'utf8')
      const bytes = headBytes + payload
      if (head + bytes - tail > size) return undefined
      writeHead(buffer, { flags, position: head, payload })
      try {
        put(bytes, head)
      } catch (error) {
        throw unwritable(error)
      }
      head += bytes
      return head
    },
    sync: () =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure)
        fdatasync(fd, (error) => {
          if (!error) return resolve()
          // What is on disk is unknown from now on, and a second sync would report success.
          failure = unwritable(`${error.message}. Restart Keyward.`)
          reject(failure)
        })
      }),
    release(position) {
      tail = Math.max(tail, position)
    },
    check() {
      if (failure) throw failure
      try {
        // Of the place where the next frame begins, which holds nothing that is needed.
        if (head - tail < size) writeWhole(fd, Buffer.of(0), 0, 1, head % size)
      } catch (error) {
        throw unwritable(error)
      }
    },
    close: () => closeSync(fd),
  }
}

/** For another thread, while the journal is in use: what lies between two positions that are not released. */
export function openToRead(file: string): Pick<Journal, 'read' | 'close'> {
  const fd = openSync(file, 'r')
  const place = { file, fd, size: fstatSync(fd).size }
  return { read: (from, to) => framesBetween(place, from, to), close: () => closeSync(fd) }
}

type Place = { readonly file: string; readonly fd: number; readonly size: number }

/** One after the other: a journal can be larger than what a thread should hold. */
function* framesBetween(place: Place, from: number, to: number): Iterable<string> {
  for (let at = from; at < to; ) {
    const head = fill(place, Buffer.allocUnsafe(headBytes), at)
    const bytes = headBytes + Math.min(head.readUInt32LE(lengthAt), place.size)
    const frame = frameAt(fill(place, Buffer.allocUnsafe(bytes), at), 0, at)
    if (!frame) throw new AppError('store.corrupt', `${place.file} does not hold what was written to it`)
    yield frame.text
    at = frame.end
  }
}

/** Fills a buffer from a position on, round the end of the file. */
function fill({ file, fd, size }: Place, part: Buffer, position: number): Buffer {
  for (let done = 0; done < part.length; ) {
    const at = (position + done) % size
    const read = readSync(fd, part, done, Math.min(part.length - done, size - at), at)
    if (read === 0) throw new AppError('store.unavailable', `${file} has become shorter`)
    done += read
  }
  return part
}

/** Made whole before it has its name. */
function opened(file: string): Place {
  try {
    if (!existsSync(file)) {
      const next = `${file}.next`
      const fd = openSync(next, 'w', 0o600)
      try {
        writeWhole(fd, Buffer.alloc(sizeBytes), 0, sizeBytes, 0)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(next, file)
      const folder = openSync(dirname(file), 'r')
      fsyncSync(folder)
      closeSync(folder)
    }
    const fd = openSync(file, 'r+')
    const { size } = fstatSync(fd)
    if (size > headBytes) return { file, fd, size }
    closeSync(fd)
  } catch (error) {
    throw new AppError('audit.unavailable', `${file} cannot be opened: ${reasonOf(error)}`)
  }
  throw new AppError(
    'audit.broken',
    `${file} is empty. Move it aside to start without the entries that were in it.`,
  )
}

function writeWhole(fd: number, bytes: Buffer, from: number, length: number, at: number): void {
  for (let done = 0; done < length; ) done += writeSync(fd, bytes, from + done, length - done, at + done)
}

/** Mark, flags, position, length of the text, and a checksum of all of that and the text. */
function writeHead(
  buffer: Buffer,
  { flags, position, payload }: { flags: number; position: number; payload: number },
): void {
  buffer.writeUInt32BE(mark, 0)
  buffer.writeUInt16LE(flags, 4)
  buffer.writeUIntLE(position, 6, 6)
  buffer.writeUInt32LE(payload, lengthAt)
  buffer.writeUInt32LE(checksum(buffer.subarray(0, headBytes + payload)), checksumAt)
}

/** Undefined when what lies at `at` of `bytes` is not the whole frame of this position. */
function frameAt(bytes: Buffer, at: number, position: number): Frame | undefined {
  const textAt = at + headBytes
  if (textAt > bytes.length) return undefined
  if (bytes.readUInt32BE(at) !== mark || bytes.readUIntLE(at + 6, 6) !== position) return undefined
  const end = textAt + bytes.readUInt32LE(at + lengthAt)
  if (end > bytes.length || checksum(bytes.subarray(at, end)) !== bytes.readUInt32LE(at + checksumAt))
    return undefined
  return {
    text: bytes.toString('utf8', textAt, end),
    end: position + end - at,
    onDisk: (bytes.readUInt16LE(at + 4) & flagOfDisk) !== 0,
  }
}

/** CRC-32 of a frame but for the place of its checksum. */
const checksum = (frame: Buffer): number =>
  crc32(frame.subarray(checksumAt + 4), crc32(frame.subarray(0, checksumAt)))
