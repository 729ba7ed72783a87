import type { RunState } from '@keyward/contract'
import { AppError, actorOf, reasonOf } from '../core/index.ts'
import { principalNamed } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import { dueAt } from './firing.ts'
import {
  deleteOldFirings,
  type Firing,
  insertFiring,
  insertMissed,
  openFirings,
  type RunSchedule,
  readRunSchedule,
  setNextTime,
  setRunState,
  settleFiring,
  waitingFirings,
} from './firings-store.ts'
import type { RunSchedulesNeeds } from './needs.ts'
import { schedulePrincipal } from './principal.ts'

/** Takes the times that are due, and starts a run for each. */
export type RunStarter = {
  /** In one transaction: still due, its times are taken, and the next one is known. */
  take(scheduleId: string): Promise<void>
  /** Starts what waits, as far as its schedule lets it now. */
  startWaiting(isStopped: () => boolean): Promise<void>
}

const keptFirings = 100
/** How many times may wait for the end of an earlier run. */
const mostQueued = 10
/** How many runs of one schedule may go on at once where they may overlap. */
const mostAtOnce = 50
const endStates: readonly RunState[] = ['Succeeded', 'Failed', 'Cancelled']
type GoingOn = { readonly id: string; readonly state: RunState }

/** Such a run goes on when somebody says so, and not by itself. */
export const waitsForPerson = (state: RunState): boolean =>
  state === 'AwaitingApproval' || state === 'AwaitingPerson' || state === 'Paused'

