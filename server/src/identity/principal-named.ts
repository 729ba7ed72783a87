import { AppError, type Principal, systemPrincipal } from '../core/index.ts'
import { agentPrincipal } from './agents.ts'
import type { Identity } from './identity.ts'

/**
 * Who `<kind>:<id>` is now, with the roles of today. Throws `policy.denied` for somebody who has no account any more, or who never
 * had one: the token of the vault is known only while it is presented.
 */
export async function principalNamed(
  identity: Pick<Identity, 'person' | 'agent'>,
  actor: string,
): Promise<Principal> {
  const [kind, id = ''] = actor.split(/:(.*)/s)
  if (kind === 'system') return systemPrincipal(id)
  const person = kind === 'person' ? await identity.person(id) : undefined
  if (person && !person.disabled)
    return { kind: 'person', id: person.id, name: person.name, roles: person.roles }
  const agent = kind === 'agent' ? await identity.agent(id) : undefined
  if (agent?.state === 'active') return agentPrincipal(agent)
  throw new AppError('policy.denied', `${actor}, who asked for the run, has no account that may act`)
}
