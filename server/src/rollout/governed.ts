import type { Action } from '../workflow/index.ts'
import type { JudgedTask, Judging } from './judging.ts'

/** What an action is, whatever a plan says of it. */
export type ActionNature = Pick<JudgedTask, 'risk' | 'effect'>

type Needs = {
  allowTask: Judging['allowTask']
  natureOf(action: string): ActionNature
}

/** The actions, each of which asks right before it runs whether who wanted the run may still have it. */
export const governed = (actions: readonly Action[], { allowTask, natureOf }: Needs): Action[] =>
  actions.map((action) => ({
    ...action,
    async execute(context) {
      const { requestedBy, runId, taskId: id } = context
      await allowTask(requestedBy, runId, { id, action: action.name, ...natureOf(action.name) })
      return action.execute(context)
    },
  }))
