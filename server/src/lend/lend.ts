import type {
  Budget,
  Destination,
  EgressExplanation,
  GrantView,
  Injection,
  LeaseView,
  Reach,
} from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import type { Clock, Log, Principal, Secret } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import { createAccounts, isAccount } from './accounts.ts'
import { type Asks, createAsks } from './asks.ts'
import type { AwsSigning } from './aws-signing.ts'
import { createCountedAhead } from './counted-ahead.ts'
import { createDelegation, type Delegation } from './delegation.ts'
import { createEnds } from './ends.ts'
import { createExplain, type EgressQuestion } from './explain.ts'
import { createGrants, grantView } from './grants.ts'
import { createIssue } from './issue.ts'
import {
  ancestorsOf,
  countActiveLeases,
  destinationsOf,
  type GrantQuery,
  grantById,
  grantsBefore,
  injectionOf,
  type LeaseQuery,
  type LeaseRow,
  leaseById,
  leasesBefore,
  liveGrantsOf,
  meteredLeases,
  spendBytes,
} from './lend-store.ts'
import { createMinting } from './minting.ts'
import { createReach } from './reach.ts'
import { createReceipts, type Probe, receiptOf } from './receipts.ts'
import { createRenew, type Renewal } from './renew.ts'
import { createSsh, type SshAgent } from './ssh.ts'
import { createTokenEnds } from './token-ends.ts'
import { isMinting } from './token-requests.ts'
import { createUse } from './use.ts'
import { createValuesForTask } from './values.ts'

/** What a person or an approved run lets an agent ask for. A grant is not a lease: nothing is lent yet. */
export type NewGrant = {
  readonly agentId: string
  readonly secretPath: string
  /** Only this field; any when absent. */
  readonly field?: string | undefined
  /** Where the secret may go. A lease can be narrower, never wider. */
  readonly destinations: readonly Destination[]
  /** How the secret becomes part of a request; anywhere when absent. */
  readonly injection?: Injection | undefined
  /** For each lease. */
  readonly budget?: Budget | undefined
  readonly maxTtlSeconds: number
  /** How many leases it is good for; one approval for one task gives 1. */
  readonly maxLeases?: number | undefined
  readonly expiresAt?: Date | undefined
  /** Good for leases of this run only. */
  readonly runId?: string | undefined
  /** Good for leases of this task only, and ends with it. Give `expiresAt` to a grant without. */
  readonly taskId?: string | undefined
  /** Whether the agent may pass parts of its leases on to other agents. */
  readonly delegable?: boolean | undefined
  readonly reason: string
  readonly by: Principal
}

export type LeaseRequest = {
  /** The agent. */
  readonly principal: Principal & { readonly scopes?: readonly string[] }
  /** Mount and name in the vault, for example `secret/shop/stripe`. */
  readonly secretPath: string
  readonly field: string
  readonly purpose: string
  readonly destinations: readonly Destination[]
  readonly ttlSeconds: number
  readonly uses?: number | undefined
  readonly runId?: string | undefined
  readonly taskId?: string | undefined
}

export type IssuedLease = { readonly lease: LeaseView; readonly placeholder: string }

/** A placeholder seen on its way out of a sandbox. */
export type Claim = {
  readonly placeholder: string
  readonly agentId: string
  readonly sandboxId: string
  readonly host: string
  readonly port: number
  readonly method: string
  readonly path: string
  /** Where in the request the placeholder stands, as the proxy writes it. */
  readonly places: readonly string[]
  /** What the request's AWS signature is for. */
  readonly signing?: { readonly date: string; readonly region: string; readonly service: string } | undefined
  /** A login that the proxy makes outside of the sandbox; names as the client says them. */
  readonly login?: Login | undefined
  /** The task that the sandbox works for; a lease of a task serves no other one. */
  readonly runId?: string | undefined
  readonly taskId?: string | undefined
}

export type Login = {
  readonly kind: 'postgres' | 'redis'
  readonly user: string
  readonly database: string
}

export type ByteBudget = { readonly leaseId: string; readonly bytesLeft: number }

/** `value` is what takes the placeholder's place; with `aws`, the key that the request is signed with. */
export type Used = {
  readonly leaseId: string
  readonly value: Secret
  readonly prefix: string
  readonly aws?: AwsSigning | undefined
  /** With it, `value` is the private key to connect with, and never sent. The chain, PEM. */
  readonly certificatePem?: string | undefined
  /** With it, `value` is the password of this user. */
  readonly account?: { readonly username: string; readonly mayShow: boolean } | undefined
  /** What it may have, of both directions together, and what the leases that it is a part of may, where they have a limit. */
  readonly budgets: readonly ByteBudget[]
  /** When what uses it must have ended. */
  readonly expiresAt: Date
}

type Ssh = ReturnType<typeof createSsh>

