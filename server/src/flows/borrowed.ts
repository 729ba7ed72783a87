import type { Json } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Plan } from '../workflow/index.ts'

/**
 * Paths in the vault of what the agents' tasks of a plan are lent. Throws `run.plan_invalid` where they are not written out: what the
 * output of another task names could be any secret.
 */
export function borrowedBy({ tasks }: Plan): string[] {
  const paths = tasks.flatMap((task) => [
    ...pathsIn(task.action, task.args, task.id),
    ...(task.compensate ? pathsIn(task.compensate.action, task.compensate.args, task.id) : []),
  ])
  return [...new Set(paths)]
}

function pathsIn(action: string, args: Json, taskId: string): string[] {
  if (action !== 'agent.task') return []
  const { secretPath, more = [] } = fieldsOf(args)
  const paths = [
    secretPath,
    ...(Array.isArray(more) ? more.map((one) => fieldsOf(one).secretPath) : [undefined]),
  ]
  return paths.map((path) => {
    if (typeof path === 'string') return path
    throw new AppError('run.plan_invalid', `${taskId}: args: each secretPath must be written out in the plan`)
  })
}

type Fields = { readonly secretPath?: unknown; readonly more?: unknown }
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? value : {})
