import type { ImportPreview, Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import { type FileChange, type Findings, previewJson } from '../findings/index.ts'
import type { Action, Plan, PlannedTask } from '../workflow/index.ts'
import { type AgentTask, agentTask, secretsOf } from './agent-task.ts'

/** What starts the flow. With an `agentTask` an agent uses one of the stored secrets at the end, without ever seeing it. */
export const leakedKeyInput = z.strictObject({
  findingIds: z.array(z.string()).min(1).max(400),
  agentTask: agentTask.optional(),
})

type FlowFindings = Pick<Findings, 'preview' | 'claim' | 'storeValue' | 'rewriteFile' | 'finishImport'>

const approvalSeconds = 24 * 3600
const retry = { maxAttempts: 3, backoffSeconds: 1 }
const claimArgs = z.strictObject({ findingIds: z.array(z.string()), agentTask: agentTask.nullable() })
const storeArgs = z.strictObject({ findingId: z.string() })
const rewriteArgs = z.strictObject({
  findingIds: z.array(z.string()),
  file: z.string(),
  sha256Before: z.string(),
  sha256After: z.string(),
})

/**
 * One leaked key, or many, from approval to proof: ask a person, put the values into the vault, write references into the files,
 * and let an agent use one through the egress proxy.
 */
export async function planLeakedKey(
  findings: Pick<Findings, 'preview'>,
  rawInput: Json,
  /** Throws when who asks may not lend this secret; the approval of the run does not stand in for that. */
  assertMayLend: (secretPath: string) => void,
): Promise<Plan> {
  const parsed = leakedKeyInput.safeParse(rawInput)
  if (!parsed.success)
    throw new AppError(
      'run.plan_invalid',
      `input: ${parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`,
    )
  const input = parsed.data
  for (const path of pathsOf(input.agentTask)) assertMayLend(path)
  const preview = await findings.preview(input.findingIds)
  const { digest: _, ...shown } = preview
  const stores = preview.secrets.map((secret, i) => storeTask(secret, i))
  const storeOf = new Map(preview.secrets.map((secret, i) => [secret.findingId, `store-${i + 1}`]))
  const rewrites = preview.files.map((file, i) => rewriteTask(file, i, storeOf))
  const rewritten = new Set(rewrites.flatMap((task) => task.needs))
  const elsewhere = stores.filter((task) => !rewritten.has(task.id))
  const tasks: PlannedTask[] = [
    approveTask(input, shown),
    ...stores,
    ...rewrites,
    finishTask([...elsewhere, ...rewrites]),
  ]
  if (input.agentTask) tasks.push(useTask(input.agentTask))
  return {
    flow: 'leaked-key',
    title: titleOf(preview),
    input: JSON.parse(JSON.stringify(input)),
    tasks,
  }
}

function titleOf({ project, secrets }: Pick<ImportPreview, 'project' | 'secrets'>): string {
  const [first, ...others] = secrets
  const what = others.length === 0 && first ? first.title : `${secrets.length} secrets`
  return `Move ${what} of ${project} into the vault`
}

function approveTask(
  { findingIds, agentTask }: z.output<typeof leakedKeyInput>,
  shown: Omit<ImportPreview, 'digest'>,
): PlannedTask {
  return {
    id: 'approve',
    title: titleOf(shown),
    action: 'findings.claim',
    args: JSON.parse(JSON.stringify({ findingIds, agentTask: agentTask ?? null })),
    needs: [],
    risk: 'medium',
    // Files can be put back; what an agent does with a secret cannot.
    reversible: agentTask === undefined,
    secrets: [...shown.secrets.map((secret) => secret.reference), ...pathsOf(agentTask)],
    approval: { target: `project:${shown.project}`, expiresInSeconds: approvalSeconds },
  }
}

const storeTask = (secret: ImportPreview['secrets'][number], i: number): PlannedTask => ({
  id: `store-${i + 1}`,
  title: `Store ${secret.title}`,
  action: 'findings.store',
  args: { findingId: secret.findingId },
  needs: ['approve'],
  risk: 'low',
  reversible: true,
  secrets: [secret.reference],
  retry,
})

const rewriteTask = (
  file: ImportPreview['files'][number],
  i: number,
  storeOf: ReadonlyMap<string, string>,
): PlannedTask => ({
  id: `rewrite-${i + 1}`,
  title: `Write references into ${file.file}`,
  action: 'findings.rewrite',
  args: {
    findingIds: [...file.findingIds],
    file: file.file,
    sha256Before: file.sha256Before,
    sha256After: file.sha256After,
  },
  needs: file.findingIds.map((id) => storeOf.get(id) ?? 'approve'),
  risk: 'medium',
  reversible: true,
  secrets: [],
  retry,
})

const finishTask = (before: readonly PlannedTask[]): PlannedTask => ({
  id: 'finish',
  title: 'Mark the findings as imported',
  action: 'findings.finish',
  args: {},
  needs: before.map((task) => task.id),
  risk: 'low',
  reversible: true,
  secrets: [],
  retry,
})

/** In the vault, of what the task is lent. */
const pathsOf = (task: AgentTask | undefined): string[] =>
  task ? [...new Set(secretsOf(task).map(({ secretPath }) => secretPath))] : []

const useTask = (task: AgentTask): PlannedTask => ({
  id: 'agent',
  title: task.title,
  action: 'agent.task',
  args: JSON.parse(JSON.stringify(task)),
  needs: ['finish'],
  risk: 'medium',
  reversible: false,
  secrets: pathsOf(task),
  timeoutSeconds: 180,
})

export function leakedKeyActions(findings: FlowFindings): Action[] {
  return [
    {
      name: 'findings.claim',
      idempotent: true,
      // The files are read anew each time: one that changed after the question was asked voids the answer.
      async preview(args) {
        const { findingIds, agentTask } = claimArgs.parse(args)
        const { digest: _, ...preview } = await findings.preview(findingIds)
        return { import: previewJson(preview), agentTask: JSON.parse(JSON.stringify(agentTask)) as Json }
      },
      async execute({ args, runId }) {
        const { findingIds } = claimArgs.parse(args)
        return {
          output: { findings: findingIds.length },
          commit: (tx) => findings.claim(tx, findingIds, runId),
        }
      },
    },
    {
      name: 'findings.store',
      idempotent: true,
      async execute({ args, runId }) {
        const { secretPath, commit } = await findings.storeValue(storeArgs.parse(args).findingId, runId)
        return { output: { secretPath }, commit }
      },
    },
    {
      name: 'findings.rewrite',
      idempotent: true,
      async execute({ args, runId }) {
        const change: FileChange = rewriteArgs.parse(args)
        const { commit } = await findings.rewriteFile(runId, change)
        return { output: { file: change.file, sha256: change.sha256After }, commit }
      },
    },
    {
      name: 'findings.finish',
      idempotent: true,
      async execute({ runId }) {
        return { output: { done: true }, commit: async (tx) => void (await findings.finishImport(tx, runId)) }
      },
    },
  ]
}
