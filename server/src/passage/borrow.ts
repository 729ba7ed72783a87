import type { Destination, Injection, PassageLogin, PassageSsh } from '@keyward/contract'
import { AppError, type Principal, parseReference } from '../core/index.ts'
import { agentPrincipal, type Identity } from '../identity/index.ts'
import { anyUser, type Lend } from '../lend/index.ts'
import { type EgressRule, relayRuleOf, sshAgentAuthority } from '../proxy/index.ts'
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
  readonly rules: readonly EgressRule[]
  readonly logins: PassageLogin[]
  readonly ssh: PassageSsh | null
}

type Needs = {
  lend: Pick<Lend, 'grant' | 'issue' | 'liveGrants'>
  now: () => Date
}

/** One lease for each secret that a command refers to; what a person says about where it may go becomes a grant first. */
export async function borrow(tx: Tx, wanted: Wanted, { lend, now }: Needs): Promise<Borrowed> {
  const placeholders: Record<string, string> = {}
  const rules: EgressRule[] = []
  const logins: PassageLogin[] = []
  const hosts: PassageSsh['hosts'] = []
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
    rules.push(...lease.destinations.map((place) => ({ ...place, ...relayRuleOf(lease.injection) })))
    logins.push(...loginsOf(reference, lease))
    hosts.push(...sshHostsOf(lease))
  }
  const kinds = logins.map(({ kind }) => kind)
  const twice = kinds.find((kind, index) => kinds.indexOf(kind) !== index)
  if (twice !== undefined)
    throw new AppError(
      'request.invalid',
      `two of the references sign in by ${twice}; a command has one login of a kind`,
    )
  const ssh = hosts.length === 0 ? null : { agent: sshAgentAuthority, hosts }
  return { placeholders, rules, logins, ssh }
}

type Lent = { readonly injection: Injection; readonly destinations: readonly Destination[] }

function sshHostsOf({ injection, destinations }: Lent): PassageSsh['hosts'] {
  if (injection.kind !== 'ssh') return []
  const { users, hostKeys } = injection
  return destinations.map(({ host, port }) => ({ host, port, users, hostKeys }))
}

/** Where no HTTP is spoken, a command has to be given a port. */
function loginsOf(reference: string, { injection, destinations }: Lent): PassageLogin[] {
  if (injection.kind !== 'postgres' && injection.kind !== 'redis') return []
  const to = destinations.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
  const database = injection.kind === 'postgres' ? (injection.databases[0] ?? '') : null
  return [{ kind: injection.kind, reference, user: anyUser, database, to }]
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
