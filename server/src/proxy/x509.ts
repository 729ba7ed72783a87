import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { isIP } from 'node:net'

/** Makes the certificates of one sandbox. Only writes DER, never parses it: that part of X.509 fits on a page. */
export type CertificateAuthority = {
  readonly certificatePem: string
  /** PKCS #8. Leaves the process only over the private channel, so that a restarted proxy can go on. */
  readonly keyPem: string
  leafFor(host: string): { certificatePem: string; keyPem: string }
}

const dayMs = 86_400_000
const oid = {
  commonName: [2, 5, 4, 3],
  ecdsaWithSha256: [1, 2, 840, 10045, 4, 3, 2],
  subjectKeyIdentifier: [2, 5, 29, 14],
  keyUsage: [2, 5, 29, 15],
  subjectAltName: [2, 5, 29, 17],
  basicConstraints: [2, 5, 29, 19],
  authorityKeyIdentifier: [2, 5, 29, 35],
  extendedKeyUsage: [2, 5, 29, 37],
  serverAuth: [1, 3, 6, 1, 5, 5, 7, 3, 1],
}

function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 128) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts)
const octets = (bytes: Uint8Array): Buffer => der(0x04, bytes)
const bits = (bytes: Uint8Array, unused = 0): Buffer => der(0x03, Buffer.from([unused]), bytes)
const yes = der(0x01, Buffer.from([0xff]))

function objectId([first = 0, second = 0, ...rest]: readonly number[]): Buffer {
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Buffer.from(bytes))
}

/** UTCTime, which X.509 wants until the year 2049. */
const utcTime = (at: Date): Buffer => {
  const text = at.toISOString().replace(/[-:T]/g, '').slice(2, 14)
  return der(0x17, Buffer.from(`${text}Z`))
}

const nameOf = (common: string): Buffer =>
  sequence(der(0x31, sequence(objectId(oid.commonName), der(0x0c, Buffer.from(common)))))

const extension = (id: readonly number[], critical: boolean, value: Uint8Array): Buffer =>
  sequence(objectId(id), ...(critical ? [yes] : []), octets(value))

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const middle = Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0')
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

const altName = (host: string): Buffer =>
  sequence(isIP(host) === 0 ? der(0x82, Buffer.from(host)) : der(0x87, addressBytes(host)))

const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })
/** RFC 7093, method 1. */
const keyIdOf = (key: KeyObject): Buffer => createHash('sha256').update(spkiOf(key)).digest().subarray(0, 20)

type Certificate = {
  subject: string
  issuer: string
  publicKey: KeyObject
  signer: KeyObject
  from: Date
  until: Date
  extensions: Buffer[]
}

function certificate({ subject, issuer, publicKey, signer, from, until, extensions }: Certificate): string {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256))
  // A positive number of 127 bits at most: the first octet is never zero nor negative.
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    nameOf(issuer),
    sequence(utcTime(from), utcTime(until)),
    nameOf(subject),
    spkiOf(publicKey),
    der(0xa3, sequence(...extensions)),
  )
  const encoded = sequence(body, algorithm, bits(sign('sha256', body, { key: signer, dsaEncoding: 'der' })))
  const lines = encoded.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()

type AuthorityNeeds = { now: () => Date; name: string; existing?: { certificatePem: string; keyPem: string } }

/** A certificate authority that exists for one sandbox, in memory; `existing` takes up one made before a restart. */
export function createAuthority({ now, name, existing }: AuthorityNeeds): CertificateAuthority {
  const signer = existing ? createPrivateKey(existing.keyPem) : newKey().privateKey
  const publicKey = createPublicKey(signer)
  const from = new Date(now().getTime() - dayMs)
  const until = new Date(now().getTime() + 30 * dayMs)
  const certificatePem = existing?.certificatePem ?? selfSigned({ name, publicKey, signer, from, until })
  const leaf = newKey()
  const leafKeyPem = pemOf(leaf.privateKey)
  const leaves = new Map<string, string>()
  const issue = (host: string): string =>
    certificate({
      subject: 'Keyward egress',
      issuer: name,
      publicKey: leaf.publicKey,
      signer,
      from,
      until,
      extensions: [
        extension(oid.basicConstraints, true, sequence()),
        extension(oid.keyUsage, true, bits(Buffer.from([0x80]), 7)), // digitalSignature
        extension(oid.extendedKeyUsage, false, sequence(objectId(oid.serverAuth))),
        extension(oid.subjectAltName, false, altName(host)),
        extension(oid.subjectKeyIdentifier, false, octets(keyIdOf(leaf.publicKey))),
        extension(oid.authorityKeyIdentifier, false, sequence(der(0x80, keyIdOf(publicKey)))),
      ],
    })
  return {
    certificatePem,
    keyPem: pemOf(signer),
    leafFor(host) {
      const known = leaves.get(host) ?? issue(host)
      leaves.set(host, known)
      return { certificatePem: known, keyPem: leafKeyPem }
    },
  }
}

const newKey = (): { publicKey: KeyObject; privateKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' })

type Root = { name: string; publicKey: KeyObject; signer: KeyObject; from: Date; until: Date }

function selfSigned({ name, publicKey, signer, from, until }: Root): string {
  return certificate({
    subject: name,
    issuer: name,
    publicKey,
    signer,
    from,
    until,
    extensions: [
      extension(oid.basicConstraints, true, sequence(yes, der(0x02, Buffer.from([0])))), // CA, no further CAs
      extension(oid.keyUsage, true, bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
      extension(oid.subjectKeyIdentifier, false, octets(keyIdOf(publicKey))),
    ],
  })
}
