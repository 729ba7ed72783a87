import type { PlannedTask } from './plan.ts'
import { undoAttempts } from './rules.ts'

/**
 * Tasks that come to be while a run goes on. `<id>.3` does the fourth item of a fanned-out task, `<id>.undo` takes back what a task
 * did. Their names say all of it, so that nothing besides the plan and the ids has to be stored.
 */
export type Derived = { readonly kind: 'item' | 'undo'; readonly of: string; readonly item: number | null }

export const itemId = (of: string, item: number): string => `${of}.${item}`
export const undoId = (id: string): string => `${id}.undo`

type Known = ReadonlyMap<string, PlannedTask>

export function derivedFrom(known: Known, id: string): Derived | undefined {
  if (known.has(id)) return undefined
  const undone = /^(.+)\.undo$/.exec(id)?.[1]
  const [, of, item] = /^(.+)\.(\d+)$/.exec(undone ?? id) ?? []
  const fanned = of !== undefined && known.get(of)?.forEach ? { of, item: Number(item) } : undefined
  if (fanned) return { kind: undone === undefined ? 'item' : 'undo', ...fanned }
  return undone !== undefined && known.get(undone)?.compensate
    ? { kind: 'undo', of: undone, item: null }
    : undefined
}

/** The task by this id as the plan means it: of the plan itself, an item or an undo. */
export function plannedTaskOf(known: Known, id: string): PlannedTask | undefined {
  const own = known.get(id)
  if (own) return own
  const derived = derivedFrom(known, id)
  const base = derived && known.get(derived.of)
  if (!base) return undefined
  const { forEach: _list, when: _when, fallbackFor: _other, ...kept } = base
  const number = derived.item === null ? '' : ` (${derived.item + 1})`
  if (derived.kind === 'item') return { ...kept, id, title: `${base.title}${number}` }
  return undoOf({ ...kept, title: `${base.title}${number}` }, id)
}

function undoOf(
  {
    compensate,
    approval: _asked,
    after: _after,
    concurrencyKey: _key,
    concurrencyLimit: _limit,
    ...base
  }: PlannedTask,
  id: string,
): PlannedTask | undefined {
  if (!compensate) return undefined
  return {
    ...base,
    id,
    title: `Undo: ${base.title}`,
    action: compensate.action,
    args: compensate.args,
    retry: base.retry ?? undoAttempts,
    ...(compensate.approval ? { approval: compensate.approval } : {}),
  }
}
