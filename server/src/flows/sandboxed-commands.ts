import type { Destination } from '@keyward/contract'
import type { Artifacts } from '../artifacts/index.ts'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import type { CommandSecret, SandboxedCommand, SandboxedResult } from '../connectors/index.ts'
import { AppError, actorOf, systemPrincipal, traceparentOf } from '../core/index.ts'
import { type AgentPrincipal, agentPrincipal, type Identity } from '../identity/index.ts'
import type { Images } from '../images/index.ts'
import type { Lend } from '../lend/index.ts'
import type { Policy } from '../policy/index.ts'
import {
  createRedaction,
  type Proxy as EgressProxy,
  type EgressRule,
  type Redaction,
} from '../proxy/index.ts'
import type { Sandbox, SandboxLimit, SandboxLimits, SandboxResult, SandboxSpec } from '../sandbox/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { TaskContext } from '../workflow/index.ts'
import { type Relays, relaysFor } from './relays.ts'
import { createTakings, type Takings } from './takings.ts'
import type { TaskOutput } from './task-output.ts'

/** A command whose secrets say where in the vault they are. */
export type LentCommand = Omit<SandboxedCommand, 'secrets'> & { readonly secrets?: readonly LentSecret[] }
export type LentSecret = CommandSecret & { readonly secretPath: string }

/** One attempt of a task, and the agent in whose name its commands run. */
export type CommandOwner = Pick<TaskContext, 'runId' | 'taskId' | 'attempt' | 'signal' | 'heartbeat'> & {
  readonly agentId: string
}

/** Runs the commands of tasks, each in a fresh sandbox, with leases that end with the task. */
export type SandboxedCommands = {
  /**
   * What runs the commands of one attempt, one after the other. Resolves also when a command fails; throws
   * `agent.inactive`, `agent.not_found`, `image.not_found`, `image.changed`, `policy.denied`, `sandbox.unavailable`, `sandbox.failed`, `artifact.not_found`, and what refuses a lease.
   */
  runnerOf(owner: CommandOwner): (command: LentCommand) => Promise<SandboxedResult>
  /** Ends what was lent to the task, in the transaction that ends its attempt. */
  ended(tx: Tx, attempt: { runId: string; taskId: string; reason: string }): Promise<void>
}

type Needs = {
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'subscribe' | 'publish'>
  identity: Pick<Identity, 'agent'>
  lend: Pick<Lend, 'grant' | 'issue' | 'valuesForTask' | 'endForTask'>
  proxy: Pick<EgressProxy, 'open' | 'close'>
  sandbox: Pick<Sandbox, 'run' | 'probe'>
  images: Pick<Images, 'use' | 'ofAgent'>
  policy: Pick<Policy, 'decide'>
  taskOutput: Pick<TaskOutput, 'open'>
  artifacts: Pick<Artifacts, 'create' | 'open'>
  /** Whether commands are told which trace they belong to. */
  traced?: () => boolean
}

const runner = systemPrincipal('run')
const shortestLeaseSeconds = 300
const usualLimits: SandboxLimits = {
  wallSeconds: 120,
  cpuSeconds: 60,
  memoryBytes: 512 * 1024 * 1024,
  processes: 64,
  openFiles: 256,
  fileBytes: 64 * 1024 * 1024,
  diskBytes: 128 * 1024 * 1024,
  outputBytes: 256 * 1024,
}

export function createSandboxedCommands(needs: Needs): SandboxedCommands {
  return {
    runnerOf(owner) {
      let count = 0
      return async (command) => {
        const trust = trustIn(needs.bus, owner.agentId)
        const signal = AbortSignal.any([owner.signal, trust.lost])
        const sandboxId = sandboxIdOf(owner, count++)
        try {
          const attempt = { ...owner, signal, sandboxId }
          const run = (image?: SandboxSpec['image']) => runTold(needs, { ...attempt, image }, command)
          const image = command.image ?? (await needs.images.ofAgent(owner.agentId))
          const result = await (image === undefined ? run() : needs.images.use(image, run))
          trust.lost.throwIfAborted()
          return result
        } finally {
          trust.end()
        }
      }
    },
    async ended(tx, { runId, taskId, reason }) {
      const words = reason === 'Succeeded' ? 'its task succeeded' : `its task ended: ${reason}`
      await needs.lend.endForTask(tx, runId, taskId, words)
    },
  }
}

