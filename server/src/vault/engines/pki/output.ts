import type { KeyObject } from 'node:crypto'
import { pemOf } from '../pem.ts'
import type { Asked } from './profile.ts'
import { printSerial } from './serial.ts'
import { type Certificate, isSelfSigned, parseCertificate } from './x509/certificate.ts'
import { kindOfKey } from './x509/keys.ts'

type Made = {
  readonly der: Buffer
  /** The issuer and those above it. */
  readonly chain: readonly Certificate[]
  /** Given to the caller once, and kept nowhere. */
  readonly privateKey?: KeyObject | undefined
}

export const certificatePem = (der: Uint8Array): string => pemOf('CERTIFICATE', der)

export const printCertificate = (der: Uint8Array, { format }: Pick<Asked, 'format'>): string =>
  format === 'der' ? base64(der) : certificatePem(der)

/** What the caller of `issue` and `sign` gets. */
export function certificateData({ der, chain, privateKey }: Made, asked: Asked): Record<string, unknown> {
  const certificate = parseCertificate(der)
  const [issuer] = chain
  const shown = asked.remove_roots_from_chain ? chain.filter((above) => !isSelfSigned(above)) : chain
  const print = (bytes: Uint8Array): string => printCertificate(bytes, asked)
  const key = privateKey && privateKeyFields(privateKey, asked)
  const own = print(der)
  const bundle = [
    key?.['private_key'],
    own,
    ...shown.filter((above) => !isSelfSigned(above)).map(pemOfCertificate),
  ]
  return {
    ...timesOf(certificate),
    serial_number: printSerial(certificate.serial),
    certificate: asked.format === 'pem_bundle' ? bundle.filter(Boolean).join('\n') : own,
    ...(issuer ? { issuing_ca: print(issuer.der) } : {}),
    ...(shown.length > 0 ? { ca_chain: shown.map((above) => print(above.der)) } : {}),
    ...key,
  }
}

const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64')
const pemOfCertificate = ({ der }: Certificate): string => certificatePem(der)

export const timesOf = ({ notBefore, notAfter }: Certificate): Record<string, number> => ({
  not_before: notBefore.getTime() / 1000,
  expiration: notAfter.getTime() / 1000,
})

export function privateKeyFields(key: KeyObject, asked: Asked): Record<string, string> {
  const type = kindOfKey(key)?.type ?? 'rsa'
  const form =
    asked.private_key_format === 'pkcs8' || type === 'ed25519' ? 'pkcs8' : type === 'ec' ? 'sec1' : 'pkcs1'
  const text =
    asked.format === 'der'
      ? base64(key.export({ type: form, format: 'der' } as { type: 'pkcs8'; format: 'der' }))
      : key
          .export({ type: form, format: 'pem' } as { type: 'pkcs8'; format: 'pem' })
          .toString()
          .trim()
  return { private_key: text, private_key_type: type }
}
