import type { Reader, Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { derFrom, pemBlocks } from '../pem.ts'
import { invalid } from '../record-fields.ts'
import { allIssuers, familyOf } from './authority.ts'
import { revocationTimes } from './issuer-paths.ts'
import type { Mount } from './mount.ts'
import { printSerial, serialName } from './serial.ts'
import { type Certificate, isIssuedBy, parseCertificate } from './x509/certificate.ts'
import { privateKeyFrom, spkiOf } from './x509/keys.ts'

/** Certificates that are no longer to be trusted. */
export function revokePaths(mount: Mount): PathSpec[] {
  return [
    { pattern: 'revoke', update: (tx, call) => revokeAsked(mount, tx, call) },
    {
      pattern: 'revoke-with-key',
      async update(tx, call) {
        const pem = textField(call.body, 'private_key')
        if (pem === undefined) throw invalid('Must have private key to revoke via the /revoke-with-key path.')
        if (pem.length < 64)
          throw invalid(
            'Provided data for private_key was too short; perhaps a path was passed to the API rather than the contents of a PEM file?',
          )
        return revokeAsked(mount, tx, call, pem)
      },
    },
  ]
}

async function revokeAsked(mount: Mount, tx: Tx, { body, now }: Call, keyPem?: string): Promise<Answer> {
  const serial = textField(body, 'serial_number')
  const pem = textField(body, 'certificate')
  if (serial === undefined && pem === undefined)
    throw invalid('The serial number or certificate to revoke must be provided.')
  if (serial !== undefined && pem !== undefined)
    throw invalid('Must provide either the certificate or the serial to revoke; not both.')
  const certificate =
    pem === undefined
      ? await storedCertificate(mount, serial ?? '', tx)
      : await ownCertificate(mount, pem, tx)
  if (!certificate) throw invalid(`certificate with serial ${serial} not found.`)
  if (keyPem !== undefined) assertOwner(certificate, keyPem)
  return revoke(mount, tx, certificate, now)
}

async function storedCertificate(
  { store }: Mount,
  serial: string,
  reader: Reader,
): Promise<Certificate | undefined> {
  if (serial === '') throw invalid('The serial number must be provided')
  const der = await store.certificates.get(serialName(serial), reader)
  return der && parseCertificate(der)
}

/** A certificate that was not stored can be revoked too, if an issuer of this mount signed it. */
async function ownCertificate({ store }: Mount, pem: string, tx: Tx): Promise<Certificate> {
  if (pem.length < 75)
    throw invalid(
      'provided certificate data was too short; perhaps a path was passed to the API rather than the contents of a PEM file',
    )
  if (pemBlocks(pem).length === 0) throw invalid('certificate contains no PEM data')
  const certificate = parseCertificate(derFrom(pem, ['CERTIFICATE', 'X509 CERTIFICATE']))
  const name = certificate.serial.toString('hex')
  const stored = await store.certificates.get(name, tx)
  if (stored && !stored.equals(certificate.der))
    throw invalid(
      "certificate with same serial but unequal value already present in this cluster's storage; refusing to revoke",
    )
  if (stored) return certificate
  const issuers = await allIssuers(store, tx)
  if (!issuers.some((issuer) => isIssuedBy(certificate, issuer.certificate)))
    throw invalid(
      'unable to verify signature on presented cert from any present issuer in this mount; certificates from previous CAs will need to have their issuing CA and key re-imported if revocation is necessary',
    )
  await store.certificates.put(tx, name, certificate.der)
  return certificate
}

function assertOwner(certificate: Certificate, pem: string): void {
  const key = privateKeyFrom(pem)
  if (!key) throw invalid('provided key PEM block contained no data or failed to parse')
  if (!spkiOf(key).equals(certificate.spki))
    throw invalid("provided private key does not match certificate's public key")
}

/** Stores one entry and the list's new number, however many have been revoked. */
async function revoke({ store, lists }: Mount, tx: Tx, certificate: Certificate, now: Date): Promise<Answer> {
  const name = certificate.serial.toString('hex')
  const serial = printSerial(certificate.serial)
  const issuers = await allIssuers(store, tx)
  const self = issuers.find((issuer) => issuer.certificate.der.equals(certificate.der))
  if (self) throw invalid(`adding issuer (id: ${self.record.id}) to its own CRL is not allowed`)
  const before = await store.revoked.get(name, tx)
  if (before) return { data: { ...revocationTimes(before.at), state: 'revoked' }, note: { serial } }
  const config = await store.config('crl', tx)
  if (certificate.notAfter.getTime() < now.getTime() + 2000 && !config.allow_expired_cert_revocation)
    return {
      warnings: [
        `certificate with serial ${serial} already expired; refusing to add to CRL. Enable 'AllowExpiredCertRevocation' to allow revoking expired certificates.`,
      ],
      note: { serial, expired: true },
    }
  const issuer = issuers.find((known) => isIssuedBy(certificate, known.certificate))
  const family = issuer ? familyOf(issuer.certificate) : ''
  const at = now.getTime()
  const issuerId = issuer?.record.id ?? ''
  await store.revoked.put(tx, name, { at, notAfter: certificate.notAfter.getTime(), family, issuerId })
  if (family !== '') await lists.touch(tx, family, now)
  return { data: { ...revocationTimes(at), state: 'revoked' }, note: { serial } }
}

/** The end of a lease. A certificate that is not there any more needs no revocation. */
export async function revokeBySerial(mount: Mount, serial: string, now: Date): Promise<void> {
  await mount.write(async (tx) => {
    const certificate = await storedCertificate(mount, serial, tx)
    if (certificate && !certificate.ca) await revoke(mount, tx, certificate, now)
  })
}
