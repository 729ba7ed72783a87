import type { Detector } from './detector.ts'

const isBase64 = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 48 && byte <= 57) ||
    (byte >= 65 && byte <= 90) ||
    (byte >= 97 && byte <= 122) ||
    byte === 43 ||
    byte === 47 ||
    byte === 45 ||
    byte === 95)

/**
 * How the beginnings of known credentials look inside base64, at each of the three positions a byte can have in a group
 * of three. Only what their own bytes alone decide is used, and only where enough of it remains to be rare.
 */
export function wrappedKeywords(detectors: readonly Detector[]): string[] {
  const plain = detectors.flatMap(({ prefixed, keywords }) => (prefixed ? keywords : []))
  const words = [...plain, '-----BEGIN '].filter((word) => word.length >= 4 && !word.includes('.com'))
  return [...new Set(words.flatMap((word) => [0, 1, 2].map((shift) => encodedAt(word, shift))))].filter(
    (word) => word.length >= 4,
  )
}

function encodedAt(word: string, shift: number): string {
  const encoded = Buffer.from('\0'.repeat(shift) + word, 'latin1').toString('base64')
  const sure = Math.floor(((shift + word.length) * 8) / 6)
  return encoded.slice(Math.ceil((shift * 8) / 6), sure)
}

/** The run of base64 around `at`, and what it decodes to, when that is text. */
export function unwrap(
  bytes: Buffer,
  at: number,
): { start: number; end: number; decoded: Buffer | undefined } {
  const reach = 16_384
  let start = at
  while (start > 0 && at - start < reach && isBase64(bytes[start - 1])) start--
  let end = at
  while (end < bytes.length && end - at < reach && isBase64(bytes[end])) end++
  while (end < bytes.length && bytes[end] === 61) end++
  const decoded = end - start < 24 ? undefined : Buffer.from(bytes.toString('latin1', start, end), 'base64')
  return { start, end, decoded: decoded && isText(decoded) ? decoded : undefined }
}

function isText(bytes: Buffer): boolean {
  return bytes.every((byte) => (byte >= 32 && byte < 127) || byte === 9 || byte === 10 || byte === 13)
}
