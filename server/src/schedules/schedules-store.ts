import type { ScanView, ScheduleView } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const schedulesMigrations: readonly Migration[] = [
  {
    id: '0045-schedules',
    up: ({ int8 }) => [
      `create table scan_schedules (
        id text not null primary key, root text not null, cron text, time_zone text not null, history text not null,
        watch integer not null, propose integer not null, push_provider text, push_repository text, hook_ready integer not null,
        paused integer not null, created_by text not null, created_at ${int8} not null, next_at ${int8}, requested text,
        runs ${int8} not null, failures ${int8} not null, last_scan_id text, last_state text, last_started_at ${int8},
        last_finished_at ${int8}, last_opened ${int8} not null, last_fixed ${int8} not null, last_problem text, to_propose text,
        unique (root))`,
      `create table push_deliveries (
        schedule_id text not null, delivery_id text not null, digest text not null, at ${int8} not null,
        primary key (schedule_id, delivery_id), unique (schedule_id, digest))`,
    ],
  },
]

export type Provider = 'github' | 'gitlab'
export type Cause = ScanView['cause']

export type ScheduleRow = {
  readonly id: string
  readonly root: string
  readonly cron: string | null
  readonly time_zone: string
  readonly history: ScheduleView['history']
  readonly watch: number
  readonly propose: number
  readonly push_provider: Provider | null
  readonly push_repository: string | null
  readonly hook_ready: number
  readonly paused: number
  readonly created_by: string
  readonly created_at: number
  readonly next_at: number | null
  /** Who or what wants a scan besides the clock. */
  readonly requested: Cause | null
  readonly runs: number
  readonly failures: number
  readonly last_scan_id: string | null
  readonly last_state: 'running' | 'finished' | 'failed' | null
  readonly last_started_at: number | null
  readonly last_finished_at: number | null
  readonly last_opened: number
  readonly last_fixed: number
  readonly last_problem: string | null
  /** A scan whose findings have not been proposed yet. */
  readonly to_propose: string | null
}

export type Settings = Pick<
  ScheduleRow,
  'cron' | 'time_zone' | 'history' | 'watch' | 'propose' | 'paused' | 'next_at'
>

export async function insertSchedule(tx: Tx, row: ScheduleRow): Promise<void> {
  await tx.run(sql`insert into scan_schedules (id, root, cron, time_zone, history, watch, propose, push_provider, push_repository,
      hook_ready, paused, created_by, created_at, next_at, runs, failures, last_opened, last_fixed)
    values (${row.id}, ${row.root}, ${row.cron}, ${row.time_zone}, ${row.history}, ${row.watch}, ${row.propose},
      ${row.push_provider}, ${row.push_repository}, 0, 0, ${row.created_by}, ${row.created_at}, ${row.next_at}, 0, 0, 0, 0)`)
}

export const readSchedules = (reader: Reader): Promise<ScheduleRow[]> =>
  reader.all<ScheduleRow>(sql`select * from scan_schedules order by root`)

export const readSchedule = (reader: Reader, id: string): Promise<ScheduleRow | undefined> =>
  reader.get<ScheduleRow>(sql`select * from scan_schedules where id = ${id}`)

export const scheduleOf = (reader: Reader, root: string): Promise<ScheduleRow | undefined> =>
  reader.get<ScheduleRow>(sql`select * from scan_schedules where root = ${root}`)

/** Those whose time has come, or that somebody asks for: who has waited longest first. */
export const dueSchedules = (reader: Reader, now: number): Promise<ScheduleRow[]> =>
  reader.all<ScheduleRow>(
    sql`select * from scan_schedules where paused = 0 and (requested is not null or next_at <= ${now}) order by next_at, id`,
  )

export const unproposed = (reader: Reader): Promise<ScheduleRow[]> =>
  reader.all<ScheduleRow>(sql`select * from scan_schedules where to_propose is not null order by id`)

