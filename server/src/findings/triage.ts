import { AppError, actorOf, type Principal, systemPrincipal } from '../core/index.ts'
import type { Tx } from '../store/index.ts'
import { expiredIgnores, findingsById, moveFindings } from './findings-store.ts'
import type { FindingsNeeds } from './needs.ts'

export type Triage = {
  /** All or none; `until` opens them again by itself. */
  ignore(findingIds: readonly string[], why: IgnoreReason, by: Principal): Promise<string[]>
  /** Takes an ignoring back. */
  reopen(findingIds: readonly string[], by: Principal): Promise<string[]>
  /** Opens those whose time of being ignored is over. */
  expireIgnores(): Promise<string[]>
}

type IgnoreReason = { readonly reason: string; readonly until?: Date | null }

export function createTriage({
  store,
  audit,
  bus,
  clock,
}: Pick<FindingsNeeds, 'store' | 'audit' | 'bus' | 'clock'>): Triage {
  async function assertKnown(ids: readonly string[]): Promise<void> {
    const known = new Set((await findingsById(store, ids)).map(({ id }) => id))
    const missing = ids.find((id) => !known.has(id))
    if (missing !== undefined) throw new AppError('finding.not_found', `there is no finding '${missing}'`)
  }

  function assertAllMoved(ids: readonly string[], moved: readonly string[], state: string): void {
    if (moved.length === ids.length) return
    const others = ids.filter((id) => !moved.includes(id))
    throw new AppError('finding.state', `not ${state}: ${others.join(', ')}. Nothing was changed.`)
  }

  async function tell(
    tx: Tx,
    type: 'finding.ignored' | 'finding.reopened',
    ids: readonly string[],
    actor: string,
    detail: { [key: string]: string | null },
  ): Promise<void> {
    for (const id of ids) {
      const target = `finding:${id}`
      await audit.record(tx, { type, outcome: 'done', actor, target, detail })
      await bus.publish(tx, { type, subject: target })
    }
  }

  const open = (tx: Tx, ids: readonly string[], actor: string, reason: string | null): Promise<string[]> =>
    moveFindings(tx, ids, ['ignored'], { state: 'open', runId: null, reason, at: clock.now(), actor })

  return {
    async ignore(findingIds, { reason, until = null }, by) {
      const ids = [...new Set(findingIds)]
      if (until && until <= clock.now())
        throw new AppError('request.invalid', `${until.toISOString()} has gone by: name a later day, or none`)
      await assertKnown(ids)
      const actor = actorOf(by)
      return store.write(async (tx) => {
        const to = { state: 'ignored', runId: null, reason, at: clock.now(), actor } as const
        const moved = await moveFindings(tx, ids, ['open', 'restored', 'fixed'], {
          ...to,
          until: until?.getTime() ?? null,
        })
        assertAllMoved(ids, moved, 'open')
        await tell(tx, 'finding.ignored', moved, actor, { reason, until: until?.toISOString() ?? null })
        return moved
      })
    },
    async reopen(findingIds, by) {
      const ids = [...new Set(findingIds)]
      await assertKnown(ids)
      const actor = actorOf(by)
      return store.write(async (tx) => {
        const moved = await open(tx, ids, actor, null)
        assertAllMoved(ids, moved, 'ignored')
        await tell(tx, 'finding.reopened', moved, actor, {})
        return moved
      })
    },
    async expireIgnores() {
      if ((await expiredIgnores(store, clock.now())).length === 0) return []
      const actor = actorOf(systemPrincipal('findings'))
      const reason = 'The time for which it was ignored is over.'
      return store.write(async (tx) => {
        const moved = await open(tx, await expiredIgnores(tx, clock.now()), actor, reason)
        await tell(tx, 'finding.reopened', moved, actor, { reason })
        return moved
      })
    },
  }
}
