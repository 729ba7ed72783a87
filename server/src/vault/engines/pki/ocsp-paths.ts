import { AppError } from '../../../core/index.ts'
import { parseDuration } from '../../duration.ts'
import type { Answer, OpenCall, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { allIssuers, authorityFor, revocationScheme } from './authority.ts'
import type { Mount } from './mount.ts'
import type { Issuer, PkiStore } from './store.ts'
import {
  isAskedOf,
  type OcspQuestion,
  type OcspStatus,
  ocspFailure,
  parseOcspQuestion,
  signOcspAnswer,
} from './x509/ocsp.ts'

/** Says of one certificate whether it is revoked, to anybody who asks (RFC 6960). */
export function ocspPaths(mount: Mount): PathSpec[] {
  return [
    {
      pattern: 'ocsp',
      anybody: {
        operations: ['update'],
        answer: (call) => answer(mount, call, textField(call.body, 'ocsp_request') ?? ''),
      },
    },
    {
      pattern: 'ocsp/{request...}',
      anybody: {
        operations: ['read'],
        answer: (call) => answer(mount, call, call.params['request'] ?? ''),
      },
    },
  ]
}

const longestRequest = 4096

async function answer({ store }: Mount, { now }: OpenCall, encoded: string): Promise<Answer> {
  const config = await store.config('crl')
  if (config.ocsp_disable) return raw(ocspFailure('unauthorized'), 401)
  const question = questionFrom(encoded)
  if (!question) return raw(ocspFailure('malformed'), 400)
  const asked = (await allIssuers(store)).filter(({ certificate }) =>
    isAskedOf(question, certificate.subject, certificate.spki),
  )
  // One that can sign, of those that share the name and the key.
  const responder = asked.find(maySign) ?? (asked.length === 0 ? await defaultResponder(store) : undefined)
  if (!responder) return raw(ocspFailure('unauthorized'), 401)
  const authority = await authorityFor(store, responder.record.id, 'ocsp-signing')
  const nextSeconds = parseDuration(config.ocsp_expiry, 'ocsp_expiry') ?? 0
  const status = asked.length > 0 ? await statusOf(store, question) : ({ state: 'unknown' } as const)
  const der = await signOcspAnswer(
    {
      question,
      status,
      responder: responder.certificate.subject,
      thisUpdate: now,
      nextUpdate: nextSeconds > 0 ? new Date(now.getTime() + nextSeconds * 1000) : undefined,
    },
    authority.key,
    revocationScheme(authority),
  )
  return { ...raw(der, 200), note: { state: status.state } }
}

const raw = (bytes: Buffer, status: number): Answer => ({
  raw: { contentType: 'application/ocsp-response', bytes },
  status,
})

function questionFrom(encoded: string): OcspQuestion | undefined {
  if (encoded === '' || encoded.length > longestRequest) return undefined
  try {
    return parseOcspQuestion(Buffer.from(encoded, 'base64'))
  } catch (error) {
    // Who asks is told that the question is malformed; anything else is a fault of ours.
    if (error instanceof AppError) return undefined
    throw error
  }
}

const maySign = ({ record }: Issuer): boolean => record.keyId !== '' && record.usage.includes('ocsp-signing')

async function defaultResponder(store: PkiStore): Promise<Issuer | undefined> {
  const { default: chosen } = await store.config('issuers')
  const issuer = chosen === '' ? undefined : await store.issuers.get(chosen)
  return issuer && maySign(issuer) ? issuer : undefined
}

/** What this mount did not store it does not know to be bad: a role may keep nothing of what it signs. */
async function statusOf(store: PkiStore, { serial }: OcspQuestion): Promise<OcspStatus> {
  const revoked = await store.revoked.get(serial.toString('hex'))
  return revoked ? { state: 'revoked', at: new Date(revoked.at) } : { state: 'good' }
}
