import { createHash, createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import { AppError } from '../core/index.ts'
import { derFrom, pemOf } from './engines/pem.ts'
import { newSerial } from './engines/pki/serial.ts'
import { parseCertificate, signCertificate } from './engines/pki/x509/certificate.ts'
import {
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
  subjectKeyId,
} from './engines/pki/x509/extensions.ts'
import { keyIdOf, keyKindOf, kindOfKey, newPrivateKey, schemeFor, spkiOf } from './engines/pki/x509/keys.ts'
import { nameOf } from './engines/pki/x509/name.ts'
import { extendedKeyUsages } from './engines/pki/x509/oids.ts'
import { parseSigningRequest } from './engines/pki/x509/signing-request.ts'

/** An authority for the machines of agents: its certificate and its PKCS #8 key, PEM. */
type AgentAuthority = { readonly certificatePem: string; readonly keyPem: string }

const authorityDays = 3650
const dayMs = 86_400_000
/** Clocks differ. */
const skewMs = 300_000

/** A new authority. */
export async function makeAuthority(now: Date): Promise<AgentAuthority> {
  const key = await newPrivateKey(keyKindOf('ec', 256))
  const name = nameOf({ commonName: 'Keyward agents' })
  const id = keyIdOf(spkiOf(key))
  const der = await signCertificate(
    {
      serial: newSerial(),
      issuer: name,
      subject: name,
      notBefore: new Date(now.getTime() - skewMs),
      notAfter: new Date(now.getTime() + authorityDays * dayMs),
      spki: spkiOf(key),
      extensions: [basicConstraints(true, 0), keyUsage(['CertSign', 'CRLSign']), subjectKeyId(id)],
    },
    key,
    schemeFor(key, 0, false),
  )
  return {
    certificatePem: pemOf('CERTIFICATE', der),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

type Wanted = {
  readonly spki: Buffer
  readonly commonName: string
  readonly names: {
    readonly dns?: readonly string[]
    readonly ip?: readonly string[]
    readonly uri?: readonly string[]
  }
  readonly use: 'client' | 'server'
  readonly from: Date
  readonly until: Date
}

type SignedCertificate = { readonly pem: string; readonly fingerprint: string }

/** What the certificate says comes from us alone: of a request only its key is taken. */
async function sign(authority: AgentAuthority, wanted: Wanted): Promise<SignedCertificate> {
  const key = createPrivateKey(authority.keyPem)
  const issuer = parseCertificate(derFrom(authority.certificatePem, ['CERTIFICATE']))
  const { dns = [], ip = [], uri = [] } = wanted.names
  const der = await signCertificate(
    {
      serial: newSerial(),
      issuer: issuer.subject,
      subject: nameOf({ commonName: wanted.commonName }),
      notBefore: new Date(wanted.from.getTime() - skewMs),
      notAfter: wanted.until,
      spki: wanted.spki,
      extensions: [
        basicConstraints(false),
        keyUsage(['DigitalSignature']),
        extendedKeyUsage([extendedKeyUsages[wanted.use === 'client' ? 'clientauth' : 'serverauth'] ?? '']),
        subjectAltName({ dns, ip, uri, email: [], other: [] }, false),
        subjectKeyId(keyIdOf(wanted.spki)),
        authorityKeyId(keyIdOf(issuer.spki)),
      ],
    },
    key,
    schemeFor(key, 0, false),
  )
  const fingerprint = createHash('sha256').update(der).digest('hex')
  return { pem: pemOf('CERTIFICATE', der), fingerprint }
}

/** For an agent, by its signing request. Throws `request.invalid` for what is none, and for a key that is too weak. */
export function signForAgent(
  authority: AgentAuthority,
  agent: { readonly agentId: string; readonly requestPem: string; readonly from: Date; readonly until: Date },
): Promise<SignedCertificate> {
  const request = parseSigningRequest(
    derFrom(agent.requestPem, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']),
  )
  const kind = kindOfKey(request.publicKey)
  if (!kind || (kind.type === 'rsa' && kind.bits < 2048) || (kind.type === 'ec' && kind.bits < 256))
    throw new AppError(
      'request.invalid',
      'the key must be P-256 or larger, Ed25519, or RSA of 2,048 bits or more',
    )
  return sign(authority, {
    spki: request.spki,
    commonName: agent.agentId,
    names: { uri: [`keyward:agent:${agent.agentId}`] },
    use: 'client',
    from: agent.from,
    until: agent.until,
  })
}

/** A key and a certificate for the server that agents connect to, by these names and addresses. */
export async function signForFront(
  authority: AgentAuthority,
  { names, from, until }: { readonly names: readonly string[]; readonly from: Date; readonly until: Date },
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const key = await newPrivateKey(keyKindOf('ec', 256))
  const ip = names.filter((name) => isIP(name) !== 0)
  const dns = names.filter((name) => isIP(name) === 0)
  const commonName = 'Keyward egress'
  const signed = await sign(authority, {
    spki: spkiOf(key),
    commonName,
    names: { dns, ip },
    use: 'server',
    from,
    until,
  })
  return { certificatePem: signed.pem, keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
