import { type Clock, Secret } from '../core/index.ts'
import { createAuthority } from '../proxy/index.ts'
import type { Store } from '../store/index.ts'
import { agentAuthority, type SealedStorage } from '../vault/index.ts'

type Needs = { store: Pick<Store, 'write'>; clock: Pick<Clock, 'now'>; sealed: SealedStorage }

/** Until an agent's own authority is made anew; it lives for 30 days. */
const renewAfterMs = 20 * 86_400_000

/** The channel of an agent's machines. The proxy names the authority of a channel by it. */
export const machineOf = (agentId: string): string => `remote-${agentId}`

type AgentAuthority = Awaited<ReturnType<typeof agentAuthority.make>>
type Kept = AgentAuthority & { readonly madeAt: number }

/** Keyward's authorities for agents on other machines, kept in the vault: they throw `vault.sealed` while it is sealed. */
export function createAuthorities({ store, clock, sealed }: Needs) {
  const read = async (
    path: string,
    reader?: Parameters<SealedStorage['get']>[1],
  ): Promise<Kept | undefined> => {
    const bytes = await sealed.get(path, reader)
    return bytes && (JSON.parse(bytes.toString()) as Kept)
  }

  async function kept(path: string, livesMs: number, make: () => Promise<AgentAuthority>): Promise<Kept> {
    const now = clock.now().getTime()
    const isFresh = (found: Kept | undefined): found is Kept =>
      found !== undefined && now - found.madeAt < livesMs
    const found = await read(path)
    if (isFresh(found)) return found
    const made: Kept = { ...(await make()), madeAt: now }
    return store.write(async (tx) => {
      const already = await read(path, tx)
      if (isFresh(already)) return already
      await sealed.put(tx, path, Buffer.from(JSON.stringify(made)))
      return made
    })
  }

  return {
    /** Signs the certificates of agents, and that of the address where they come. */
    agents: (): Promise<AgentAuthority> =>
      kept('passage/agents', Number.POSITIVE_INFINITY, () => agentAuthority.make(clock.now())),
    /** Signs for destinations inside the tunnels of one agent. The same for weeks, so that its machine can trust it. */
    async egress(agentId: string): Promise<{ certificatePem: string; key: Secret }> {
      const { certificatePem, keyPem } = await kept(`passage/egress/${agentId}`, renewAfterMs, async () =>
        createAuthority({ now: () => clock.now(), name: `Keyward egress ${machineOf(agentId)}` }),
      )
      return { certificatePem, key: new Secret(keyPem) }
    },
  }
}
