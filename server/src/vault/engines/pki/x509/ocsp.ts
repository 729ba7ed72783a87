import { createHash, type KeyObject } from 'node:crypto'
import { extensionsIn } from './certificate.ts'
import {
  bits,
  expect,
  explicit,
  generalizedTime,
  implicit,
  inside,
  malformed,
  objectId,
  octets,
  readBits,
  readObjectId,
  readOne,
  readUnsigned,
  sequence,
  tags,
} from './der.ts'
import { enumerated } from './extensions.ts'
import { algorithmOf, type SignatureScheme, signatureOf } from './keys.ts'
import { oids } from './oids.ts'

// Answers to "is this certificate revoked?" (RFC 6960), one certificate a question as RFC 5019 has it.

type Hash = 'sha1' | 'sha256' | 'sha384' | 'sha512'

export type OcspQuestion = {
  /** How its asker names the certificate; the answer repeats it. */
  readonly certId: Buffer
  readonly hash: Hash
  readonly issuerName: Buffer
  readonly issuerKey: Buffer
  readonly serial: Buffer
  /** The whole extension, repeated too. */
  readonly nonce: Buffer | undefined
}

const hashes: Readonly<Record<string, Hash>> = {
  [oids.sha1]: 'sha1',
  [oids.sha256]: 'sha256',
  [oids.sha384]: 'sha384',
  [oids.sha512]: 'sha512',
}

export function parseOcspQuestion(der: Buffer): OcspQuestion {
  const [content] = inside(readOne(der))
  const fields = inside(content)
  const [question, ...more] = inside(fields.find(({ tag }) => tag === tags.sequence))
  if (!question || more.length > 0) throw malformed('an OCSP request for one certificate')
  const [certId] = inside(question)
  const [algorithm, name, key, serial] = inside(certId)
  const hash = hashes[readObjectId(inside(algorithm)[0])]
  if (!certId || !hash) throw malformed('an OCSP request')
  const wrapper = fields.find(({ tag }) => tag === 0xa2)
  const nonce = wrapper && extensionsIn(inside(readOne(wrapper.content))).get(oids.ocspNonce)
  return {
    certId: certId.whole,
    hash,
    issuerName: expect(name, tags.octetString).content,
    issuerKey: expect(key, tags.octetString).content,
    serial: readUnsigned(serial),
    // Longer ones are not repeated, so that nobody has a chosen text of any length signed (RFC 9654).
    nonce: nonce && nonce.value.length <= 130 ? nonce.whole : undefined,
  }
}

/** Whether the question is about a certificate of this issuer. */
export function isAskedOf(question: OcspQuestion, subject: Buffer, spki: Buffer): boolean {
  const digest = (bytes: Uint8Array): Buffer => createHash(question.hash).update(bytes).digest()
  const { bytes } = readBits(inside(readOne(spki))[1])
  return digest(subject).equals(question.issuerName) && digest(bytes).equals(question.issuerKey)
}

export type OcspStatus =
  | { readonly state: 'good' | 'unknown' }
  | { readonly state: 'revoked'; readonly at: Date }

type OcspAnswer = {
  readonly question: OcspQuestion
  readonly status: OcspStatus
  readonly responder: Buffer
  readonly thisUpdate: Date
  /** Undefined: something newer is always to be had. */
  readonly nextUpdate: Date | undefined
}

export async function signOcspAnswer(
  answer: OcspAnswer,
  key: KeyObject,
  scheme: SignatureScheme,
): Promise<Buffer> {
  const { question, status, responder, thisUpdate, nextUpdate } = answer
  const single = sequence(
    question.certId,
    statusOf(status),
    generalizedTime(thisUpdate),
    ...(nextUpdate ? [explicit(0, generalizedTime(nextUpdate))] : []),
  )
  const content = sequence(
    explicit(1, responder),
    generalizedTime(thisUpdate),
    sequence(single),
    ...(question.nonce ? [explicit(1, sequence(question.nonce))] : []),
  )
  const basic = sequence(content, algorithmOf(key, scheme), bits(await signatureOf(content, key, scheme)))
  return sequence(enumerated(0), explicit(0, sequence(objectId(oids.ocspBasic), octets(basic))))
}

function statusOf(status: OcspStatus): Buffer {
  if (status.state === 'revoked') return explicit(1, generalizedTime(status.at))
  return implicit(status.state === 'good' ? 0 : 2, Buffer.alloc(0))
}

/** An answer without one: the question was malformed, or this server does not answer it. */
export const ocspFailure = (reason: 'malformed' | 'unauthorized'): Buffer =>
  sequence(enumerated(reason === 'malformed' ? 1 : 6))
