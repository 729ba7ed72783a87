import type { SystemStatus } from '@keyward/contract'
import { countPendingApprovals } from './approvals/index.ts'
import type { Audit } from './audit/index.ts'
import type { Backups } from './backup/index.ts'
import type { Channels } from './channels/index.ts'
import type { Connectors } from './connectors/index.ts'
import { type Clock, reasonOf } from './core/index.ts'
import type { Findings } from './findings/index.ts'
import type { Identity } from './identity/index.ts'
import type { Lend } from './lend/index.ts'
import type { Proxy as EgressProxy } from './proxy/index.ts'
import type { Sandbox } from './sandbox/index.ts'
import type { RunSchedules, Schedules } from './schedules/index.ts'
import type { Store } from './store/index.ts'
import type { Triggers } from './triggers/index.ts'
import type { Vault } from './vault/index.ts'
import { countRuns, type Workflow } from './workflow/index.ts'

type Needs = {
  backups: Pick<Backups, 'status'>
  channels: Pick<Channels, 'counts'>
  store: Store
  clock: Pick<Clock, 'now'>
  audit: Pick<Audit, 'health'>
  vault: Pick<Vault, 'status' | 'leases' | 'failingRotations'>
  findings: Pick<Findings, 'counts'>
  schedules: Pick<Schedules, 'counts'>
  runSchedules: Pick<RunSchedules, 'counts'>
  triggers: Pick<Triggers, 'counts'>
  connectors: Pick<Connectors, 'counts'>
  identity: Pick<Identity, 'countAgents'>
  lend: Pick<Lend, 'countActive' | 'unproved'> & { asks: Pick<Lend['asks'], 'countOpen'> }
  proxy: Pick<EgressProxy, 'health' | 'openNow'>
  egress: { counts(): NonNullable<SystemStatus['egress']> }
  remote: { state(): SystemStatus['front'] }
  workflow: Pick<Workflow, 'hosts'>
  sandbox: Pick<Sandbox, 'probe' | 'running' | 'waiting'>
  version: string
}

/** What can have a problem, besides the egress proxy, which says for itself how it is. */
const parts = [
  'store',
  'audit',
  'vault',
  'runs',
  'backup',
  'scans',
  'connections',
  'leases',
  'lease receipts',
  'channels',
  'rotations',
] as const
type Problems = Readonly<Partial<Record<(typeof parts)[number], string>>>
type Found = { -readonly [Part in keyof Problems]: Problems[Part] }

export type Health = {
  readonly state: 'ok' | 'degraded' | 'failing'
  /** By part, in words. */
  readonly problems: Problems
  readonly vault: 'sealed' | 'open'
  readonly proxy: string
}

