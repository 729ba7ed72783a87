import type { ScheduleView } from '@keyward/contract'
import type { ScheduleRow } from './schedules-store.ts'

const iso = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString()

const hookPathOf = (scheduleId: string): string => `/api/v1/hooks/${scheduleId}`

export const scheduleViewOf = (
  row: ScheduleRow,
  watching: NonNullable<ScheduleView['watching']>,
): ScheduleView => ({
  id: row.id,
  path: row.root,
  cron: row.cron,
  timeZone: row.time_zone,
  history: row.history,
  watch: row.watch === 1,
  propose: row.propose === 1,
  push:
    row.push_provider === null
      ? null
      : { provider: row.push_provider, repository: row.push_repository ?? '' },
  hook: row.push_provider === null ? null : hookPathOf(row.id),
  hookReady: row.hook_ready === 1,
  paused: row.paused === 1,
  createdBy: row.created_by,
  createdAt: new Date(row.created_at).toISOString(),
  nextAt: iso(row.next_at),
  watching: row.watch === 1 ? watching : null,
  runs: row.runs,
  failures: row.failures,
  last: lastOf(row),
})

function lastOf(row: ScheduleRow): ScheduleView['last'] {
  if (row.last_state === null || row.last_started_at === null) return null
  return {
    scanId: row.last_scan_id,
    state: row.last_state,
    startedAt: new Date(row.last_started_at).toISOString(),
    finishedAt: iso(row.last_finished_at),
    opened: row.last_opened,
    fixed: row.last_fixed,
    problem: row.last_problem,
  }
}
