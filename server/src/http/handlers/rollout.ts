import { rolloutApi } from '@keyward/contract'
import type { Identity } from '../../identity/index.ts'
import type { Rollout } from '../../rollout/index.ts'
import { type Resource, type Route, route } from '../route.ts'

type Needs = {
  identity: Pick<Identity, 'agent'>
  rollout: Pick<Rollout, 'read' | 'setPhase' | 'observe'>
}

export function rolloutRoutes({ identity, rollout }: Needs): Route[] {
  const agentOf = async ({ agentId }: { agentId: string }): Promise<Resource> => {
    const agent = await identity.agent(agentId)
    return { type: 'RegisteredAgent', id: agentId, attributes: agent ? { owner: agent.owner } : {} }
  }
  return [
    route(rolloutApi.read, ({ agentId }) => rollout.read(agentId), agentOf),
    route(
      rolloutApi.setPhase,
      ({ agentId, phase, reason }, { principal }) => rollout.setPhase(agentId, { phase, reason }, principal),
      agentOf,
    ),
    route(
      rolloutApi.observe,
      ({ agentId, observed, reason }, { principal }) =>
        rollout.observe(agentId, { observed, reason }, principal),
      agentOf,
    ),
  ]
}
