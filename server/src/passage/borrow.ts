import type { Destination, Injection } from '@keyward/contract'
import { AppError, type Principal, parseReference } from '../core/index.ts'
import { agentPrincipal, type Identity } from '../identity/index.ts'
import type { Lend } from '../lend/index.ts'
import type { Tx } from '../store/index.ts'

/** The one task of a passage, as its leases know it. */
export const commandTask = 'command'
/** A lease that nobody renews ends this soon: also when nothing is left that could revoke it. */
export const leaseSeconds = 300
/** What a person allows for one command ends with it, and at the latest then. */
const grantSeconds = 86_400

export type Wanted = {
  readonly passageId: string
  readonly agent: NonNullable<Awaited<ReturnType<Identity['agent']>>>
  readonly by: Principal
  readonly command: string
  readonly references: readonly string[]
  readonly to: readonly Destination[] | undefined
  readonly injection: Injection | undefined
}
export type Borrowed = {
  /** By reference. */
  readonly placeholders: Record<string, string>
  readonly destinations: readonly Destination[]
}

type Needs = {
  lend: Pick<Lend, 'grant' | 'issue' | 'liveGrants'>
  now: () => Date
}

/** One lease for each secret that a command refers to; what a person says about where it may go becomes a grant first. */
export async function borrow(tx: Tx, wanted: Wanted, { lend, now }: Needs): Promise<Borrowed> {
  const placeholders: Record<string, string> = {}
  const destinations: Destination[] = []
  for (const reference of new Set(wanted.references)) {
    const { mount, path, field } = parseReference(reference)
    const secret = { secretPath: `${mount}/${path}`, field }
    const given = await placesFor(tx, wanted, secret, { lend, now })
    const { lease, placeholder } = await lend.issue(tx, {
      ...secret,
      principal: agentPrincipal(wanted.agent),
      purpose: `keyward run --brokered ${wanted.command}`.slice(0, 500),
      destinations: given.destinations,
      ttlSeconds: Math.min(leaseSeconds, given.maxTtlSeconds),
      runId: wanted.passageId,
      taskId: commandTask,
    })
    placeholders[reference] = placeholder
    destinations.push(...lease.destinations)
  }
  return { placeholders, destinations }
}

type Places = { readonly destinations: readonly Destination[]; readonly maxTtlSeconds: number }
type SecretField = { readonly secretPath: string; readonly field: string }

async function placesFor(tx: Tx, wanted: Wanted, secret: SecretField, { lend, now }: Needs): Promise<Places> {
  const { to, by, agent, injection, passageId, command } = wanted
  if (to && by.kind !== 'agent') {
    await lend.grant(tx, {
      ...secret,
      agentId: agent.id,
      destinations: to,
      injection,
      maxTtlSeconds: leaseSeconds,
      expiresAt: new Date(now().getTime() + grantSeconds * 1000),
      runId: passageId,
      taskId: commandTask,
      reason: `for the command ${command}`,
      by,
    })
    return { destinations: to, maxTtlSeconds: leaseSeconds }
  }
  const grant = await newestGrant(tx, lend, agent.id, secret)
  if (!grant)
    throw new AppError(
      'policy.denied',
      `${agent.name} has no grant of ${secret.secretPath}#${secret.field}. Grant it (keyward egress grant), or say with --to where it may go`,
    )
  return { destinations: to ?? grant.destinations, maxTtlSeconds: grant.maxTtlSeconds }
}

async function newestGrant(tx: Tx, lend: Needs['lend'], agentId: string, secret: SecretField) {
  const grants = await lend.liveGrants(agentId, tx)
  return grants.find(
    ({ secretPath, field, runId }) =>
      runId === null && secretPath === secret.secretPath && (field === null || field === secret.field),
  )
}
