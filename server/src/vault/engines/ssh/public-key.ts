import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { invalid } from '../record-fields.ts'
import { mpint, readerOf, string, withoutLeadingZeros } from './wire.ts'

/** A public key as OpenSSH writes it: `ssh-ed25519 AAAA… comment`. */
export type PublicKey = {
  readonly type: string
  /** The whole of it, and what follows its type. */
  readonly blob: Buffer
  readonly fields: Buffer
  readonly family: 'rsa' | 'ecdsa' | 'ed25519'
  readonly bits: number
}

export const curves = [
  { name: 'nistp256', jwk: 'P-256', node: 'prime256v1', bits: 256 },
  { name: 'nistp384', jwk: 'P-384', node: 'secp384r1', bits: 384 },
  { name: 'nistp521', jwk: 'P-521', node: 'secp521r1', bits: 521 },
] as const

const failed = (why: string) => invalid(`failed to parse public_key as SSH key: ${why}`)

export function parsePublicKey(written: string): PublicKey {
  const [first = '', second] = written.trim().split(/\s+/)
  // The type in front may be left out; it stands inside too.
  const encoded = second === undefined ? first : second
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) throw failed('it is no base64')
  const blob = Buffer.from(encoded, 'base64')
  const reader = readerOf(blob)
  const type = reader.string().toString('latin1')
  if (second !== undefined && first !== type) throw failed('its type is not the one in front of it')
  const fields = blob.subarray(4 + type.length)
  const { key, family, bits } = keyOf(type, readerOf(fields))
  if (!isKey(key)) throw failed('it is no valid key')
  return { type, blob, fields, family, bits }
}

/** For checking what it has signed. */
export function publicKeyObject({ type, fields }: PublicKey): KeyObject {
  return createPublicKey({ key: keyOf(type, readerOf(fields)).key as JsonWebKey, format: 'jwk' })
}

type Parts = { readonly key: object; readonly family: PublicKey['family']; readonly bits: number }

function keyOf(type: string, reader: ReturnType<typeof readerOf>): Parts {
  const parts = partsOf(type, reader)
  // Of keys on hardware: the application that they are for.
  if (type.startsWith('sk-')) reader.string()
  if (!reader.isAtEnd()) throw failed('something follows it')
  return parts
}

function partsOf(type: string, reader: ReturnType<typeof readerOf>): Parts {
  switch (type) {
    case 'ssh-rsa': {
      const [e, n] = [reader.string(), reader.string()].map(withoutLeadingZeros)
      const bits = (n?.length ?? 0) * 8 - Math.clz32(n?.[0] ?? 0) + 24
      return {
        key: { kty: 'RSA', e: e?.toString('base64url'), n: n?.toString('base64url') },
        family: 'rsa',
        bits,
      }
    }
    case 'ssh-ed25519':
    case 'sk-ssh-ed25519@openssh.com':
      return {
        key: { kty: 'OKP', crv: 'Ed25519', x: reader.string().toString('base64url') },
        family: 'ed25519',
        bits: 256,
      }
    default:
      return curvePoint(type, reader)
  }
}

function curvePoint(type: string, reader: ReturnType<typeof readerOf>): Parts {
  const curve = curves.find(
    ({ name }) => type === `ecdsa-sha2-${name}` || type === `sk-ecdsa-sha2-${name}@openssh.com`,
  )
  if (!curve) throw failed('its type is not supported')
  const [name, point] = [reader.string().toString('latin1'), reader.string()]
  const size = Math.ceil(curve.bits / 8)
  if (name !== curve.name || point.length !== 1 + 2 * size || point[0] !== 4)
    throw failed('it is no point of its curve')
  return {
    key: {
      kty: 'EC',
      crv: curve.jwk,
      x: point.subarray(1, 1 + size).toString('base64url'),
      y: point.subarray(1 + size).toString('base64url'),
    },
    family: 'ecdsa',
    bits: curve.bits,
  }
}

function isKey(jwk: object): boolean {
  try {
    createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    return true
  } catch {
    return false
  }
}

/** The blob of a key that is held here, private or public. */
export function publicBlob(key: KeyObject): Buffer {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  const part = (name: 'e' | 'n' | 'x' | 'y'): Buffer => Buffer.from(jwk[name] ?? '', 'base64url')
  if (jwk.kty === 'RSA') return Buffer.concat([string('ssh-rsa'), mpint(part('e')), mpint(part('n'))])
  if (jwk.kty === 'OKP') return Buffer.concat([string('ssh-ed25519'), string(part('x'))])
  const curve = curves.find(({ jwk: name }) => name === jwk.crv)
  const point = Buffer.concat([Buffer.from([4]), part('x'), part('y')])
  return Buffer.concat([string(`ecdsa-sha2-${curve?.name}`), string(curve?.name ?? ''), string(point)])
}

/** One line, as it stands in `authorized_keys`. */
export function printPublicKey(blob: Buffer): string {
  return `${readerOf(blob).string().toString('latin1')} ${blob.toString('base64')}\n`
}
