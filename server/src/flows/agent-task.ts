import { budget, type Destination, destination, injection, type Json } from '@keyward/contract'
import { z } from 'zod'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { AppError, actorOf, type Principal, systemPrincipal } from '../core/index.ts'
import { type AgentPrincipal, agentPrincipal, type Identity } from '../identity/index.ts'
import type { Lend } from '../lend/index.ts'
import { createRedaction, type Proxy as EgressProxy, type EgressRule } from '../proxy/index.ts'
import type { Sandbox, SandboxLimit, SandboxLimits, SandboxResult } from '../sandbox/index.ts'
import type { Store } from '../store/index.ts'
import type { Action, TaskContext } from '../workflow/index.ts'
import { relaysFor } from './relays.ts'
import type { TaskOutput } from './task-output.ts'

/** A command that an agent runs in a sandbox with one lent secret. It must be safe to run twice: a crash repeats it. */
export const agentTask = z.strictObject({
  agentId: z.string(),
  title: z.string().min(3).max(200),
  /** The secret's path in the vault. */
  secretPath: z.string(),
  field: z.string(),
  /** The environment variable that carries the placeholder. */
  variable: z.string().regex(/^[A-Z_][A-Z0-9_]*$/),
  command: z.tuple([z.string()], z.string()),
  /** A host folder, copied into the sandbox. */
  workspace: z.string().nullable(),
  environment: z.record(z.string(), z.string()),
  /** The lease is for those that are not passed through. */
  destinations: z
    .array(destination)
    .min(1)
    .refine((places) => places.some(({ tls }) => tls === undefined), 'one must be a place to lend for')
    .refine(
      (places) => places.every((place) => place.tls === undefined || isWhole(place)),
      'a place that is passed through has no methods or paths',
    ),
  /** How the secret becomes part of a request; anywhere when absent. */
  injection: injection.optional(),
  /** How much of it; not limited when absent. */
  budget: budget.optional(),
  /** Where a destination's name is to be found, when DNS does not know it, and the authority that signed its certificate. */
  route: z.object({ address: z.string(), caPem: z.string() }).nullable(),
})
export type AgentTask = z.output<typeof agentTask>

const isWhole = ({ methods, pathPrefix, pathPattern }: Destination): boolean =>
  methods === undefined && pathPrefix === undefined && pathPattern === undefined

type Needs = {
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'subscribe' | 'publish'>
  identity: Pick<Identity, 'agent'>
  lend: Pick<Lend, 'grant' | 'issue' | 'valuesForTask' | 'endForTask'>
  proxy: Pick<EgressProxy, 'open' | 'close'>
  sandbox: Pick<Sandbox, 'run'>
  taskOutput: Pick<TaskOutput, 'open'>
}

const runner = systemPrincipal('run')
const leaseSeconds = 300
const limits: SandboxLimits = {
  wallSeconds: 120,
  cpuSeconds: 60,
  memoryBytes: 512 * 1024 * 1024,
  processes: 64,
  openFiles: 256,
  fileBytes: 64 * 1024 * 1024,
  diskBytes: 128 * 1024 * 1024,
  outputBytes: 256 * 1024,
}

/** LEND-3 begun: the approved run grants one lease to one agent for one task, and the task's end ends it. */
export function agentTaskAction(needs: Needs): Action {
  return {
    name: 'agent.task',
    idempotent: true,
    async execute(given) {
      const task = agentTask.parse(given.args)
      const trust = trustIn(needs.bus, task.agentId)
      const context = { ...given, signal: AbortSignal.any([given.signal, trust.lost]) }
      try {
        return await runTask(needs, context, task, trust.lost)
      } finally {
        trust.end()
      }
    },
    async ended(tx, { runId, taskId, reason }) {
      const words = reason === 'Succeeded' ? 'its task succeeded' : `its task ended: ${reason}`
      await needs.lend.endForTask(tx, runId, taskId, words)
    },
  }
}

/** Aborts when the agent is quarantined: what runs for it then is not waited for. */
function trustIn(bus: Needs['bus'], agentId: string): { lost: AbortSignal; end: () => void } {
  const controller = new AbortController()
  const end = bus.subscribe(({ type, subject }) => {
    if (type === 'agent.quarantined' && subject === `agent:${agentId}`) controller.abort(quarantined(agentId))
  })
  return { lost: controller.signal, end }
}

async function runTask(
  needs: Needs,
  context: TaskContext,
  task: AgentTask,
  trustLost: AbortSignal,
): ReturnType<Action['execute']> {
  const agent = await agentOf(needs.identity, task.agentId)
  const entry = {
    actor: actorOf(agent),
    target: `task:${context.runId}:${context.taskId}`,
    correlation: context.runId,
  }
  const told = tellerOf(needs, context, task, entry)
  await told({ type: 'sandbox.started', outcome: 'intent', detail: { command: [...task.command] } })
  try {
    const result = await runWithLease(needs, context, task, agent)
    await told({ type: 'sandbox.finished', outcome: outcomeOf(result), detail: factsOf(result) })
    trustLost.throwIfAborted()
    if (result.exitCode !== 0) throw new AppError('task.failed', failureOf(result))
    return { output: { ...factsOf(result), output: result.stdoutTail } }
  } catch (error) {
    if (error instanceof AppError && error.code === 'sandbox.unavailable')
      await needs.audit.recordNow({
        type: 'sandbox.refused',
        outcome: 'denied',
        ...entry,
        detail: { reason: error.detail ?? '' },
      })
    throw error
  }
}

type Entry = Parameters<Audit['recordNow']>[0]

