import type { Json, RunFiring, RunScheduleView } from '@keyward/contract'
import { AppError, actorOf, createLooking, newId, type Principal } from '../core/index.ts'
import { principalNamed } from '../identity/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import {
  countRunSchedules,
  deleteRunSchedule,
  dueRunSchedules,
  type Firing,
  insertFiring,
  insertRunSchedule,
  openFirings,
  putRunSchedule,
  type RunSchedule,
  type RunScheduleCounts,
  readFirings,
  readRunSchedule,
  readRunSchedules,
  settleFiring,
} from './firings-store.ts'
import type { RunSchedulesNeeds } from './needs.ts'
import { createRunStarter, waitsForPerson } from './run-starter.ts'
import { knownZone, nextTime, nextTimes } from './times.ts'

type Rhythm = Pick<RunScheduleView, 'cron' | 'timeZone' | 'missed' | 'overlap'>
export type NewRunSchedule = Rhythm & {
  readonly flow: string
  readonly input: Json
  readonly title?: string | undefined
}
type Changeable = Rhythm & Pick<RunScheduleView, 'title' | 'input' | 'paused'>
export type RunScheduleChange = { readonly [K in keyof Changeable]?: Changeable[K] | undefined }

/** Flows that are started by the clock, each in the name of the account that made or changed its schedule last. */
export type RunSchedules = {
  list(): Promise<RunScheduleView[]>
  /** Throws `schedule.not_found`. */
  read(scheduleId: string): Promise<RunScheduleView & { firings: RunFiring[] }>
  /** When it would be due next. Throws `request.invalid` for what is no schedule, or never comes. */
  times(rhythm: Pick<Rhythm, 'cron' | 'timeZone'>): { timeZone: string; items: string[] }
  /** Throws `flow.not_found`, `run.plan_invalid`, and `policy.denied` for who may not start the flow now. */
  create(wanted: NewRunSchedule, by: Principal): Promise<RunScheduleView>
  /** Whoever changes more than whether it is paused vouches for it from then on. */
  change(scheduleId: string, change: RunScheduleChange, by: Principal): Promise<RunScheduleView>
  remove(scheduleId: string, by: Principal): Promise<void>
  /** Starts it now, in the name of who asks. Throws `schedule.busy`. */
  run(scheduleId: string, by: Principal): Promise<RunScheduleView>
  /** `held`: an earlier run waits for a person, so that none starts. */
  counts(): Promise<RunScheduleCounts & { held: number }>
  start(): void
  stop(): void
  /** Resolves when nothing is due, and all that could be started is. */
  idle(): Promise<void>
}

const shownFirings = 50
const shownTimes = 5

