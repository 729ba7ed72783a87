import { createHmac, timingSafeEqual } from 'node:crypto'

export const algorithms = ['SHA1', 'SHA256', 'SHA512'] as const
export type Algorithm = (typeof algorithms)[number]

export type CodeKey = {
  readonly secret: Buffer
  readonly algorithm: Algorithm
  readonly digits: number
  readonly periodSeconds: number
}

export const stepOf = ({ periodSeconds }: Pick<CodeKey, 'periodSeconds'>, at: Date): number =>
  Math.floor(at.getTime() / 1000 / periodSeconds)

/** The code of one step of time (RFC 6238). */
export function codeAt({ secret, algorithm, digits }: CodeKey, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const digest = createHmac(algorithm, secret).update(counter).digest()
  const offset = (digest.at(-1) ?? 0) & 0x0f
  const number = digest.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/** The step that a code belongs to, of those around now that may still be used. */
export function stepOfCode(key: CodeKey, code: string, at: Date, skew: number): number | undefined {
  const now = stepOf(key, at)
  const steps = Array.from({ length: 2 * skew + 1 }, (_, index) => now - skew + index)
  const given = Buffer.from(code)
  // All of them are looked at, so that the time it takes tells nothing.
  const found = steps.filter((step) => step >= 0 && timingSafeEqual(Buffer.from(codeAt(key, step)), given))
  return found[0]
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export function toBase32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(held >> bits) & 31]
    }
  }
  return bits > 0 ? text + alphabet[(held << (5 - bits)) & 31] : text
}

/** Undefined when it is no base 32; padding and white space may be left out or be there. */
export function fromBase32(written: string): Buffer | undefined {
  const text = written.toUpperCase().replace(/[\s-]/g, '').replace(/=+$/, '')
  if (text === '' || !/^[A-Z2-7]+$/.test(text) || [1, 3, 6].includes(text.length % 8)) return undefined
  const bytes: number[] = []
  let held = 0
  let bits = 0
  for (const letter of text) {
    held = ((held << 5) | alphabet.indexOf(letter)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((held >> bits) & 0xff)
    }
  }
  return Buffer.from(bytes)
}
