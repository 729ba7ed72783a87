import { type EventName, type Injection, prefixOf } from '@keyward/contract'
import type { EntryInput } from '../audit/index.ts'
import { AppError, type Principal, reasonOf, type Secret } from '../core/index.ts'
import { hashToken, sameHash } from '../identity/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import { type AccountKind, type createAccounts, isAccount, loginRefusal } from './accounts.ts'
import { scopeRefusal, signingWith } from './aws-signing.ts'
import { leasesAbove, type TakenRow, takeChain } from './chain.ts'
import { certificateWith } from './client-certificate.ts'
import { type CountedAhead, isUncapped, oneUse, type Uses } from './counted-ahead.ts'
import { placeOf, shortfall } from './destinations.ts'
import { recordExpiry } from './ends.ts'
import { useDecision } from './judging.ts'
import type { Claim, Needs, Used } from './lend.ts'
import {
  byId,
  destinationsOf,
  endLeases,
  injectionOf,
  isActive,
  type LeaseRow,
  leaseById,
  leaseByPlaceholder,
  minuteMs,
} from './lend-store.ts'
import type { Minting } from './minting.ts'
import { misplacement } from './misplacement.ts'
import { together } from './together.ts'
import { isMinting } from './token-requests.ts'

/** How far the clock may go back before a lease is refused because nobody can say whether its time is over. */
const skewMs = 60_000

type Lent = Pick<Used, 'value' | 'aws' | 'certificatePem' | 'account'>
type Fields = Readonly<Record<string, Secret>>
type Accounts = Pick<ReturnType<typeof createAccounts>, 'isMade' | 'of'>

type Refusal = {
  readonly error: AppError
  /** `lease.misused` is an alert: somebody tried what no honest program does. */
  readonly as: Extract<EventName, 'lease.denied' | 'lease.misused'>
}

const misused = (error: AppError): Refusal => ({ error, as: 'lease.misused' })
const denied = (error: AppError): Refusal => ({ error, as: 'lease.denied' })

type Find = (reader: Reader) => Promise<LeaseRow | undefined>

type UseNeeds = Needs & {
  ahead: CountedAhead
  /** Ends what was passed on of leases that have ended. */
  endParts(tx: Tx, ended: readonly LeaseRow[]): Promise<void>
}

