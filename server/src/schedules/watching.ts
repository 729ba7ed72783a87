import type { ScheduleView } from '@keyward/contract'
import { reasonOf } from '../core/index.ts'
import type { SchedulesNeeds } from './needs.ts'
import { schedulePrincipal } from './principal.ts'
import type { Propose } from './propose.ts'
import type { Runner } from './runner.ts'
import { type ScheduleRow, setToPropose } from './schedules-store.ts'

export type Watching = {
  /** Watches the folders of these schedules and no others. */
  follow(rows: readonly ScheduleRow[]): void
  stateOf(scheduleId: string): NonNullable<ScheduleView['watching']>
  stop(): void
}

type Watch = { readonly end: AbortController; state: 'on' | 'failing'; problem: string | null }

const tryAgainMilliseconds = 30_000

/** Looks at files again as they change. What changed while nobody watched is found by a scan of the whole folder at the beginning. */
export function createWatching(
  { store, clock, log, findings, vault }: SchedulesNeeds,
  runner: Pick<Runner, 'inTurn'>,
  propose: Propose,
  /** Asks for a scan of the whole folder. */
  ask: (scheduleId: string) => Promise<void>,
): Watching {
  const watches = new Map<string, Watch>()

  async function look(row: ScheduleRow, present: readonly string[], gone: readonly string[]): Promise<void> {
    const began = { by: schedulePrincipal, cause: 'watch', scheduleId: row.id } as const
    const scan = await findings.scanFiles({ path: row.root, present, gone, ...began })
    if (row.propose === 0 || scan.opened === 0) return
    await store.write((tx) => setToPropose(tx, row.id, scan.id))
    await propose(row.id, scan.id)
  }

  async function watch(row: ScheduleRow, own: Watch): Promise<void> {
    const changes = await findings.changedFiles(row.root, own.end.signal)
    const batches = changes[Symbol.asyncIterator]()
    // It begins to watch here: what changes while the folder is scanned is told afterwards.
    let next = batches.next()
    await ask(row.id)
    for (;;) {
      const { done, value } = await next
      if (done || own.end.signal.aborted) return
      next = batches.next()
      if (vault.status().sealed) continue
      await runner.inTurn(row.id, () => look(row, value.present, value.gone))
      own.state = 'on'
      own.problem = null
    }
  }

  function begin(row: ScheduleRow): void {
    const own: Watch = { end: new AbortController(), state: 'on', problem: null }
    watches.set(row.id, own)
    const go = (): void => {
      watch(row, own).catch((error: unknown) => {
        if (own.end.signal.aborted) return
        own.state = 'failing'
        own.problem = reasonOf(error)
        log.warn({ schedule: row.id, reason: own.problem }, 'a folder cannot be watched; it is tried again')
        const cancel = clock.after(tryAgainMilliseconds, go)
        own.end.signal.addEventListener('abort', cancel, { once: true })
      })
    }
    go()
  }

  function end(scheduleId: string): void {
    watches.get(scheduleId)?.end.abort()
    watches.delete(scheduleId)
  }

  return {
    follow(rows) {
      const wanted = new Map(
        rows.filter((row) => row.watch === 1 && row.paused === 0).map((row) => [row.id, row]),
      )
      for (const id of [...watches.keys()]) if (!wanted.has(id)) end(id)
      for (const [id, row] of wanted) if (!watches.has(id)) begin(row)
    },
    stateOf(scheduleId) {
      const own = watches.get(scheduleId)
      return own ? { state: own.state, problem: own.problem } : { state: 'off', problem: null }
    },
    stop() {
      for (const id of [...watches.keys()]) end(id)
    },
  }
}
