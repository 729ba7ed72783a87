import { agentsApi, leasesApi } from '@keyward/contract'
import { AppError, actorOf, type Principal } from '../../core/index.ts'
import { type Agent, agentView, type Identity } from '../../identity/index.ts'
import type { Lend } from '../../lend/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import { type Call, type Resource, type Route, route } from '../route.ts'
import { askRoutes } from './asks.ts'
import { agentImageRoutes } from './images.ts'
import { rolloutRoutes } from './rollout.ts'

type Needs = {
  store: Pick<Store, 'write'>
  identity: Pick<Identity, 'registerAgent' | 'agents' | 'agent' | 'setAgentState'>
  lend: Pick<
    Lend,
    'asks' | 'endForAgent' | 'countActive' | 'page' | 'request' | 'delegate' | 'revoke' | 'read'
  >
}

type AgentNeeds = Needs & {
  rollout: Parameters<typeof rolloutRoutes>[0]['rollout']
  images: Parameters<typeof agentImageRoutes>[0]['images']
}

/** Agents, and what is lent to them. */
export const agentRoutes = (needs: AgentNeeds): Route[] => [...ownRoutes(needs), ...leaseRoutes(needs)]

function ownRoutes({ store, identity, lend, rollout, images }: AgentNeeds): Route[] {
  const setState = async (agentId: string, state: Agent['state'], reason: string, by: Principal) => {
    const agent = await store.write(async (tx) => {
      const changed = await identity.setAgentState(tx, agentId, state, by, reason)
      if (state === 'quarantined') await lend.endForAgent(tx, agentId, reason, by)
      return changed
    })
    return agentView(agent, (await lend.countActive([agentId])).get(agentId) ?? 0)
  }
  const agentOf = async (agentId: string): Promise<Resource> => {
    const agent = await identity.agent(agentId)
    return { type: 'RegisteredAgent', id: agentId, attributes: agent ? { owner: agent.owner } : {} }
  }
  return [
    route(agentsApi.register, async ({ name, description, scopes }, { principal }) => {
      const made = await store.write((tx: Tx) =>
        identity.registerAgent(tx, { name, description, scopes, owner: principal }),
      )
      return { agent: agentView(made.agent, 0), apiKey: made.apiKey.reveal() }
    }),
    route(agentsApi.list, async ({ cursor, limit }) => {
      const { items, next } = await identity.agents({ cursor, limit })
      const active = await lend.countActive(items.map((agent) => agent.id))
      return { items: items.map((agent) => agentView(agent, active.get(agent.id) ?? 0)), next }
    }),
    route(
      agentsApi.quarantine,
      ({ agentId, reason }, { principal }) => setState(agentId, 'quarantined', reason, principal),
      ({ agentId }) => agentOf(agentId),
    ),
    route(
      agentsApi.activate,
      ({ agentId }, { principal }) => setState(agentId, 'active', 'activated', principal),
      ({ agentId }) => agentOf(agentId),
    ),
    ...rolloutRoutes({ identity, rollout }),
    ...agentImageRoutes({ identity, images }),
  ]
}

/** By its name, or as it stands. */
async function agentIdOf(identity: Needs['identity'], written: string): Promise<string> {
  let cursor: string | undefined
  do {
    const { items, next } = await identity.agents({ cursor, limit: 500 })
    const named = items.find(({ id, name }) => name === written || id === written)
    if (named) return named.id
    cursor = next ?? undefined
  } while (cursor !== undefined)
  return written
}

function leaseRoutes({ store, identity, lend }: Needs): Route[] {
  return [
    // An agent sees its own leases only, whatever it asks for.
    route(
      leasesApi.list,
      ({ agentId, ...query }, { principal }) =>
        lend.page({ ...query, agentId: principal.kind === 'agent' ? principal.id : agentId }),
      (_, call) => ({ type: 'Lease', id: '*', attributes: ownLeases(call) }),
    ),
    ...askRoutes({ store, lend }),
    {
      // Decided in the domain, which knows the grants.
      ...route(leasesApi.request, async (request, { principal }) => {
        if (principal.kind !== 'agent')
          throw new AppError(
            'policy.denied',
            'only an agent asks for a lease, with its own API key; people use keyward run',
          )
        return lend.request({ ...request, principal })
      }),
      decidedByDomain: true,
    },
    {
      // Decided in the domain, which knows the lease and both agents.
      ...route(leasesApi.delegate, async ({ agent, ...asked }, { principal }) =>
        lend.delegate({ ...asked, principal, toAgentId: await agentIdOf(identity, agent) }),
      ),
      decidedByDomain: true,
    },
    route(
      leasesApi.revoke,
      ({ leaseId, reason }, { principal }) =>
        store.write((tx) => lend.revoke(tx, leaseId, reason, principal)),
      async ({ leaseId }) => {
        const lease = await lend.read(leaseId)
        return {
          type: 'Lease',
          id: leaseId,
          attributes: lease ? { agent: `agent:${lease.agentId}`, secretPath: lease.secretPath } : {},
        }
      },
    ),
  ]
}

const ownLeases = ({ principal }: Call): { agent?: string } =>
  principal.kind === 'agent' ? { agent: actorOf(principal) } : {}
