import type { RunOutcome, RunState } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import { type Migration, type Reader, type Sql, sql, sqlList, type Tx } from '../store/index.ts'
import { runOutcomeOf } from './outcome.ts'
import { timeoutSecondsOf } from './plan.ts'
import {
  factsOf,
  type HostName,
  plannedOf,
  type RunHead,
  type RunRecord,
  type RunRow,
  recordOf,
  type TaskRow,
} from './run-record.ts'
import { isRunEnded, type RunStatus, type TaskStatus } from './run-status.ts'
import { temporalMigrations } from './temporal/temporal-store.ts'

export const workflowMigrations: readonly Migration[] = [
  {
    id: '0060-workflow-runs',
    up: ({ int8 }) => [
      `create table runs (
        id text primary key, flow text not null, title text not null, state text not null, reason text, cancel_reason text,
        requested_by text not null, unattended integer not null, idempotency_key text, plan text not null,
        plan_digest text not null, revision ${int8} not null, task_count integer not null, done_count integer not null,
        created_at ${int8} not null, finished_at ${int8})`,
      'create unique index runs_idempotency on runs (requested_by, idempotency_key)',
      'create index runs_state on runs (state, id)',
      `create table run_tasks (
        run_id text not null references runs (id), task_id text not null, state text not null, attempt integer not null,
        failures integer not null, retry_at ${int8}, approval_id text, approved integer not null, preview text, reason text,
        output text, started_at ${int8}, finished_at ${int8}, primary key (run_id, task_id))`,
      "create index run_tasks_running on run_tasks (run_id) where state = 'Running'",
      `create table workflow_hosts (name text primary key, fence ${int8} not null, taken_at ${int8} not null, seen_at ${int8} not null)`,
    ],
  },
  {
    id: '0061-workflow-plans',
    up: () => [
      'alter table runs add column pause_reason text',
      'alter table runs add column parent_run_id text',
      'alter table runs add column parent_task_id text',
      'alter table run_tasks add column action text',
      'alter table run_tasks add column prior_attempts integer not null default 0',
      'alter table run_tasks add column round integer not null default 0',
      'alter table run_tasks add column evaluated integer not null default 0',
      'alter table run_tasks add column items integer',
      'alter table run_tasks add column child_run_id text',
      "create index run_tasks_unknown on run_tasks (run_id) where state = 'Ambiguous'",
      "create index run_tasks_taken on run_tasks (action, finished_at) where state = 'Succeeded'",
    ],
  },
  {
    id: '0064-run-hosts',
    up: () => ["alter table runs add column host text not null default 'embedded'"],
  },
  {
    id: '0069-task-attempts',
    up: ({ int8 }) => [`alter table run_tasks add column attempt_at ${int8}`],
  },
  {
    id: '0066-run-outcomes',
    up: () => ['alter table runs add column outcome text'],
  },
  ...temporalMigrations,
  {
    id: '0066-changed-arguments',
    up: () => ['alter table run_tasks add column changed_args text'],
  },
]

export async function readRun(reader: Reader, id: string): Promise<RunRecord | undefined> {
  const row = await reader.get<RunRow>(sql`select * from runs where id = ${id}`)
  if (!row) return undefined
  const rows = await reader.all<TaskRow>(sql`select * from run_tasks where run_id = ${id}`)
  return recordOf(row, rows)
}

export async function readRevision(reader: Reader, id: string): Promise<number | undefined> {
  const row = await reader.get<{ revision: number }>(sql`select revision from runs where id = ${id}`)
  return row?.revision
}

export async function readState(reader: Reader, id: string): Promise<RunState | undefined> {
  return (await reader.get<{ state: RunState }>(sql`select state from runs where id = ${id}`))?.state
}

/** False when this requester has used the key before. */
export async function insertRun(
  tx: Tx,
  run: RunRecord,
  idempotencyKey: string | undefined,
): Promise<boolean> {
  const { status } = run
  const inserted =
    await tx.run(sql`insert into runs (id, host, flow, title, state, reason, cancel_reason, requested_by, unattended,
      idempotency_key, plan, plan_digest, revision, task_count, done_count, created_at, finished_at, parent_run_id, parent_task_id)
    values (${run.id}, ${run.host}, ${run.flow}, ${run.title}, ${status.state}, ${null}, ${null}, ${run.requestedBy},
      ${run.unattended ? 1 : 0}, ${idempotencyKey ?? null}, ${JSON.stringify(run.plan)}, ${run.planDigest}, ${run.revision},
      ${status.tasks.size}, ${0}, ${run.createdAt}, ${null}, ${run.parentRunId}, ${run.parentTaskId}) on conflict do nothing`)
  if (inserted === 0) return false
  for (const taskId of status.tasks.keys()) insertTask(tx, run, taskId)
  return true
}

