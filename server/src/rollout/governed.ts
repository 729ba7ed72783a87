import type { Json } from '@keyward/contract'
import type { Action } from '../workflow/index.ts'
import type { JudgedTask, Judging } from './judging.ts'

/** What an action is, whatever a plan says of it. */
export type ActionNature = Pick<JudgedTask, 'risk' | 'effect' | 'environment'>

/** What nobody has called a look changes something; what plans cannot name is known by Keyward's own flows alone. */
export async function natureOf(action: Action | undefined, args: Json): Promise<ActionNature> {
  const effect = action?.effect ?? 'write'
  const risk = action?.offered?.risk ?? (effect === 'read' ? 'low' : 'high')
  return { risk, effect, environment: await action?.environment?.(args) }
}

/** The actions, each of which asks right before it runs whether who wanted the run may still have it. */
export const governed = (actions: readonly Action[], { allowTask }: Pick<Judging, 'allowTask'>): Action[] =>
  actions.map((action) => ({
    ...action,
    async execute(context) {
      const { requestedBy, runId, taskId: id, args } = context
      await allowTask(requestedBy, runId, { id, action: action.name, ...(await natureOf(action, args)) })
      return action.execute(context)
    },
  }))
