import { type KeyObject, sign, verify } from 'node:crypto'
import { createRequire } from 'node:module'
import type * as Nist from '@noble/curves/nist.js'
import { AppError } from '../../../core/index.ts'
import type { HashName } from './hashes.ts'

export type EcdsaScheme = {
  readonly curve: 'prime256v1' | 'secp384r1' | 'secp521r1'
  readonly hash: HashName
  /** `asn1` is DER; `jws` the two numbers one after the other. */
  readonly marshaling: 'asn1' | 'jws'
  /** The input is a hash already. */
  readonly prehashed: boolean
}

/** Loaded when it is first needed, which few servers ever do. The module loader keeps it from being loaded twice. */
function curveOf({ curve }: EcdsaScheme): typeof Nist.p256 {
  const { p256, p384, p521 }: typeof Nist = createRequire(import.meta.url)('@noble/curves/nist.js')
  return { prime256v1: p256, secp384r1: p384, secp521r1: p521 }[curve]
}

// Node's `sign` always hashes. For a hash that was made elsewhere, which is what cosign and other signers send, the signature is
// made in JavaScript: with a nonce made from key and hash (RFC 6979), so that bad randomness cannot give the key away.

export function signEcdsa(key: KeyObject, scheme: EcdsaScheme, input: Buffer): Buffer {
  if (!scheme.prehashed)
    return sign(scheme.hash, input, { key, dsaEncoding: scheme.marshaling === 'jws' ? 'ieee-p1363' : 'der' })
  const secret = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
  const signature = curveOf(scheme).sign(input, secret, {
    prehash: false,
    lowS: false,
    format: formatOf(scheme),
  })
  secret.fill(0)
  return Buffer.from(signature)
}

export function verifyEcdsa(key: KeyObject, scheme: EcdsaScheme, input: Buffer, signature: Buffer): boolean {
  if (!scheme.prehashed) {
    const dsaEncoding = scheme.marshaling === 'jws' ? 'ieee-p1363' : 'der'
    return verify(scheme.hash, input, { key, dsaEncoding }, signature)
  }
  try {
    return curveOf(scheme).verify(signature, input, pointOf(key), {
      prehash: false,
      lowS: false,
      format: formatOf(scheme),
    })
  } catch {
    // What cannot be read as a signature is none.
    return false
  }
}

const formatOf = ({ marshaling }: EcdsaScheme): 'der' | 'compact' =>
  marshaling === 'jws' ? 'compact' : 'der'

/** The public key as an uncompressed point. */
function pointOf(key: KeyObject): Uint8Array {
  const { x, y } = key.export({ format: 'jwk' })
  if (!x || !y) throw new AppError('server.internal', 'an ECDSA key has no point')
  return Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
}