/** What happens to the sandbox of a task stands in the audit log and in the live stream, by one transaction. */
function tellerOf(
  { store, audit, bus }: Needs,
  context: TaskContext,
  { agentId }: AgentTask,
  entry: Pick<Entry, 'actor' | 'target' | 'correlation'>,
) {
  const { runId, taskId } = context
  const subject = `sandbox:${sandboxIdOf(context)}`
  return (happened: Pick<Entry, 'type' | 'outcome' | 'detail'>): Promise<void> =>
    store.write(async (tx) => {
      await audit.record(tx, { ...entry, ...happened })
      await bus.publish(tx, { type: happened.type, subject, data: { runId, taskId, agentId } })
    })
}

const sandboxIdOf = ({ runId, taskId, attempt }: TaskContext): string =>
  `${runId}-${taskId}-${attempt}`.replace(/[^A-Za-z0-9_-]/g, '-').slice(-64)

async function runWithLease(
  needs: Needs,
  context: TaskContext,
  task: AgentTask,
  agent: Principal,
): Promise<SandboxResult> {
  const { runId, taskId } = context
  const sandboxId = sandboxIdOf(context)
  const placeholder = await lendPlaceholder(needs, context, task, agent)
  const relays = relaysFor({ ...task, injection: task.injection, placeholder })
  const allow: EgressRule[] = task.destinations.map((place) => ({
    ...place,
    ...(place.tls === undefined ? relays.rule : {}),
    ...(task.route ?? {}),
  }))
  // Also what was never exchanged: the workspace may hold the value, or the command may have it from elsewhere.
  const redaction = createRedaction(await needs.lend.valuesForTask(runId, taskId))
  const owner = { agentId: task.agentId, runId, taskId }
  const egress = await needs.proxy.open({ sandboxId, ...owner, allow, onLent: redaction.add })
  const shown = needs.taskOutput.open(runId, taskId, context.attempt)
  try {
    return await needs.sandbox.run(
      {
        id: sandboxId,
        command: task.command,
        env: {
          ...companionsOf(task),
          ...relays.environment,
          ...task.environment,
          [task.variable]: placeholder,
        },
        home: relays.home,
        ...(task.workspace === null ? {} : { workspace: task.workspace }),
        egress: { ...egress, ways: relays.ways },
        limits,
        owner,
      },
      { signal: context.signal, newFilter: redaction.newRedactor, onOutput: shown.write },
    )
  } finally {
    shown.close()
    await needs.proxy.close(sandboxId)
  }
}

/** What a tool wants beside the placeholder before it sends anything. AWS: any text, because requests are signed anew outside. */
const companionsOf = ({ injection }: AgentTask): { [name: string]: string } =>
  injection?.kind === 'aws' ? { AWS_SECRET_ACCESS_KEY: 'stays-with-keyward' } : {}

async function lendPlaceholder(
  { store, lend }: Needs,
  { runId, taskId }: TaskContext,
  { secretPath, field, injection, budget, title, ...task }: AgentTask,
  agent: Principal,
): Promise<string> {
  const destinations = task.destinations.filter(({ tls }) => tls === undefined)
  const bound = { secretPath, field, destinations, runId, taskId }
  const issued = await store.write(async (tx) => {
    // What an attempt that is lost had been lent: one approval is good for one lease at a time.
    await lend.endForTask(tx, runId, taskId, 'another attempt of its task began')
    await lend.grant(tx, {
      ...bound,
      injection,
      budget,
      agentId: agent.id,
      maxTtlSeconds: leaseSeconds,
      maxLeases: 1,
      reason: title,
      by: runner,
    })
    return lend.issue(tx, { ...bound, principal: agent, purpose: title, ttlSeconds: leaseSeconds })
  })
  return issued.placeholder
}

async function agentOf(identity: Needs['identity'], agentId: string): Promise<AgentPrincipal> {
  const agent = await identity.agent(agentId)
  if (!agent) throw new AppError('agent.not_found', `there is no agent '${agentId}'`)
  if (agent.state !== 'active') throw quarantined(agentId)
  return agentPrincipal(agent)
}

const quarantined = (agentId: string): AppError =>
  new AppError('agent.inactive', `${agentId} is quarantined; what ran for it was ended`)

/** Each limit with what it allows. */
const spelt: Record<SandboxLimit, string> = {
  wall: `${limits.wallSeconds} seconds`,
  cpu: `${limits.cpuSeconds} seconds of processor time`,
  memory: `${limits.memoryBytes} bytes`,
  processes: `${limits.processes} processes and threads`,
  disk: `${limits.diskBytes} bytes in all, ${limits.fileBytes} for a file`,
  output: `${limits.outputBytes} bytes`,
}

const outcomeOf = (result: SandboxResult): 'done' | 'failed' => (result.exitCode === 0 ? 'done' : 'failed')

const factsOf = (result: SandboxResult): { [key: string]: Json } => ({
  exitCode: result.exitCode,
  signal: result.signal,
  limit: result.limit,
  durationMs: Math.round(result.durationMs),
})

function failureOf(result: SandboxResult): string {
  const { exitCode, signal, limit, stderrTail, stdoutTail, endedBecause } = result
  if (endedBecause !== undefined) return `a person ended it: ${endedBecause}`
  const end = limit
    ? `it met its ${limit} limit (${spelt[limit]})`
    : signal
      ? `it was ended by ${signal}`
      : `it exited with ${exitCode}`
  const words = (stderrTail.trim() || stdoutTail.trim()).slice(-500)
  return words ? `${end}: ${words}` : end
}