export type Lend = {
  /** Throws `policy.denied` when `by` may not grant, `agent.not_found` for an unknown agent. */
  grant(tx: Tx, grant: NewGrant): Promise<{ grantId: string }>
  endGrant(tx: Tx, grantId: string, reason: string, by: Principal): Promise<void>
  grants(query: GrantQuery): Promise<{ items: GrantView[]; next: string | null }>
  /** What the agent may borrow now, newest first. */
  liveGrants(agentId: string, reader?: Reader): Promise<GrantView[]>
  readGrant(grantId: string, reader?: Reader): Promise<GrantView | undefined>
  /** What would become of a request of an agent. Throws `agent.not_found`. */
  explain(question: EgressQuestion): Promise<EgressExplanation>
  /** Where the agent could send which secrets. Throws `agent.not_found`. */
  reach(agentId: string): Promise<Omit<Reach, 'open'>>
  /** In the caller's transaction. Throws `policy.denied`, `agent.inactive`, `secret.not_found`; a refusal is recorded even though the caller rolls back. */
  issue(tx: Tx, request: LeaseRequest): Promise<IssuedLease>
  /** The same in a transaction of its own, for an agent that asks. */
  request(request: LeaseRequest): Promise<IssuedLease>
  /**
   * A part of a lease for another agent. Throws `lease.not_found`, `lease.ended`, `lease.too_wide`, `policy.denied`, `agent.not_found`,
   * `agent.inactive`.
   */
  delegate(delegation: Delegation): Promise<IssuedLease>
  /**
   * The value for one request, or an access token that is lent in its place, after the use is counted and its entry is on disk. Throws `lease.not_found`, `lease.ended`,
   * `agent.inactive`, `egress.denied` for a host or a place of the request that the lease does not name, `policy.denied` for somebody else's lease.
   */
  use(claim: Claim): Promise<Used>
  /** SSH keys sign for their leases: one message of an agent's protocol, and whether a place may be connected to. */
  sshAgent: Ssh['sshAgent']
  sshTunnel: Ssh['sshTunnel']
  /** Those of the leases that count bytes. */
  metered(leaseIds: readonly string[]): Promise<string[]>
  spend(tx: Tx, leaseIds: readonly string[], bytes: number): Promise<void>
  /** What the task's live leases stand for now: to be taken out of what the task says, not to be used. */
  valuesForTask(runId: string, taskId: string): Promise<Secret[]>
  /** More time for the task's live leases, as their grants allow. Throws `agent.inactive`. */
  renewForTask(renewal: Renewal): Promise<void>
  /** Ending what has ended changes nothing. Throws `lease.not_found`. */
  revoke(tx: Tx, leaseId: string, reason: string, by: Principal): Promise<LeaseView>
  /** Ends the task's leases and grants; returns how many leases. */
  endForTask(tx: Tx, runId: string, taskId: string, reason: string): Promise<number>
  endForAgent(tx: Tx, agentId: string, reason: string, by?: Principal): Promise<number>
  /** Marks what is past its time; `nextAt` is when to call again. */
  expireDue(): Promise<{ expired: number; nextAt: Date | undefined }>
  /** Shows that the leases which have ended are refused, and keeps a receipt of each; returns how many it tried. */
  proveDue(): Promise<number>
  /** Ends that could not be shown, or were shown not to hold; they are tried again. */
  unproved(): Promise<{ count: number; oldestAt: Date | null }>
  page(query: LeaseQuery): Promise<{ items: LeaseView[]; next: string | null }>
  read(leaseId: string, reader?: Reader): Promise<LeaseView | undefined>
  /** Active leases by agent; an agent without any is absent. */
  countActive(agentIds?: readonly string[]): Promise<Map<string, number>>
  /**
   * Resolves when refusals that were recorded behind a caller's transaction are written, no end is being shown, and the rows count the uses that
   * were made.
   */
  settled(): Promise<void>
  readonly asks: Asks
}

export type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record' | 'recordNow' | 'recordOnDisk'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  log: Log
  policy: Pick<Policy, 'decide'>
  identity: Pick<Identity, 'agent'>
  vault: {
    kv: {
      read(path: string, reader?: Reader): Promise<{ data: Readonly<Record<string, Secret>> } | undefined>
      write(tx: Tx, path: string, data: Readonly<Record<string, Secret>>): Promise<unknown>
    }
    sealed: Sealed
    /** Speaks the agent's protocol; absent where no SSH keys are lent. */
    sshAgent?: SshAgent
    /** Accounts that are made at databases; none when absent. */
    accounts?: MadeAccounts
  }
  /** How a placeholder is made that looks like a kind of key; undefined for a kind that none can look like. */
  placeholderForm(like: string): Promise<{ readonly prefix: string; make(): string } | undefined>
  /** Who shows that a lease of this kind has ended; all of them must. */
  probesFor(how: Injection): readonly Probe[]
}

