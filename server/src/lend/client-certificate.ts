import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Injection } from '@keyward/contract'
import { AppError, type Secret } from '../core/index.ts'

type ClientCertificate = Extract<Injection, { kind: 'client-certificate' }>

/**
 * The chain that belongs to a private key, PEM. Throws `secret.not_found` without one, and `lease.unusable` where the two do not fit or the
 * certificate is not valid now: a destination would only break off, without a word.
 */
export function certificateWith(
  { certificateField }: ClientCertificate,
  key: Secret,
  fields: Readonly<Record<string, Secret>>,
  now: Date,
): string {
  const chain = Object.hasOwn(fields, certificateField) ? fields[certificateField] : undefined
  if (!chain) throw new AppError('secret.not_found', `The secret has no field ${certificateField}.`)
  const certificate = certificateIn(chain)
  if (!certificate) throw unusable(`The field ${certificateField} is no certificate, PEM.`)
  const privateKey = privateKeyIn(key)
  if (!privateKey) throw unusable('The lent field is no private key, PEM, or it is encrypted.')
  if (!certificate.checkPrivateKey(privateKey))
    throw unusable(`The certificate in the field ${certificateField} is not one of the lent private key.`)
  if (now < certificate.validFromDate || now > certificate.validToDate)
    throw unusable(`The certificate is valid from ${certificate.validFrom} to ${certificate.validTo}.`)
  return chain.reveal()
}

const unusable = (detail: string): AppError => new AppError('lease.unusable', detail)

/** The first one. */
function certificateIn(chain: Secret): X509Certificate | undefined {
  try {
    return new X509Certificate(chain.reveal())
  } catch {
    // Said by who asked, in words that quote nothing of it.
    return undefined
  }
}

function privateKeyIn(key: Secret): KeyObject | undefined {
  try {
    return createPrivateKey(key.reveal())
  } catch {
    // As above.
    return undefined
  }
}
