import { randomBytes } from 'node:crypto'
import { AppError, actorOf, type Principal } from '../core/index.ts'
import { createRefusalRecorder } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import type { SchedulesNeeds } from './needs.ts'
import { type Delivery, readPush } from './push.ts'
import {
  deleteDeliveriesBefore,
  insertDelivery,
  type Provider,
  readSchedule,
  requestScan,
  type ScheduleRow,
  setHookReady,
} from './schedules-store.ts'

export type Hooks = {
  /** Takes what a provider sends. Throws `push.refused`, `push.repeated`. False for what is no push. */
  receive(scheduleId: string, delivery: Delivery): Promise<boolean>
  /** A new secret; the one before ends. Shown once. */
  issue(row: ScheduleRow, by: Principal): Promise<string>
  forget(tx: Tx, scheduleId: string): Promise<void>
}

/** As long as a delivery is known, the same one is refused. */
const knownMilliseconds = 400 * 86_400_000
const secretPath = (scheduleId: string): string => `schedules/${scheduleId}`

/** Webhooks of git providers. A push only says that there is something to look at: the server fetches nothing. */
export function createHooks(
  { store, audit, bus, clock, log, vault }: SchedulesNeeds,
  wake: () => void,
): Hooks {
  const recordRefusal = createRefusalRecorder({ audit, clock, log })

  async function listening(scheduleId: string) {
    const row = await readSchedule(store, scheduleId)
    // Which of these it is, whoever asks does not learn.
    if (!row?.push_provider || row.push_repository === null)
      throw new AppError('push.refused', 'nobody listens here')
    const secret = await vault.sealed.get(secretPath(scheduleId))
    if (!secret) throw new AppError('push.refused', 'nobody listens here')
    return { provider: row.push_provider, repository: row.push_repository, secret, paused: row.paused === 1 }
  }

  async function accept(
    scheduleId: string,
    provider: Provider,
    { id: deliveryId, digest }: { id: string; digest: string },
  ): Promise<void> {
    await store.write(async (tx) => {
      const at = clock.now().getTime()
      await deleteDeliveriesBefore(tx, at - knownMilliseconds)
      if (!(await insertDelivery(tx, { scheduleId, deliveryId, digest, at })))
        throw new AppError('push.repeated', 'a delivery of this id or content has been taken before')
      await requestScan(tx, scheduleId, 'push')
      const target = `schedule:${scheduleId}`
      const detail = { deliveryId, provider }
      await audit.record(tx, { type: 'push.received', outcome: 'done', actor: 'system:push', target, detail })
      await bus.publish(tx, { type: 'push.received', subject: target })
    })
    wake()
  }

  return {
    async receive(scheduleId, delivery) {
      try {
        const hook = await listening(scheduleId)
        const push = readPush(hook, delivery)
        if (hook.paused) throw new AppError('push.refused', 'the schedule is paused')
        if (push.isPush) await accept(scheduleId, hook.provider, push)
        return push.isPush
      } catch (error) {
        if (error instanceof AppError && (error.code === 'push.refused' || error.code === 'push.repeated'))
          await recordRefusal({
            type: 'push.refused',
            actor: 'system:push',
            target: `schedule:${scheduleId.slice(0, 60)}`,
            reason: error.detail ?? error.message,
          })
        throw error
      }
    },
    async issue(row, by) {
      if (row.push_provider === null)
        throw new AppError('schedule.no_push', `schedule ${row.id} was made without a push`)
      const secret = randomBytes(32).toString('base64url')
      await store.write(async (tx) => {
        await vault.sealed.put(tx, secretPath(row.id), Buffer.from(secret))
        await setHookReady(tx, row.id)
        const target = `schedule:${row.id}`
        await audit.record(tx, {
          type: 'schedule.secret_issued',
          outcome: 'done',
          actor: actorOf(by),
          target,
        })
        await bus.publish(tx, { type: 'schedule.secret_issued', subject: target })
      })
      return secret
    },
    async forget(tx, scheduleId) {
      await vault.sealed.delete(tx, secretPath(scheduleId))
    },
  }
}
