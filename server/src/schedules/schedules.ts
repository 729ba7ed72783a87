import type { ScheduleView } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal, Secret } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import { createHooks, type Hooks } from './hooks.ts'
import type { SchedulesNeeds } from './needs.ts'
import { createPropose } from './propose.ts'
import { createRunner } from './runner.ts'
import {
  countSchedules,
  deleteSchedule,
  insertSchedule,
  putSettings,
  readSchedule,
  readSchedules,
  requestScan,
  type ScheduleCounts,
  type ScheduleRow,
  scheduleOf,
} from './schedules-store.ts'
import { knownZone, nextTime } from './times.ts'
import { scheduleViewOf } from './view.ts'
import { createWatching } from './watching.ts'

type Rhythm = Pick<ScheduleView, 'cron' | 'timeZone' | 'history' | 'watch' | 'propose'>
export type NewSchedule = Rhythm & Pick<ScheduleView, 'path' | 'push'>
export type ScheduleChange = {
  readonly [K in keyof (Rhythm & { paused: boolean })]?: (Rhythm & { paused: boolean })[K] | undefined
}

export type Schedules = Pick<Hooks, 'receive'> & {
  list(): Promise<ScheduleView[]>
  create(wanted: NewSchedule, by: Principal): Promise<ScheduleView>
  change(scheduleId: string, change: ScheduleChange, by: Principal): Promise<ScheduleView>
  remove(scheduleId: string, by: Principal): Promise<void>
  /** Scans now, in turn. */
  run(scheduleId: string, by: Principal): Promise<ScheduleView>
  issueSecret(scheduleId: string, by: Principal): Promise<Secret>
  counts(): Promise<ScheduleCounts>
  start(): Promise<void>
  stop(): void
  /** Resolves when nothing is due and no scan of a schedule is at work. */
  idle(): Promise<void>
}

