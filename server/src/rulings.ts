import type { Directory, MayApprove } from './approvals/index.ts'
import type { Health } from './condition.ts'
import type { Connectors, ServiceUse } from './connectors/index.ts'
import { AppError, actorOf, digestOf, type Principal } from './core/index.ts'
import { agentPrincipal, type Identity } from './identity/index.ts'
import type { Policy } from './policy/index.ts'
import type { Ceiling } from './vault/index.ts'

/** On /v1 the token's own policies decide; Cedar can only refuse. */
export function ceilingOf(policy: Pick<Policy, 'decide' | 'hasForbid'>): Ceiling {
  const actions = {
    read: 'vault.read',
    list: 'vault.list',
    delete: 'vault.delete',
    create: 'vault.update',
    update: 'vault.update',
    patch: 'vault.update',
  } as const
  return (principal, id, operation, path) => {
    const action = actions[operation]
    if (!policy.hasForbid(action)) return undefined
    return policy.decide({
      principal,
      action,
      resource: { type: 'Secret', id, attributes: { path } },
    })
  }
}

/** Connected services and parts of the server, with how they are. */
export function partsBy(
  connectors: Pick<Connectors, 'list'>,
  health: () => Promise<Pick<Health, 'problems'>>,
) {
  return async () => [
    ...(await connectors.list()).map(({ name, health: last }) => ({
      name: `the connection ${name}`,
      state: last?.state ?? 'unknown',
      detail: last?.detail ?? 'it was not asked yet',
    })),
    ...Object.entries((await health()).problems).map(([name, detail]) => ({
      name,
      state: 'degraded',
      detail,
    })),
  ]
}

/** Who may answer an approval, with what is known of both. */
export function mayApproveBy(
  policy: Pick<Policy, 'decide'>,
  identity: Pick<Identity, 'countPeople'>,
): MayApprove {
  return async (principal: Principal, approval, as) => {
    const soloAccount = (await identity.countPeople()) === 1
    const { id, requestedBy, requesters, changedBy: changers, action, risk, unattended } = approval
    const decide = (wanted: typeof as) =>
      policy.decide({
        principal,
        action: `approvals.${wanted}`,
        resource: { type: 'Approval', id, attributes: { requestedBy, requesters, changers, action, risk } },
        context: { soloAccount, unattended, risk },
      })
    const approving = decide('approve')
    const decision = approving.allow ? decide(as) : approving
    const mode = requesters.includes(actorOf(principal)) ? 'self' : 'person'
    return { ...decision, mode }
  }
}

/** Whoever connects a secret to a service lends it there. */
export function assertMayLendBy(policy: Pick<Policy, 'decide'>) {
  return (principal: Principal, path: string): void => {
    const resource = { type: 'Secret', id: path, attributes: { path } } as const
    const { allow, reason } = policy.decide({ principal, action: 'leases.grant', resource })
    if (!allow) throw new AppError('policy.denied', reason)
  }
}

/** Whether who asked for a run may work with a connected service, as they are known when the task runs. */
export function assertMayUseBy(policy: Pick<Policy, 'decide'>, identity: Pick<Identity, 'person' | 'agent'>) {
  return async ({ requestedBy, connection, action }: ServiceUse): Promise<void> => {
    const { id, name, connector, environment } = connection
    const { allow, reason } = policy.decide({
      principal: await principalOf(identity, requestedBy),
      action: 'connectors.use',
      resource: {
        type: 'ServiceConnection',
        id,
        attributes: { connector, name, environment: environment ?? undefined },
      },
      context: { action: action.name, risk: action.risk, reversible: action.reversible },
    })
    if (!allow) throw new AppError('policy.denied', reason)
  }
}

/** Roles are those of now: who has lost one since asking for the run has lost it for its tasks, too. */
async function principalOf(
  identity: Pick<Identity, 'person' | 'agent'>,
  actor: string,
): Promise<Principal & { readonly scopes?: readonly string[] }> {
  const [kind = '', id = ''] = actor.split(/:(.*)/s)
  if (kind === 'system') return { kind, id, name: id, roles: [] }
  if (kind === 'agent') {
    const agent = await identity.agent(id)
    if (agent?.state === 'active') return agentPrincipal(agent)
  }
  if (kind === 'person') {
    const person = await identity.person(id)
    if (person && !person.disabled) return { kind, id, name: person.name, roles: person.roles }
  }
  // What a token of the vault may do is known while it is presented, and not afterwards.
  if (kind === 'token') return { kind, id, name: id, roles: [] }
  throw new AppError('policy.denied', `${actor}, who asked for the run, may do nothing any more`)
}

/** What approvals know of people and agents. */
export const directoryOf = (identity: Pick<Identity, 'person' | 'agent'>): Directory => ({
  async person(reader, actor) {
    const person = actor.startsWith('person:') ? await identity.person(idOf(actor), reader) : undefined
    return person && !person.disabled ? person : undefined
  },
  ownerOf: async (reader, actor) =>
    actor.startsWith('agent:') ? (await identity.agent(idOf(actor), reader))?.owner : undefined,
})

const idOf = (actor: string): string => actor.slice(actor.indexOf(':') + 1)

/** SHA-256 over the schema and every policy in force. */
export const policyVersionOf = (policy: Pick<Policy, 'files'>): string => {
  const { schema, policies } = policy.files()
  return digestOf([schema, ...policies.map(({ name, text }) => [name, text])])
}
