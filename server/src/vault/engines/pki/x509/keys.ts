import {
  createHash,
  createPrivateKey,
  createPublicKey,
  constants as crypto,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../../../../core/index.ts'
import { bits, explicit, inside, integer, nothing, objectId, readBits, readOne, sequence } from './der.ts'
import { oids } from './oids.ts'

export type KeyType = 'rsa' | 'ec' | 'ed25519'
export type KeyKind = { readonly type: KeyType; readonly bits: number }

const invalid = (detail: string): AppError => new AppError('request.invalid', detail)

const curves: Readonly<Record<number, string>> = {
  224: 'secp224r1',
  256: 'prime256v1',
  384: 'secp384r1',
  521: 'secp521r1',
}
const rsaBits: ReadonlySet<number> = new Set([2048, 3072, 4096, 8192])

/** The kind of key with its usual size where none was asked for; throws when it is none that is made here. */
export function keyKindOf(type: string, bits: number): KeyKind {
  if (type === 'ed25519') return { type, bits: 0 }
  if (type === 'ec') {
    if (bits !== 0 && !curves[bits]) throw invalid(`unsupported bit length for EC key: ${bits}`)
    return { type, bits: bits || 256 }
  }
  if (type !== 'rsa') throw invalid(`unknown key type ${type}`)
  if (bits !== 0 && bits < 2048)
    throw invalid(`RSA keys < 2048 bits are unsafe and not supported: got ${bits}`)
  if (bits !== 0 && !rsaBits.has(bits)) throw invalid(`unsupported bit length for RSA key: ${bits}`)
  return { type, bits: bits || 2048 }
}

const generate = promisify(generateKeyPair)

/** On a thread of its own: an RSA key takes its time. */
export async function newPrivateKey({ type, bits: size }: KeyKind): Promise<KeyObject> {
  if (type === 'ed25519') return (await generate('ed25519')).privateKey
  if (type === 'rsa') return (await generate('rsa', { modulusLength: size })).privateKey
  return (await generate('ec', { namedCurve: curves[size] ?? 'prime256v1' })).privateKey
}

/** The kind of a key that came from elsewhere; undefined when no certificate is made for such a key here. */
export function kindOfKey(key: KeyObject): KeyKind | undefined {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') return { type: 'rsa', bits: modulusLength }
  if (key.asymmetricKeyType === 'ed25519') return { type: 'ed25519', bits: 0 }
  const found = Object.entries(curves).find(([, curve]) => curve === namedCurve)
  return found && { type: 'ec', bits: Number(found[0]) }
}

export const spkiOf = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' })

/** The identifier of a public key: the SHA-1 of its bits (RFC 5280, 4.2.1.2). It identifies and protects nothing. */
export function keyIdOf(spki: Buffer): Buffer {
  const [, key] = inside(readOne(spki))
  return createHash('sha1').update(readBits(key).bytes).digest()
}

export function publicKeyFrom(spki: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    return undefined
  }
}

/** A private key in PEM, in whichever of its forms; undefined when it is none, is encrypted or of a kind that is not used. */
export function privateKeyFrom(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: pem, format: 'pem' })
    return kindOfKey(key) && key
  } catch {
    return undefined
  }
}

type Hash = 'sha256' | 'sha384' | 'sha512'
/** How something is signed: the hash and, for RSA, the padding. */
export type SignatureScheme = { readonly hash: Hash | null; readonly pss: boolean }

/**
 * The hash that goes with a curve; for RSA the one that was asked for. `signatureBits` 0 is the usual one.
 */
export function schemeFor(key: KeyObject, signatureBits: number, pss: boolean): SignatureScheme {
  const kind = kindOfKey(key)
  if (kind?.type === 'ed25519') return { hash: null, pss: false }
  if (kind?.type === 'ec') return { hash: curveHash(kind.bits), pss: false }
  if (![0, 256, 384, 512].includes(signatureBits))
    throw invalid(`unsupported hash signature algorithm: ${signatureBits}`)
  return { hash: `sha${(signatureBits || 256) as 256 | 384 | 512}`, pss }
}

const curveHash = (size: number): Hash => (size === 521 ? 'sha512' : size === 384 ? 'sha384' : 'sha256')

const hashBytes: Record<Hash, number> = { sha256: 32, sha384: 48, sha512: 64 }
const pkcs1 = { sha256: oids.rsaWithSha256, sha384: oids.rsaWithSha384, sha512: oids.rsaWithSha512 }
const ecdsa = { sha256: oids.ecdsaWithSha256, sha384: oids.ecdsaWithSha384, sha512: oids.ecdsaWithSha512 }

/** The AlgorithmIdentifier that stands in what is signed and beside the signature. */
export function algorithmOf(key: KeyObject, { hash, pss }: SignatureScheme): Buffer {
  if (hash === null) return sequence(objectId(oids.ed25519))
  if (key.asymmetricKeyType === 'ec') return sequence(objectId(ecdsa[hash]))
  if (!pss) return sequence(objectId(pkcs1[hash]), nothing)
  const digest = sequence(objectId(oids[hash]), nothing)
  return sequence(
    objectId(oids.rsaPss),
    sequence(
      explicit(0, digest),
      explicit(1, sequence(objectId(oids.mgf1), digest)),
      explicit(2, integer(hashBytes[hash])),
    ),
  )
}

const signAsync = promisify(sign) as unknown as (
  hash: string | null,
  data: Buffer,
  key: object,
) => Promise<Buffer>

/** `sequence(content, algorithm, signature)`: how certificates, requests and revocation lists are all signed. */
export async function signed(content: Buffer, key: KeyObject, scheme: SignatureScheme): Promise<Buffer> {
  return sequence(content, algorithmOf(key, scheme), bits(await signatureOf(content, key, scheme)))
}

export function signatureOf(content: Buffer, key: KeyObject, scheme: SignatureScheme): Promise<Buffer> {
  return signAsync(scheme.hash, content, { key, dsaEncoding: 'der', ...paddingOf(scheme) })
}

const paddingOf = ({ hash, pss }: SignatureScheme): object =>
  pss && hash ? { padding: crypto.RSA_PKCS1_PSS_PADDING, saltLength: hashBytes[hash] } : {}

/** Checks a signature by its AlgorithmIdentifier, which has to be exactly one that would be written here. */
export function isSignedBy(content: Buffer, algorithm: Buffer, signature: Buffer, key: KeyObject): boolean {
  const schemes: SignatureScheme[] = [
    { hash: null, pss: false },
    ...(['sha256', 'sha384', 'sha512'] as const).flatMap((hash) => [
      { hash, pss: false },
      { hash, pss: true },
    ]),
  ]
  const scheme = schemes
    .filter(({ hash }) => (hash === null) === (key.asymmetricKeyType === 'ed25519'))
    .find((known) => algorithmOf(key, known).equals(algorithm))
  if (!scheme) return false
  return verify(scheme.hash, content, { key, dsaEncoding: 'der', ...paddingOf(scheme) }, signature)
}
