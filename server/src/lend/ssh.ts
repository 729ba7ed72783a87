import { AppError, type Secret } from '../core/index.ts'
import { budgetsOf, leasesAbove } from './chain.ts'
import { shortfall } from './destinations.ts'
import type { Claim, Needs, Used } from './lend.ts'
import { byAgent, destinationsOf, injectionOf, type LeaseRow, liveLeases } from './lend-store.ts'
import { strangerTo } from './use.ts'

/** A sandbox, and whom it works for. */
type Owner = Pick<Claim, 'sandboxId' | 'agentId' | 'runId' | 'taskId'>

export type SshKey = {
  readonly id: string
  readonly privateKey: Secret
  readonly users: readonly string[]
  readonly hostKeys: readonly string[]
}
export type SshRequest = { readonly message: Uint8Array; readonly binds: readonly Uint8Array[] }
export type SshAnswer = {
  readonly reply: Uint8Array
  /** Why it is a failure. */
  readonly refusal: string | undefined
}
/** Speaks the protocol of SSH agents with keys that it is given; `use` is asked before each signature. */
export type SshAgent = (
  request: SshRequest,
  needs: { keys(): Promise<readonly SshKey[]>; use(key: SshKey, user: string): Promise<void> },
) => Promise<SshAnswer>

type Lends = Pick<Needs, 'store' | 'clock' | 'vault'> & {
  useLease(leaseId: string, claim: Omit<Claim, 'placeholder'>): Promise<Used>
}

/** SSH keys of a sandbox's leases: they sign logins here, and never leave. */
export function createSsh({ store, clock, vault, useLease }: Lends) {
  async function leasesOf(owner: Owner): Promise<LeaseRow[]> {
    const rows = await liveLeases(store, byAgent(owner.agentId), clock.now().getTime())
    return rows.filter((row) => injectionOf(row).kind === 'ssh' && strangerTo(row, owner) === undefined)
  }

  async function keyOf(row: LeaseRow): Promise<SshKey[]> {
    const how = injectionOf(row)
    const fields = (await vault.kv.read(row.secret_path))?.data ?? {}
    const privateKey = Object.hasOwn(fields, row.field) ? fields[row.field] : undefined
    if (how.kind !== 'ssh' || !privateKey) return []
    return [{ id: row.id, privateKey, users: how.users, hostKeys: how.hostKeys }]
  }

  return {
    /** Answers one message of the agent's protocol; each signature is one use of its lease. */
    async sshAgent(owner: Owner, request: SshRequest): Promise<SshAnswer> {
      const agent = vault.sshAgent
      if (!agent) throw new AppError('egress.unsupported', 'There is no SSH agent here.')
      const rows = await leasesOf(owner)
      return agent(request, {
        keys: async () => (await Promise.all(rows.map(keyOf))).flat(),
        async use({ id }, user) {
          const row = rows.find((one) => one.id === id)
          const [{ host, port } = { host: '', port: 0 }] = row ? destinationsOf(row) : []
          await useLease(id, { ...owner, host, port, method: 'SSH', path: `/${user}`, places: ['ssh'] })
        },
      })
    },
    /** The lease that lets SSH through to a place. Throws `egress.denied` when there is none. */
    async sshTunnel(owner: Owner, place: { readonly host: string; readonly port: number }) {
      const rows = await leasesOf(owner)
      const row = rows.find((one) => !shortfall(destinationsOf(one), { ...place, method: 'SSH', path: '/' }))
      if (!row) throw new AppError('egress.denied', `No SSH key is lent for ${place.host}:${place.port}.`)
      return {
        leaseId: row.id,
        budgets: budgetsOf([...(await leasesAbove(store, row)), row]),
        expiresAt: new Date(row.expires_at),
      }
    },
  }
}
