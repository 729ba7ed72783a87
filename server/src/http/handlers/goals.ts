import { flowsApi, goalsApi } from '@keyward/contract'
import { flowViewOf } from '../../catalogue/index.ts'
import { AppError } from '../../core/index.ts'
import type { Flows } from '../../flows/index.ts'
import type { Goals } from '../../goals/index.ts'
import { type Resource, type Route, route } from '../route.ts'

type Needs = { flows: Pick<Flows, 'all' | 'find' | 'documents'>; goals: Goals }

export function goalRoutes({ flows, goals }: Needs): Route[] {
  /** Of a goal that does not exist only the id is known; whoever may ask is told so by the handler. */
  const goalOf = async ({ goalId }: { goalId: string }): Promise<Resource> => {
    const goal = await goals.read(goalId).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'goal.not_found') return undefined
      throw error
    })
    return { type: 'Goal', id: goalId, attributes: goal ? { createdBy: goal.createdBy } : {} }
  }
  const flowOf = ({ flow }: { flow: string }): Resource => ({ type: 'Flow', id: flow })
  return [
    route(flowsApi.list, async () => ({ items: (await flows.all()).map(flowViewOf) })),
    route(
      flowsApi.read,
      async ({ flow }) => {
        const found = await flows.find(flow)
        return { ...flowViewOf(found), text: found.document?.text ?? null }
      },
      flowOf,
    ),
    route(
      flowsApi.save,
      ({ flow, text, after }, { principal }) => flows.documents.save({ name: flow, text, after }, principal),
      flowOf,
    ),
    route(
      flowsApi.remove,
      async ({ flow }, { principal }) => {
        await flows.documents.remove(flow, principal)
        return { removed: true }
      },
      flowOf,
    ),
    route(flowsApi.validate, async ({ text }) => {
      const problems = await flows.documents.validate(text)
      return { valid: problems.length === 0, problems }
    }),
    route(goalsApi.propose, ({ text }, { principal }) => goals.propose(text, principal)),
    route(goalsApi.list, (query) => goals.page(query)),
    route(goalsApi.read, ({ goalId }) => goals.read(goalId), goalOf),
    route(
      goalsApi.start,
      ({ goalId, proposal, digest }, { principal, traceparent }) =>
        goals.start(goalId, { proposal, digest, traceparent }, principal),
      goalOf,
    ),
  ]
}
