import type { RunState, TaskState } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import { type Migration, type Reader, type Sql, sql, sqlList, type Tx } from '../store/index.ts'
import { type Plan, rulesOf } from './plan.ts'
import type { RunStatus, TaskStatus } from './reducer.ts'
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
    id: '0064-run-hosts',
    up: () => [
      "alter table runs add column host text not null default 'embedded'",
      "create index runs_of_host on runs (host, state) where state in ('Running', 'AwaitingApproval')",
    ],
  },
  ...temporalMigrations,
]

/** A task's row beside its status. Texts are parsed only where they are used. */
export type TaskFacts = {
  readonly preview: string | null
  readonly output: string | null
  readonly startedAt: number | null
  readonly finishedAt: number | null
}
/** What carries a run from its start to its end. */
export type HostName = 'embedded' | 'temporal'
export type RunHead = {
  readonly id: string
  readonly host: HostName
  readonly flow: string
  readonly title: string
  readonly requestedBy: string
  readonly unattended: boolean
  readonly planDigest: string
  readonly createdAt: number
}
export type RunRecord = RunHead & {
  readonly plan: Plan
  readonly revision: number
  readonly finishedAt: number | null
  readonly status: RunStatus
  readonly facts: ReadonlyMap<string, TaskFacts>
}

type RunRow = {
  id: string
  host: HostName
  flow: string
  title: string
  state: RunState
  reason: string | null
  cancel_reason: string | null
  requested_by: string
  unattended: number
  plan: string
  plan_digest: string
  revision: number
  task_count: number
  done_count: number
  created_at: number
  finished_at: number | null
}
type TaskRow = {
  task_id: string
  state: TaskState
  attempt: number
  failures: number
  retry_at: number | null
  approval_id: string | null
  approved: number
  preview: string | null
  reason: string | null
  output: string | null
  started_at: number | null
  finished_at: number | null
}

const noFacts: TaskFacts = { preview: null, output: null, startedAt: null, finishedAt: null }
export const factsOf = (run: Pick<RunRecord, 'facts'>, taskId: string): TaskFacts =>
  run.facts.get(taskId) ?? noFacts

export async function readRun(reader: Reader, id: string): Promise<RunRecord | undefined> {
  const row = await reader.get<RunRow>(sql`select * from runs where id = ${id}`)
  if (!row) return undefined
  const rows = await reader.all<TaskRow>(sql`select * from run_tasks where run_id = ${id}`)
  return recordOf(row, rows)
}

function recordOf(row: RunRow, rows: readonly TaskRow[]): RunRecord {
  const plan: Plan = JSON.parse(row.plan)
  const byId = new Map(rows.map((task) => [task.task_id, task]))
  const tasks = new Map<string, TaskStatus>()
  const facts = new Map<string, TaskFacts>()
  for (const planned of plan.tasks) {
    const task = byId.get(planned.id)
    if (!task) continue
    tasks.set(planned.id, {
      rules: rulesOf(planned),
      state: task.state,
      attempt: task.attempt,
      failures: task.failures,
      retryAt: task.retry_at,
      approvalId: task.approval_id,
      approved: task.approved === 1,
      reason: task.reason,
    })
    facts.set(planned.id, {
      preview: task.preview,
      output: task.output,
      startedAt: task.started_at,
      finishedAt: task.finished_at,
    })
  }
  return {
    id: row.id,
    host: row.host,
    flow: row.flow,
    title: row.title,
    requestedBy: row.requested_by,
    unattended: row.unattended === 1,
    plan,
    planDigest: row.plan_digest,
    createdAt: row.created_at,
    revision: row.revision,
    finishedAt: row.finished_at,
    status: { state: row.state, cancelReason: row.cancel_reason, reason: row.reason, tasks },
    facts,
  }
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
      idempotency_key, plan, plan_digest, revision, task_count, done_count, created_at, finished_at)
    values (${run.id}, ${run.host}, ${run.flow}, ${run.title}, ${status.state}, ${null}, ${null}, ${run.requestedBy},
      ${run.unattended ? 1 : 0}, ${idempotencyKey ?? null}, ${JSON.stringify(run.plan)}, ${run.planDigest}, ${run.revision},
      ${status.tasks.size}, ${0}, ${run.createdAt}, ${null}) on conflict do nothing`)
  if (inserted === 0) return false
  for (const taskId of status.tasks.keys()) await insertTask(tx, run, taskId)
  return true
}

async function insertTask(tx: Tx, run: RunRecord, taskId: string): Promise<void> {
  await tx.run(sql`insert into run_tasks (run_id, task_id, state, attempt, failures, approved)
    values (${run.id}, ${taskId}, ${run.status.tasks.get(taskId)?.state ?? 'Pending'}, ${0}, ${0}, ${0})`)
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
 * Writes the tasks that changed and the run's own row. The revision makes a writer that read an older state fail instead of
 * undoing what another one did.
 */
export async function updateRun(tx: Tx, run: RunRecord, changed: Iterable<string>): Promise<void> {
  for (const taskId of changed) await updateTask(tx, run, taskId)
  const { status } = run
  const done = [...status.tasks.values()].filter(({ state }) => state === 'Succeeded').length
  const updated = await tx.run(sql`update runs set state = ${status.state}, reason = ${status.reason},
      cancel_reason = ${status.cancelReason}, done_count = ${done}, finished_at = ${run.finishedAt}, revision = revision + 1
    where id = ${run.id} and revision = ${run.revision}`)
  if (updated !== 1) {
    throw new AppError('request.conflict', `run ${run.id} was changed by another process; try again`)
  }
}

async function updateTask(tx: Tx, run: RunRecord, taskId: string): Promise<void> {
  const task = run.status.tasks.get(taskId)
  if (!task) return
  const facts = factsOf(run, taskId)
  await tx.run(sql`update run_tasks set state = ${task.state}, attempt = ${task.attempt}, failures = ${task.failures},
      retry_at = ${task.retryAt}, approval_id = ${task.approvalId}, approved = ${task.approved ? 1 : 0},
      preview = ${facts.preview}, reason = ${task.reason}, output = ${facts.output}, started_at = ${facts.startedAt},
      finished_at = ${facts.finishedAt}
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

