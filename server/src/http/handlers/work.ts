import { approvalGrantsApi, approvalsApi, delegationsApi, runsApi } from '@keyward/contract'
import type { Approvals, Rights } from '../../approvals/index.ts'
import type { Audit } from '../../audit/index.ts'
import { actorOf } from '../../core/index.ts'
import type { Flows, TaskOutput } from '../../flows/index.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import type { Workflow } from '../../workflow/index.ts'
import { outputRoute } from '../output-stream.ts'
import { type Call, type Resource, type Route, route } from '../route.ts'
import { runResource } from '../run-resource.ts'
import { goalRoutes } from './goals.ts'
import { imageRoutes } from './images.ts'
import { sandboxRoutes } from './sandboxes.ts'

type Needs = {
  flows: Pick<Flows, 'start' | 'preview' | 'all' | 'find' | 'documents'>
  workflow: Pick<Workflow, 'page' | 'read' | 'cancel' | 'pause' | 'resume' | 'retry' | 'resolve'>
  taskOutput: Pick<TaskOutput, 'read' | 'follow'>
  sandbox: Pick<Sandbox, 'running' | 'waiting' | 'end'>
  audit: Pick<Audit, 'recordNow'>
  goals: Parameters<typeof goalRoutes>[0]['goals']
  images: Parameters<typeof imageRoutes>[0]['images']
  approvals: Pick<
    Approvals,
    'page' | 'read' | 'approve' | 'deny' | 'change' | 'answerMany' | 'rules' | 'setRule' | keyof Rights
  >
}

/** What policy decides on: the flow, or the plan by the name that it gives itself. */
const wantedRun = (
  { flow, plan }: { flow?: string | undefined; plan?: { flow: string } | undefined },
  { principal }: Call,
): Resource => ({
  type: 'Run',
  id: '*',
  attributes: { flow: flow ?? plan?.flow ?? '', requestedBy: actorOf(principal) },
})

export function runRoutes({
  flows,
  workflow,
  taskOutput,
  sandbox,
  audit,
  goals,
  images,
}: Omit<Needs, 'approvals'>): Route[] {
  return [
    route(
      runsApi.start,
      ({ flow, input, plan, idempotencyKey }, { principal, traceparent }) =>
        flows.start({ flow, input, plan, by: principal, unattended: false, idempotencyKey, traceparent }),
      wantedRun,
    ),
    route(
      runsApi.plan,
      ({ flow, input, plan }, { principal }) => flows.preview({ flow, input, plan, by: principal }),
      wantedRun,
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
    route(
      runsApi.pause,
      ({ runId, reason }, { principal }) => workflow.pause(runId, principal, reason),
      ({ runId }) => runResource(workflow, runId),
    ),
    route(
      runsApi.resume,
      ({ runId }, { principal }) => workflow.resume(runId, principal),
      ({ runId }) => runResource(workflow, runId),
    ),
    route(
      runsApi.retry,
      ({ runId, taskId }, { principal }) => workflow.retry(runId, principal, taskId),
      ({ runId }) => runResource(workflow, runId),
    ),
    route(
      runsApi.resolve,
      ({ runId, ...said }, { principal }) => workflow.resolve(runId, principal, said),
      ({ runId }) => runResource(workflow, runId),
    ),
    outputRoute({ taskOutput, workflow }),
    ...sandboxRoutes({ sandbox, audit }),
    ...imageRoutes({ images }),
    ...goalRoutes({ flows, goals }),
  ]
}

function rightsRoutes(rights: Rights): Route[] {
  return [
    route(delegationsApi.list, (query) => rights.delegations(query)),
    route(delegationsApi.create, (given, { principal }) => rights.delegate(principal, given)),
    route(delegationsApi.end, ({ delegationId }, { principal }) =>
      rights.endDelegation(principal, delegationId),
    ),
    route(approvalGrantsApi.list, (query) => rights.grants(query)),
    route(approvalGrantsApi.create, (given, { principal }) => rights.grant(principal, given)),
    route(approvalGrantsApi.end, ({ grantId }, { principal }) => rights.endGrant(principal, grantId)),
  ]
}

export function approvalRoutes({ approvals }: Pick<Needs, 'approvals'>): Route[] {
  return [
    route(approvalsApi.list, (query) => approvals.page(query)),
    {
      ...route(approvalsApi.answerMany, async ({ decision, answers, reason }, { principal, channel }) => ({
        items: await approvals.answerMany(principal, answers, { decision, reason, channel }),
      })),
      decidedByDomain: true,
    },
    ...rightsRoutes(approvals),
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
      ...route(approvalsApi.change, ({ approvalId, ...wanted }, { principal, channel }) =>
        approvals.change(principal, approvalId, { ...wanted, channel }),
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
