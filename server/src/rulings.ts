import type { MayApprove } from './approvals/index.ts'
import type { Principal } from './core/index.ts'
import type { Identity } from './identity/index.ts'
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

/** Who may answer an approval, with what is known of both. */
export function mayApproveBy(
  policy: Pick<Policy, 'decide'>,
  identity: Pick<Identity, 'countPeople'>,
): MayApprove {
  return async (principal: Principal, approval) => {
    const soloAccount = (await identity.countPeople()) === 1
    const { id, requestedBy, action, risk, unattended } = approval
    const decision = policy.decide({
      principal,
      action: 'approvals.approve',
      resource: { type: 'Approval', id, attributes: { requestedBy, action, risk } },
      context: { soloAccount, unattended, risk },
    })
    const mode = requestedBy === `${principal.kind}:${principal.id}` ? 'self' : 'person'
    return { ...decision, mode }
  }
}
