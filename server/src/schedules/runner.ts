import type { ScanView } from '@keyward/contract'
import { AppError, actorOf, createLooking, reasonOf } from '../core/index.ts'
import type { SchedulesNeeds } from './needs.ts'
import { schedulePrincipal } from './principal.ts'
import type { Propose } from './propose.ts'
import {
  type Cause,
  dueSchedules,
  failRunning,
  markEnded,
  markStarted,
  readSchedule,
  type ScheduleRow,
  unproposed,
} from './schedules-store.ts'
import { nextTime } from './times.ts'

export type Runner = {
  /** Looks for what is due at once, and again and again until `stop`. */
  start(): Promise<void>
  stop(): void
  /** Something has been asked for. */
  wake(): void
  /** No scan of the same schedule goes on meanwhile. */
  inTurn<T>(scheduleId: string, work: () => Promise<T>): Promise<T>
  isBusy(scheduleId: string): boolean
  /** Resolves when nothing is due any more. */
  idle(): Promise<void>
}

/**
 * Starts scans that are due, one at a time. The turn is taken in the transaction that says so, before the scan begins: whatever ends
 * the process, no turn is taken twice. Turns that were missed while the server was away become one.
 */
export function createRunner(needs: SchedulesNeeds, propose: Propose): Runner {
  const { store, audit, bus, clock, log, findings, policy, vault } = needs
  const turns = new Map<string, Promise<unknown>>()
  const looking = createLooking({ clock, log }, look)
  let caughtUp = false

  function inTurn<T>(scheduleId: string, work: () => Promise<T>): Promise<T> {
    const before = turns.get(scheduleId) ?? Promise.resolve()
    const own = before.then(work, work)
    const settled = own.catch(() => undefined)
    turns.set(scheduleId, settled)
    void settled.then(() => {
      if (turns.get(scheduleId) === settled) turns.delete(scheduleId)
    })
    return own
  }

  /** In one transaction: still due, the next time is known, and the turn is taken. */
  async function take(scheduleId: string): Promise<{ row: ScheduleRow; cause: Cause } | undefined> {
    return store.write(async (tx) => {
      const row = await readSchedule(tx, scheduleId)
      const now = clock.now()
      const isDue = row?.next_at != null && row.next_at <= now.getTime()
      if (!row || row.paused === 1 || (row.requested === null && !isDue)) return undefined
      const cause = row.requested ?? 'schedule'
      const nextAt =
        isDue && row.cron !== null ? nextTime(row.cron, row.time_zone, now).getTime() : row.next_at
      await markStarted(tx, row.id, { now: now.getTime(), nextAt })
      const target = `schedule:${row.id}`
      const lateSeconds = isDue ? Math.round((now.getTime() - (row.next_at ?? 0)) / 1000) : 0
      await audit.record(tx, {
        type: 'schedule.fired',
        outcome: 'intent',
        actor: actorOf(schedulePrincipal),
        target,
        detail: { cause, lateSeconds },
      })
      await bus.publish(tx, { type: 'schedule.fired', subject: target })
      return { row, cause }
    })
  }

  async function scan({ row, cause }: { row: ScheduleRow; cause: Cause }): Promise<ScanView> {
    const decision = policy.decide({
      principal: schedulePrincipal,
      action: 'scans.start',
      resource: { type: 'Scan', id: '*' },
    })
    if (!decision.allow) throw new AppError('policy.denied', decision.reason)
    const { done } = await findings.startScan({
      path: row.root,
      // What a watched folder has missed stands in its files.
      history: row.history !== 'none' && cause !== 'watch',
      newCommits: row.history === 'new',
      by: schedulePrincipal,
      cause,
      scheduleId: row.id,
    })
    return done
  }

  async function fire(scheduleId: string): Promise<void> {
    const turn = await take(scheduleId)
    if (!turn) return
    const ended = await scan(turn).catch((error: unknown) => reasonOf(error))
    // The next start says that it was cut off.
    if (looking.isStopped()) return
    const failed = typeof ended === 'string'
    const scanned = failed ? undefined : ended
    const isWhole = scanned?.state === 'finished'
    const toPropose = isWhole && turn.row.propose === 1 && scanned.opened > 0 ? scanned.id : null
    await store.write((tx) =>
      markEnded(tx, scheduleId, {
        last_scan_id: scanned?.id ?? null,
        last_state: isWhole ? 'finished' : 'failed',
        last_finished_at: clock.now().getTime(),
        last_opened: scanned?.opened ?? 0,
        last_fixed: scanned?.fixed ?? 0,
        last_problem: failed ? ended : isWhole ? null : (scanned?.problems.at(-1)?.reason ?? null),
        to_propose: toPropose,
      }),
    )
    if (toPropose !== null) await propose(scheduleId, toPropose)
  }

  /** Once, as soon as the vault is open: what an earlier process found and did not get to propose. */
  async function catchUp(): Promise<void> {
    if (caughtUp) return
    for (const { id, to_propose } of await unproposed(store)) if (to_propose) await propose(id, to_propose)
    caughtUp = true
  }

  async function look(): Promise<void> {
    // A sealed vault keeps the key of fingerprints: what is due waits for it.
    if (vault.status().sealed) return
    await catchUp()
    for (const { id } of await dueSchedules(store, clock.now().getTime())) {
      if (looking.isStopped()) return
      await inTurn(id, () => fire(id)).catch((error: unknown) =>
        log.error({ schedule: id, reason: reasonOf(error) }, 'a scheduled scan could not be recorded'),
      )
    }
  }

  return {
    async start() {
      const cutOff = await store.write((tx) => failRunning(tx, clock.now().getTime()))
      if (cutOff.length > 0) log.warn({ schedules: cutOff }, 'scheduled scans were cut off by a stop')
      looking.start()
    },
    stop: looking.stop,
    wake: looking.wake,
    inTurn,
    isBusy: (scheduleId) => turns.has(scheduleId),
    async idle() {
      await looking.idle()
      await Promise.all(turns.values())
    },
  }
}