export function createRunStarter(needs: RunSchedulesNeeds): RunStarter {
  const { store, audit, bus, clock, log, policy, flows, workflow, identity } = needs

  async function tell(tx: Tx, { id, requestedBy }: RunSchedule, due: readonly Date[]): Promise<void> {
    const target = `schedule:${id}`
    const detail = { cause: 'clock', dueAt: due.map((time) => time.toISOString()), requestedBy }
    const entry = { outcome: 'intent', actor: actorOf(schedulePrincipal), target, detail } as const
    await audit.record(tx, { type: 'schedule.fired', ...entry })
    await bus.publish(tx, { type: 'schedule.fired', subject: target })
  }

  async function take(scheduleId: string): Promise<void> {
    await store.write(async (tx) => {
      const schedule = await readRunSchedule(tx, scheduleId)
      const now = clock.now()
      if (!schedule || schedule.paused || schedule.nextAt === null || schedule.nextAt > now.getTime()) return
      const due = dueAt(schedule, new Date(schedule.nextAt), now)
      const { requestedBy } = schedule
      const base = { scheduleId, cause: 'clock', requestedBy, runId: null, runState: null } as const
      if (due.missed) {
        const reason = `times from ${due.missed.from.toISOString()} on went by and are not made up for`
        const missed = { ...base, dueAt: due.missed.to.getTime(), state: 'missed', reason } as const
        await insertMissed(tx, missed)
      }
      for (const time of due.run)
        await insertFiring(tx, { ...base, dueAt: time.getTime(), state: 'waiting', reason: null })
      await setNextTime(tx, scheduleId, due.nextAt.getTime())
      await deleteOldFirings(tx, scheduleId, keptFirings)
      await tell(tx, schedule, due.run)
    })
  }

  /** Those of its runs that go on. Ends that are seen are kept, for the list and for the next look. */
  async function goingOn(scheduleId: string): Promise<GoingOn[]> {
    const runs: GoingOn[] = []
    for (const firing of await openFirings(store, scheduleId)) {
      if (firing.runId === null) continue
      const { id, state } = await workflow.read(firing.runId)
      if (endStates.includes(state)) await store.write((tx) => setRunState(tx, firing, state))
      else runs.push({ id, state })
    }
    return runs
  }

  const settle = (firing: Firing, state: 'skipped' | 'refused', reason: string): Promise<void> =>
    store.write(async (tx) => {
      if (!(await settleFiring(tx, firing, { state, runId: null, reason }))) return
      const target = `schedule:${firing.scheduleId}`
      const detail = { dueAt: new Date(firing.dueAt).toISOString(), state, reason }
      const outcome = state === 'refused' ? 'denied' : 'done'
      await audit.record(tx, { type: 'schedule.fired', outcome, actor: firing.requestedBy, target, detail })
      await bus.publish(tx, { type: 'schedule.fired', subject: target })
    })

  /** Its run and the mark that says so commit together: whatever ends the process, no time is run twice. */
  async function start({ id, flow, input }: RunSchedule, firing: Firing): Promise<void> {
    const by = await principalNamed(identity, firing.requestedBy)
    const attributes = { flow, requestedBy: actorOf(by) }
    const resource = { type: 'Run', id: '*', attributes } as const
    const { allow, reason } = policy.decide({ principal: by, action: 'runs.start', resource })
    if (!allow) throw new AppError('policy.denied', reason)
    const plan = await flows.plan({ flow, input, by })
    await flows.startPlan({
      plan: { ...plan, input },
      by,
      // Nobody answers for it: its approvals ask.
      unattended: false,
      idempotencyKey: `schedule ${id} at ${new Date(firing.dueAt).toISOString()}`,
      async along(tx, { id: runId }) {
        if (!(await settleFiring(tx, firing, { state: 'started', runId, reason: null })))
          throw new AppError('request.conflict', 'this time of the schedule does not wait any more')
        const target = `schedule:${id}`
        const detail = { dueAt: new Date(firing.dueAt).toISOString() }
        const actor = actorOf(schedulePrincipal)
        await audit.record(tx, {
          type: 'schedule.fired',
          outcome: 'done',
          actor,
          target,
          correlation: runId,
          detail,
        })
        await bus.publish(tx, { type: 'schedule.fired', subject: target, data: { runId } })
      },
    })
  }

  /** Why it may not start yet, or not at all. */
  async function hindrance(
    { overlap, id }: RunSchedule,
    waitingBefore: number,
  ): Promise<{ wait: boolean; reason: string } | undefined> {
    const runs = await goingOn(id)
    const [first] = runs
    if (first === undefined) return undefined
    if (overlap === 'allow' && runs.length < mostAtOnce) return undefined
    const why = waitsForPerson(first.state) ? `: it waits for a person (${first.state})` : ''
    if (overlap === 'queue') {
      const full = waitingBefore >= mostQueued
      return { wait: !full, reason: `${mostQueued} times wait already for the end of run ${first.id}${why}` }
    }
    const reason =
      overlap === 'skip' ? `run ${first.id} had not ended${why}` : `${runs.length} of its runs go on`
    return { wait: false, reason }
  }

  async function attend(firing: Firing, waitingBefore: number): Promise<boolean> {
    const schedule = await readRunSchedule(store, firing.scheduleId)
    if (!schedule) return false
    const hindered = await hindrance(schedule, waitingBefore)
    if (hindered?.wait) return true
    if (hindered) await settle(firing, 'skipped', hindered.reason)
    else
      await start(schedule, firing).catch(async (error: unknown) => {
        // The store is not there, or is busy: the time goes on waiting.
        if (error instanceof AppError && /^(?:store|vault|audit)\./.test(error.code)) throw error
        if (!(error instanceof AppError))
          log.error(
            { schedule: schedule.id, reason: reasonOf(error) },
            'a scheduled run could not be started',
          )
        await settle(firing, 'refused', refusalOf(error))
      })
    return false
  }

  return {
    take,
    async startWaiting(isStopped) {
      const waiting = new Map<string, number>()
      for (const firing of await waitingFirings(store)) {
        if (isStopped()) return
        const { scheduleId, dueAt: at } = firing
        const before = waiting.get(scheduleId) ?? 0
        const waits = await attend(firing, before).catch((error: unknown) => {
          log.error({ schedule: scheduleId, at, reason: reasonOf(error) }, 'a scheduled run has to wait')
          return true
        })
        if (waits) waiting.set(scheduleId, before + 1)
      }
    },
  }
}

/** Of what nobody foresaw, nobody has looked whether it names a secret. */
const refusalOf = (error: unknown): string =>
  error instanceof AppError
    ? `${error.code}: ${error.detail ?? error.message}`
    : 'server.internal: it could not be started; the log of the server has more'
