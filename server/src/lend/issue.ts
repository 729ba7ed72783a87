import { type Json, type LeaseView, prefixOf } from '@keyward/contract'
import type { EntryInput } from '../audit/index.ts'
import { AppError, actorOf, newId, reasonOf } from '../core/index.ts'
import { hashToken } from '../identity/index.ts'
import type { Decision } from '../policy/index.ts'
import type { Tx } from '../store/index.ts'
import { covers, describeDestination, normalDestination, placeOf } from './destinations.ts'
import type { IssuedLease, LeaseRequest, Needs } from './lend.ts'
import {
  budgetOf,
  destinationsOf,
  type GrantRow,
  injectionOf,
  insertLease,
  type LeaseRow,
  leftOfTask,
  liveGrants,
  spendGrant,
} from './lend-store.ts'
import { newPlaceholder } from './new-placeholder.ts'
import { keepPlaceholder } from './receipts.ts'

/** Endless where it is not limited. */
type Left = { readonly uses: number; readonly bytes: number }
type Refused = { readonly refused: AppError; readonly entry: EntryInput }

export function createIssue(needs: Needs & { view: (row: LeaseRow) => LeaseView }) {
  const { store, audit, bus, clock, log, policy, identity, vault, view, placeholderForm } = needs
  const behind = new Set<Promise<void>>()

  /** Intent, decision, existence of the secret (its value stays sealed in `Secret`), then the row and what tells of it. */
  async function attempt(tx: Tx, asked: LeaseRequest): Promise<IssuedLease | Refused> {
    const request = { ...asked, destinations: asked.destinations.map(normalDestination) }
    const refuse = (error: AppError, detail: { readonly [key: string]: Json } = {}): Refused => ({
      refused: error,
      entry: entryOf(request, 'lease.denied', 'denied', { reason: error.detail ?? error.message, ...detail }),
    })
    await audit.record(tx, entryOf(request, 'lease.requested', 'intent'))
    const agent = await identity.agent(request.principal.id, tx)
    if (agent?.state !== 'active') return refuse(new AppError('agent.inactive', 'The agent may not borrow.'))
    const grant = await grantFor(tx, request)
    const decision = decide(request, grant)
    if (!decision.allow) {
      const why = grant ? decision.reason : `${decision.reason}: no live grant covers ${placesOf(request)}`
      return refuse(new AppError('policy.denied', why), { policies: [...decision.policies] })
    }
    const left = await leftOf(tx, request, grant)
    const lack = await lackOf(tx, request, grant, left)
    if (lack) return refuse(lack)
    const { row, placeholder } = await newLease(request, agent.name, grant, left)
    await insertLease(tx, row)
    await keepPlaceholder(tx, vault.sealed, row.id, placeholder)
    const target = `lease:${row.id}`
    const detail = { expiresAt: new Date(row.expires_at).toISOString(), policies: [...decision.policies] }
    const grantedBy = grant ? { grant: `grant:${grant.id}`, grantedBy: grant.made_by } : {}
    await audit.record(tx, {
      ...entryOf(request, 'lease.issued', 'done', { ...detail, ...grantedBy }),
      target,
    })
    await bus.publish(tx, { type: 'lease.issued', subject: target })
    return { lease: view(row), placeholder }
  }

  /** What is missing of what is lent; the grant is spent when nothing is. */
  async function lackOf(
    tx: Tx,
    { secretPath, field }: LeaseRequest,
    grant: GrantRow | undefined,
    left: Left,
  ): Promise<AppError | undefined> {
    if (!(await hasField(tx, secretPath, field)))
      return new AppError('secret.not_found', `${secretPath} has no field ${field}.`)
    if (left.uses === 0 || left.bytes === 0)
      return new AppError('lease.over_budget', 'An earlier attempt of the task used up what it was given.')
    if (grant && !(await spendGrant(tx, grant.id)))
      return new AppError('policy.denied', 'The grant has just ended or is used up.')
    return undefined
  }

  async function hasField(tx: Tx, secretPath: string, field: string): Promise<boolean> {
    // What is made at a database is made when it is first used.
    if (vault.accounts?.has(secretPath)) return field === 'password'
    const secret = await vault.kv.read(secretPath, tx)
    return secret !== undefined && Object.hasOwn(secret.data, field)
  }

  async function grantFor(tx: Tx, request: LeaseRequest): Promise<GrantRow | undefined> {
    const rows = await liveGrants(tx, request.principal.id, request.secretPath, clock.now().getTime())
    return rows.find((row) => {
      if (row.field !== null && row.field !== request.field) return false
      if (row.run_id !== null && row.run_id !== request.runId) return false
      if (row.task_id !== null && row.task_id !== request.taskId) return false
      return covers(destinationsOf(row), request.destinations)
    })
  }

  /** What a lease may be used: as its grant says, and of a task no more than what earlier attempts have left. */
  async function leftOf(tx: Tx, request: LeaseRequest, grant: GrantRow | undefined): Promise<Left> {
    const { uses = endless, bytes = endless } = grant ? budgetOf(grant) : {}
    const asked = Math.min(request.uses ?? endless, uses)
    const { runId, taskId } = request
    const isTasks = grant?.task_id != null && runId !== undefined && taskId !== undefined
    const before = isTasks ? await leftOfTask(tx, { ...request, runId, taskId }) : undefined
    return {
      uses: Math.min(asked, before?.uses ?? endless),
      bytes: Math.min(bytes, before?.bytes ?? endless),
    }
  }

  const decide = (request: LeaseRequest, grant: GrantRow | undefined): Decision =>
    policy.decide({
      principal: request.principal,
      action: 'leases.request',
      resource: { type: 'Secret', id: request.secretPath, attributes: { path: request.secretPath } },
      context: {
        purpose: request.purpose,
        ttlSeconds: request.ttlSeconds,
        destinations: request.destinations.map(placeOf),
        grant: grant && {
          id: grant.id,
          agent: `agent:${grant.agent_id}`,
          secretPath: grant.secret_path,
          by: grant.made_by,
          maxTtlSeconds: grant.max_ttl_seconds,
        },
      },
    })

  async function newLease(request: LeaseRequest, agentName: string, grant: GrantRow | undefined, left: Left) {
    const placeholder = await newPlaceholder(grant && injectionOf(grant), placeholderForm)
    const injection = grant?.injection ?? null
    const budget = grant ? budgetOf(grant) : {}
    const now = clock.now()
    const row: LeaseRow = {
      id: newId('lea', now),
      placeholder_hash: hashToken(placeholder),
      agent_id: request.principal.id,
      agent_name: agentName,
      run_id: request.runId ?? null,
      task_id: request.taskId ?? null,
      grant_id: grant?.id ?? null,
      secret_path: request.secretPath,
      field: request.field,
      purpose: request.purpose,
      destinations: JSON.stringify(request.destinations),
      injection,
      state: 'active',
      uses: 0,
      uses_left: limit(left.uses),
      uses_per_minute: budget.usesPerMinute ?? null,
      minute_at: null,
      minute_uses: null,
      bytes_left: limit(left.bytes),
      issued_at: now.getTime(),
      expires_at: now.getTime() + request.ttlSeconds * 1000,
      last_used_at: null,
      ended_at: null,
      end_reason: null,
      receipt: null,
      probe_attempts: null,
      probe_due_at: null,
      parent_id: null,
      ancestors: null,
      delegable: grant?.delegable ?? null,
    }
    return { row, placeholder: prefixOf(injectionOf(row)) + placeholder }
  }

  /** The caller's transaction rolls back, so the refusal is written by one of its own, which runs right after it. */
  function recordBehind(entry: EntryInput): void {
    const write = audit
      .recordNow(entry)
      .catch((error: unknown) =>
        log.error({ event: entry.type, reason: reasonOf(error) }, 'refusal not recorded'),
      )
      .finally(() => behind.delete(write))
    behind.add(write)
  }

  return {
    async issue(tx: Tx, request: LeaseRequest): Promise<IssuedLease> {
      const answer = await attempt(tx, request)
      if (!('refused' in answer)) return answer
      recordBehind(answer.entry)
      throw answer.refused
    },
    async request(request: LeaseRequest): Promise<IssuedLease> {
      const answer = await store.write(async (tx) => {
        const tried = await attempt(tx, request)
        if ('refused' in tried) await audit.record(tx, tried.entry)
        return tried
      })
      if ('refused' in answer) throw answer.refused
      return answer
    },
    async settled(): Promise<void> {
      await Promise.all(behind)
    },
  }
}

const endless = Number.POSITIVE_INFINITY
const limit = (left: number): number | null => (left === endless ? null : left)

const placesOf = ({ secretPath, destinations }: LeaseRequest): string =>
  `${secretPath} for ${destinations.map(placeOf).join(', ')}`

function entryOf(
  request: LeaseRequest,
  type: 'lease.requested' | 'lease.denied' | 'lease.issued',
  outcome: EntryInput['outcome'],
  more: { readonly [key: string]: Json } = {},
): EntryInput {
  const { principal, secretPath, field, purpose, destinations, ttlSeconds, uses, runId, taskId } = request
  return {
    type,
    outcome,
    actor: actorOf(principal),
    target: `secret:${secretPath}`,
    correlation: runId ?? '',
    detail: {
      secretPath,
      field,
      purpose,
      destinations: destinations.map(describeDestination),
      ttlSeconds,
      uses: uses ?? null,
      taskId: taskId ?? null,
      ...more,
    },
  }
}
