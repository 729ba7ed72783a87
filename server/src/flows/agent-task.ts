import { budget, type Destination, destination, imageName, injection } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { Action } from '../workflow/index.ts'
import {
  factsOf,
  failureOf,
  type LentCommand,
  type LentSecret,
  type SandboxedCommands,
} from './sandboxed-commands.ts'

const variable = z.string().regex(/^[A-Z_][A-Z0-9_]*$/)

const isWhole = ({ methods, pathPrefix, pathPattern }: Destination): boolean =>
  methods === undefined && pathPrefix === undefined && pathPattern === undefined

/** The lease is for those that are not passed through. */
const places = z
  .array(destination)
  .min(1)
  .refine((all) => all.some(({ tls }) => tls === undefined), 'one must be a place to lend for')
  .refine(
    (all) => all.every((place) => place.tls === undefined || isWhole(place)),
    'a place that is passed through has no methods or paths',
  )

export const lentSecret = z.strictObject({
  /** In the vault. */
  secretPath: z.string(),
  field: z.string(),
  /** The environment variable that carries the placeholder. */
  variable,
  destinations: places,
  /** How the secret becomes part of a request; anywhere when absent. */
  injection: injection.optional(),
  /** How much of it; not limited when absent. */
  budget: budget.optional(),
})

/** A command that an agent runs in a sandbox with what it is lent. It must be safe to run twice: a crash repeats it. */
export const agentTask = lentSecret
  .extend({
    agentId: z.string(),
    title: z.string().min(3).max(200),
    command: z.tuple([z.string()], z.string()),
    /** A host folder, copied into the sandbox. */
    workspace: z.string().nullable(),
    environment: z.record(z.string(), z.string()),
    /** Whose files it finds; the machine's when absent. */
    image: imageName.optional(),
    /** Secrets besides, each with places of its own. */
    more: z.array(lentSecret).max(19).optional(),
    /** Where a destination's name is to be found, when DNS does not know it, and the authority that signed its certificate. */
    route: z.object({ address: z.string(), caPem: z.string() }).nullable(),
  })
  .refine(haveOwnVariables, 'each secret needs a variable of its own')
  .refine(haveOneLogin, 'of each kind of login (postgres, redis, ssh) there can be one')
export type AgentTask = z.output<typeof agentTask>

type Secrets = LentSecret & { more?: readonly LentSecret[] | undefined }

/** Of all its secrets, the first one first. */
export const secretsOf = ({ more = [], ...task }: Secrets): LentSecret[] => {
  const { secretPath, field, variable, destinations, injection, budget } = task
  return [{ secretPath, field, variable, destinations, injection, budget }, ...more]
}

function haveOwnVariables(task: Secrets): boolean {
  const names = secretsOf(task).map((one) => one.variable)
  return new Set(names).size === names.length
}

/** Programs look for a database, or for an SSH agent, in one place. */
function haveOneLogin(task: Secrets): boolean {
  const logins = secretsOf(task).flatMap(({ injection: how }) =>
    how && ['postgres', 'redis', 'ssh'].includes(how.kind) ? [how.kind] : [],
  )
  return new Set(logins).size === logins.length
}

/** LEND-3 begun: the approved run grants leases to one agent for one task, and the task's end ends them. */
export function agentTaskAction(commands: SandboxedCommands): Action {
  return {
    name: 'agent.task',
    idempotent: true,
    async execute(context) {
      const task = agentTask.parse(context.args)
      const command = commandOf(task)
      const result = await commands.runnerOf({ ...context, agentId: task.agentId })(command)
      if (result.exitCode !== 0) throw new AppError('task.failed', failureOf(result, command))
      return { output: { ...factsOf(result), output: result.stdoutTail } }
    },
    ended: commands.ended,
  }
}

const commandOf = (task: AgentTask): LentCommand => ({
  title: task.title,
  command: task.command,
  environment: task.environment,
  secrets: secretsOf(task),
  ...(task.workspace === null ? {} : { workspace: { folder: task.workspace } }),
  ...(task.image === undefined ? {} : { image: task.image }),
  ...(task.route === null ? {} : { route: task.route }),
})
