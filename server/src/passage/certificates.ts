import type { CertificateView } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { AppError, actorOf, type Clock, type Log, newId, type Principal } from '../core/index.ts'
import { createRefusalRecorder, type Identity } from '../identity/index.ts'
import type { Store } from '../store/index.ts'
import { agentAuthority, type SealedStorage } from '../vault/index.ts'
import { createAuthorities } from './authorities.ts'
import {
  type CertificateRow,
  certificateBy,
  certificateById,
  certificatesBefore,
  insertCertificate,
  revokeCertificateRow,
  touchCertificate,
} from './passage-store.ts'

export type NewCertificate = {
  readonly agentId: string
  /** PKCS #10, PEM. */
  readonly signingRequest: string
  readonly ttlSeconds: number
  readonly by: Principal
}
export type IssuedCertificate = {
  readonly certificate: CertificateView
  readonly certificatePem: string
  readonly authorityPem: string
  readonly egressAuthorityPem: string
}
/** Whom a certificate stands for, and until when. */
export type Holder = { readonly agentId: string; readonly until: Date }

/** By what agents on other machines are known: short-lived certificates of an authority of Keyward's own. */
export type Certificates = {
  /** Throws `agent.not_found`, `agent.inactive`, `request.invalid`, `vault.sealed`. */
  issue(wanted: NewCertificate): Promise<IssuedCertificate>
  /** Revoking what was revoked changes nothing. Throws `certificate.not_found`. */
  revoke(certificateId: string, reason: string, by: Principal): Promise<CertificateView>
  read(certificateId: string): Promise<CertificateView | undefined>
  /** Throws `agent.not_found`. */
  page(
    agentId: string,
    query: { cursor?: string | undefined; limit: number },
  ): Promise<{ items: CertificateView[]; next: string | null }>
  /** Who has shaken hands by it. Throws `certificate.refused`, and records that. */
  holder(fingerprint: string, address: string): Promise<Holder>
}

export type CertificateNeeds = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  log: Log
  identity: Pick<Identity, 'agent'>
  sealed: SealedStorage
}

/** A "last seen" is written at most this often. */
const noteEveryMs = 60_000

export function createCertificates(needs: CertificateNeeds): Certificates {
  const { store, audit, bus, clock, identity } = needs
  const authorities = createAuthorities(needs)
  const refuse = createRefusalRecorder(needs)
  const view = (row: CertificateRow): CertificateView => viewOf(row, clock.now().getTime())

  async function agentOf(agentId: string) {
    const agent = await identity.agent(agentId)
    if (!agent) throw new AppError('agent.not_found', `No agent has the id ${agentId}.`)
    return agent
  }

  function refusalOf(row: CertificateRow | undefined, isActive: boolean): string | undefined {
    if (!row) return 'The server does not know this certificate. Have another one issued.'
    if (row.revoked_at !== null) return 'This certificate was revoked. Have another one issued.'
    if (row.expires_at <= clock.now().getTime()) return 'The time of this certificate is over. Renew it.'
    return isActive ? undefined : 'The agent of this certificate is quarantined.'
  }

  async function note(row: CertificateRow): Promise<void> {
    const now = clock.now().getTime()
    if (row.last_seen_at !== null && now - row.last_seen_at < noteEveryMs) return
    await store.write((tx) => touchCertificate(tx, row.id, now), 'kernel')
  }

  return {
    async issue({ agentId, signingRequest, ttlSeconds, by }) {
      const agent = await agentOf(agentId)
      if (agent.state !== 'active') throw new AppError('agent.inactive', `${agent.name} is quarantined.`)
      const authority = await authorities.agents()
      const from = clock.now()
      const until = new Date(from.getTime() + ttlSeconds * 1000)
      const signed = await agentAuthority.signForAgent(authority, {
        agentId,
        requestPem: signingRequest,
        from,
        until,
      })
      const { certificatePem: egressAuthorityPem } = await authorities.egress(agentId)
      const row: CertificateRow = {
        id: newId('crt', from),
        agent_id: agentId,
        fingerprint: signed.fingerprint,
        issued_by: actorOf(by),
        issued_at: from.getTime(),
        expires_at: until.getTime(),
        last_seen_at: null,
        revoked_at: null,
        revoke_reason: null,
      }
      await store.write(async (tx) => {
        await insertCertificate(tx, row)
        await audit.record(tx, {
          type: 'certificate.issued',
          outcome: 'done',
          actor: actorOf(by),
          target: `certificate:${row.id}`,
          detail: { agent: `agent:${agentId}`, fingerprint: row.fingerprint, expiresAt: until.toISOString() },
        })
        await bus.publish(tx, { type: 'certificate.issued', subject: `agent:${agentId}` })
      })
      const { pem: certificatePem } = signed
      return {
        certificate: view(row),
        certificatePem,
        authorityPem: authority.certificatePem,
        egressAuthorityPem,
      }
    },
    async revoke(certificateId, reason, by) {
      const row = await store.write(async (tx) => {
        const revoked = await revokeCertificateRow(tx, certificateId, clock.now().getTime(), reason)
        if (!revoked) return certificateById(tx, certificateId)
        const { fingerprint, agent_id } = revoked
        await audit.record(tx, {
          type: 'certificate.revoked',
          outcome: 'done',
          actor: actorOf(by),
          target: `certificate:${certificateId}`,
          detail: { agent: `agent:${agent_id}`, fingerprint, reason },
        })
        await bus.publish(tx, {
          type: 'certificate.revoked',
          subject: `agent:${agent_id}`,
          data: { fingerprint },
        })
        return revoked
      })
      if (!row) throw new AppError('certificate.not_found', `No certificate has the id ${certificateId}.`)
      return view(row)
    },
    async read(certificateId) {
      const row = await certificateById(store, certificateId)
      return row && view(row)
    },
    async page(agentId, { cursor, limit }) {
      await agentOf(agentId)
      const rows = await certificatesBefore(store, agentId, { cursor, limit: limit + 1 })
      const items = rows.slice(0, limit).map(view)
      return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
    },
    async holder(fingerprint, address) {
      const row = await certificateBy(store, fingerprint)
      const isActive = row !== undefined && (await identity.agent(row.agent_id))?.state === 'active'
      const reason = refusalOf(row, isActive)
      if (row && reason === undefined) {
        await note(row)
        return { agentId: row.agent_id, until: new Date(row.expires_at) }
      }
      const actor = row ? `agent:${row.agent_id}` : 'system:anonymous'
      const target = `certificate:${row?.id ?? 'unknown'}`
      await refuse({ type: 'certificate.refused', actor, target, reason: `${reason} From ${address}.` })
      throw new AppError('certificate.refused', reason)
    },
  }
}

function viewOf(row: CertificateRow, now: number): CertificateView {
  const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())
  const over = row.expires_at <= now ? 'expired' : 'valid'
  return {
    id: row.id,
    agentId: row.agent_id,
    fingerprint: row.fingerprint,
    issuedBy: row.issued_by,
    issuedAt: new Date(row.issued_at).toISOString(),
    expiresAt: new Date(row.expires_at).toISOString(),
    state: row.revoked_at === null ? over : 'revoked',
    lastSeenAt: iso(row.last_seen_at),
    revokedAt: iso(row.revoked_at),
    revokeReason: row.revoke_reason,
  }
}