/** Locks the host's row for this transaction; false when another host has taken over. */
export async function holdHost(tx: Tx, fence: number, now: number): Promise<boolean> {
  const held = await tx.run(
    sql`update workflow_hosts set seen_at = ${now} where name = 'embedded' and fence = ${fence}`,
  )
  return held === 1
}

export async function runningAttempts(
  reader: Reader,
  host: HostName,
): Promise<{ runId: string; taskId: string; attempt: number }[]> {
  const rows = await reader.all<{ run_id: string; task_id: string; attempt: number }>(
    sql`select run_id, task_id, attempt from run_tasks
      where state = 'Running' and run_id in (select id from runs where host = ${host}) order by run_id, task_id`,
  )
  return rows.map((row) => ({ runId: row.run_id, taskId: row.task_id, attempt: row.attempt }))
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
    Omit<RunRow, 'plan'>
  >(sql`select id, host, flow, title, state, reason, cancel_reason, requested_by,
    unattended, plan_digest, revision, task_count, done_count, created_at, finished_at
    from runs${where} order by id desc limit ${query.limit}`)
  return rows.map((row) => ({
    id: row.id,
    host: row.host,
    flow: row.flow,
    title: row.title,
    state: row.state,
    reason: row.reason,
    requestedBy: row.requested_by,
    unattended: row.unattended === 1,
    planDigest: row.plan_digest,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    taskCount: row.task_count,
    doneCount: row.done_count,
  }))
}

export type EndedRuns = {
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  /** Of the cancelled ones, those that a person denied. */
  readonly denials: number
}

/** Runs that somebody asked for and that have ended since. */
export async function countEnded(reader: Reader, requestedBy: string, since: number): Promise<EndedRuns> {
  const rows = await reader.all<{ state: RunState; denied: number; n: number }>(sql`
    select state, case when reason like '%approval.denied%' then 1 else 0 end as denied, count(*) as n
    from runs where requested_by = ${requestedBy} and finished_at >= ${since} group by state, denied`)
  const count = (fits: (row: { state: RunState; denied: number }) => boolean): number =>
    rows.filter(fits).reduce((sum, { n }) => sum + Number(n), 0)
  return {
    succeeded: count(({ state }) => state === 'Succeeded'),
    failed: count(({ state }) => state === 'Failed'),
    cancelled: count(({ state }) => state === 'Cancelled'),
    denials: count(({ state, denied }) => state === 'Cancelled' && Number(denied) === 1),
  }
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
    where state in ('Running', 'AwaitingApproval') group by host`)
  const of = (host: HostName): number => Number(rows.find((row) => row.host === host)?.n ?? 0)
  return { embedded: of('embedded'), temporal: of('temporal') }
}
