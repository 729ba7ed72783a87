import type { KeyObject } from 'node:crypto'
import { AppError } from '../../../../core/index.ts'
import { type Extension, extensionsIn } from './certificate.ts'
import {
  explicit,
  implicit,
  inside,
  integer,
  malformed,
  objectId,
  readAll,
  readBits,
  readObjectId,
  readOne,
  sequence,
  setOf,
  tags,
} from './der.ts'
import { isSignedBy, publicKeyFrom, type SignatureScheme, signed, spkiOf } from './keys.ts'
import { oids } from './oids.ts'

/** What somebody asks a certificate for (PKCS #10, RFC 2986). */
export type SigningRequest = {
  readonly subject: Buffer
  readonly spki: Buffer
  readonly publicKey: KeyObject
  readonly extensions: ReadonlyMap<string, Extension>
}

export function makeSigningRequest(
  subject: Buffer,
  extensions: readonly Buffer[],
  key: KeyObject,
  scheme: SignatureScheme,
): Promise<Buffer> {
  const attributes =
    extensions.length === 0
      ? implicit(0x20, Buffer.alloc(0))
      : explicit(0, sequence(objectId(oids.extensionRequest), setOf(sequence(...extensions))))
  return signed(sequence(integer(0), subject, spkiOf(key), attributes), key, scheme)
}

/** Reads one and checks that its sender holds the key. */
export function parseSigningRequest(der: Buffer): SigningRequest {
  const [content, algorithm, signature, ...rest] = inside(readOne(der))
  const [, subject, spki, attributes] = inside(content)
  if (!content || !algorithm || !subject || !spki || rest.length > 0) throw malformed('a signing request')
  const publicKey = publicKeyFrom(spki.whole)
  if (!publicKey) throw new AppError('request.invalid', 'the public key is of a kind that is not supported')
  if (!isSignedBy(content.whole, algorithm.whole, readBits(signature).bytes, publicKey))
    throw new AppError('request.invalid', "the request's signature does not verify")
  return {
    subject: subject.whole,
    spki: spki.whole,
    publicKey,
    extensions: attributes?.tag === 0xa0 ? requestedExtensions(attributes.content) : new Map(),
  }
}

function requestedExtensions(attributes: Buffer): Map<string, Extension> {
  for (const attribute of readAll(attributes)) {
    const [id, values] = inside(attribute)
    if (readObjectId(id) !== oids.extensionRequest) continue
    const [list, ...more] = inside(values, tags.set)
    if (!list || more.length > 0) throw malformed('a request for extensions')
    return extensionsIn(inside(list))
  }
  return new Map()
}