function insertTask(tx: Tx, run: RunRecord, taskId: string): void {
  const { state = 'Pending', round = 0 } = run.status.tasks.get(taskId) ?? {}
  tx.put(sql`insert into run_tasks (run_id, task_id, action, state, attempt, failures, approved, round)
    values (${run.id}, ${taskId}, ${plannedOf(run, taskId)?.action ?? null}, ${state}, ${0}, ${0}, ${0}, ${round})`)
}

export async function runByKey(
  reader: Reader,
  requestedBy: string,
  idempotencyKey: string,
): Promise<string | undefined> {
  const row = await reader.get<{ id: string }>(
    sql`select id from runs where requested_by = ${requestedBy} and idempotency_key = ${idempotencyKey}`,
  )
  return row?.id
}

/**
 * Puts the tasks that changed since `before` and the run's own row. The revision makes a writer that read an older state fail
 * instead of undoing what another one did: in SQLite nobody writes between reading it and this. Returns the run with its new revision.
 */
export function updateRun(tx: Tx, run: RunRecord, before: RunStatus): RunRecord {
  const { status } = run
  let done = 0
  status.tasks.forEach((task, taskId) => {
    if (task.state === 'Succeeded') done++
    const was = before.tasks.get(taskId)
    if (was === undefined) insertTask(tx, run, taskId)
    if (was !== task) updateTask(tx, run, taskId, task)
  })
  for (const taskId of before.tasks.keys()) {
    if (!status.tasks.has(taskId))
      tx.put(sql`delete from run_tasks where run_id = ${run.id} and task_id = ${taskId}`)
  }
  const { id, revision } = run
  tx.put(isGoingOn(status, before) ? progressOf(run, done) : standingOf(run, done), {
    changes: 1,
    otherwise: () => new AppError('request.conflict', `run ${id} was changed by another process; try again`),
  })
  return { ...run, revision: revision + 1 }
}

/** Nothing of the run itself has changed but how far it is. The index of states is then left alone. */
const isGoingOn = (status: RunStatus, before: RunStatus): boolean =>
  status.state === before.state &&
  status.reason === before.reason &&
  status.cancelReason === before.cancelReason &&
  status.pauseReason === before.pauseReason &&
  !isRunEnded(status.state)

const progressOf = ({ id, revision, status }: RunRecord, done: number): Sql =>
  sql`update runs set task_count = ${status.tasks.size}, done_count = ${done}, revision = revision + 1
    where id = ${id} and revision = ${revision}`

const standingOf = ({ id, revision, status, finishedAt }: RunRecord, done: number): Sql =>
  sql`update runs set state = ${status.state}, reason = ${status.reason}, outcome = ${runOutcomeOf(status)},
      cancel_reason = ${status.cancelReason}, pause_reason = ${status.pauseReason}, task_count = ${status.tasks.size},
      done_count = ${done}, finished_at = ${finishedAt}, revision = revision + 1
    where id = ${id} and revision = ${revision}`

function updateTask(tx: Tx, run: RunRecord, taskId: string, task: TaskStatus): void {
  const facts = factsOf(run, taskId)
  tx.put(sql`update run_tasks set state = ${task.state}, attempt = ${task.attempt}, failures = ${task.failures},
      prior_attempts = ${task.priorAttempts}, round = ${task.round}, evaluated = ${task.isEvaluated ? 1 : 0},
      items = ${task.items}, child_run_id = ${facts.childRunId}, changed_args = ${facts.changedArgs},
      retry_at = ${task.retryAt}, approval_id = ${task.approvalId}, approved = ${task.approved ? 1 : 0},
      preview = ${facts.preview}, reason = ${task.reason}, output = ${facts.output}, started_at = ${facts.startedAt},
      attempt_at = ${facts.attemptAt}, finished_at = ${facts.finishedAt}
    where run_id = ${run.id} and task_id = ${taskId}`)
}

/** Becomes the one host of the store; whoever was it before can complete nothing from now on. */
export async function takeHost(tx: Tx, now: number): Promise<number> {
  const row = await tx.get<{ fence: number }>(sql`insert into workflow_hosts (name, fence, taken_at, seen_at)
    values ('embedded', 1, ${now}, ${now})
    on conflict (name) do update set fence = workflow_hosts.fence + 1, taken_at = ${now}, seen_at = ${now}
    returning fence`)
  if (!row) throw new Error('taking the host lease returned no row')
  return row.fence
}

export async function isHost(tx: Tx, fence: number): Promise<boolean> {
  const row = await tx.get<{ fence: number }>(sql`select fence from workflow_hosts where name = 'embedded'`)
  return row?.fence === fence
}