export type MadeAccounts = {
  /** Whether accounts are made at this path. */
  has(path: string): boolean
  /** `leaseId` and `expiresAt`: of one that was made for this answer. */
  read(path: string): Promise<{
    readonly username: string
    readonly password: Secret
    readonly leaseId: string | undefined
    readonly expiresAt: Date | undefined
  }>
  end(leaseId: string): Promise<void>
}

/** Encrypted storage that no API shows. */
export type Sealed = {
  get(path: string, reader?: Reader): Promise<Buffer | undefined>
  put(tx: Tx, path: string, bytes: Uint8Array): Promise<void>
  delete(tx: Tx, path: string): Promise<void>
}

export function createLend(needs: Needs): Lend {
  const { store, clock } = needs
  const ahead = createCountedAhead(clock.now)
  const view = (row: LeaseRow): LeaseView =>
    leaseView({ ...row, uses: row.uses - ahead.unmade(row.id) }, clock.now())
  const grants = createGrants(needs)
  const { issue, request, settled } = createIssue({ ...needs, view })
  const { endParts, ...ends } = createEnds({ ...needs, view, ahead })
  const minting = createMinting(needs)
  const accounts = createAccounts({ ...needs, idle: () => idle() })
  const { use: exchange, useLease } = createUse({ ...needs, endParts, ahead }, minting.tokenFor, accounts)
  const { use, idle } = tracked(exchange)
  const endTokens = createTokenEnds({ ...needs, forget: minting.forget, idle })
  const receipts = createReceipts({
    ...needs,
    probesFor: (how) => [
      ...needs.probesFor(how),
      ...(isMinting(how) ? [endTokens] : []),
      ...(isAccount(how) ? [accounts.end] : []),
    ],
  })
  return {
    grant: grants.make,
    endGrant: grants.end,
    explain: createExplain(needs),
    reach: createReach(needs),
    async grants(query) {
      const rows = await grantsBefore(store, { ...query, limit: query.limit + 1 })
      const items = rows.slice(0, query.limit).map((row) => grantView(row, clock.now()))
      return { items, next: rows.length > query.limit ? (items.at(-1)?.id ?? null) : null }
    },
    async liveGrants(agentId, reader = store) {
      const now = clock.now()
      const rows = await liveGrantsOf(reader, agentId, now.getTime())
      return rows.map((row) => grantView(row, now))
    },
    async readGrant(grantId, reader = store) {
      const row = await grantById(reader, grantId)
      return row && grantView(row, clock.now())
    },
    issue,
    request,
    delegate: createDelegation({ ...needs, view }),
    use,
    ...createSsh({ ...needs, useLease }),
    metered: (leaseIds) => meteredLeases(store, leaseIds),
    spend: spendBytes,
    valuesForTask: createValuesForTask(needs),
    renewForTask: createRenew(needs),
    ...ends,
    proveDue: receipts.proveDue,
    unproved: receipts.unproved,
    async page(query) {
      const rows = await leasesBefore(store, { ...query, limit: query.limit + 1 }, clock.now().getTime())
      const items = rows.slice(0, query.limit).map(view)
      return { items, next: rows.length > query.limit ? (items.at(-1)?.id ?? null) : null }
    },
    async read(leaseId, reader = store) {
      const row = await leaseById(reader, leaseId)
      return row && view(row)
    },
    countActive: (agentIds) => countActiveLeases(store, agentIds, clock.now().getTime()),
    asks: createAsks({ ...needs, grant: grants.make }),
    async settled() {
      await Promise.all([settled(), receipts.proved(), ahead.settle(store)])
    },
  }
}

/** Knows which uses are under way. */
function tracked(use: Lend['use']): { use: Lend['use']; idle(): Promise<void> } {
  const underWay = new Set<Promise<unknown>>()
  return {
    use(claim) {
      const using = use(claim)
      const over: Promise<unknown> = using.then(
        () => underWay.delete(over),
        () => underWay.delete(over),
      )
      underWay.add(over)
      return using
    },
    async idle() {
      await Promise.all(underWay)
    },
  }
}

function leaseView(row: LeaseRow, now: Date): LeaseView {
  const expired = row.state === 'active' && row.expires_at <= now.getTime()
  const endedAt = expired ? row.expires_at : row.ended_at
  return {
    id: row.id,
    agentId: row.agent_id,
    agentName: row.agent_name,
    runId: row.run_id,
    taskId: row.task_id,
    secretPath: row.secret_path,
    field: row.field,
    purpose: row.purpose,
    state: expired ? 'expired' : row.state,
    destinations: destinationsOf(row),
    injection: injectionOf(row),
    usesLeft: row.uses_left,
    usesPerMinute: row.uses_per_minute,
    bytesLeft: row.bytes_left,
    uses: row.uses,
    issuedAt: new Date(row.issued_at).toISOString(),
    expiresAt: new Date(row.expires_at).toISOString(),
    endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
    endReason: expired ? 'its time was over' : row.end_reason,
    receipt: receiptOf(row),
    parentId: row.parent_id,
    depth: ancestorsOf(row).length,
    delegable: row.delegable === 1,
  }
}
