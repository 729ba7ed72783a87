import {
  constants,
  createHash,
  type KeyObject,
  privateEncrypt,
  publicDecrypt,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import type { HashName } from './hashes.ts'
import { invalid } from './inputs.ts'

export type RsaScheme = {
  readonly padding: 'pss' | 'pkcs1v15'
  /** `auto`: as long as fits when signing, whatever is found when verifying. */
  readonly salt: 'auto' | 'hash' | number
  /** Undefined: the input stands in the signature as it is, without the name of a hash (PKCS #1 v1.5 only). */
  readonly hash: HashName | undefined
  /** The input is a hash already. */
  readonly prehashed: boolean
}

/** DER of the name of each hash, which PKCS #1 v1.5 puts before the digest (RFC 8017, 9.2, note 1; NIST for SHA-3). */
const digestInfoPrefix: Record<HashName, string> = {
  sha1: '3021300906052b0e03021a05000414',
  sha224: '302d300d06096086480165030402040500041c',
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
  'sha3-224': '302d300d06096086480165030402070500041c',
  'sha3-256': '3031300d060960864801650304020805000420',
  'sha3-384': '3041300d060960864801650304020905000430',
  'sha3-512': '3051300d060960864801650304020a05000440',
}

export function signRsa(key: KeyObject, scheme: RsaScheme, input: Buffer): Buffer {
  const { hash, prehashed } = scheme
  if (scheme.padding === 'pkcs1v15') {
    if (hash && !prehashed) return sign(hash, input, key)
    return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, pkcs1Content(scheme, input, key))
  }
  if (!hash) throw invalid('PSS needs a hash')
  const saltLength = saltToMake(key, scheme, hash)
  if (!prehashed) return sign(hash, input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
  assertDigest(hash, input)
  const encoded = encodePss(hash, input, randomBytes(saltLength), modulusBits(key) - 1)
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, padded(encoded, modulusBits(key) / 8))
}

export function verifyRsa(key: KeyObject, scheme: RsaScheme, input: Buffer, signature: Buffer): boolean {
  const { hash, prehashed } = scheme
  if (signature.length !== modulusBits(key) / 8) return false
  if (scheme.padding === 'pkcs1v15') {
    if (hash && !prehashed) return verify(hash, input, key, signature)
    const found = opened(key, signature, constants.RSA_PKCS1_PADDING)
    return found !== undefined && same(found, pkcs1Content(scheme, input, key))
  }
  if (!hash) throw invalid('PSS needs a hash')
  const saltLength = saltToExpect(scheme, hash)
  if (!prehashed)
    return verify(hash, input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature)
  assertDigest(hash, input)
  const encoded = opened(key, signature, constants.RSA_NO_PADDING)
  const bits = modulusBits(key) - 1
  return (
    encoded !== undefined && checkPss(hash, input, encoded.subarray(-Math.ceil(bits / 8)), bits, saltLength)
  )
}

const modulusBits = (key: KeyObject): number => key.asymmetricKeyDetails?.modulusLength ?? 0
const digestBytes = (hash: HashName): number => createHash(hash).digest().length

function saltToMake(key: KeyObject, { salt }: RsaScheme, hash: HashName): number {
  const longest = Math.ceil((modulusBits(key) - 1) / 8) - digestBytes(hash) - 2
  const length = salt === 'auto' ? longest : salt === 'hash' ? digestBytes(hash) : salt
  if (length < 0 || length > longest) throw invalid(`requested salt length ${length} is invalid`)
  return length
}

const saltToExpect = ({ salt }: RsaScheme, hash: HashName): number =>
  salt === 'auto' ? constants.RSA_PSS_SALTLEN_AUTO : salt === 'hash' ? digestBytes(hash) : salt

function pkcs1Content({ hash }: RsaScheme, input: Buffer, key: KeyObject): Buffer {
  if (hash) assertDigest(hash, input)
  const content = hash ? Buffer.concat([Buffer.from(digestInfoPrefix[hash], 'hex'), input]) : input
  if (content.length > modulusBits(key) / 8 - 11) throw invalid('input is too long for this key')
  return content
}

function assertDigest(hash: HashName, input: Buffer): void {
  const wanted = digestBytes(hash)
  if (input.length !== wanted)
    throw invalid(`a prehashed input for this hash has ${wanted} bytes; the one given has ${input.length}`)
}

function opened(key: KeyObject, signature: Buffer, padding: number): Buffer | undefined {
  try {
    return publicDecrypt({ key, padding }, signature)
  } catch {
    return undefined
  }
}

const same = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

/** EMSA-PSS of RFC 8017, 9.1.1, from the step where the message is hashed: Node hashes always, and here it is done already. */
function encodePss(hash: HashName, digest: Buffer, salt: Buffer, bits: number): Buffer {
  const length = Math.ceil(bits / 8)
  const trailer = createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest()
  const block = Buffer.alloc(length - trailer.length - 1)
  block[block.length - salt.length - 1] = 1
  salt.copy(block, block.length - salt.length)
  mask(hash, trailer, block)
  block[0] = (block[0] ?? 0) & topMask(length, bits)
  return Buffer.concat([block, trailer, Buffer.from([0xbc])])
}

/** EMSA-PSS-VERIFY, 9.1.2. Nothing here is secret. */
function checkPss(
  hash: HashName,
  digest: Buffer,
  encoded: Buffer,
  bits: number,
  saltLength: number,
): boolean {
  const trailerAt = encoded.length - digest.length - 1
  if (trailerAt < 1 || encoded.at(-1) !== 0xbc) return false
  const trailer = encoded.subarray(trailerAt, -1)
  const block = Buffer.from(encoded.subarray(0, trailerAt))
  const top = topMask(encoded.length, bits)
  if (((block[0] ?? 0) & ~top) !== 0) return false
  mask(hash, trailer, block)
  block[0] = (block[0] ?? 0) & top
  const mark = block.findIndex((byte) => byte !== 0)
  if (mark < 0 || block[mark] !== 1) return false
  const salt = block.subarray(mark + 1)
  if (saltLength !== constants.RSA_PSS_SALTLEN_AUTO && salt.length !== saltLength) return false
  return same(trailer, createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest())
}

/** The bits of the first byte that may be set. */
const topMask = (length: number, bits: number): number => 0xff >> (8 * length - bits)

/** MGF1 of `seed`, laid over `block`. */
function mask(hash: HashName, seed: Buffer, block: Buffer): void {
  const counter = Buffer.alloc(4)
  for (let at = 0, round = 0; at < block.length; round++) {
    counter.writeUInt32BE(round)
    for (const byte of createHash(hash).update(seed).update(counter).digest()) {
      if (at >= block.length) break
      block[at] = (block[at] ?? 0) ^ byte
      at++
    }
  }
}

/** The number in front of an encoding that is a byte shorter than the modulus. */
const padded = (encoded: Buffer, length: number): Buffer =>
  Buffer.concat([Buffer.alloc(length - encoded.length), encoded])
