import type { Clock } from '../../core/index.ts'
import { keyOf } from '../inputs.ts'
import type { PlannedTask } from '../plan.ts'
import { plannedOf, type RunRecord } from '../run-record.ts'
import type { Command } from '../run-status.ts'
import { priorityOf, type Shared, type SharedKeys, sharedBy } from '../shared-keys.ts'

/**
 * Whose turn it is among the tasks of Temporal's runs that could begin. Who has to wait for a key stands in line here, and not in
 * Temporal, where it would take the place of a worker from a task that need not wait.
 */
export type Turns = {
  /** Of what a run could begin, the tasks that may. The run is told when the turn of another comes. */
  look(run: RunRecord, commands: readonly Command[]): ReadonlySet<string>
  /** Takes the key of the task; false when somebody was faster, and then the task stands in line. */
  take(run: RunRecord, taskId: string): boolean
  free(run: RunRecord, taskId: string): void
  /** Forgets a run that has ended. */
  forget(runId: string): void
  /** Tells those again who were told a while ago and have not begun: their workflow may have been terminated. */
  remind(): void
  /** Forgets what waits, and holds what is held. */
  clear(): void
}

type Needs = {
  clock: Clock
  keys: SharedKeys
  /** There is something to do for the run. */
  tell: (runId: string) => void
  /** The task could not begin in the time that its plan gives it. */
  giveUp: (late: { runId: string; taskId: string; attempt: number; seconds: number }) => void
}

type Waiting = {
  readonly runId: string
  readonly taskId: string
  readonly shared: Shared
  readonly priority: number
  toldAt: number | undefined
}
type Limit = { readonly runId: string; readonly attempt: number; readonly cancel: () => void }

const remindMs = 30_000

export function createTurns({ clock, keys, tell, giveUp }: Needs): Turns {
  const line = new Map<string, Waiting>()
  const limits = new Map<string, Limit>()
  const held = keys.of(call)

  const inLineFor = (key: string): Waiting[] =>
    [...line.values()].filter(({ shared }) => shared.key === key).sort((a, b) => b.priority - a.priority)

  /** Those of the line who may begin: as many as there is room for. */
  const nextFor = (key: string): Waiting[] =>
    inLineFor(key).filter(({ shared }, ahead) => ahead < held.room(shared))

  function call(key: string): void {
    for (const one of nextFor(key)) if (one.toldAt === undefined) callOne(one)
  }

  function callOne(one: Waiting): void {
    one.toldAt = clock.now().getTime()
    tell(one.runId)
  }

  function stand(run: RunRecord, planned: PlannedTask): void {
    const shared = sharedBy(planned)
    const name = keyOf(run.id, planned.id)
    if (!shared || line.has(name) || held.holds(shared, name)) return
    line.set(name, {
      runId: run.id,
      taskId: planned.id,
      shared,
      priority: priorityOf(run),
      toldAt: undefined,
    })
  }

  function mayBegin(run: RunRecord, planned: PlannedTask): boolean {
    const shared = sharedBy(planned)
    if (!shared) return true
    const own = line.get(keyOf(run.id, planned.id))
    if (!own || !nextFor(shared.key).includes(own)) return false
    own.toldAt = clock.now().getTime()
    return true
  }

  function limitWait(runId: string, planned: PlannedTask, attempt: number): void {
    const { id: taskId, startTimeoutSeconds: seconds } = planned
    const name = keyOf(runId, taskId)
    if (seconds === undefined || limits.get(name)?.attempt === attempt) return
    limits.get(name)?.cancel()
    const cancel = clock.after(seconds * 1000, () => {
      limits.delete(name)
      giveUp({ runId, taskId, attempt, seconds })
    })
    limits.set(name, { runId, attempt, cancel })
  }

  /** What the run could begin before and cannot now leaves its place to others. */
  function leave(runId: string, still: ReadonlySet<string>): void {
    for (const [name, limit] of limits)
      if (limit.runId === runId && !still.has(name)) {
        limit.cancel()
        limits.delete(name)
      }
    const left = [...line].filter(([name, one]) => one.runId === runId && !still.has(name))
    for (const [name] of left) line.delete(name)
    for (const [, { shared }] of left) call(shared.key)
  }

  return {
    look(run, commands) {
      const starts = commands.flatMap((command) => {
        const planned = command.type === 'StartTask' ? plannedOf(run, command.taskId) : undefined
        return command.type === 'StartTask' && planned ? [{ planned, attempt: command.attempt }] : []
      })
      leave(run.id, new Set(starts.map(({ planned }) => keyOf(run.id, planned.id))))
      for (const { planned, attempt } of starts) {
        stand(run, planned)
        limitWait(run.id, planned, attempt)
      }
      return new Set(starts.flatMap(({ planned }) => (mayBegin(run, planned) ? [planned.id] : [])))
    },
    take(run, taskId) {
      const planned = plannedOf(run, taskId)
      const shared = planned && sharedBy(planned)
      if (!planned || !shared) return true
      const name = keyOf(run.id, taskId)
      if (held.room(shared) < 1) {
        stand(run, planned)
        const own = line.get(name)
        if (own) own.toldAt = undefined
        return false
      }
      line.delete(name)
      held.take(shared, name)
      return true
    },
    free(run, taskId) {
      const planned = plannedOf(run, taskId)
      const shared = planned && sharedBy(planned)
      if (!shared) return
      held.free(shared, keyOf(run.id, taskId))
      call(shared.key)
    },
    forget: (runId) => leave(runId, new Set()),
    remind() {
      const before = clock.now().getTime() - remindMs
      for (const one of line.values())
        if (one.toldAt !== undefined && one.toldAt <= before && nextFor(one.shared.key).includes(one))
          callOne(one)
    },
    clear() {
      line.clear()
      for (const { cancel } of limits.values()) cancel()
      limits.clear()
    },
  }
}
