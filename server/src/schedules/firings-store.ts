import type { Json, RunFiring, RunScheduleView, RunState } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const runSchedulesMigrations: readonly Migration[] = [
  {
    id: '0046-run-schedules',
    up: ({ int8 }) => [
      `create table run_schedules (
        id text not null primary key, title text not null, flow text not null, input text not null, cron text not null,
        time_zone text not null, missed text not null, overlap text not null, paused integer not null, created_by text not null,
        created_at ${int8} not null, requested_by text not null, next_at ${int8}, started ${int8} not null, refused ${int8} not null)`,
      `create table run_firings (
        schedule_id text not null, due_at ${int8} not null, cause text not null, state text not null, requested_by text not null,
        run_id text, run_state text, reason text, primary key (schedule_id, due_at))`,
      `create index run_firings_waiting on run_firings (due_at) where state = 'waiting'`,
    ],
  },
  {
    id: '0047-run-schedule-losses',
    up: ({ int8 }) => [
      `alter table run_schedules add column skipped ${int8} not null default 0`,
      `alter table run_schedules add column missed_spans ${int8} not null default 0`,
    ],
  },
]

type Choices = Pick<RunScheduleView, 'missed' | 'overlap'>

export type RunSchedule = Choices & {
  readonly id: string
  readonly title: string
  readonly flow: string
  readonly input: Json
  readonly cron: string
  readonly timeZone: string
  readonly paused: boolean
  readonly createdBy: string
  readonly createdAt: number
  readonly requestedBy: string
  readonly nextAt: number | null
  readonly started: number
  readonly refused: number
  /** Times that were left out because an earlier run went on, and spans of times that nobody made up for. */
  readonly skipped: number
  readonly missedSpans: number
}

export type Firing = Pick<RunFiring, 'cause' | 'state' | 'requestedBy' | 'runId' | 'reason'> & {
  readonly scheduleId: string
  readonly dueAt: number
  /** How its run ended, once that is known. */
  readonly runState: RunState | null
}

type ScheduleRow = Choices & {
  id: string
  title: string
  flow: string
  input: string
  cron: string
  time_zone: string
  paused: number
  created_by: string
  created_at: number
  requested_by: string
  next_at: number | null
  started: number
  refused: number
  skipped: number
  missed_spans: number
}
type FiringRow = Pick<Firing, 'cause' | 'state' | 'reason'> & {
  schedule_id: string
  due_at: number
  requested_by: string
  run_id: string | null
  run_state: RunState | null
}

const scheduleOf = (row: ScheduleRow): RunSchedule => ({
  id: row.id,
  title: row.title,
  flow: row.flow,
  input: JSON.parse(row.input),
  cron: row.cron,
  timeZone: row.time_zone,
  missed: row.missed,
  overlap: row.overlap,
  paused: row.paused === 1,
  createdBy: row.created_by,
  createdAt: Number(row.created_at),
  requestedBy: row.requested_by,
  nextAt: row.next_at === null ? null : Number(row.next_at),
  started: Number(row.started),
  refused: Number(row.refused),
  skipped: Number(row.skipped),
  missedSpans: Number(row.missed_spans),
})

const firingOf = (row: FiringRow): Firing => ({
  scheduleId: row.schedule_id,
  dueAt: Number(row.due_at),
  cause: row.cause,
  state: row.state,
  requestedBy: row.requested_by,
  runId: row.run_id,
  runState: row.run_state,
  reason: row.reason,
})

export async function insertRunSchedule(tx: Tx, one: RunSchedule): Promise<void> {
  await tx.run(sql`insert into run_schedules (id, title, flow, input, cron, time_zone, missed, overlap, paused, created_by,
      created_at, requested_by, next_at, started, refused)
    values (${one.id}, ${one.title}, ${one.flow}, ${JSON.stringify(one.input)}, ${one.cron}, ${one.timeZone}, ${one.missed},
      ${one.overlap}, ${one.paused ? 1 : 0}, ${one.createdBy}, ${one.createdAt}, ${one.requestedBy}, ${one.nextAt}, 0, 0)`)
}

export async function putRunSchedule(tx: Tx, one: RunSchedule): Promise<void> {
  await tx.run(sql`update run_schedules set title = ${one.title}, input = ${JSON.stringify(one.input)}, cron = ${one.cron},
    time_zone = ${one.timeZone}, missed = ${one.missed}, overlap = ${one.overlap}, paused = ${one.paused ? 1 : 0},
    requested_by = ${one.requestedBy}, next_at = ${one.nextAt} where id = ${one.id}`)
}

