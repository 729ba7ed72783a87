import { randomBytes } from 'node:crypto'
import { AppError, actorOf, type Principal } from '../core/index.ts'
import { type Delivery, forgetDeliveries, takeDelivery } from '../hooks/index.ts'
import { createRefusalRecorder } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import type { SchedulesNeeds } from './needs.ts'
import { readPush, whyUnsigned } from './push.ts'
import {
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

type Listening = {
  readonly provider: Provider
  readonly repository: string
  readonly secret: Buffer
  readonly paused: boolean
}

const secretPath = (scheduleId: string): string => `schedules/${scheduleId}`

/** Webhooks of git providers. A push only says that there is something to look at: the server fetches nothing. */
export function createHooks(
  { store, audit, bus, clock, log, vault }: SchedulesNeeds,
  wake: () => void,
): Hooks {
  const recordRefusal = createRefusalRecorder({ audit, clock, log })

  async function listening(scheduleId: string): Promise<Listening | undefined> {
    const row = await readSchedule(store, scheduleId)
    if (!row?.push_provider || row.push_repository === null) return undefined
    const secret = await vault.sealed.get(secretPath(scheduleId))
    if (!secret) return undefined
    return { provider: row.push_provider, repository: row.push_repository, secret, paused: row.paused === 1 }
  }

  async function assertSigned(scheduleId: string, delivery: Delivery): Promise<Listening> {
    const hook = await listening(scheduleId)
    const why = hook ? whyUnsigned(hook, delivery) : 'nobody listens here'
    if (hook && why === undefined) return hook
    await refuse(scheduleId, why ?? '')
    // Which of these it is, whoever asks does not learn.
    throw new AppError('push.refused', 'nobody listens here, or it is not signed as it must be')
  }

  const refuse = (scheduleId: string, reason: string): Promise<void> =>
    recordRefusal({
      type: 'push.refused',
      actor: 'system:push',
      target: `schedule:${scheduleId.slice(0, 60)}`,
      reason,
    })

  async function accept(
    scheduleId: string,
    provider: Provider,
    { id: deliveryId, digest }: { id: string; digest: string },
  ): Promise<void> {
    await store.write(async (tx) => {
      const at = clock.now().getTime()
      const about = { event: 'push', provider }
      if (!(await takeDelivery(tx, { listenerId: scheduleId, deliveryId, digest, at, about })))
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
      const hook = await assertSigned(scheduleId, delivery)
      try {
        const push = readPush(hook, delivery)
        if (hook.paused) throw new AppError('push.refused', 'the schedule is paused')
        if (push.isPush) await accept(scheduleId, hook.provider, push)
        return push.isPush
      } catch (error) {
        if (error instanceof AppError && (error.code === 'push.refused' || error.code === 'push.repeated'))
          await refuse(scheduleId, error.detail ?? error.message)
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
      await forgetDeliveries(tx, scheduleId)
    },
  }
}