export async function putSettings(tx: Tx, id: string, settings: Settings): Promise<void> {
  await tx.run(sql`update scan_schedules set cron = ${settings.cron}, time_zone = ${settings.time_zone}, history = ${settings.history},
    watch = ${settings.watch}, propose = ${settings.propose}, paused = ${settings.paused}, next_at = ${settings.next_at}
    where id = ${id}`)
}

export async function setHookReady(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`update scan_schedules set hook_ready = 1 where id = ${id}`)
}

/** False when one is asked for already. */
export async function requestScan(tx: Tx, id: string, cause: Cause): Promise<boolean> {
  return (
    (await tx.run(
      sql`update scan_schedules set requested = ${cause} where id = ${id} and requested is null`,
    )) > 0
  )
}

/** Takes the turn: nobody else has it, also not after a crash. */
export async function markStarted(
  tx: Tx,
  id: string,
  { now, nextAt }: { now: number; nextAt: number | null },
): Promise<void> {
  await tx.run(sql`update scan_schedules set requested = null, next_at = ${nextAt}, runs = runs + 1, last_scan_id = null,
    last_state = 'running', last_started_at = ${now}, last_finished_at = null, last_opened = 0, last_fixed = 0, last_problem = null
    where id = ${id}`)
}

type End = Pick<
  ScheduleRow,
  'last_scan_id' | 'last_opened' | 'last_fixed' | 'last_problem' | 'to_propose'
> & {
  readonly last_state: 'finished' | 'failed'
  readonly last_finished_at: number
}

export async function markEnded(tx: Tx, id: string, end: End): Promise<void> {
  await tx.run(sql`update scan_schedules set last_scan_id = ${end.last_scan_id}, last_state = ${end.last_state},
    last_finished_at = ${end.last_finished_at}, last_opened = ${end.last_opened}, last_fixed = ${end.last_fixed},
    last_problem = ${end.last_problem}, to_propose = ${end.to_propose},
    failures = failures + ${end.last_state === 'failed' ? 1 : 0} where id = ${id}`)
}

export async function setToPropose(tx: Tx, id: string, scanId: string): Promise<void> {
  await tx.run(sql`update scan_schedules set to_propose = ${scanId} where id = ${id}`)
}

export async function markProposed(
  tx: Tx,
  id: string,
  scanId: string,
  problem: string | null,
): Promise<void> {
  await tx.run(sql`update scan_schedules set to_propose = null, last_problem = coalesce(${problem}, last_problem)
    where id = ${id} and to_propose = ${scanId}`)
}

/** Those whose scan was cut off by a stop: they wait for their next time. */
export async function failRunning(tx: Tx, now: number): Promise<string[]> {
  const rows = await tx.all<{
    id: string
  }>(sql`update scan_schedules set last_state = 'failed', last_finished_at = ${now},
    failures = failures + 1, last_problem = 'The scan was cut off by a stop of the server.' where last_state = 'running' returning id`)
  return rows.map((row) => row.id)
}

export async function deleteSchedule(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from scan_schedules where id = ${id}`)
}

export type ScheduleCounts = {
  count: number
  failing: number
  runs: number
  failures: number
  lastFinishedAt: number | null
  lastSeconds: number | null
}

export async function countSchedules(reader: Reader): Promise<ScheduleCounts> {
  const rows = await readSchedules(reader)
  const ended = rows.filter((row) => row.last_finished_at !== null && row.last_started_at !== null)
  const last = ended.toSorted((a, b) => (b.last_finished_at ?? 0) - (a.last_finished_at ?? 0))[0]
  const sum = (field: 'runs' | 'failures'): number => rows.reduce((total, row) => total + row[field], 0)
  return {
    count: rows.length,
    failing: rows.filter((row) => row.last_state === 'failed' && row.paused === 0).length,
    runs: sum('runs'),
    failures: sum('failures'),
    lastFinishedAt: last?.last_finished_at ?? null,
    lastSeconds: last ? ((last.last_finished_at ?? 0) - (last.last_started_at ?? 0)) / 1000 : null,
  }
}
