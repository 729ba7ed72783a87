import { artifactRef, destination, imageName, type Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { Action } from '../workflow/index.ts'
import { agentTaskAction, lentSecret } from './agent-task.ts'
import { factsOf, failureOf, type LentCommand, type SandboxedCommands } from './sandboxed-commands.ts'

const portable = z.string().min(1).max(4096)

/** A command in a sandbox: tests, linters, builds. It must be safe to run twice: a crash repeats it. */
const sandboxCommand = z.strictObject({
  /** In whose name it runs. */
  agentId: z.string(),
  title: z.string().min(3).max(200),
  command: z.tuple([z.string()], z.string()),
  /** What an earlier task of the run has left. No folder of the host: whoever may bring a plan could read any. */
  artifact: artifactRef.pick({ id: true, digest: true }).loose().optional(),
  /** Small files besides, by their path. */
  files: z.record(portable, z.string().max(1024 * 1024)).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  /** Whose files it finds; the machine's when absent. */
  image: imageName.optional(),
  secrets: z.array(lentSecret).max(20).optional(),
  /** What it may reach besides; nothing at all without these and the places of secrets. */
  destinations: z.array(destination).max(50).optional(),
  /** Paths that a later task finds, as an artifact; `.` is everything. */
  keep: z.array(portable).max(100).optional(),
  limits: z
    .strictObject({
      wallSeconds: z
        .int()
        .min(1)
        .max(24 * 3600),
      cpuSeconds: z
        .int()
        .min(1)
        .max(24 * 3600),
      memoryBytes: z.int().min(1),
      processes: z.int().min(1).max(4096),
      diskBytes: z.int().min(1),
      fileBytes: z.int().min(1),
    })
    .partial()
    .optional(),
})

/** A plan that somebody brings may name it. */
export function sandboxCommandAction(commands: SandboxedCommands): Action {
  return {
    name: 'sandbox.command',
    idempotent: true,
    input: sandboxCommand,
    offered: {
      title: 'Run a command in a sandbox',
      risk: 'medium',
      reversible: false,
      permissions: ['run of a command that reaches what it lists, and nothing else'],
      about: async (args) => ({ target: null, secrets: borrowedBy(args) }),
    },
    async execute(context) {
      const { agentId, title, command: words, ...given } = sandboxCommand.parse(context.args)
      const command = commandOf({ title, command: words, ...given })
      const result = await commands.runnerOf({ ...context, agentId })(command)
      if (result.exitCode !== 0) throw new AppError('task.failed', failureOf(result, command))
      const { artifact } = result
      return { output: { ...factsOf(result), output: result.stdoutTail, ...(artifact ? { artifact } : {}) } }
    },
    ended: commands.ended,
  }
}

/** What tasks of runs can do by commands. */
export const commandActions = (commands: SandboxedCommands): Action[] => [
  agentTaskAction(commands),
  sandboxCommandAction(commands),
]

type Given = Omit<z.output<typeof sandboxCommand>, 'agentId'>

/** What is absent stays absent. */
function commandOf({ artifact, limits, ...given }: Given): LentCommand {
  const present = (values: object): object =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
  return {
    title: given.title,
    command: given.command,
    ...present(given),
    ...(artifact ? { workspace: { artifact } } : {}),
    ...(limits ? { limits: present(limits) } : {}),
  }
}

/**
 * Paths in the vault of what a command of a plan is lent. Throws `run.plan_invalid` where they are not written out: what the output of
 * another task names could be any secret.
 */
export function borrowedBy(args: Json): string[] {
  const { secrets = [] } = fieldsOf(args)
  const paths = (Array.isArray(secrets) ? secrets : [undefined]).map((one) => fieldsOf(one).secretPath)
  return paths.map((path) => {
    if (typeof path === 'string') return path
    throw new AppError('run.plan_invalid', 'args.secrets: each secretPath must be written out in the plan')
  })
}

type Fields = { readonly secretPath?: unknown; readonly secrets?: unknown }
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? value : {})
