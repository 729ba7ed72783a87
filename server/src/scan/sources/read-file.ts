import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
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
  | { readonly kind: 'whole'; readonly bytes: Buffer; readonly encoding: Encoding }
  | { readonly kind: 'large'; readonly descriptor: number; readonly sizeBytes: number }
  | { readonly kind: 'skipped'; readonly reason: string }

/** One stretch of a file: matches that begin in [emitFrom, emitTo) of `bytes` belong to it. */
export type Stretch = { bytes: Buffer; offset: number; line: number; emitFrom: number; emitTo: number }

/**
 * Reads the first 8 kB; the rest only of text. Never waits on a pipe and never follows a link put there meanwhile.
 * Synchronous, because a promise for each of four system calls costs more than looking through an average file does.
 */
export function load(path: string): Loaded {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let keep = false
  try {
    const status = fstatSync(descriptor)
    if (!status.isFile()) return { kind: 'skipped', reason: 'not a regular file' }
    const head = readAt(descriptor, 0, Math.min(headBytes, Math.max(status.size, 1)))
    const encoding = encodingOf(head)
    if (encoding === 'utf8' && head.includes(0)) return { kind: 'binary', sizeBytes: status.size }
    if (encoding !== 'utf8' && status.size > longestUtf16Bytes) {
      return { kind: 'skipped', reason: 'UTF-16 text of more than 64 MB' }
    }
    if (encoding === 'utf8' && status.size > windowBytes) {
      keep = true
      return { kind: 'large', descriptor, sizeBytes: status.size }
    }
    const bytes = head.length < status.size ? readAt(descriptor, 0, status.size) : head
    return { kind: 'whole', bytes, encoding }
  } finally {
    if (!keep) closeSync(descriptor)
  }
}

/** A large file in overlapping windows, in constant memory. Closes the descriptor. */
export function* stretchesOf(descriptor: number, sizeBytes: number): Generator<Stretch> {
  try {
    let line = 1
    for (let at = 0; at < sizeBytes; at += windowBytes) {
      const offset = Math.max(0, at - contextBytes)
      const bytes = readAt(descriptor, offset, Math.min(sizeBytes, at + windowBytes + contextBytes) - offset)
      yield { bytes, offset, line, emitFrom: at - offset, emitTo: at - offset + windowBytes }
      line += countLines(bytes, 0, at + windowBytes - contextBytes - offset)
    }
  } finally {
    closeSync(descriptor)
  }
}

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at >= 0 && at < to; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

function readAt(descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const count = readSync(descriptor, buffer, filled, length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return buffer.subarray(0, filled)
}

/** By the byte order mark. */
export function encodingOf(head: Buffer): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf16be'
  return 'utf8'
}
