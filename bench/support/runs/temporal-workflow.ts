// The workflow of temporal.ts, as Temporal runs it: without anything of Node.
import { condition, defineSignal, proxyActivities, setHandler, workflowInfo } from '@temporalio/workflow'
import { carried, type StepId } from './steps.ts'

const { effect, ask } = proxyActivities<{
  effect(run: string, id: StepId): Promise<void>
  ask(run: string): Promise<void>
}>({ startToCloseTimeout: '1 minute' })

export const approved = defineSignal('approved')

export async function bench(): Promise<void> {
  const { workflowId: run } = workflowInfo()
  let isApproved = false
  setHandler(approved, () => {
    isApproved = true
  })
  await carried({
    task: (id) => effect(run, id),
    async approval() {
      await ask(run)
      await condition(() => isApproved)
    },
  })
}