/** How the server and its parts are: `health` for whoever watches it, `status` for people. */
export function createCondition({
  backups,
  channels,
  store,
  clock,
  audit,
  vault,
  findings,
  schedules,
  runSchedules,
  triggers,
  connectors,
  identity,
  lend,
  proxy,
  egress,
  remote,
  sandbox,
  workflow,
  version,
}: Needs) {
  const startedAt = clock.now()
  const checkStore = atMostEachSecond(clock, () => store.check())

  async function counts(): Promise<SystemStatus['counts']> {
    const { open, imported } = await findings.counts()
    const active = await lend.countActive()
    return {
      openFindings: open,
      importedFindings: imported,
      pendingApprovals: await countPendingApprovals(store),
      activeRuns: await countRuns(store, ['Running', 'AwaitingApproval', 'AwaitingPerson', 'Paused']),
      agents: await identity.countAgents(),
      activeLeases: [...active.values()].reduce((sum, n) => sum + n, 0),
    }
  }

  async function backupCondition(): Promise<SystemStatus['backup']> {
    const { state, lastDoneAt } = await backups.status()
    return { state, lastDoneAt }
  }

  async function scheduleCondition(): Promise<SystemStatus['schedules']> {
    const { lastFinishedAt, ...counts } = await schedules.counts()
    return {
      ...counts,
      lastFinishedAt: lastFinishedAt === null ? null : new Date(lastFinishedAt).toISOString(),
    }
  }

  async function leaseCondition(): Promise<NonNullable<SystemStatus['vaultLeases']>> {
    const { count: backlog, oldestAt, nextTryAt, error } = await vault.leases.backlog()
    return {
      count: await vault.leases.count(),
      backlog,
      oldestAt: oldestAt?.toISOString() ?? null,
      nextTryAt: nextTryAt?.toISOString() ?? null,
      error,
    }
  }

  async function proofCondition(): Promise<NonNullable<SystemStatus['leaseProofs']>> {
    const { count, oldestAt } = await lend.unproved()
    return { unproved: count, oldestAt: oldestAt?.toISOString() ?? null }
  }

  async function status(): Promise<SystemStatus> {
    const state = await checkStore().then(
      () => 'ok' as const,
      () => 'failing' as const,
    )
    const { initialised, sealed, seal } = vault.status()
    const chain = audit.health()
    const { level, reasons, details } = await sandbox.probe()
    return {
      version,
      startedAt: startedAt.toISOString(),
      vault: { initialised, sealed, seal },
      store: { dialect: store.dialect, health: state },
      audit: { health: chain.state, seq: chain.seq },
      sandbox: {
        level,
        reasons: [...reasons],
        ...(details ? { driver: details.driver } : {}),
        running: sandbox.running().length,
        waiting: sandbox.waiting(),
      },
      proxy: { health: proxy.health().state },
      counts: await counts(),
      vaultLeases: await leaseCondition(),
      openAsks: await lend.asks.countOpen(),
      leaseProofs: await proofCondition(),
      failingRotations: vault.failingRotations().length,
      backup: await backupCondition(),
      schedules: await scheduleCondition(),
      runSchedules: await runSchedules.counts(),
      triggers: await triggers.counts(),
      connections: await connectors.counts(),
      channels: await channels.counts(),
      egress: egress.counts(),
      open: proxy.openNow(),
      front: remote.state(),
      hosts: await workflow.hosts(),
    }
  }

  async function scheduleProblems(): Promise<Record<string, string>> {
    const { failing } = await schedules.counts()
    const { failing: refused } = await runSchedules.counts()
    const { failing: unstarted } = await triggers.counts()
    return {
      ...(failing > 0 ? { scans: `the last scheduled scan of ${failing} folders failed` } : {}),
      ...(refused > 0 ? { schedules: `the last time of ${refused} schedules of runs was refused` } : {}),
      ...(unstarted > 0 ? { triggers: `the last event of ${unstarted} triggers could not be started` } : {}),
    }
  }

  /** What does not keep the server from its work, read from a store that answers. */
  async function lighterProblems(): Promise<Problems> {
    const problems: Found = {}
    if ((await backupCondition())?.state === 'failing')
      problems['backup'] = 'the last backup failed, or one is overdue'
    Object.assign(problems, await scheduleProblems())
    const down = (await connectors.counts()).reduce((sum, kind) => sum + kind.down, 0)
    if (down > 0) problems['connections'] = `${down} connected services do not answer as they should`
    const { count, oldestAt } = await vault.leases.backlog()
    if (count > 0)
      problems['leases'] =
        `${count} leases of the vault have not ended when they should have, the oldest ${oldestAt?.toISOString()}`
    const { unproved, oldestAt: since } = await proofCondition()
    if (unproved > 0)
      problems['lease receipts'] =
        `the end of ${unproved} leases could not be shown, or does not hold, the oldest since ${since}`
    const { dead } = await channels.counts()
    if (dead > 0) problems['channels'] = `${dead} messages to people were given up`
    const rotations = rotationProblem(vault.failingRotations())
    if (rotations !== undefined) problems['rotations'] = rotations
    return problems
  }

  async function hostProblems(): Promise<Problems> {
    const runs = hostProblem(await workflow.hosts())
    return runs === undefined ? {} : { runs }
  }

  /** Whether the server can do its work. A sealed vault is a state, not a fault. */
  async function health(): Promise<Health> {
    const problems: Found = {}
    await checkStore().catch((error: unknown) => {
      problems['store'] = reasonOf(error)
    })
    const chain = audit.health()
    if (chain.state !== 'ok') problems['audit'] = chain.reason ?? 'entries cannot be written'
    const egress = proxy.health().state
    const failing = Object.keys(problems).length > 0
    Object.assign(problems, failing ? {} : { ...(await lighterProblems()), ...(await hostProblems()) })
    const { problem } = vault.status()
    if (problem !== undefined) problems['vault'] = problem
    const degraded = egress === 'failing' || Object.keys(problems).length > 0
    const state = failing ? 'failing' : degraded ? 'degraded' : 'ok'
    return { state, problems, vault: vault.status().sealed ? 'sealed' : 'open', proxy: egress }
  }

  return { status, health }
}

function rotationProblem([first, ...others]: readonly { readonly path: string }[]): string | undefined {
  if (!first) return undefined
  return `${others.length + 1} passwords of databases could not be changed in time, among them that of ${first.path}`
}

function hostProblem({ active, temporal }: NonNullable<SystemStatus['hosts']>): string | undefined {
  if (temporal === null && active.temporal > 0)
    return `${active.temporal} runs are Temporal's, and no Temporal is set: they stand still until KEYWARD_TEMPORAL_ADDRESS is back`
  if (temporal?.state !== 'connecting') return undefined
  return `Temporal does not carry its runs: ${temporal.problem ?? 'the worker is connecting'}`
}

/** A check is a write that is synced, and anybody may ask for health: one that went well holds for a second. */
function atMostEachSecond(clock: Pick<Clock, 'now'>, check: () => Promise<void>): () => Promise<void> {
  let last: { at: number; done: Promise<void> } | undefined
  return () => {
    const now = clock.now().getTime()
    if (last && now >= last.at && now - last.at < 1000) return last.done
    const started = { at: now, done: check() }
    last = started
    started.done.catch(() => {
      if (last === started) last = undefined
    })
    return started.done
  }
}

/** Every part, and whether it has a problem. */
export const faultsOf = ({ problems, proxy }: Health): ReadonlyMap<string, boolean> =>
  new Map([
    ...parts.map((part) => [part, problems[part] !== undefined] as const),
    ['proxy', proxy === 'failing'] as const,
  ])