export function createUse(needs: UseNeeds, mint: Minting['tokenFor'], accounts: Accounts) {
  const { store, audit, bus, clock, policy, identity, vault, endParts, ahead } = needs
  const sharedAgent = together((agentId: string) => identity.agent(agentId, store))
  const sharedIsActive = together((leaseId: string) => isActive(store, leaseId))
  const sharedByHash = together((hash: string) => leaseByPlaceholder(store, hash))
  const agentFor = (id: string, reader: Reader) =>
    reader === store ? sharedAgent(id) : identity.agent(id, reader)

  /** Everything that makes a use right or wrong, in an order that tells a stranger nothing about the lease. */
  async function judge(
    reader: Reader,
    claim: Claim,
    row: LeaseRow | undefined,
  ): Promise<Refusal | undefined> {
    if (!row) return misused(new AppError('lease.not_found', 'Nothing was lent by this placeholder.'))
    const stranger = strangerTo(row, claim)
    if (stranger) return misused(new AppError('policy.denied', stranger))
    const agent = await agentFor(row.agent_id, reader)
    if (agent?.state !== 'active')
      return denied(new AppError('agent.inactive', 'The agent may not use leases.'))
    const ended = endOf(row, clock.now().getTime())
    if (ended) return denied(new AppError('lease.ended', ended))
    const abuse = abuseOf(row, claim, clock.now())
    if (abuse) return misused(new AppError('egress.denied', `The lease ${row.id} is ${abuse}`))
    const spent = spentOf(row, clock.now().getTime())
    if (spent) return denied(new AppError('lease.over_budget', spent))
    const principal: Principal = { kind: 'agent', id: row.agent_id, name: row.agent_name, roles: [] }
    const decision = useDecision(policy, principal, row, claim)
    return decision.allow ? undefined : denied(new AppError('policy.denied', decision.reason))
  }

  async function refuse(
    tx: Tx,
    claim: Claim,
    row: LeaseRow | undefined,
    refusal: Refusal,
  ): Promise<AppError> {
    const { error, as } = refusal
    const target = `lease:${row?.id ?? 'unknown'}`
    if (row && isDue(row, clock.now().getTime())) await expire(tx, row)
    await audit.record(tx, {
      type: as,
      outcome: 'denied',
      actor: `agent:${claim.agentId}`,
      target,
      correlation: claim.runId ?? row?.run_id ?? '',
      detail: { ...detailOf(claim), code: error.code, reason: error.detail ?? error.message },
    })
    await bus.publish(tx, { type: as, subject: target, data: { agent: `agent:${claim.agentId}` } })
    return error
  }

  async function expire(tx: Tx, row: LeaseRow): Promise<void> {
    const end = { state: 'expired' as const, at: clock.now().getTime(), reason: 'its time was over' }
    const rows = await ahead.giveBack(tx, await endLeases(tx, byId(row.id), end))
    for (const ended of rows) await recordExpiry(tx, ended, needs)
    await endParts(tx, rows)
  }

  /** One transaction, durable before it returns: the use is counted and recorded, or its refusal is. */
  const take = (claim: Claim, find: Find, { counted, unmade }: Uses): Promise<TakenRow | AppError> =>
    store.write(async (tx) => {
      const row = await find(tx)
      const above = await leasesAbove(tx, row)
      const refusal = (await judge(tx, claim, row)) ?? refusalOf(above)
      if (refusal || !row) return refuse(tx, claim, row, refusal ?? denied(new AppError('lease.not_found')))
      const chain = await takeChain(tx, [...above, row], clock.now().getTime(), counted - unmade)
      if (!chain) return refuse(tx, claim, row, denied(new AppError('lease.ended', 'No use is left.')))
      const { taken, usedUp } = chain
      await audit.record(tx, intentOf(claim, taken, taken.uses - counted + 1))
      await bus.publish(tx, { type: 'lease.used', subject: `lease:${taken.id}` })
      await endParts(tx, usedUp)
      return taken
    })

  /** One use of those that are counted already, where there is one, and else in a transaction, which may count more of them. */
  async function claimed(claim: Claim, find: Find): Promise<TakenRow | AppError> {
    for (;;) {
      const row = await find(store)
      // A refusal is told, and recorded, from inside a transaction.
      if (!row || !isUncapped(row) || (await judge(store, claim, row))) return take(claim, find, oneUse)
      const use = ahead.take(row.id)
      if (use !== undefined) return recorded(claim, row, use)
      const underway = ahead.underway(row.id)
      if (!underway) return ahead.count(row.id, (uses) => take(claim, find, uses))
      await underway
    }
  }

  /** The entry of a use that is counted, on disk. What has ended meanwhile has ended for it too. */
  async function recorded(claim: Claim, row: LeaseRow, use: number): Promise<LeaseRow | AppError> {
    await audit.recordOnDisk(intentOf(claim, row, use))
    if (await sharedIsActive(row.id)) return row
    const ended = `The lease ${row.id} has ended.`
    await recordFailure(claim, row, ended)
    return new AppError('lease.ended', ended)
  }

  /** A part is good for no longer and no more than what it is a part of. */
  function refusalOf(above: readonly LeaseRow[]): Refusal | undefined {
    const now = clock.now().getTime()
    const [ended] = above.flatMap((row) => endOf(row, now) ?? [])
    if (ended) return denied(new AppError('lease.ended', ended))
    const [spent] = above.flatMap((row) => spentOf(row, now) ?? [])
    return spent === undefined ? undefined : denied(new AppError('lease.over_budget', spent))
  }

  const recordFailure = (claim: Claim, row: LeaseRow, reason: string): Promise<void> =>
    audit.recordNow({ ...entryOf(row), outcome: 'failed', detail: { ...detailOf(claim), reason } })

  /** The use is spent by now: when the value cannot be had, that is recorded too, and the next try is another use. */
  async function valueOfLease(claim: Claim, row: LeaseRow): Promise<Lent> {
    try {
      return await lentValue(claim, row)
    } catch (error) {
      await recordFailure(claim, row, reasonOf(error))
      throw error
    }
  }

  async function lentValue(claim: Claim, row: LeaseRow): Promise<Lent> {
    const how = injectionOf(row)
    if (isAccount(how) && accounts.isMade(row.secret_path)) return accountOf(row, how, undefined, claim)
    const fields = (await vault.kv.read(row.secret_path))?.data ?? {}
    if (isAccount(how)) return accountOf(row, how, fields, claim)
    const value = Object.hasOwn(fields, row.field) ? fields[row.field] : undefined
    if (!value)
      throw new AppError('secret.not_found', `${row.secret_path} has no field ${row.field} any more.`)
    if (isMinting(how)) return { value: await mint(how, row, fields) }
    return standing(how, claim, value, fields)
  }

  /** What stands in the vault, and what belongs to it. */
  function standing(how: Injection, claim: Claim, value: Secret, fields: Fields): Lent {
    if (how.kind === 'client-certificate')
      return { value, certificatePem: certificateWith(how, value, fields, clock.now()) }
    if (how.kind !== 'aws') return { value }
    const { key, aws } = signingWith(how, claim, value, fields)
    return { value: key, aws }
  }

  async function accountOf(
    row: LeaseRow,
    how: AccountKind,
    fields: Fields | undefined,
    { login }: Claim,
  ): Promise<Lent> {
    const { username, password } = await accounts.of(row, how, fields, login?.user ?? '')
    // Redis has no other way than to be sent it.
    return { value: password, account: { username, mayShow: how.kind === 'redis' || how.cleartext } }
  }

  async function useFound(claim: Claim, find: Find): Promise<Used> {
    const answer = await claimed(claim, find)
    if (answer instanceof AppError) throw answer
    return {
      leaseId: answer.id,
      prefix: prefixOf(injectionOf(answer)),
      budgets: answer.budgets ?? [],
      expiresAt: new Date(answer.expires_at),
      ...(await valueOfLease(claim, answer)),
    }
  }

  return {
    use: (claim: Claim): Promise<Used> => {
      const hash = hashToken(claim.placeholder)
      return useFound(claim, async (reader) => {
        const found = await (reader === store ? sharedByHash(hash) : leaseByPlaceholder(reader, hash))
        return found && sameHash(found.placeholder_hash, hash) ? found : undefined
      })
    },
    /** By who knows already which lease it is. */
    useLease: (leaseId: string, claim: Omit<Claim, 'placeholder'>): Promise<Used> =>
      useFound({ ...claim, placeholder: '' }, (reader) => leaseById(reader, leaseId)),
  }
}

