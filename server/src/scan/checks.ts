import { crc32 } from 'node:zlib'
import type { Confidence } from './finding.ts'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The last six characters of a GitHub or npm token: CRC-32 of what stands between the prefix and them, in base 62. */
export function checksumOf(body: string): string {
  let rest = crc32(body)
  let digits = ''
  while (digits.length < 6) {
    digits = base62.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

/** A token whose checksum is wrong was never issued; it is kept as a hint, because it may be mistyped or redacted. */
export function judgeChecksum(token: string): Confidence {
  const body = token.slice(token.indexOf('_') + 1)
  return checksumOf(body.slice(0, -6)) === body.slice(-6) ? 'high' : 'low'
}

/** Shannon entropy in bits for each character. */
export function entropyOf(value: string): number {
  const counts = new Map<string, number>()
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length)
  return bits
}

const classOf = (char: string): number => {
  if (char >= '0' && char <= '9') return 0
  if (char >= 'a' && char <= 'z') return 1
  if (char >= 'A' && char <= 'Z') return 2
  return 3
}

/** How many of digits, lower case, upper case and the rest a value uses. */
export const classesIn = (value: string): number => new Set(Array.from(value, classOf)).size

/** The share of neighbours of different classes: about 0.4 and more in random text, below 0.25 in words. */
export function mixOf(value: string): number {
  let changes = 0
  for (let i = 1; i < value.length; i++) {
    if (classOf(value.charAt(i)) !== classOf(value.charAt(i - 1))) changes++
  }
  return value.length > 1 ? changes / (value.length - 1) : 0
}

/** Refuses what nobody would take for random: too few different characters for its length. */
export function judgeEntropy(bits: number): (value: string) => false | undefined {
  return (value) => (entropyOf(value) < bits ? false : undefined)
}

/** Only a body of base64 is a key; an abridged one in a manual is not. */
export function judgePem(value: string): false | undefined {
  const body = value
    .replace(/-----[A-Z ]{5,60}-----/g, '')
    .replace(/\\[nrt]/g, '\n')
    .split('\n')
    .filter((line) => !/^\s*[A-Za-z-]{3,40}:/.test(line))
    .join('')
    .replace(/[\s"',+\\|#*/]/g, '')
  if (/\.{3}|xxxx|example|your/i.test(body) || body.length < 40) return false
  return entropyOf(body) < 3.5 ? false : undefined
}