/** The transaction fails when another host has taken over before its end. */
export function holdHost(tx: Tx, fence: number, now: number): void {
  tx.put(sql`update workflow_hosts set seen_at = ${now} where name = 'embedded' and fence = ${fence}`, {
    changes: 1,
    otherwise: hostTaken,
  })
}

export const hostTaken = (): AppError =>
  new AppError('request.conflict', 'another Keyward process has become the workflow host of this store')

type Left = { runId: string; taskId: string; attempt: number }

/** What a host left running; a task that is a run of its own goes on with that run. */
export const runningAttempts = (reader: Reader, host: HostName): Promise<Left[]> =>
  attempts(
    reader,
    sql`state = 'Running' and child_run_id is null and (select host from runs where id = run_id) = ${host}`,
  )

/** Those of which nobody knows whether they had their effect. Runs that ended before such a task kept them open stay ended. */
export const unknownAttempts = (reader: Reader, host: HostName): Promise<Left[]> =>
  attempts(
    reader,
    sql`state = 'Ambiguous' and (select host from runs where id = run_id and finished_at is null) = ${host}`,
  )

/** `which` asks about the run of each row, so that only the rows in the small index of that state are looked at. */
async function attempts(reader: Reader, which: Sql): Promise<Left[]> {
  const rows = await reader.all<{ run_id: string; task_id: string; attempt: number }>(
    sql`select run_id, task_id, attempt from run_tasks where ${which} order by run_id`,
  )
  return rows.map((row) => ({ runId: row.run_id, taskId: row.task_id, attempt: row.attempt }))
}

/** Milliseconds that the latest successes of an action took, latest first. */
export async function durationsOf(reader: Reader, action: string, limit: number): Promise<number[]> {
  const rows = await reader.all<{ took: number }>(sql`select finished_at - started_at as took from run_tasks
    where action = ${action} and state = 'Succeeded' and started_at is not null and finished_at is not null
    order by finished_at desc limit ${limit}`)
  return rows.map(({ took }) => Number(took))
}

/** Runs that have something to do without anybody's answer. */
export async function busyRuns(
  reader: Reader,
  host: HostName,
): Promise<{ id: string; cancelled: boolean }[]> {
  const rows = await reader.all<{ id: string; cancel_reason: string | null }>(
    sql`select id, cancel_reason from runs where state = 'Running' and host = ${host} order by id`,
  )
  return rows.map((row) => ({ id: row.id, cancelled: row.cancel_reason !== null }))
}

export type RunSummary = RunHead & {
  readonly state: RunState
  readonly outcome: RunOutcome | null
  readonly reason: string | null
  readonly finishedAt: number | null
  readonly taskCount: number
  readonly doneCount: number
}

/** Newest first, after the run `cursor`. */
export async function readSummaries(
  reader: Reader,
  query: { cursor: string | undefined; limit: number; state: RunState | undefined },
): Promise<RunSummary[]> {
  const conditions: Sql[] = []
  if (query.cursor !== undefined) conditions.push(sql`id < ${query.cursor}`)
  if (query.state !== undefined) conditions.push(sql`state = ${query.state}`)
  const where = conditions.reduce(
    (all, one, i) => (i === 0 ? sql` where ${one}` : sql`${all} and ${one}`),
    sql``,
  )
  const rows = await reader.all<
    Omit<RunRow, 'plan' | 'pause_reason' | 'parent_task_id'>
  >(sql`select id, host, flow, title, state, outcome, reason, cancel_reason, parent_run_id, requested_by,
    unattended, plan_digest, revision, task_count, done_count, created_at, finished_at
    from runs${where} order by id desc limit ${query.limit}`)
  return rows.map((row) => ({
    id: row.id,
    host: row.host,
    flow: row.flow,
    title: row.title,
    state: row.state,
    outcome: row.outcome,
    reason: row.reason,
    requestedBy: row.requested_by,
    unattended: row.unattended === 1,
    planDigest: row.plan_digest,
    createdAt: row.created_at,
    parentRunId: row.parent_run_id,
    finishedAt: row.finished_at,
    taskCount: row.task_count,
    doneCount: row.done_count,
  }))
}

export type EndedRuns = {
  /** Something that failed on the way may have been made good. */
  readonly succeeded: number
  /** What was before may be back. */
  readonly failed: number
  /** By a person, or because nobody allowed it. */
  readonly cancelled: number
  /** Of the cancelled ones, those that a person denied. */
  readonly denials: number
}