export function createRunSchedules(needs: RunSchedulesNeeds): RunSchedules {
  const { store, audit, bus, clock, policy, flows, workflow, identity, vault } = needs
  const starter = createRunStarter(needs)
  const looking = createLooking(needs, async () => {
    if (vault.status().sealed) return
    for (const id of await dueRunSchedules(store, clock.now().getTime())) await starter.take(id)
    await starter.startWaiting(looking.isStopped)
  })

  async function found(reader: Reader, scheduleId: string): Promise<RunSchedule> {
    const schedule = await readRunSchedule(reader, scheduleId)
    if (!schedule) throw new AppError('schedule.not_found', `there is no schedule '${scheduleId}' of runs`)
    return schedule
  }

  async function tell(
    tx: Tx,
    type: 'schedule.created' | 'schedule.changed' | 'schedule.removed',
    { by, schedule }: { by: Principal; schedule: RunSchedule },
  ): Promise<void> {
    const { id, flow, cron, timeZone, missed, overlap, paused, requestedBy } = schedule
    const target = `schedule:${id}`
    const detail = { flow, cron, timeZone, missed, overlap, paused, requestedBy }
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  /** A schedule that could not be started even now is a mistake of who makes it. Gives the title of its flow. */
  async function assertStartable(flowName: string, input: Json, by: Principal): Promise<string> {
    const flow = await flows.find(flowName)
    const parsed = flow.input.safeParse(input)
    if (!parsed.success) {
      const words = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
      throw new AppError('run.plan_invalid', `input: ${words}`)
    }
    // A vault token is known only while it is presented: nothing could be started in its name later.
    await principalNamed(identity, actorOf(by))
    const attributes = { flow: flowName, requestedBy: actorOf(by) }
    const resource = { type: 'Run', id: '*', attributes } as const
    const { allow, reason } = policy.decide({ principal: by, action: 'runs.start', resource })
    if (!allow) throw new AppError('policy.denied', reason)
    return flow.title
  }

  async function firingView(firing: Firing): Promise<RunFiring> {
    const { dueAt, cause, state, requestedBy, runId, reason } = firing
    const live = runId !== null && firing.runState === null
    const runState = live ? (await workflow.read(runId)).state : firing.runState
    return { dueAt: new Date(dueAt).toISOString(), cause, state, requestedBy, runId, runState, reason }
  }

  /** The earlier run that waits for a person, where no later one starts beside it. */
  async function heldBy({ id, overlap, paused }: RunSchedule): Promise<RunScheduleView['heldBy']> {
    if (overlap === 'allow' || paused) return null
    for (const { runId } of await openFirings(store, id)) {
      const run = runId === null ? undefined : await workflow.read(runId)
      if (run && waitsForPerson(run.state)) return { runId: run.id, runState: run.state }
    }
    return null
  }

  async function viewOf(schedule: RunSchedule): Promise<RunScheduleView> {
    const [last] = await readFirings(store, schedule.id, 1)
    const { createdAt, nextAt, ...rest } = schedule
    return {
      ...rest,
      createdAt: new Date(createdAt).toISOString(),
      nextAt: nextAt === null ? null : new Date(nextAt).toISOString(),
      last: last ? await firingView(last) : null,
      heldBy: await heldBy(schedule),
    }
  }

  /** What waits while a schedule is paused would come as a surprise when it goes on. */
  async function dropWaiting(tx: Tx, scheduleId: string): Promise<void> {
    const waiting = (await readFirings(tx, scheduleId, shownFirings)).filter(
      ({ state }) => state === 'waiting',
    )
    const end = { state: 'skipped', runId: null, reason: 'the schedule was paused' } as const
    for (const firing of waiting) await settleFiring(tx, firing, end)
  }

  async function assertFree(tx: Tx, { id, overlap }: RunSchedule): Promise<void> {
    const [latest] = await readFirings(tx, id, 1)
    if (latest?.state === 'waiting')
      throw new AppError('schedule.busy', `a time of schedule ${id} waits already`)
    if (overlap !== 'skip') return
    for (const { runId } of await openFirings(tx, id)) {
      const run = runId === null ? undefined : await workflow.read(runId)
      if (run && run.finishedAt === null)
        throw new AppError(
          'schedule.busy',
          `its run ${run.id} has not ended, and schedule ${id} lets no two overlap`,
        )
    }
  }

  return {
    list: async () => Promise.all((await readRunSchedules(store)).map(viewOf)),
    async read(scheduleId) {
      const view = await viewOf(await found(store, scheduleId))
      const firings = await readFirings(store, scheduleId, shownFirings)
      return { ...view, firings: await Promise.all(firings.map(firingView)) }
    },
    times({ cron, timeZone: asked }) {
      const timeZone = knownZone(asked)
      const times = nextTimes({ cron, timeZone }, { after: clock.now(), most: shownTimes })
      return { timeZone, items: times.map((time) => time.toISOString()) }
    },
    async create({ title, flow, input, ...rhythm }, by) {
      const flowTitle = await assertStartable(flow, input, by)
      const now = clock.now()
      const schedule: RunSchedule = {
        ...timed(rhythm, now),
        id: newId('sch', now),
        title: title ?? flowTitle,
        flow,
        input,
        paused: false,
        createdBy: actorOf(by),
        createdAt: now.getTime(),
        requestedBy: actorOf(by),
        started: 0,
        refused: 0,
        skipped: 0,
        missedSpans: 0,
      }
      await store.write(async (tx) => {
        await insertRunSchedule(tx, schedule)
        await tell(tx, 'schedule.created', { by, schedule })
      })
      return viewOf(schedule)
    },
    async change(scheduleId, change, by) {
      const before = await found(store, scheduleId)
      const { paused: _, ...own } = definedOf(change)
      const isOwn = Object.keys(own).length > 0
      if (isOwn) await assertStartable(before.flow, change.input ?? before.input, by)
      await store.write(async (tx) => {
        const schedule = changed(await found(tx, scheduleId), change, clock.now())
        const vouched = isOwn ? { ...schedule, requestedBy: actorOf(by) } : schedule
        await putRunSchedule(tx, vouched)
        if (vouched.paused) await dropWaiting(tx, scheduleId)
        await tell(tx, 'schedule.changed', { by, schedule: vouched })
      })
      return viewOf(await found(store, scheduleId))
    },
    async remove(scheduleId, by) {
      await store.write(async (tx) => {
        const schedule = await found(tx, scheduleId)
        await deleteRunSchedule(tx, scheduleId)
        await tell(tx, 'schedule.removed', { by, schedule })
      })
    },
    async run(scheduleId, by) {
      const { flow, input } = await found(store, scheduleId)
      await assertStartable(flow, input, by)
      await store.write(async (tx) => {
        const schedule = await found(tx, scheduleId)
        if (schedule.paused)
          throw new AppError('schedule.busy', `schedule ${scheduleId} is paused: let it go on first`)
        await assertFree(tx, schedule)
        const requestedBy = actorOf(by)
        const base = { scheduleId, cause: 'person', state: 'waiting', requestedBy } as const
        let dueAt = clock.now().getTime()
        while (!(await insertFiring(tx, { ...base, dueAt, runId: null, runState: null, reason: null })))
          dueAt += 1
        const target = `schedule:${scheduleId}`
        const entry = { outcome: 'intent', actor: requestedBy, target, detail: { cause: 'person' } } as const
        await audit.record(tx, { type: 'schedule.fired', ...entry })
      })
      looking.wake()
      return viewOf(await found(store, scheduleId))
    },
    async counts() {
      const held = await Promise.all((await readRunSchedules(store)).map(heldBy))
      return { ...(await countRunSchedules(store)), held: held.filter((by) => by).length }
    },
    start: looking.start,
    stop: looking.stop,
    idle: looking.idle,
  }
}

const definedOf = (change: RunScheduleChange): Partial<Changeable> =>
  Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))

function timed(rhythm: Rhythm, now: Date): Rhythm & { nextAt: number } {
  const { cron, missed, overlap } = rhythm
  const timeZone = knownZone(rhythm.timeZone)
  return { cron, timeZone, missed, overlap, nextAt: nextTime(cron, timeZone, now).getTime() }
}

/** A paused schedule misses its times: when it goes on, the next one counts. */
function changed(before: RunSchedule, change: RunScheduleChange, now: Date): RunSchedule {
  const wanted: RunSchedule = { ...before, ...definedOf(change) }
  const next = timed(wanted, now)
  const sameTimes =
    wanted.cron === before.cron && next.timeZone === before.timeZone && wanted.paused === before.paused
  return { ...wanted, ...next, nextAt: wanted.paused ? null : sameTimes ? before.nextAt : next.nextAt }
}
