import { approvalsApi, runsApi } from '@keyward/contract'
import type { Approvals } from '../../approvals/index.ts'
import { AppError, actorOf } from '../../core/index.ts'
import type { Flows } from '../../flows/index.ts'
import type { Workflow } from '../../workflow/index.ts'
import { type Resource, type Route, route } from '../route.ts'

type Needs = {
  flows: Pick<Flows, 'start'>
  workflow: Pick<Workflow, 'page' | 'read' | 'cancel'>
  approvals: Pick<Approvals, 'page' | 'read' | 'approve' | 'deny'>
}

export function runRoutes({ flows, workflow }: Omit<Needs, 'approvals'>): Route[] {
  /** Of a run that does not exist only the id is known; whoever may ask is told so by the handler. */
  async function runOf(runId: string): Promise<Resource> {
    const run = await workflow.read(runId).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'run.not_found') return undefined
      throw error
    })
    const attributes = run ? { flow: run.flow, requestedBy: run.requestedBy } : {}
    return { type: 'Run', id: runId, attributes }
  }

  return [
    route(
      runsApi.start,
      ({ flow, input, idempotencyKey }, { principal }) =>
        flows.start({ flow, input, by: principal, unattended: false, idempotencyKey }),
      ({ flow }, { principal }) => ({
        type: 'Run',
        id: '*',
        attributes: { flow, requestedBy: actorOf(principal) },
      }),
    ),
    route(runsApi.list, (query) => workflow.page(query)),
    route(
      runsApi.read,
      ({ runId }) => workflow.read(runId),
      ({ runId }) => runOf(runId),
    ),
    route(
      runsApi.cancel,
      ({ runId }, { principal }) => workflow.cancel(runId, principal),
      ({ runId }) => runOf(runId),
    ),
  ]
}

export function approvalRoutes({ approvals }: Pick<Needs, 'approvals'>): Route[] {
  return [
    route(approvalsApi.list, (query) => approvals.page(query)),
    route(approvalsApi.read, ({ approvalId }) => approvals.read(approvalId)),
    // Decided in the domain, which knows who asked, and records a refusal beside the approval.
    {
      ...route(approvalsApi.approve, ({ approvalId, digest, reason }, { principal }) =>
        approvals.approve(principal, approvalId, { digest, reason }),
      ),
      decidedByDomain: true,
    },
    {
      ...route(approvalsApi.deny, ({ approvalId, digest, reason }, { principal }) =>
        approvals.deny(principal, approvalId, { digest, reason }),
      ),
      decidedByDomain: true,
    },
  ]
}
