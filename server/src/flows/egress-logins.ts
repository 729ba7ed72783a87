import type { Lend } from '../lend/index.ts'
import type { createProxy } from '../proxy/index.ts'

type Logins = NonNullable<Parameters<typeof createProxy>[0]['logins']>
type Needs = { lend: Pick<Lend, 'use' | 'sshAgent' | 'sshTunnel'> }

/** Logins that the egress proxy makes outside of a sandbox: each is one use of its lease. */
export function createEgressLogins({ lend }: Needs): Logins {
  return {
    async signIn({ kind, user, database, ...claim }) {
      const { value, account, leaseId, budgets, expiresAt } = await lend.use({
        ...claim,
        method: kind.toUpperCase(),
        path: `/${database}`,
        places: [kind],
        login: { kind, user, database },
      })
      const { username = '', mayShow = false } = account ?? {}
      return { username, password: value, mayShow, leaseId, budgets, expiresAt }
    },
    sshAgent: ({ message, binds, ...owner }) => lend.sshAgent(owner, { message, binds }),
    sshTunnel: ({ host, port, ...owner }) => lend.sshTunnel(owner, { host, port }),
  }
}
