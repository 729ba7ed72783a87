import { createPrivateKey } from 'node:crypto'
import type { Candidate } from './candidate.ts'

/** A larger file is no key store. */
const largestBytes = 1024 * 1024
const largestKeyBytes = 16 * 1024

/** What a file is, when all of it is a secret. */
type Kind = Pick<Candidate, 'rule' | 'provider' | 'title' | 'confidence' | 'reasons'>

/** What the pages call it, whatever wrote it. */
export const keyStore = {
  rule: 'key-store',
  provider: 'key-store',
  title: 'Key store that holds a private key',
}

const store = (title: string): Kind => ({
  ...keyStore,
  title,
  confidence: 'medium',
  reasons: ['the file is a key store that holds a private key, behind a password that is often known'],
})

/** A file whose bytes are a private key, or keep one: a key store of Java, PKCS #12, a key in DER. */
export function keyStoreIn(bytes: Buffer): Candidate | undefined {
  const kind = bytes.length <= largestBytes ? kindOf(bytes) : undefined
  if (!kind) return
  const whole = { start: 0, end: bytes.length, rank: 5, wrapping: 'binary' } as const
  return { ...kind, ...whole, value: bytes.toString('base64') }
}

const jksMark = 0xfeedfeed
const jceksMark = 0xcececece

function kindOf(bytes: Buffer): Kind | undefined {
  if (bytes.length < 32) return
  const mark = bytes.readUInt32BE()
  if (mark === jksMark || mark === jceksMark)
    return holdsJavaKey(bytes) ? store('Key store of Java') : undefined
  if (bytes[0] !== 0x30) return
  return pkcs12Kind(bytes) ?? derKind(bytes)
}

/**
 * Entries follow the mark, a version and their number: a tag, an alias, a date, then a key (1, in JCEKS also 3) or only the
 * certificate of somebody who is trusted (2).
 */
function holdsJavaKey(bytes: Buffer): boolean {
  const version = bytes.readUInt32BE(4)
  const count = bytes.readUInt32BE(8)
  let at = 12
  for (let entry = 0; entry < count && at + 6 <= bytes.length; entry++) {
    const tag = bytes.readUInt32BE(at)
    if (tag !== 2) return tag === 1 || tag === 3
    at = endOfCertificate(bytes, at + 6 + bytes.readUInt16BE(at + 4) + 8, version)
  }
  return false
}

/** A type since version 2, a length, the certificate. */
function endOfCertificate(bytes: Buffer, at: number, version: number): number {
  if (at + 2 > bytes.length) return bytes.length
  const lengthAt = version < 2 ? at : at + 2 + bytes.readUInt16BE(at)
  return lengthAt + 4 > bytes.length ? bytes.length : lengthAt + 4 + bytes.readUInt32BE(lengthAt)
}

/** Of RFC 7292: version 3, then contents of plain data. */
const pkcs12Head = Buffer.from('020103', 'hex')
const dataContents = Buffer.from('06092a864886f70d010701', 'hex')
/** pkcs-12-BagIds: a key as it is, and one that is encrypted by itself. */
const keyBag = Buffer.from('060b2a864886f70d010c0a0101', 'hex')
const shroudedKeyBag = Buffer.from('060b2a864886f70d010c0a0102', 'hex')

function pkcs12Kind(bytes: Buffer): Kind | undefined {
  const head = bytes.subarray(0, 40)
  if (!head.includes(pkcs12Head) || !head.includes(dataContents)) return
  const known = store('PKCS #12 key store')
  if (bytes.includes(keyBag))
    return {
      ...known,
      confidence: 'high',
      reasons: ['the file is a key store that holds a private key without a password'],
    }
  return bytes.includes(shroudedKeyBag) ? known : undefined
}

function derKind(bytes: Buffer): Kind | undefined {
  if (bytes.length > largestKeyBytes) return
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      createPrivateKey({ key: bytes, format: 'der', type })
      return { rule: 'private-key', provider: 'der', title: 'Private key', confidence: 'high' }
    } catch {
      // Not a key of this form; most sequences are none at all.
    }
  }
  return
}
