import { entropyOf } from '../checks.ts'
import type { Confidence } from '../finding.ts'

/** Refuses an abridged key in a manual; one whose bytes are no key is a hint. */
export function judgePem(value: string): Confidence | false | undefined {
  const lines = value
    .replace(/\\[nrt]/g, '\n')
    .split(/\r?\n/)
    .map((line) => line.replace(/-----[A-Za-z0-9 -]{5,60}-----/g, ''))
    .filter((line) => !/^[\s|>#*]*[A-Za-z-]{3,40}:/.test(line))
  const body = lines.join('').replace(/[\s"',\\|#*]/g, '')
  if (body.length < 40 || entropyOf(body) < 3.5) return false
  if (isKeyMaterial(Buffer.from(body, 'base64'))) return
  // Base 64 that was drawn holds any four letters now and then, so only whole words count.
  if (/\.{3}|x{8}|\b(?:example|your)\b/i.test(lines.join('\n'))) return false
  return /^\W*Proc-Type:/m.test(value.replace(/\\n/g, '\n')) ? undefined : 'low'
}

/** What a private key begins with: a sequence as long as it says, OpenSSH's mark, a secret key packet of OpenPGP. */
function isKeyMaterial(bytes: Buffer): boolean {
  if (bytes.toString('latin1', 0, 15) === 'openssh-key-v1\0') return true
  const [first = 0] = bytes
  if (first === 0x30) return Math.abs(derLength(bytes) - bytes.length) <= 3
  return (first & 0xfc) === 0x94 || first === 0xc5
}

/** The whole length of what begins here, in DER. */
function derLength(bytes: Buffer): number {
  const [, short = 0] = bytes
  if (short < 128) return 2 + short
  const count = short & 127
  return count < 1 || count > 4 || bytes.length < 2 + count ? -1 : 2 + count + bytes.readUIntBE(2, count)
}

/** PuTTY says how many lines its parts have. */
export function judgePutty(value: string): Confidence | undefined {
  const lines = value.split(/\r?\n|\\n/)
  const at = lines.findIndex((line) => line.startsWith('Private-Lines:'))
  const count = Number(lines[at]?.slice('Private-Lines:'.length))
  const body = lines.slice(at + 1, at + 1 + count)
  const isWhole = at > 0 && count > 0 && body.every((line) => /^[A-Za-z0-9+/]{4,64}={0,2}$/.test(line.trim()))
  if (!isWhole || !lines[at + 1 + count]?.startsWith('Private-MAC:')) return 'low'
  return lines.some((line) => /^Encryption: (?!none)/.test(line)) ? 'medium' : undefined
}

const ssh2Magic = 0x3f6ff9eb

/** A key of SSH Communications Security begins with a number of its own. */
export function judgeSsh2(value: string): Confidence | undefined {
  const body = value
    .split(/\r?\n|\\n/)
    .filter((line) => !line.includes('----') && !line.includes(':') && !line.endsWith('\\'))
    .join('')
  const bytes = Buffer.from(body, 'base64')
  return bytes.length > 8 && bytes.readUInt32BE() === ssh2Magic ? undefined : 'low'
}

const privateSizes = new Set([32, 48, 56, 57, 66])

/** The private part of a JSON Web Key: as long as its curve, or as an RSA modulus; or the key itself. */
export function judgeJwk(value: string): Confidence | false {
  const { length } = Buffer.from(value, 'base64url')
  return privateSizes.has(length) || (length >= 120 && length <= 1024) ? 'high' : false
}

export const judgeOctetKey = (value: string): Confidence | false =>
  Buffer.from(value, 'base64url').length >= 16 && entropyOf(value) >= 3.2 ? 'high' : false

/** `wg genkey` clears and sets the bits that Curve25519 wants so. */
export function judgeWireguard(value: string): Confidence | undefined {
  const bytes = Buffer.from(value, 'base64')
  const [first = 1, last = 0] = [bytes[0], bytes[31]]
  return bytes.length === 32 && (first & 7) === 0 && (last & 0xc0) === 0x40 ? undefined : 'low'
}

export const judgeKubeconfigKey = (value: string): Confidence | false | undefined =>
  /PRIVATE KEY/.test(Buffer.from(value.slice(0, 200), 'base64').toString('latin1')) ? undefined : false