type Attempt = CommandOwner & { readonly sandboxId: string; readonly image: SandboxSpec['image'] }

/** Aborts when the agent is quarantined: what runs for it then is not waited for. */
function trustIn(bus: Needs['bus'], agentId: string): { lost: AbortSignal; end: () => void } {
  const controller = new AbortController()
  const end = bus.subscribe(({ type, subject }) => {
    if (type === 'agent.quarantined' && subject === `agent:${agentId}`) controller.abort(quarantined(agentId))
  })
  return { lost: controller.signal, end }
}

const sandboxIdOf = ({ runId, taskId, attempt }: CommandOwner, count: number): string =>
  `${runId}-${taskId}-${attempt}${count === 0 ? '' : `-${count}`}`.replace(/[^A-Za-z0-9_-]/g, '-').slice(-64)

/** With the start and the end of the sandbox in the audit log. */
async function runTold(needs: Needs, attempt: Attempt, command: LentCommand): Promise<SandboxedResult> {
  const agent = await agentOf(needs.identity, attempt.agentId)
  const entry = {
    actor: actorOf(agent),
    target: `task:${attempt.runId}:${attempt.taskId}`,
    correlation: attempt.runId,
  }
  const told = tellerOf(needs, attempt, entry)
  const { level, details } = await needs.sandbox.probe()
  const { image } = attempt
  const files = image ? { image: image.name, imageDigest: image.digest } : {}
  const isolation = { driver: details?.driver ?? null, level, ...files }
  await assertAllowed(needs, agent, attempt, { ...isolation, entry })
  const detail = { command: [...command.command], ...isolation }
  await told({ type: 'sandbox.started', outcome: 'intent', detail })
  try {
    const result = await runWithLeases(needs, attempt, command, agent)
    await told({
      type: 'sandbox.finished',
      outcome: result.exitCode === 0 ? 'done' : 'failed',
      detail: factsOf(result),
    })
    return result
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

/** Policy may want an image, or one that it names, or a driver. */
async function assertAllowed(
  { policy, audit }: Needs,
  agent: AgentPrincipal,
  { sandboxId, agentId }: Attempt,
  { entry, ...isolation }: Isolation,
): Promise<void> {
  const { allow, reason } = policy.decide({
    principal: agent,
    action: 'sandboxes.run',
    resource: { type: 'Sandbox', id: sandboxId, attributes: { agent: `agent:${agentId}` } },
    context: isolation,
  })
  if (allow) return
  await audit.recordNow({ type: 'sandbox.refused', outcome: 'denied', ...entry, detail: { reason } })
  throw new AppError('policy.denied', reason)
}

type Isolation = {
  driver: string | null
  level: string
  image?: string
  imageDigest?: string
  entry: Pick<Entry, 'actor' | 'target' | 'correlation'>
}

type Entry = Parameters<Audit['recordNow']>[0]

/** What happens to the sandbox of a task stands in the audit log and in the live stream, by one transaction. */
function tellerOf(
  { store, audit, bus }: Needs,
  { runId, taskId, agentId, sandboxId }: Attempt,
  entry: Pick<Entry, 'actor' | 'target' | 'correlation'>,
) {
  const subject = `sandbox:${sandboxId}`
  return (happened: Pick<Entry, 'type' | 'outcome' | 'detail'>): Promise<void> =>
    store.write(async (tx) => {
      await audit.record(tx, { ...entry, ...happened })
      await bus.publish(tx, { type: happened.type, subject, data: { runId, taskId, agentId } })
    })
}

async function runWithLeases(
  needs: Needs,
  attempt: Attempt,
  command: LentCommand,
  agent: AgentPrincipal,
): Promise<SandboxedResult> {
  const { runId, taskId } = attempt
  const lent = await lendPlaceholders(needs, attempt, command, agent)
  const wholeFiles = Object.values(command.secretFiles ?? {})
  // Also what was never exchanged: the workspace may hold the value, or the command may have it from elsewhere.
  const redaction = createRedaction([...(await needs.lend.valuesForTask(runId, taskId)), ...wholeFiles])
  const takings = await createTakings(command, { runId, taskId }, needs.artifacts)
  try {
    const result = await runInSandbox(needs, attempt, { command, lent, redaction, takings })
    const artifact = await takings?.finish()
    const { exitCode, signal, limit, durationMs, stdoutTail, stderrTail, endedBecause } = result
    return {
      ...{ exitCode, signal, limit, durationMs, stdoutTail, stderrTail },
      ...(endedBecause === undefined ? {} : { endedBecause }),
      ...(artifact ? { artifact } : {}),
      files: takings?.files ?? new Map(),
    }
  } catch (error) {
    await takings?.discard()
    throw error
  }
}

type Lent = { readonly secret: LentSecret; readonly placeholder: string; readonly relays: Relays }
type Prepared = {
  readonly command: LentCommand
  readonly lent: readonly Lent[]
  readonly redaction: Redaction
  readonly takings: Takings | undefined
}

async function runInSandbox(
  { proxy, sandbox, taskOutput, artifacts, traced }: Needs,
  attempt: Attempt,
  { command, lent, redaction, takings }: Prepared,
): Promise<SandboxResult> {
  const { runId, taskId, agentId, sandboxId } = attempt
  const { workspace } = command
  const owner = { agentId, runId, taskId }
  const allow = rulesOf(command, lent)
  const files =
    workspace && 'artifact' in workspace ? await artifacts.open(runId, workspace.artifact) : workspace?.folder
  const spec: SandboxSpec = {
    id: sandboxId,
    command: command.command,
    env: { ...(traced?.() ? { TRACEPARENT: traceparentOf(attempt) } : {}), ...environmentOf(command, lent) },
    home: homeOf(command, lent),
    ...(files === undefined ? {} : { workspace: files }),
    ...(command.files ? { files: command.files } : {}),
    ...(takings ? { workspaceOut: takings } : {}),
    ...(command.readOnly ? { readOnly: command.readOnly } : {}),
    ...(attempt.image ? { image: attempt.image } : {}),
    limits: limitsOf(command),
    owner,
  }
  const ways = lent.flatMap(({ relays }) => relays.ways)
  const egress =
    allow.length === 0
      ? undefined
      : { ...(await proxy.open({ sandboxId, ...owner, allow, onLent: redaction.add })), ways }
  const shown = taskOutput.open(runId, taskId, attempt.attempt)
  try {
    return await sandbox.run(egress ? { ...spec, egress } : spec, {
      signal: attempt.signal,
      newFilter: redaction.newRedactor,
      // A command that prints goes on: one that hangs does not.
      onOutput: (...output) => {
        attempt.heartbeat()
        shown.write(...output)
      },
    })
  } finally {
    shown.close()
    if (egress) await proxy.close(sandboxId)
  }
}

function rulesOf({ destinations = [], route = undefined }: LentCommand, lent: readonly Lent[]): EgressRule[] {
  const ofSecrets = lent.flatMap(({ secret, relays }) =>
    secret.destinations.map((place) => ({
      ...place,
      ...(place.tls === undefined ? relays.rule : {}),
      ...(route ?? {}),
    })),
  )
  return [...ofSecrets, ...destinations.map((place) => ({ ...place, ...(route ?? {}) }))]
}

const environmentOf = ({ environment }: LentCommand, lent: readonly Lent[]): Record<string, string> => ({
  ...Object.assign(
    {},
    ...lent.map(({ secret, relays }) => ({ ...companionsOf(secret), ...relays.environment })),
  ),
  ...environment,
  ...Object.fromEntries(lent.map(({ secret, placeholder }) => [secret.variable, placeholder])),
})

const homeOf = ({ secretFiles = {} }: LentCommand, lent: readonly Lent[]): Record<string, string> => ({
  ...Object.assign({}, ...lent.map(({ relays }) => relays.home)),
  ...Object.fromEntries(Object.entries(secretFiles).map(([path, value]) => [path, value.reveal()])),
})

/** What a tool wants beside the placeholder before it sends anything. AWS: any text, because requests are signed anew outside. */
const companionsOf = ({ injection }: LentSecret): { [name: string]: string } =>
  injection?.kind === 'aws' ? { AWS_SECRET_ACCESS_KEY: 'stays-with-keyward' } : {}

async function lendPlaceholders(
  { store, lend }: Needs,
  { runId, taskId }: Attempt,
  command: LentCommand,
  agent: AgentPrincipal,
): Promise<Lent[]> {
  const { secrets = [], title } = command
  const ttlSeconds = Math.max(shortestLeaseSeconds, limitsOf(command).wallSeconds + 60)
  return store.write(async (tx) => {
    // What an attempt that is lost had been lent: one approval is good for one lease of each secret at a time.
    await lend.endForTask(tx, runId, taskId, 'another attempt of its task began')
    const lent: Lent[] = []
    for (const secret of secrets) {
      const { secretPath, field, injection, budget } = secret
      const bound = { secretPath, field, destinations: secret.destinations.filter(isLentFor), runId, taskId }
      await lend.grant(tx, {
        ...bound,
        injection,
        budget,
        agentId: agent.id,
        maxTtlSeconds: ttlSeconds,
        maxLeases: 1,
        reason: title,
        by: runner,
      })
      const { placeholder } = await lend.issue(tx, { ...bound, principal: agent, purpose: title, ttlSeconds })
      const { destinations } = secret
      lent.push({ secret, placeholder, relays: relaysFor({ destinations, injection, placeholder }) })
    }
    return lent
  })
}

const isLentFor = ({ tls }: Destination): boolean => tls === undefined

async function agentOf(identity: Needs['identity'], agentId: string): Promise<AgentPrincipal> {
  const agent = await identity.agent(agentId)
  if (!agent) throw new AppError('agent.not_found', `there is no agent '${agentId}'`)
  if (agent.state !== 'active') throw quarantined(agentId)
  return agentPrincipal(agent)
}

const quarantined = (agentId: string): AppError =>
  new AppError('agent.inactive', `${agentId} is quarantined; what ran for it was ended`)

const limitsOf = ({ limits }: Pick<LentCommand, 'limits'>): SandboxLimits => ({ ...usualLimits, ...limits })

/** What is recorded and shown of a command that has ended. */
export const factsOf = (result: SandboxedResult) => ({
  exitCode: result.exitCode,
  signal: result.signal,
  limit: result.limit,
  durationMs: Math.round(result.durationMs),
})

/** Why a command is taken to have failed, with the last of what it printed. */
export function failureOf(result: SandboxedResult, command: Pick<LentCommand, 'limits'>): string {
  const { exitCode, signal, limit, stderrTail, stdoutTail, endedBecause } = result
  if (endedBecause !== undefined) return `a person ended it: ${endedBecause}`
  const end = limit
    ? `it met its ${limit} limit (${spelt(limitsOf(command))[limit]})`
    : signal
      ? `it was ended by ${signal}`
      : `it exited with ${exitCode}`
  const words = (stderrTail.trim() || stdoutTail.trim()).slice(-500)
  return words ? `${end}: ${words}` : end
}

/** Each limit with what it allows. */
const spelt = (limits: SandboxLimits): Record<SandboxLimit, string> => ({
  wall: `${limits.wallSeconds} seconds`,
  cpu: `${limits.cpuSeconds} seconds of processor time`,
  memory: `${limits.memoryBytes} bytes`,
  processes: `${limits.processes} processes and threads`,
  disk: `${limits.diskBytes} bytes in all, ${limits.fileBytes} for a file`,
  output: `${limits.outputBytes} bytes`,
})
