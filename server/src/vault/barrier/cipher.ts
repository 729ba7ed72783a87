import { type CipherKey, createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'

const format = 1
const headerBytes = 5
const nonceBytes = 12
const tagBytes = 16

/** Puts a new random nonce at a place in a buffer. */
export type PutNonce = (out: Buffer, at: number) => void

const drawNonce: PutNonce = (out, at) => void randomFillSync(out, at, nonceBytes)

/**
 * AES-256-GCM. The result is: format (1 byte), term of the key (4 bytes), nonce (12), ciphertext, tag (16). The header and
 * `context` (what the value is and where it lies) are authenticated, so that a value moved elsewhere does not open.
 */
export function encrypt(
  key: CipherKey,
  term: number,
  context: string,
  plain: Uint8Array,
  putNonce = drawNonce,
): Buffer {
  const out = Buffer.allocUnsafe(headerBytes + nonceBytes + plain.length + tagBytes)
  out[0] = format
  out.writeUInt32BE(term, 1)
  putNonce(out, headerBytes)
  const cipher = createCipheriv('aes-256-gcm', key, out.subarray(headerBytes, headerBytes + nonceBytes))
  cipher.setAAD(associated(out, context))
  const body = cipher.update(plain)
  body.copy(out, headerBytes + nonceBytes)
  cipher.final()
  cipher.getAuthTag().copy(out, headerBytes + nonceBytes + plain.length)
  return out
}

/** The term of the key that a value was encrypted with, or undefined when the bytes are none of ours. */
export function termOf(sealed: Uint8Array): number | undefined {
  if (sealed.length < headerBytes + nonceBytes + tagBytes || sealed[0] !== format) return undefined
  return Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length).readUInt32BE(1)
}

/** The plain value, or undefined when the key, the context or the bytes are not those of the encryption. */
export function decrypt(key: CipherKey, context: string, sealed: Uint8Array): Buffer | undefined {
  if (termOf(sealed) === undefined) return undefined
  const end = sealed.length - tagBytes
  const decipher = createDecipheriv(
    'aes-256-gcm',
    key,
    sealed.subarray(headerBytes, headerBytes + nonceBytes),
  )
  decipher.setAAD(associated(sealed, context))
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(headerBytes + nonceBytes, end))
  try {
    decipher.final()
    return plain
  } catch {
    plain.fill(0)
    return undefined
  }
}

function associated(sealed: Uint8Array, context: string): Buffer {
  const text = Buffer.from(context, 'utf8')
  return Buffer.concat([sealed.subarray(0, headerBytes), text])
}

const noncesAtOnce = 256

/**
 * Draws nonces many at a time: a call for twelve random bytes costs half as much as encrypting a short value. Each is given out once,
 * and none is a secret.
 */
export function createNonces(): PutNonce {
  const drawn = Buffer.alloc(nonceBytes * noncesAtOnce)
  let used = drawn.length
  return (out, at) => {
    if (used === drawn.length) {
      randomFillSync(drawn)
      used = 0
    }
    drawn.copy(out, at, used, used + nonceBytes)
    used += nonceBytes
  }
}
