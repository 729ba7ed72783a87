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

/** JSR counts its prefix in. */
export const judgeJsr = (token: string): Confidence =>
  checksumOf(token.slice(0, -6)) === token.slice(-6) ? 'high' : 'low'

/** The last eight digits are the CRC-32 of all before. */
export const judgePackagist = (token: string): Confidence =>
  crc32(token.slice(0, -8)).toString(16).padStart(8, '0') === token.slice(-8) ? 'high' : 'low'

/**
 * GitLab's routable tokens end in a version, the length of what stands before it and a CRC-32 of everything, in base 36.
 * The older ones are random throughout.
 */
export function judgeGitlab(token: string): Confidence | undefined {
  const parts =
    /^[a-z]{4,8}-(?<payload>[A-Za-z0-9_-]{27,300})\.[0-9a-z]{2}\.(?<length>[0-9a-z]{2})(?<crc>[0-9a-z]{7})$/.exec(
      token,
    )?.groups
  if (!parts) return
  const { payload = '', length = '', crc = '' } = parts
  const right =
    Number.parseInt(length, 36) === payload.length && Number.parseInt(crc, 36) === crc32(token.slice(0, -7))
  return right ? undefined : 'low'
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/**
 * An AWS key id is base 32, and since 2019, when its fifth letter comes after P, it holds the account's number, which has
 * twelve decimal digits. What cannot be one is a hint only.
 */
export function judgeAwsKeyId(id: string): Confidence | undefined {
  let bits = 0
  for (const char of id.slice(4, 14)) bits = bits * 32 + base32.indexOf(char)
  if (!/^[A-Z2-7]+$/.test(id)) return 'low'
  if (base32.indexOf(id.charAt(4)) < 16) return
  return Math.floor((Math.floor(bits / 4) % 2 ** 47) / 128) < 1e12 ? undefined : 'low'
}

/** Beside a key id stand commit ids, paths and words too: a secret is mixed as only base 64 is. */
export function judgeAwsSecret(value: string): false | undefined {
  return entropyOf(value) < 4.2 || classesIn(value) < 3 || mixOf(value) < 0.3 ? false : undefined
}

/** A PyPI token is a macaroon: packets of a type, a length and a body, the last of them a signature of 32 bytes. */
export function judgePypi(token: string): Confidence | undefined {
  const bytes = Buffer.from(token.slice('pypi-'.length), 'base64url')
  // The first byte is the version; a zero ends a section.
  for (let at = 1; at < bytes.length; ) {
    const type = bytes[at] ?? 0
    if (type === 0) at++
    else {
      const { body, length } = packetAt(bytes, at)
      if (type === 6) return length === 32 && body + length === bytes.length ? undefined : 'low'
      at = body + length
    }
  }
  return 'low'
}

/** Lengths have seven bits in a byte, the lowest first. */
function packetAt(bytes: Buffer, at: number): { body: number; length: number } {
  const low = bytes[at + 1] ?? 0
  if (low < 128) return { body: at + 2, length: low }
  return { body: at + 3, length: (low & 127) + ((bytes[at + 2] ?? 0) << 7) }
}

const bech32 = 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L'
const bech32Steps = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** The remainder of a Bech32 text (BIP 173), from its letters as numbers; 1 for a valid one. */
export function bech32Remainder(numbers: readonly number[]): number {
  let sum = 1
  for (const number of numbers) {
    const top = sum >>> 25
    sum = ((sum & 0x1ffffff) << 5) ^ number
    bech32Steps.forEach((step, bit) => {
      if ((top >> bit) & 1) sum ^= step
    })
  }
  return sum
}

export function judgeAgeKey(key: string): Confidence | undefined {
  const split = key.lastIndexOf('1')
  const prefix = Array.from(key.slice(0, split).toLowerCase(), (char) => char.charCodeAt(0))
  const data = Array.from(key.slice(split + 1), (char) => bech32.indexOf(char))
  const numbers = [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...data]
  return bech32Remainder(numbers) === 1 ? undefined : 'low'
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

/** What two letters in the middle of a name are; longer parts have a vowel and no heap of consonants. */
const short = new Set(
  'is on id to of in by my db up no do at or an ui io ok as if it re un go we us ad ip os js ts pw vm'.split(
    ' ',
  ),
)
export const isSpoken = (part: string): boolean => {
  const letters = part.toLowerCase()
  if (letters.length < 3) return short.has(letters) || letters.length === 1
  return /[aeiouy]/.test(letters) && !/[bcdfghjklmnpqrstvwxz]{5}|[jqvxz]{2}|q[^u]/.test(letters)
}

/** The share of characters in runs of letters that nobody could say: near 0 in words put together, a half in random text. */
export function shareUnspoken(value: string): number {
  const parts = value.match(/[A-Z]?[a-z]+|[A-Z]+/g) ?? []
  const unspoken = parts.filter((part) => !isSpoken(part))
  return unspoken.join('').length / Math.max(1, value.length)
}

/** Refuses what nobody would take for random: too few different characters for its length. */
export function judgeEntropy(bits: number): (value: string) => false | undefined {
  return (value) => (entropyOf(value) < bits ? false : undefined)
}
