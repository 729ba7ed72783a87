import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { type Cbor, readCbor } from './cbor.ts'

/**
 * The part of WebAuthn (W3C, level 2) that a second factor needs: no attestation is asked for, so none is believed. What a key
 * says about itself is taken at its enrolment, by somebody who has signed in.
 */
export type Enrolled = {
  readonly credential: string
  readonly publicKey: JsonWebKey
  readonly counter: number
  readonly origin: string
}

type ClientData = { readonly type: string; readonly challenge: string; readonly origin: string }

/** Of COSE: ES256, EdDSA, RS256. */
export const algorithms = [-7, -8, -257]

const userPresent = 0x01
const attestedData = 0x40

export const rpIdOf = (origin: string): string => new URL(origin).hostname

/** The challenge that the browser was asked with, when it was asked for this by this page; undefined otherwise. */
export function challengeOf(
  clientData: string,
  type: 'webauthn.create' | 'webauthn.get',
  origin: string,
): string | undefined {
  const said = parsed(clientData)
  return said?.type === type && said.origin === origin ? said.challenge : undefined
}

function parsed(clientData: string): ClientData | undefined {
  try {
    const said: Record<string, unknown> = JSON.parse(Buffer.from(clientData, 'base64url').toString('utf8'))
    const { type, challenge, origin, crossOrigin } = said
    if (typeof type !== 'string' || typeof challenge !== 'string' || typeof origin !== 'string')
      return undefined
    return crossOrigin === true ? undefined : { type, challenge, origin }
  } catch {
    // It is whatever somebody sent; what cannot be read proves nothing.
    return undefined
  }
}

/** The new key of an attestation object, or undefined when it is none for this page. */
export function enrolledBy(attestation: string, origin: string): Enrolled | undefined {
  try {
    const { value } = readCbor(Buffer.from(attestation, 'base64url'))
    const authData = value instanceof Map ? value.get('authData') : undefined
    return Buffer.isBuffer(authData) ? enrolledIn(authData, origin) : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function enrolledIn(authData: Buffer, origin: string): Enrolled | undefined {
  const head = headOf(authData, origin)
  if (!head || (head.flags & attestedData) === 0) return undefined
  // 16 bytes name the model of the key: nothing depends on it.
  const length = authData.readUInt16BE(53)
  const credential = authData.subarray(55, 55 + length)
  const publicKey = jwkOf(readCbor(authData.subarray(55 + length)).value)
  if (credential.length !== length || length === 0 || length > 1023) return undefined
  if (!publicKey || !isKey(publicKey)) return undefined
  return { credential: credential.toString('base64url'), publicKey, counter: head.counter, origin }
}

/** A point that lies on no curve is refused by the library with an error of its own. */
function isKey(publicKey: JsonWebKey): boolean {
  try {
    return createPublicKey({ key: publicKey, format: 'jwk' }).type === 'public'
  } catch {
    // It is whatever somebody sent; no key can be made of it.
    return false
  }
}

/** Who it is for, and that a person was there. */
function headOf(authData: Buffer, origin: string): { flags: number; counter: number } | undefined {
  const rpIdHash = createHash('sha256').update(rpIdOf(origin)).digest()
  if (authData.length < 37 || !authData.subarray(0, 32).equals(rpIdHash)) return undefined
  const flags = authData.readUInt8(32)
  return (flags & userPresent) === 0 ? undefined : { flags, counter: authData.readUInt32BE(33) }
}

function jwkOf(key: Cbor): JsonWebKey | undefined {
  if (!(key instanceof Map)) return undefined
  const text = (label: number): string | undefined => {
    const value = key.get(label)
    return Buffer.isBuffer(value) ? value.toString('base64url') : undefined
  }
  const [kind, algorithm, curve] = [key.get(1), key.get(3), key.get(-1)]
  const [first, x, y] = [text(-1), text(-2), text(-3)]
  if (kind === 2 && algorithm === -7 && curve === 1 && x && y) return { kty: 'EC', crv: 'P-256', x, y }
  if (kind === 1 && algorithm === -8 && curve === 6 && x) return { kty: 'OKP', crv: 'Ed25519', x }
  if (kind === 3 && algorithm === -257 && first && x) return { kty: 'RSA', n: first, e: x }
  return undefined
}

type Assertion = {
  readonly clientData: string
  readonly authenticatorData: string
  readonly signature: string
}

/** The key's new count of its uses, or undefined when it did not sign this, or is a copy that lags behind. */
export function countOf(enrolled: Enrolled, given: Assertion): number | undefined {
  const authData = Buffer.from(given.authenticatorData, 'base64url')
  const head = headOf(authData, enrolled.origin)
  if (!head) return undefined
  const { counter } = head
  const counts = counter !== 0 || enrolled.counter !== 0
  if (counts && counter <= enrolled.counter) return undefined
  const clientHash = createHash('sha256').update(Buffer.from(given.clientData, 'base64url')).digest()
  const signed = Buffer.concat([authData, clientHash])
  const key = createPublicKey({ key: enrolled.publicKey, format: 'jwk' })
  const algorithm = enrolled.publicKey.kty === 'OKP' ? null : 'sha256'
  return verify(algorithm, signed, key, Buffer.from(given.signature, 'base64url')) ? counter : undefined
}
