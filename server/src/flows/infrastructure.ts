import type { Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import type { Plan, PlannedTask } from '../workflow/index.ts'

const approvalSeconds = 3 * 24 * 3600
const taskSeconds = 24 * 3600
const connection = z.string().min(1).max(60)

const terraformInput = z.strictObject({
  /** A connection to Terraform or OpenTofu. */
  connection,
  /** Everything that the state has. */
  destroy: z.boolean().default(false),
  targets: z.array(z.string()).default([]),
  variables: z.record(z.string(), z.json()).default({}),
  /** Without it a plan that deletes or replaces anything is not applied. */
  mayDestroy: z.boolean().default(false),
})

const pulumiInput = z.strictObject({
  /** A connection to a stack. */
  connection,
})

/** Plans, asks a person about exactly that plan, and applies it; nothing is asked when there is nothing to do. */
export function planTerraform(given: Json): Plan {
  const input = parsed(terraformInput, given)
  const { connection: name, destroy, targets, variables, mayDestroy } = input
  const verb = destroy ? 'Destroy' : 'Apply'
  const from = (path: string): Json => ({ $from: 'plan', path })
  const handed = {
    artifact: from('artifact'),
    planSha256: from('planSha256'),
    serial: from('serial'),
    lineage: from('lineage'),
  }
  return {
    version: 1,
    flow: 'terraform-plan-and-apply',
    title: `${verb} what Terraform plans for ${name}`,
    input: plain(input),
    tasks: [
      lookTask('plan', `Plan the changes of ${name}`, 'terraform.plan', {
        connection: name,
        destroy,
        targets,
        variables: plain(variables),
      }),
      {
        ...changeTask('apply', 'plan', name),
        title: `${verb} the plan of ${name}`,
        action: destroy ? 'terraform.destroy' : 'terraform.apply',
        args: { connection: name, ...handed, ...(destroy ? {} : { mayDestroy }) },
        risk: destroy ? 'critical' : 'high',
        when: { $from: 'plan', path: 'summary.resources', above: 0 },
      },
    ],
  }
}

/** Previews, asks a person about that update plan, and updates the stack, held to it. */
export function planPulumi(given: Json): Plan {
  const input = parsed(pulumiInput, given)
  const { connection: name } = input
  const from = (path: string): Json => ({ $from: 'preview', path })
  return {
    version: 1,
    flow: 'pulumi-preview-and-up',
    title: `Update ${name} as Pulumi previews it`,
    input: plain(input),
    tasks: [
      lookTask('preview', `Preview the changes of ${name}`, 'pulumi.preview', { connection: name }),
      {
        ...changeTask('up', 'preview', name),
        title: `Update ${name}`,
        action: 'pulumi.up',
        args: {
          connection: name,
          artifact: from('artifact'),
          planSha256: from('planSha256'),
          version: from('version'),
        },
        risk: 'high',
        when: { $from: 'preview', path: 'steps.0', exists: true },
      },
    ],
  }
}

const lookTask = (id: string, title: string, action: string, args: Json): PlannedTask => ({
  id,
  title,
  action,
  args,
  needs: [],
  risk: 'low',
  reversible: true,
  secrets: [],
  timeoutSeconds: taskSeconds,
})

const changeTask = (id: string, need: string, name: string) => ({
  id,
  needs: [need],
  reversible: false,
  secrets: [],
  approval: { target: `connection:${name}`, expiresInSeconds: approvalSeconds },
  timeoutSeconds: taskSeconds,
  // One change of a state at a time; its own lock would make the second one fail.
  concurrencyKey: `connection:${name}`,
})

function parsed<T>(schema: z.ZodType<T>, given: Json): T {
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const { issues } = result.error
  throw new AppError(
    'run.plan_invalid',
    `input: ${issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`,
  )
}

const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json
