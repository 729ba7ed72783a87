import { approvalsApi, runsApi } from '@keyward/contract'
import type { Approvals } from '../../approvals/index.ts'
import type { Audit } from '../../audit/index.ts'
import { actorOf } from '../../core/index.ts'
import type { Flows, TaskOutput } from '../../flows/index.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import type { Workflow } from '../../workflow/index.ts'
import { outputRoute } from '../output-stream.ts'
import { type Route, route } from '../route.ts'
import { runResource } from '../run-resource.ts'
import { sandboxRoutes } from './sandboxes.ts'

type Needs = {
  flows: Pick<Flows, 'start'>
  workflow: Pick<Workflow, 'page' | 'read' | 'cancel'>
  taskOutput: Pick<TaskOutput, 'read' | 'follow'>
  sandbox: Pick<Sandbox, 'running' | 'waiting' | 'end'>
  audit: Pick<Audit, 'recordNow'>
  approvals: Pick<Approvals, 'page' | 'read' | 'approve' | 'deny' | 'rules' | 'setRule'>
}

export function runRoutes({
  flows,
  workflow,
  taskOutput,
  sandbox,
  audit,
}: Omit<Needs, 'approvals'>): Route[] {
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
      ({ runId }) => runResource(workflow, runId),
    ),
    route(
      runsApi.cancel,
      ({ runId }, { principal }) => workflow.cancel(runId, principal),
      ({ runId }) => runResource(workflow, runId),
    ),
    outputRoute({ taskOutput, workflow }),
    ...sandboxRoutes({ sandbox, audit }),
  ]
}

export function approvalRoutes({ approvals }: Pick<Needs, 'approvals'>): Route[] {
  return [
    route(approvalsApi.list, (query) => approvals.page(query)),
    route(approvalsApi.rules, async () => ({ items: await approvals.rules() })),
    route(approvalsApi.setRule, (rule, { principal }) => approvals.setRule(rule, principal)),
    route(approvalsApi.read, ({ approvalId }) => approvals.read(approvalId)),
    // Decided in the domain, which knows who asked, and records a refusal beside the approval.
    {
      ...route(approvalsApi.approve, ({ approvalId, digest, reason }, { principal, channel }) =>
        approvals.approve(principal, approvalId, { digest, reason, channel }),
      ),
      decidedByDomain: true,
    },
    {
      ...route(approvalsApi.deny, ({ approvalId, digest, reason }, { principal, channel }) =>
        approvals.deny(principal, approvalId, { digest, reason, channel }),
      ),
      decidedByDomain: true,
    },
  ]
}
