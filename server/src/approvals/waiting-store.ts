import { type Migration, type Reader, type Sql, sql } from '../store/index.ts'
import type { Approval } from './approvals-store.ts'

/**
 * What is asked of all that wait is few rows of an index, however many wait. Each begins with what is one value throughout, because SQLite
 * prefers an index with an equality, and would take the one over all that wait.
 */
export const waitingMigration: Migration = {
  id: '0077-approvals-due',
  up: () => [
    'drop index approvals_expiring',
    "create index approvals_expiring on approvals (state, expires_at, id) where state = 'pending'",
    `create index approvals_reminding on approvals (state, remind_at, id)
      where state = 'pending' and remind_at is not null and reminded_at is null`,
    `create index approvals_escalating on approvals (state, escalate_at, id) where state = 'pending'
      and escalate_at is not null and escalated_at is null and (remind_at is null or reminded_at is not null)`,
    `create index approvals_alone on approvals (decided_at, id)
      where decided_at is null and (unattended = 1 or grant_id is not null or carried_from is not null)`,
  ],
}

export type Pending = Pick<
  Approval,
  'id' | 'requestedAt' | 'expiresAt' | 'remindAt' | 'escalateAt' | 'remindedAt' | 'escalatedAt'
>

/** What can happen to a question that nobody answers. An escalation follows the reminder, where there is one. */
export type DueKind = 'expiring' | 'reminding' | 'escalating'

/** When it happens, and of which; the same words as in the indexes. */
const kinds: Readonly<Record<DueKind, { at: Sql; which: Sql }>> = {
  expiring: { at: sql`expires_at`, which: sql`state = 'pending'` },
  reminding: {
    at: sql`remind_at`,
    which: sql`state = 'pending' and remind_at is not null and reminded_at is null`,
  },
  escalating: {
    at: sql`escalate_at`,
    which: sql`state = 'pending' and escalate_at is not null and escalated_at is null
      and (remind_at is null or reminded_at is not null)`,
  },
}

/** A place in the order of times; times in milliseconds. */
export type Due = { readonly id: string; readonly at: number }

/** Those whose time is `until` or before it and comes after `after`, the earliest first. */
export async function readDue(
  reader: Reader,
  kind: DueKind,
  { after, until, limit }: { after: Due | undefined; until: number; limit: number },
): Promise<Due[]> {
  const { at, which } = kinds[kind]
  const further = after ? sql`(${at}, id) > (${after.at}, ${after.id})` : sql`1 = 1`
  const rows = await reader.all<{ id: string; at: number }>(
    sql`select id, ${at} as at from approvals where ${which} and ${at} <= ${until} and ${further} order by ${at}, id limit ${limit}`,
  )
  return rows.map((row) => ({ id: row.id, at: Number(row.at) }))
}

/** The first time after `after`; undefined when there is none. */
export async function nextDue(reader: Reader, kind: DueKind, after: number): Promise<number | undefined> {
  const { at, which } = kinds[kind]
  const row = await reader.get<{ at: number }>(
    sql`select ${at} as at from approvals where ${which} and ${at} > ${after} order by ${at}, id limit 1`,
  )
  return row && Number(row.at)
}

type Page = { readonly after: string; readonly limit: number }

/** Those whose ids come after another, in the order of ids, which begin with the time when they were asked. */
export async function readPending(reader: Reader, { after, limit }: Page): Promise<Pending[]> {
  const rows = await reader.all<{
    id: string
    requested_at: number
    expires_at: number
    remind_at: number | null
    escalate_at: number | null
    reminded_at: number | null
    escalated_at: number | null
  }>(
    sql`select id, requested_at, expires_at, remind_at, escalate_at, reminded_at, escalated_at
      from approvals where state = 'pending' and id > ${after} order by id limit ${limit}`,
  )
  return rows.map((row) => ({
    id: row.id,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
    remindAt: row.remind_at,
    escalateAt: row.escalate_at,
    remindedAt: row.reminded_at,
    escalatedAt: row.escalated_at,
  }))
}

/** A question that may be answered without a person. */
export type Alone = Pick<
  Approval,
  'id' | 'runId' | 'taskId' | 'digest' | 'unattended' | 'grantId' | 'carriedFrom'
>

const alone = sql`decided_at is null and (unattended = 1 or grant_id is not null or carried_from is not null)`

/** The one that was asked last; empty when there is none. */
export async function lastAlone(reader: Reader): Promise<string> {
  const row = await reader.get<{ id: string }>(
    sql`select id from approvals where ${alone} order by id desc limit 1`,
  )
  return row?.id ?? ''
}

/** In the order of their ids, as far as `last`. */
export async function readAlone(
  reader: Reader,
  { after, limit, last }: Page & { last: string },
): Promise<Alone[]> {
  const rows = await reader.all<{
    id: string
    run_id: string
    task_id: string
    digest: string
    unattended: number
    grant_id: string | null
    carried_from: string | null
  }>(
    sql`select id, run_id, task_id, digest, unattended, grant_id, carried_from from approvals
      where ${alone} and id > ${after} and id <= ${last} order by id limit ${limit}`,
  )
  return rows.map((row) => ({
    id: row.id,
    runId: row.run_id,
    taskId: row.task_id,
    digest: row.digest,
    unattended: row.unattended === 1,
    grantId: row.grant_id,
    carriedFrom: row.carried_from,
  }))
}

/** A question as far as one looks at it again. */
export type Open = Pick<Approval, 'id' | 'runId' | 'taskId' | 'digest'>

/** Those in whose subject the words stand, whatever the case of their letters; the oldest first. */
export async function pendingAbout(reader: Reader, words: string, limit: number): Promise<Open[]> {
  const pattern = `%${words.toLowerCase().replaceAll(/[\\%_]/g, (mark) => `\\${mark}`)}%`
  const rows = await reader.all<{ id: string; run_id: string; task_id: string; digest: string }>(
    sql`select id, run_id, task_id, digest from approvals
      where state = 'pending' and lower(subject) like ${pattern} escape '\\' order by id limit ${limit}`,
  )
  return rows.map(({ run_id: runId, task_id: taskId, ...row }) => ({ ...row, runId, taskId }))
}
