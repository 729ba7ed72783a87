import { type SandboxView, sandboxesApi } from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import { AppError, actorOf } from '../../core/index.ts'
import type { RunningSandbox, Sandbox } from '../../sandbox/index.ts'
import { type Route, route } from '../route.ts'

type Needs = { sandbox: Pick<Sandbox, 'running' | 'waiting' | 'end'>; audit: Pick<Audit, 'recordNow'> }

export function sandboxRoutes({ sandbox, audit }: Needs): Route[] {
  const found = (sandboxId: string) => sandbox.running().find(({ id }) => id === sandboxId)
  const none = (sandboxId: string): AppError =>
    new AppError('sandbox.not_found', `No sandbox with the id ${sandboxId} runs now.`)
  return [
    route(sandboxesApi.list, async () => ({
      items: sandbox.running().map(viewOf),
      waiting: sandbox.waiting(),
    })),
    route(
      sandboxesApi.end,
      async ({ sandboxId, reason }, { principal, requestId }) => {
        const one = found(sandboxId)
        if (!one) throw none(sandboxId)
        await audit.recordNow({
          type: 'sandbox.ended',
          outcome: 'intent',
          actor: actorOf(principal),
          target: one.owner ? `task:${one.owner.runId}:${one.owner.taskId}` : `sandbox:${sandboxId}`,
          correlation: one.owner?.runId ?? requestId,
          detail: { sandboxId, reason },
        })
        const ended = sandbox.end(sandboxId, reason)
        if (!ended) throw none(sandboxId)
        return viewOf(ended)
      },
      ({ sandboxId }) => {
        const owner = found(sandboxId)?.owner
        return {
          type: 'Sandbox',
          id: sandboxId,
          attributes: owner ? { agent: `agent:${owner.agentId}` } : {},
        }
      },
    ),
  ]
}

const viewOf = ({
  id,
  driver,
  level,
  startedAt,
  command,
  limits,
  owner,
  image,
  usage,
}: RunningSandbox): SandboxView => ({
  id,
  driver,
  level,
  agentId: owner?.agentId ?? null,
  runId: owner?.runId ?? null,
  taskId: owner?.taskId ?? null,
  image,
  command: [...command],
  startedAt: startedAt.toISOString(),
  limits,
  usage,
})
