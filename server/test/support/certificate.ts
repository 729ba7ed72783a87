import { createAuthority } from '../../src/proxy/x509.ts'

/** A certificate for a host, from an authority of its own. */
export function newCertificate(host: string): { cert: string; key: string; ca: string } {
  const authority = createAuthority({ now: () => new Date(), name: 'Authority of a test' })
  const { certificatePem, keyPem } = authority.leafFor(host)
  return { cert: certificatePem, key: keyPem, ca: authority.certificatePem }
}