/** Runs that somebody asked for and that have ended since. Those of earlier versions have no outcome, only a state. */
export async function countEnded(reader: Reader, requestedBy: string, since: number): Promise<EndedRuns> {
  const rows = await reader.all<{ came: RunOutcome; n: number }>(sql`
    select coalesce(outcome, case when state = 'Succeeded' then 'Done' when state = 'Failed' then 'Failed'
      when reason like '%approval.denied%' then 'Denied' else 'Cancelled' end) as came, count(*) as n
    from runs where requested_by = ${requestedBy} and finished_at >= ${since} group by came`)
  const count = (...outcomes: RunOutcome[]): number =>
    rows.filter(({ came }) => outcomes.includes(came)).reduce((sum, { n }) => sum + Number(n), 0)
  return {
    succeeded: count('Done', 'MadeGood'),
    failed: count('Failed', 'RolledBack'),
    cancelled: count('Cancelled', 'Denied', 'Expired'),
    denials: count('Denied'),
  }
}

/** Whether the task has not ended and is approved, or to be, by this approval. */
export async function holdsApproval(
  reader: Reader,
  { runId, taskId, approvalId }: { runId: string; taskId: string; approvalId: string },
): Promise<boolean> {
  const row = await reader.get<{ n: number }>(sql`select count(*) as n from run_tasks where run_id = ${runId}
    and task_id = ${taskId} and approval_id = ${approvalId}
    and state in ('Pending', 'AwaitingApproval', 'Running', 'Ambiguous')`)
  return Number(row?.n ?? 0) > 0
}

export async function countRuns(reader: Reader, states: readonly RunState[]): Promise<number> {
  const row = await reader.get<{ n: number }>(
    sql`select count(*) as n from runs where state in (${sqlList(states)})`,
  )
  return Number(row?.n ?? 0)
}

/** Runs that have not ended. */
export async function activeRunsByHost(reader: Reader): Promise<Record<HostName, number>> {
  const rows = await reader.all<{ host: HostName; n: number }>(sql`select host, count(*) as n from runs
    where state in ('Running', 'AwaitingApproval', 'AwaitingPerson', 'Paused') group by host`)
  const of = (host: HostName): number => Number(rows.find((row) => row.host === host)?.n ?? 0)
  return { embedded: of('embedded'), temporal: of('temporal') }
}

/** What is under way, as a watcher counts it; times in milliseconds, null when there is nothing. */
export type WorkInHand = {
  readonly runs: Readonly<Record<ActiveState, number>>
  /** Attempts that run now, without the tasks that are runs of their own; `limitAt` is when the first has to have ended. */
  readonly running: Counted & { readonly limitAt: number | null }
  /** Attempts of which nobody knows whether they had their effect. */
  readonly ambiguous: Counted
}
const activeStates = ['Running', 'AwaitingApproval', 'AwaitingPerson', 'Paused'] as const
type ActiveState = (typeof activeStates)[number]
type Counted = { readonly count: number; readonly oldestAt: number | null }

export async function workInHand(reader: Reader): Promise<WorkInHand> {
  const rows = await reader.all<{ state: ActiveState; n: number }>(
    sql`select state, count(*) as n from runs where state in (${sqlList(activeStates)}) group by state`,
  )
  const of = (state: ActiveState): number => Number(rows.find((row) => row.state === state)?.n ?? 0)
  return {
    runs: {
      Running: of('Running'),
      AwaitingApproval: of('AwaitingApproval'),
      AwaitingPerson: of('AwaitingPerson'),
      Paused: of('Paused'),
    },
    running: await countRunning(reader),
    ambiguous: await countAttempts(reader, sql`state = 'Ambiguous'`),
  }
}

async function countRunning(reader: Reader): Promise<WorkInHand['running']> {
  const rows = await reader.all<{ task_id: string; began_at: number; plan: string }>(
    sql`select task_id, coalesce(attempt_at, run_tasks.started_at) as began_at, plan from run_tasks join runs on runs.id = run_id
      where run_tasks.state = 'Running' and child_run_id is null`,
  )
  const began = rows.map((row) => Number(row.began_at))
  const limits = rows.map(({ task_id: taskId, plan }, i) => {
    const planned = plannedOf({ plan: JSON.parse(plan), facts: new Map() }, taskId)
    return (began[i] ?? 0) + 1000 * timeoutSecondsOf(planned ?? {})
  })
  const first = (times: readonly number[]): number | null => (times.length > 0 ? Math.min(...times) : null)
  return { count: rows.length, oldestAt: first(began), limitAt: first(limits) }
}

async function countAttempts(reader: Reader, which: Sql): Promise<Counted> {
  const row = await reader.get<{ n: number; oldest: number | null }>(
    sql`select count(*) as n, min(coalesce(attempt_at, started_at)) as oldest from run_tasks where ${which}`,
  )
  const oldest = row?.oldest ?? null
  return { count: Number(row?.n ?? 0), oldestAt: oldest === null ? null : Number(oldest) }
}