export function createSchedules(needs: SchedulesNeeds): Schedules {
  const { store, audit, bus, clock, findings } = needs
  const propose = createPropose(needs)
  const runner = createRunner(needs, propose)
  const hooks = createHooks(needs, () => runner.wake())
  const watching = createWatching(needs, runner, propose, async (scheduleId) => {
    await store.write((tx) => requestScan(tx, scheduleId, 'watch'))
    runner.wake()
  })

  const viewOf = (row: ScheduleRow): ScheduleView => scheduleViewOf(row, watching.stateOf(row.id))

  async function found(reader: Parameters<typeof readSchedule>[0], scheduleId: string): Promise<ScheduleRow> {
    const row = await readSchedule(reader, scheduleId)
    if (!row) throw new AppError('schedule.not_found', `there is no schedule '${scheduleId}'`)
    return row
  }

  async function tell(
    tx: Tx,
    type: 'schedule.created' | 'schedule.changed' | 'schedule.removed',
    row: ScheduleRow,
    by: Principal,
  ): Promise<void> {
    const target = `schedule:${row.id}`
    const { root: path, cron, time_zone: timeZone, history, push_repository: repository } = row
    const detail = {
      path,
      cron,
      timeZone,
      history,
      repository,
      paused: row.paused === 1,
      watch: row.watch === 1,
    }
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  async function follow(): Promise<void> {
    watching.follow(await readSchedules(store))
    runner.wake()
  }

  return {
    receive: hooks.receive,
    list: async () => (await readSchedules(store)).map(viewOf),
    async create(wanted, by) {
      if (wanted.cron === null && !wanted.watch && wanted.push === null)
        throw new AppError('request.invalid', 'say when it shall be scanned: cron, watch or push')
      const root = await findings.rootOf(wanted.path)
      const row = newRow(wanted, root, actorOf(by), clock.now())
      await store.write(async (tx) => {
        const other = await scheduleOf(tx, root)
        if (other)
          throw new AppError('schedule.exists', `${root} has schedule ${other.id}. Change or remove it.`)
        await insertSchedule(tx, row)
        await tell(tx, 'schedule.created', row, by)
      })
      await follow()
      return viewOf(await found(store, row.id))
    },
    async change(scheduleId, change, by) {
      await store.write(async (tx) => {
        const row = changed(await found(tx, scheduleId), change, clock.now())
        await putSettings(tx, scheduleId, row)
        await tell(tx, 'schedule.changed', row, by)
      })
      await follow()
      return viewOf(await found(store, scheduleId))
    },
    async remove(scheduleId, by) {
      await store.write(async (tx) => {
        const row = await found(tx, scheduleId)
        await hooks.forget(tx, scheduleId)
        await deleteSchedule(tx, scheduleId)
        await tell(tx, 'schedule.removed', row, by)
      })
      await follow()
    },
    async run(scheduleId, by) {
      await store.write(async (tx) => {
        const row = await found(tx, scheduleId)
        if (row.paused === 1)
          throw new AppError('schedule.busy', `schedule ${scheduleId} is paused: let it go on first`)
        if (row.last_state === 'running' || !(await requestScan(tx, scheduleId, 'person')))
          throw new AppError('schedule.busy', `schedule ${scheduleId} scans already, or waits for its turn`)
        const target = `schedule:${scheduleId}`
        const entry = { outcome: 'intent', actor: actorOf(by), target, detail: { cause: 'person' } } as const
        await audit.record(tx, { type: 'schedule.fired', ...entry })
      })
      runner.wake()
      return viewOf(await found(store, scheduleId))
    },
    async issueSecret(scheduleId, by) {
      const secret = await hooks.issue(await found(store, scheduleId), by)
      return new Secret(secret)
    },
    counts: () => countSchedules(store),
    async start() {
      await runner.start()
      watching.follow(await readSchedules(store))
    },
    stop() {
      watching.stop()
      runner.stop()
    },
    idle: () => runner.idle(),
  }
}

const flag = (set: boolean): 0 | 1 => (set ? 1 : 0)

function newRow(wanted: NewSchedule, root: string, createdBy: string, now: Date): ScheduleRow {
  const { cron, history, watch, propose, push } = wanted
  const timeZone = knownZone(wanted.timeZone)
  return {
    id: newId('sch', now),
    root,
    cron,
    time_zone: timeZone,
    history,
    watch: flag(watch),
    propose: flag(propose),
    push_provider: push?.provider ?? null,
    push_repository: push?.repository ?? null,
    hook_ready: 0,
    paused: 0,
    created_by: createdBy,
    created_at: now.getTime(),
    next_at: cron === null ? null : nextTime(cron, timeZone, now).getTime(),
    requested: null,
    runs: 0,
    failures: 0,
    last_scan_id: null,
    last_state: null,
    last_started_at: null,
    last_finished_at: null,
    last_opened: 0,
    last_fixed: 0,
    last_problem: null,
    to_propose: null,
  }
}

/** A paused schedule misses its times: when it goes on, the next one counts. */
function changed(row: ScheduleRow, change: ScheduleChange, now: Date): ScheduleRow {
  const cron = change.cron === undefined ? row.cron : change.cron
  const time_zone = change.timeZone === undefined ? row.time_zone : knownZone(change.timeZone)
  const paused = change.paused === undefined ? row.paused : flag(change.paused)
  const watch = change.watch === undefined ? row.watch : flag(change.watch)
  if (cron === null && watch === 0 && row.push_provider === null)
    throw new AppError('request.invalid', 'nothing would start a scan any more: remove the schedule instead')
  const sameTimes = cron === row.cron && time_zone === row.time_zone && paused === row.paused
  const next = cron === null || paused === 1 ? null : nextTime(cron, time_zone, now).getTime()
  return {
    ...row,
    cron,
    time_zone,
    paused,
    watch,
    history: change.history ?? row.history,
    propose: change.propose === undefined ? row.propose : flag(change.propose),
    next_at: sameTimes ? row.next_at : next,
  }
}
