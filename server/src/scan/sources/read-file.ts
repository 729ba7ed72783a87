import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Encoding } from '../finding.ts'

const headBytes = 8192
const windowBytes = 4 * 1024 * 1024
/** Before and after a window: more than the longest match reaches. */
const contextBytes = 32 * 1024
/** UTF-16 files are decoded whole; a longer one is a data file. */
const longestUtf16Bytes = 64 * 1024 * 1024

/** A file as far as it must be known to decide what to do with it. */
export type Loaded =
  | { readonly kind: 'binary'; readonly sizeBytes: number }
  | {
      readonly kind: 'whole'
      readonly bytes: Buffer
      readonly encoding: Encoding
      readonly sizeBytes: number
    }
  | { readonly kind: 'large'; readonly handle: FileHandle; readonly sizeBytes: number }
  | { readonly kind: 'skipped'; readonly reason: string }

/** One stretch of a file: matches that begin in [emitFrom, emitTo) of `bytes` belong to it. */
export type Stretch = { bytes: Buffer; offset: number; line: number; emitFrom: number; emitTo: number }

/** Reads the first 8 kB; the rest only of text. Never waits on a pipe and never follows a link put there meanwhile. */
export async function load(path: string): Promise<Loaded> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let keep = false
  try {
    const status = await handle.stat()
    if (!status.isFile()) return { kind: 'skipped', reason: 'not a regular file' }
    const head = await readAt(handle, 0, Math.min(headBytes, Math.max(status.size, 1)))
    const encoding = encodingOf(head)
    if (encoding === 'utf8' && head.includes(0)) return { kind: 'binary', sizeBytes: status.size }
    if (encoding !== 'utf8' && status.size > longestUtf16Bytes) {
      return { kind: 'skipped', reason: 'UTF-16 text of more than 64 MB' }
    }
    if (encoding === 'utf8' && status.size > windowBytes) {
      keep = true
      return { kind: 'large', handle, sizeBytes: status.size }
    }
    const rest =
      head.length < status.size ? await readAt(handle, head.length, status.size - head.length) : undefined
    const bytes = rest ? Buffer.concat([head, rest]) : head
    return { kind: 'whole', bytes, encoding, sizeBytes: bytes.length }
  } finally {
    if (!keep) await handle.close()
  }
}

/** A large file in overlapping windows, in constant memory. Closes the handle. */
export async function* stretchesOf(handle: FileHandle, sizeBytes: number): AsyncGenerator<Stretch> {
  try {
    let line = 1
    let lineAt = 0
    for (let at = 0; at < sizeBytes; at += windowBytes) {
      const offset = Math.max(0, at - contextBytes)
      const bytes = await readAt(
        handle,
        offset,
        Math.min(sizeBytes, at + windowBytes + contextBytes) - offset,
      )
      yield { bytes, offset, line, emitFrom: at - offset, emitTo: at - offset + windowBytes }
      const nextOffset = at + windowBytes - contextBytes
      line += countLines(bytes, lineAt - offset, nextOffset - offset)
      lineAt = nextOffset
    }
  } finally {
    await handle.close()
  }
}

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at >= 0 && at < to; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

function encodingOf(head: Buffer): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf16be'
  return 'utf8'
}
