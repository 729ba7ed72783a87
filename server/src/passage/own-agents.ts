import { randomBytes } from 'node:crypto'
import { actorOf, type Clock, type Principal } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Store } from '../store/index.ts'
import { agentFor, keepAgentFor } from './passage-store.ts'

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  clock: Pick<Clock, 'now'>
  identity: Pick<Identity, 'registerAgent'>
}

/** The agent in whose name a person's own commands borrow: made when first wanted, quarantined like any other. */
export function createOwnAgents({ store, clock, identity }: Needs) {
  return {
    async of(principal: Principal): Promise<string> {
      const actor = actorOf(principal)
      const known = await agentFor(store, actor)
      if (known !== undefined) return known
      return store.write(async (tx) => {
        const meanwhile = await agentFor(tx, actor)
        if (meanwhile !== undefined) return meanwhile
        const { agent } = await identity.registerAgent(tx, {
          name: `commands-${randomBytes(4).toString('hex')}`,
          description: `What ${principal.name} runs with keyward run --brokered`,
          owner: principal,
          // Nobody is given its key, and it would open nothing.
          scopes: [],
          keyExpiresAt: clock.now(),
        })
        await keepAgentFor(tx, actor, agent.id)
        return agent.id
      })
    },
  }
}
