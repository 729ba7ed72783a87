import {
  createPrivateKey,
  generateKeyPair,
  type JsonWebKeyInput,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import { pemBlocks } from '../pem.ts'
import { invalid } from '../record-fields.ts'
import { provenPublicKey } from '../transit/material.ts'
import { curves, publicBlob } from './public-key.ts'
import { type Reader, readerOf, string, uint32, withoutLeadingZeros } from './wire.ts'

const generate = promisify(generateKeyPair)

/** The types by which SSH and Vault call them. Bits 0: the usual size. */
export async function newKey(type: string, bits: number): Promise<KeyObject> {
  if (type === 'ssh-rsa' || type === 'rsa') {
    const size = bits || 4096
    if (size < 2048) throw invalid(`refusing to generate weak ${type} key: ${size} bits < 2048 bits`)
    if (![2048, 3072, 4096, 8192].includes(size))
      throw invalid(`unknown RSA key pair algorithm and bits: ${type} / ${size}`)
    return (await generate('rsa', { modulusLength: size })).privateKey
  }
  if (type === 'ssh-ed25519' || type === 'ed25519') return (await generate('ed25519')).privateKey
  const curve = curves.find(
    (known) => type === `ecdsa-sha2-${known.name}` || (type === 'ec' && (bits || 256) === known.bits),
  )
  if (curve) return (await generate('ec', { namedCurve: curve.node })).privateKey
  if (type === 'ec') throw invalid(`unknown ECDSA key pair algorithm and bits: ${type} / ${bits}`)
  throw invalid(`unknown ssh key pair algorithm: ${type}`)
}

const magic = Buffer.from('openssh-key-v1\0')

/** As `ssh` reads it: what is older than Ed25519 in the forms that came before OpenSSH's own. */
export function printPrivateKey(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'pem' }).toString()
  if (key.asymmetricKeyType === 'ec') return key.export({ type: 'sec1', format: 'pem' }).toString()
  const { x = '', d = '' } = key.export({ format: 'jwk' })
  const [open, seed] = [Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')]
  const check = randomBytes(4)
  const fields = [string('ssh-ed25519'), string(open), string(Buffer.concat([seed, open])), string('')]
  const secret = Buffer.concat([check, check, ...fields])
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1))
  const bytes = Buffer.concat([
    magic,
    string('none'),
    string('none'),
    string(''),
    uint32(1),
    string(publicBlob(key)),
    string(Buffer.concat([secret, padding])),
  ])
  const lines = bytes.toString('base64').replace(/.{70}(?=.)/g, '$&\n')
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`
}

const refused = () =>
  invalid('Unable to parse "private_key": it is encrypted, damaged or of a kind that is not supported')

/** A key without a passphrase, in PEM or in OpenSSH's own form. */
export function parsePrivateKey(written: string): KeyObject {
  const own = pemBlocks(written).find(({ label }) => label === 'OPENSSH PRIVATE KEY')
  const key = keyFrom(written, own?.der)
  const known =
    ['rsa', 'ed25519'].includes(key?.asymmetricKeyType ?? '') ||
    curves.some(({ node }) => node === key?.asymmetricKeyDetails?.namedCurve)
  if (!key || !known) throw refused()
  provenPublicKey(key)
  return key
}

function keyFrom(written: string, own: Buffer | undefined): KeyObject | undefined {
  try {
    return createPrivateKey(own ? (jwkFrom(own) as JsonWebKeyInput) : written)
  } catch {
    // The words of the parser may quote the key.
    return undefined
  }
}

function jwkFrom(bytes: Buffer): object {
  const reader = readerOf(bytes)
  if (!reader.bytes(magic.length).equals(magic)) throw refused()
  const [cipher, kdf] = [reader.string().toString(), reader.string().toString()]
  reader.string()
  if (cipher !== 'none' || kdf !== 'none' || reader.uint32() !== 1) throw refused()
  reader.string()
  const secret = readerOf(reader.string())
  const [check, again] = [secret.uint32(), secret.uint32()]
  if (check !== again) throw refused()
  return { key: jwkParts(secret.string().toString('latin1'), secret), format: 'jwk' }
}

function jwkParts(type: string, reader: Reader): object {
  const number = (): string => withoutLeadingZeros(reader.string()).toString('base64url')
  if (type === 'ssh-ed25519') {
    const x = reader.string().toString('base64url')
    return { kty: 'OKP', crv: 'Ed25519', x, d: reader.string().subarray(0, 32).toString('base64url') }
  }
  if (type === 'ssh-rsa') {
    const [n = '', e = '', d = '', qi = '', p = '', q = ''] = Array.from({ length: 6 }, number)
    const part = (modulus: string): string => remainder(d, modulus)
    return { kty: 'RSA', n, e, d, p, q, dp: part(p), dq: part(q), qi }
  }
  const curve = curves.find(({ name }) => type === `ecdsa-sha2-${name}`)
  if (!curve) throw refused()
  reader.string()
  const point = reader.string()
  const size = Math.ceil(curve.bits / 8)
  const d = withoutLeadingZeros(reader.string())
  return {
    kty: 'EC',
    crv: curve.jwk,
    x: point.subarray(1, 1 + size).toString('base64url'),
    y: point.subarray(1 + size).toString('base64url'),
    d: Buffer.concat([Buffer.alloc(Math.max(0, size - d.length)), d]).toString('base64url'),
  }
}

/** `d mod (p - 1)`, which OpenSSH leaves out and others want. */
function remainder(d: string, modulus: string): string {
  const value = (text: string): bigint => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex') || '0'}`)
  const hex = (value(d) % (value(modulus) - 1n)).toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
}
