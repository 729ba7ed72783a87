import { actorOf, type Clock, systemPrincipal } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import { type Approval, noteEscalated, noteReminded, readApproval } from './approvals-store.ts'
import type { Recorder } from './record.ts'
import type { Pending } from './waiting-store.ts'

type Needs = {
  store: Pick<Store, 'write'>
  clock: Clock
  recorder: Pick<Recorder, 'tell'>
  /** The step is committed, and another may follow. */
  onStep: (approval: Pending) => void
}

/** For what waits too long: a reminder once, then the people of other groups once. Whether it is time is the caller's to say. */
export function createReminders({ store, clock, recorder, onStep }: Needs): {
  remind(id: string): Promise<void>
} {
  const actor = actorOf(systemPrincipal('clock'))

  const remind = (id: string): Promise<void> =>
    store.write(async (tx) => {
      const approval = await readApproval(tx, id)
      const step = approval?.state === 'pending' ? nextStep(approval) : undefined
      if (!approval || !step) return
      const noted = await note[step.what](tx, approval, clock.now().getTime())
      if (!noted) return
      const detail = step.what === 'reminded' ? {} : { escalatedTo: [...noted.escalateTo] }
      await recorder.tell(tx, step.what, noted, { actor, detail })
      tx.afterCommit(() => onStep(noted))
    })

  return { remind }
}

const note = {
  reminded: (tx: Tx, { id }: Approval, at: number) => noteReminded(tx, id, at),
  /** Where anybody may answer already, nobody is added; it is said all the same. */
  escalated(tx: Tx, { id, groups, escalateTo }: Approval, at: number) {
    const wider = groups.length === 0 ? [] : [...new Set([...groups, ...escalateTo])]
    return noteEscalated(tx, id, wider, at)
  },
}

/** What comes next while nobody answers, and when; in the same order as in the queries of what is due. */
export function nextStep({
  remindAt,
  remindedAt,
  escalateAt,
  escalatedAt,
}: Pick<Pending, 'remindAt' | 'remindedAt' | 'escalateAt' | 'escalatedAt'>) {
  if (remindAt !== null && remindedAt === null) return { what: 'reminded', at: remindAt } as const
  if (escalateAt !== null && escalatedAt === null) return { what: 'escalated', at: escalateAt } as const
  return undefined
}
