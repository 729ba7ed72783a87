import { higherRisk } from '../core/index.ts'
import type { Action, TaskContext } from '../workflow/index.ts'
import type { JudgedTask, Judging } from './judging.ts'

type Said = Pick<TaskContext, 'args' | 'risk'>

export type ActionNature = Pick<JudgedTask, 'risk' | 'effect' | 'environment'>

/**
 * What a task is. Its effect, and how much it risks at the least, its action says itself, whatever a plan says of it; what has a place
 * in Keyward's own flows alone risks what they say, which is what a person was shown. What nobody has called a look changes something.
 */
export async function natureOf(action: Action | undefined, { args, risk }: Said): Promise<ActionNature> {
  return {
    risk: higherRisk(risk, action?.offered?.risk ?? 'low'),
    effect: action?.effect ?? 'write',
    environment: await action?.environment?.(args),
  }
}

/** The actions, each of which asks right before it runs whether who wanted the run may still have it. */
export const governed = (actions: readonly Action[], { allowTask }: Pick<Judging, 'allowTask'>): Action[] =>
  actions.map((action) => ({
    ...action,
    async execute(context) {
      const { requestedBy, runId, taskId: id } = context
      await allowTask(requestedBy, runId, { id, action: action.name, ...(await natureOf(action, context)) })
      return action.execute(context)
    },
  }))