const entryOf = (row: LeaseRow) =>
  ({
    type: 'lease.used',
    actor: `agent:${row.agent_id}`,
    target: `lease:${row.id}`,
    correlation: row.run_id ?? '',
  }) as const

const intentOf = (claim: Claim, row: LeaseRow, use: number): EntryInput => ({
  ...entryOf(row),
  outcome: 'intent',
  detail: { ...detailOf(claim), secretPath: row.secret_path, field: row.field, use },
})

/** Why a lease is none of this sandbox's. */
export function strangerTo(
  row: LeaseRow,
  claim: Pick<Claim, 'agentId' | 'runId' | 'taskId'>,
): string | undefined {
  if (row.agent_id !== claim.agentId) return 'This placeholder was lent to another agent.'
  const otherRun = row.run_id !== null && claim.runId !== undefined && row.run_id !== claim.runId
  const otherTask = row.task_id !== null && claim.taskId !== undefined && row.task_id !== claim.taskId
  return otherRun || otherTask ? 'This placeholder was lent for another task.' : undefined
}

/** What the lease is not for, after "is": another destination, another place of the request, another scope. */
function abuseOf(row: LeaseRow, claim: Claim, now: Date): string | undefined {
  const instead = shortfall(destinationsOf(row), claim)
  if (instead) return `not for ${claim.method} ${placeOf(claim)}${pathOf(claim)}: ${instead}.`
  const how = injectionOf(row)
  const wrong =
    misplacement(how, claim.places) ??
    loginRefusal(how, claim) ??
    (how.kind === 'aws' ? scopeRefusal(how, claim, now) : undefined)
  return wrong && `lent ${wrong}`
}

/** The part of its budget that a lease has used up, in words. */
export function spentOf(row: LeaseRow, now: number): string | undefined {
  if (row.bytes_left === 0) return `The bytes that the lease ${row.id} was given are spent.`
  const begun = row.minute_at ?? 0
  const isFull = row.uses_per_minute !== null && (row.minute_uses ?? 0) >= row.uses_per_minute
  if (!isFull || begun <= now - minuteMs) return undefined
  const seconds = Math.ceil((begun + minuteMs - now) / 1000)
  return `The lease ${row.id} may be used ${row.uses_per_minute} times a minute; the next use is possible in ${seconds} s.`
}

const isDue = (row: LeaseRow, now: number): boolean => row.state === 'active' && now >= row.expires_at

function endOf(row: LeaseRow, now: number): string | undefined {
  if (row.state !== 'active') return `The lease ${row.id} is ${row.state.replace('_', ' ')}.`
  if (isDue(row, now)) return `The time of the lease ${row.id} is over; ask for another one.`
  const known = Math.max(row.issued_at, row.last_used_at ?? 0)
  if (now < known - skewMs) return `The server's clock went back to before the lease ${row.id} was last used.`
  return undefined
}

/** Without the query, which may carry anything. */
const pathOf = ({ path }: Claim): string => path.split(/[?#]/, 1)[0] ?? ''

const detailOf = (claim: Claim) => ({
  sandboxId: claim.sandboxId,
  host: claim.host,
  port: claim.port,
  method: claim.method,
  path: pathOf(claim).slice(0, 500),
  places: claim.places.slice(0, 20).map((place) => place.slice(0, 200)),
})
