import { AppError } from '../core/index.ts'
import type { Workflow } from '../workflow/index.ts'
import type { Resource } from './route.ts'

/** Of a run that does not exist only the id is known; whoever may ask is told so by the handler. */
export async function runResource(workflow: Pick<Workflow, 'read'>, runId: string): Promise<Resource> {
  const run = await workflow.read(runId).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'run.not_found') return undefined
    throw error
  })
  const attributes = run ? { flow: run.flow, requestedBy: run.requestedBy } : {}
  return { type: 'Run', id: runId, attributes }
}
