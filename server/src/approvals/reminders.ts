import { actorOf, type Clock, systemPrincipal } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import { type Approval, noteEscalated, noteReminded, type Pending, readApproval } from './approvals-store.ts'
import { createExpiry } from './expiry.ts'
import type { Recorder } from './record.ts'

type Needs = {
  store: Pick<Store, 'write'>
  clock: Clock
  recorder: Pick<Recorder, 'tell'>
  inBackground: (work: () => Promise<unknown>) => void
}

/** For what waits too long: a reminder once, then the people of other groups once. */
export type Reminders = { arm(approval: Pending): void; disarm(id: string): void; clear(): void }

export function createReminders({ store, clock, recorder, inBackground }: Needs): Reminders {
  const timers = createExpiry(clock, (id) => inBackground(() => remind(id)))
  const actor = actorOf(systemPrincipal('clock'))

  function arm(approval: Pending): void {
    const step = nextStep(approval)
    if (step) timers.arm({ id: approval.id, requestedAt: approval.requestedAt, expiresAt: step.at })
  }

  /** Whether it is time is the timer's to say. */
  const remind = (id: string): Promise<void> =>
    store.write(async (tx) => {
      const approval = await readApproval(tx, id)
      const step = approval?.state === 'pending' ? nextStep(approval) : undefined
      if (!approval || !step) return
      const noted = await note[step.what](tx, approval, clock.now().getTime())
      if (!noted) return
      const detail = step.what === 'reminded' ? {} : { escalatedTo: [...noted.escalateTo] }
      await recorder.tell(tx, step.what, noted, { actor, detail })
      tx.afterCommit(() => arm(noted))
    })

  return { arm, disarm: timers.disarm, clear: timers.clear }
}

const note = {
  reminded: (tx: Tx, { id }: Approval, at: number) => noteReminded(tx, id, at),
  /** Where anybody may answer already, nobody is added; it is said all the same. */
  escalated(tx: Tx, { id, groups, escalateTo }: Approval, at: number) {
    const wider = groups.length === 0 ? [] : [...new Set([...groups, ...escalateTo])]
    return noteEscalated(tx, id, wider, at)
  },
}

function nextStep({ remindAt, remindedAt, escalateAt, escalatedAt }: Pending) {
  if (remindAt !== null && remindedAt === null) return { what: 'reminded', at: remindAt } as const
  if (escalateAt !== null && escalatedAt === null) return { what: 'escalated', at: escalateAt } as const
  return undefined
}
