import { type KeyObject, randomBytes, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { type PublicKey, publicBlob } from './public-key.ts'
import { mpint, readerOf, string, uint32, uint64 } from './wire.ts'

type Certificate = {
  readonly key: PublicKey
  readonly serial: bigint
  readonly kind: 'user' | 'host'
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validAfter: Date
  readonly validBefore: Date
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
}
type RsaAlgorithm = 'rsa-sha2-256' | 'rsa-sha2-512'

/** A certificate of OpenSSH (PROTOCOL.certkeys), as one line. */
export async function signCertificate(
  certificate: Certificate,
  authority: KeyObject,
  rsa: RsaAlgorithm,
): Promise<string> {
  const { key } = certificate
  const type = certificateType(key.type)
  const content = Buffer.concat([
    string(type),
    string(randomBytes(32)),
    key.fields,
    uint64(certificate.serial),
    uint32(certificate.kind === 'user' ? 1 : 2),
    string(certificate.keyId),
    string(Buffer.concat(certificate.principals.map((name) => string(name)))),
    uint64(secondsOf(certificate.validAfter)),
    uint64(secondsOf(certificate.validBefore)),
    string(options(certificate.criticalOptions)),
    string(options(certificate.extensions)),
    string(''),
    string(publicBlob(authority)),
  ])
  const signature = await signatureOf(content, authority, rsa)
  return `${type} ${Buffer.concat([content, string(signature)]).toString('base64')}\n`
}

const certificateType = (type: string): string =>
  type.endsWith('@openssh.com')
    ? type.replace('@openssh.com', '-cert-v01@openssh.com')
    : `${type}-cert-v01@openssh.com`

const secondsOf = (at: Date): bigint => BigInt(Math.max(0, Math.floor(at.getTime() / 1000)))

/** In the order of their names; a flag has no value at all. */
function options(values: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(values).sort()
  return Buffer.concat(
    names.map((name) => {
      const value = values[name] ?? ''
      return Buffer.concat([string(name), string(value === '' ? '' : string(value))])
    }),
  )
}

const signAsync = promisify(sign) as unknown as (
  hash: string | null,
  data: Buffer,
  key: object,
) => Promise<Buffer>

async function signatureOf(content: Buffer, key: KeyObject, rsa: RsaAlgorithm): Promise<Buffer> {
  if (key.asymmetricKeyType === 'rsa') {
    const hash = rsa === 'rsa-sha2-512' ? 'sha512' : 'sha256'
    return Buffer.concat([string(rsa), string(await signAsync(hash, content, { key }))])
  }
  if (key.asymmetricKeyType === 'ed25519')
    return Buffer.concat([string('ssh-ed25519'), string(await signAsync(null, content, { key }))])
  const type = readerOf(publicBlob(key)).string().toString('latin1')
  const hash = type.endsWith('256') ? 'sha256' : type.endsWith('384') ? 'sha384' : 'sha512'
  const both = await signAsync(hash, content, { key, dsaEncoding: 'ieee-p1363' })
  const half = both.length / 2
  const numbers = Buffer.concat([mpint(both.subarray(0, half)), mpint(both.subarray(half))])
  return Buffer.concat([string(type), string(numbers)])
}