export async function deleteRunSchedule(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from run_firings where schedule_id = ${id}`)
  await tx.run(sql`delete from run_schedules where id = ${id}`)
}

export async function readRunSchedules(reader: Reader): Promise<RunSchedule[]> {
  return (await reader.all<ScheduleRow>(sql`select * from run_schedules order by id`)).map(scheduleOf)
}

export async function readRunSchedule(reader: Reader, id: string): Promise<RunSchedule | undefined> {
  const row = await reader.get<ScheduleRow>(sql`select * from run_schedules where id = ${id}`)
  return row && scheduleOf(row)
}

/** The ids of those whose time has come. */
export async function dueRunSchedules(reader: Reader, now: number): Promise<string[]> {
  const rows = await reader.all<{ id: string }>(
    sql`select id from run_schedules where paused = 0 and next_at <= ${now} order by next_at, id`,
  )
  return rows.map(({ id }) => id)
}

export async function setNextTime(tx: Tx, id: string, nextAt: number): Promise<void> {
  await tx.run(sql`update run_schedules set next_at = ${nextAt} where id = ${id}`)
}

/** Times of the schedule went by, and are not made up for. */
export async function insertMissed(tx: Tx, one: Firing): Promise<void> {
  if (await insertFiring(tx, one))
    await tx.run(sql`update run_schedules set missed_spans = missed_spans + 1 where id = ${one.scheduleId}`)
}

/** False when this time of the schedule was there before. */
export async function insertFiring(tx: Tx, one: Firing): Promise<boolean> {
  const count =
    await tx.run(sql`insert into run_firings (schedule_id, due_at, cause, state, requested_by, run_id, run_state, reason)
    values (${one.scheduleId}, ${one.dueAt}, ${one.cause}, ${one.state}, ${one.requestedBy}, null, null, ${one.reason})
    on conflict (schedule_id, due_at) do nothing`)
  return count > 0
}

/** Newest first. */
export async function readFirings(reader: Reader, scheduleId: string, limit: number): Promise<Firing[]> {
  const rows = await reader.all<FiringRow>(
    sql`select * from run_firings where schedule_id = ${scheduleId} order by due_at desc limit ${limit}`,
  )
  return rows.map(firingOf)
}

/** Of all schedules that are not paused; who has waited longest first. */
export async function waitingFirings(reader: Reader): Promise<Firing[]> {
  const rows = await reader.all<FiringRow>(sql`select * from run_firings where state = 'waiting'
    and schedule_id in (select id from run_schedules where paused = 0) order by due_at, schedule_id`)
  return rows.map(firingOf)
}

/** Those with a run that is not known to have ended. */
export async function openFirings(reader: Reader, scheduleId: string): Promise<Firing[]> {
  const rows = await reader.all<FiringRow>(sql`select * from run_firings
    where schedule_id = ${scheduleId} and state = 'started' and run_state is null order by due_at`)
  return rows.map(firingOf)
}

type Key = Pick<Firing, 'scheduleId' | 'dueAt'>

export async function setRunState(tx: Tx, { scheduleId, dueAt }: Key, state: RunState): Promise<void> {
  await tx.run(
    sql`update run_firings set run_state = ${state} where schedule_id = ${scheduleId} and due_at = ${dueAt}`,
  )
}

/** False when it does not wait any more. */
export async function settleFiring(
  tx: Tx,
  { scheduleId, dueAt }: Key,
  end: Pick<Firing, 'state' | 'runId' | 'reason'>,
): Promise<boolean> {
  const count =
    await tx.run(sql`update run_firings set state = ${end.state}, run_id = ${end.runId}, reason = ${end.reason}
    where schedule_id = ${scheduleId} and due_at = ${dueAt} and state = 'waiting'`)
  if (count === 0) return false
  const now = (state: Firing['state']): number => (end.state === state ? 1 : 0)
  await tx.run(sql`update run_schedules set started = started + ${now('started')}, refused = refused + ${now('refused')},
    skipped = skipped + ${now('skipped')} where id = ${scheduleId}`)
  return true
}

/** Forgets what is older than the newest `kept`, except what has not come to its end. */
export async function deleteOldFirings(tx: Tx, scheduleId: string, kept: number): Promise<void> {
  const oldest = await tx.get<{ due_at: number }>(sql`select due_at from run_firings
    where schedule_id = ${scheduleId} order by due_at desc limit 1 offset ${kept}`)
  if (!oldest) return
  await tx.run(sql`delete from run_firings where schedule_id = ${scheduleId} and due_at <= ${oldest.due_at}
    and state <> 'waiting' and (state <> 'started' or run_state is not null)`)
}

export type RunScheduleCounts = {
  count: number
  paused: number
  /** Those whose last time was refused. */
  failing: number
  started: number
  refused: number
  skipped: number
  missedSpans: number
}

export async function countRunSchedules(reader: Reader): Promise<RunScheduleCounts> {
  const all = await readRunSchedules(reader)
  const refusedNow = await reader.all<{ schedule_id: string }>(sql`select f.schedule_id from run_firings f
    join run_schedules s on s.id = f.schedule_id
    where f.state = 'refused' and s.paused = 0 and f.due_at =
      (select max(due_at) from run_firings where schedule_id = f.schedule_id and state in ('started', 'refused'))`)
  const sum = (field: 'started' | 'refused' | 'skipped' | 'missedSpans'): number =>
    all.reduce((total, one) => total + one[field], 0)
  return {
    count: all.length,
    paused: all.filter(({ paused }) => paused).length,
    failing: refusedNow.length,
    started: sum('started'),
    refused: sum('refused'),
    skipped: sum('skipped'),
    missedSpans: sum('missedSpans'),
  }
}
