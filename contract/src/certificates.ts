import { z } from 'zod'
import { operation, page, paging, timestamp } from './operation.ts'

/** By what an agent on another machine is known to the egress proxy. */
export const certificateView = z.object({
  id: z.string(),
  agentId: z.string(),
  /** SHA-256 of the certificate, in hexadecimal. */
  fingerprint: z.string(),
  issuedBy: z.string(),
  issuedAt: timestamp,
  expiresAt: timestamp,
  state: z.enum(['valid', 'expired', 'revoked']),
  /** When it last opened a connection, to the minute. */
  lastSeenAt: timestamp.nullable(),
  revokedAt: timestamp.nullable(),
  revokeReason: z.string().nullable(),
})
export type CertificateView = z.output<typeof certificateView>

export const certificatesApi = {
  issue: operation({
    name: 'certificates.issue',
    method: 'POST',
    path: '/agents/{agentId}/certificates',
    summary: 'Sign a certificate for an agent on another machine; its key never leaves that machine',
    params: { agentId: z.string() },
    body: {
      /** PKCS #10, PEM. Only its key is taken. */
      signingRequest: z.string().min(1).max(10_000),
      ttlSeconds: z.int().min(60).max(2_592_000).default(86_400),
    },
    result: z.object({
      certificate: certificateView,
      certificatePem: z.string(),
      /** Who signed the certificate, and that of the proxy's address. */
      authorityPem: z.string(),
      /** Who signs for the destinations, inside the tunnels of this agent alone. */
      egressAuthorityPem: z.string(),
      /** `host:port` where the server listens for such agents; null while it does not. */
      address: z.string().nullable(),
    }),
    fails: ['agent.not_found', 'agent.inactive', 'vault.sealed'],
  }),
  list: operation({
    name: 'certificates.list',
    method: 'GET',
    path: '/agents/{agentId}/certificates',
    summary: 'Certificates of an agent, newest first',
    params: { agentId: z.string() },
    query: paging,
    result: page(certificateView),
    fails: ['agent.not_found'],
  }),
  revoke: operation({
    name: 'certificates.revoke',
    method: 'POST',
    path: '/certificates/{certificateId}/revoke',
    summary: 'Refuse a certificate from now on, and cut its connections',
    params: { certificateId: z.string() },
    body: { reason: z.string().trim().min(3).max(500) },
    result: certificateView,
    fails: ['certificate.not_found'],
  }),
}
