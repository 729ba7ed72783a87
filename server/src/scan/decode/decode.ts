import { gunzipSync } from 'node:zlib'
import type { Place } from '../finding.ts'
import type { Run } from './runs.ts'

export type Decoded = {
  readonly bytes: Buffer
  readonly wrapping: Place['wrapping']
  /** Where a byte came from, when that can be told; else the whole run holds what was found. */
  readonly outer?: (at: number) => number
}

/** More than a credential needs around it; a bomb ends here. */
const mostUnpackedBytes = 4 * 1024 * 1024
/** So much is decoded first, to see whether it is text at all: most runs are names, paths and hashes. */
const probeLetters = 24

/** What a run of base64 or hex stands for, when that is text. */
export function decodeRun(bytes: Buffer, { start, end }: Run): Decoded | undefined {
  const probe = bytes.toString('latin1', start, Math.min(end, start + probeLetters))
  if (isHex(probe)) {
    const letters = bytes.toString('latin1', start, end)
    if (letters.length % 2 === 0 && isHex(letters)) {
      const text = textOf(Buffer.from(letters, 'hex'))
      if (text) return { bytes: text, wrapping: 'hex' }
    }
  }
  if (!mayBeText(Buffer.from(probe, 'base64'))) return
  const text = textOf(Buffer.from(bytes.toString('latin1', start, end), 'base64'))
  return text && { bytes: text, wrapping: 'base64' }
}

const isHex = (letters: string): boolean => /^[0-9a-fA-F]+$/.test(letters)

const isGzip = (bytes: Buffer): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8
/** As PowerShell wants its encoded commands: UTF-16 without a mark. */
const isUtf16 = (bytes: Buffer): boolean =>
  bytes.length >= 8 &&
  [1, 3, 5, 7].every((at) => bytes[at] === 0) &&
  [0, 2, 4, 6].every((at) => bytes[at] !== 0)

function mayBeText(probe: Buffer): boolean {
  return isGzip(probe) || isUtf16(probe) || isText(probe)
}

function textOf(decoded: Buffer): Buffer | undefined {
  if (isGzip(decoded)) return unzipped(decoded)
  if (isUtf16(decoded)) return Buffer.from(decoded.toString('utf16le'), 'utf8')
  return isText(decoded) ? decoded : undefined
}

function unzipped(packed: Buffer): Buffer | undefined {
  try {
    const bytes = gunzipSync(packed, { maxOutputLength: mostUnpackedBytes })
    return isText(bytes) ? bytes : undefined
  } catch {
    // It only began like gzip, or it unpacks to more than anybody keeps in an encoded text.
    return
  }
}

/** No control characters, and at most a quarter of bytes that are not ASCII. */
function isText(bytes: Buffer): boolean {
  let beyond = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    if (byte >= 128) beyond++
    else if (byte < 32 ? byte !== 10 && byte !== 13 && byte !== 9 : byte === 127) return false
  }
  return bytes.length > 0 && beyond * 4 <= bytes.length
}

/** Percent escapes undone; undefined where nothing changes. */
export function decodeUrl(bytes: Buffer, { start, end }: Run): Decoded | undefined {
  const text = bytes.toString('latin1', start, end)
  const plain = text.replace(/%([0-9a-fA-F]{2})/g, (_match: string, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
  if (plain === text) return
  const decoded = Buffer.from(plain, 'latin1')
  return isText(decoded)
    ? { bytes: decoded, wrapping: 'url', outer: (at) => start + encodedLength(text, at) }
    : undefined
}

/** How many letters stand for the first `count` bytes. */
function encodedLength(text: string, count: number): number {
  let at = 0
  for (let i = 0; i < count; i++) at += /^%[0-9a-fA-F]{2}/.test(text.slice(at, at + 3)) ? 3 : 1
  return at
}

/** What a text holds that is worth undoing: signs that stand in addresses, in JSON and at the end of base64. */
export const urlKeywords: readonly string[] = ['%3a', '%2f', '%22', '%2b', '%3d', '%40', '%25', '%0a']
