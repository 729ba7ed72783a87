import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret } from '../core/index.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Bytes from here on would make some characters likelier than others. */
const fair = 256 - (256 % alphabet.length)

/** `<prefix>` and `length` random characters of base 62: 5.95 bits each, so 22 are 131 bits, 32 are 190, 43 are 256. */
export function randomToken(prefix: string, length: number): Secret {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < fair && text.length < length) text += alphabet[byte % alphabet.length]
    }
  }
  return new Secret(prefix + text)
}

/** SHA-256, hex. Enough for a token of 128 random bits or more: there is nothing to guess from its hash. */
export const hashToken = (token: string): string => hash('sha256', token, 'hex')

/** Compares two hashes in a time that does not depend on where they differ. */
export const sameHash = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
