import { join, resolve } from 'node:path'
import { createApprovals, oldestPendingAt } from './approvals/index.ts'
import { createArtifacts } from './artifacts/index.ts'
import { createAudit, createFileAnchor, openFileJournal } from './audit/index.ts'
import { createBackups } from './backup/index.ts'
import { createBus } from './bus/index.ts'
import { channelConnectors, createChannels } from './channels/index.ts'
import { createCondition, faultsOf } from './condition.ts'
import { createConnectors, shippedConnectors } from './connectors/index.ts'
import { type Clock, inOrder, type Log, repeat, type Step } from './core/index.ts'
import { createFindings } from './findings/index.ts'
import {
  commandActions,
  createConnectorCommands,
  createEgressGate,
  createEgressLog,
  createEgressLogins,
  createFlows,
  createProxyProbe,
  createSandboxedCommands,
  createTaskOutput,
  leakedKeyActions,
  watchEgressEnds,
} from './flows/index.ts'
import { createGoals, openModelPlanner, ownActions, ownFlows } from './goals/index.ts'
import { createIdentity } from './identity/index.ts'
import { createImages } from './images/index.ts'
import { createKeys } from './keys.ts'
import { createLend, type Probe } from './lend/index.ts'
import { migrations } from './migrations.ts'
import { createObserve } from './observe/index.ts'
import { createPassages, createRemote, type Listen } from './passage/index.ts'
import { createCustomPolicies, createPolicy } from './policy/index.ts'
import { createProxy } from './proxy/index.ts'
import { createRollout, governed, natureOf } from './rollout/index.ts'
import {
  assertMayLendBy,
  assertMayUseBy,
  ceilingOf,
  directoryOf,
  mayApproveBy,
  partsBy,
  policyVersionOf,
} from './rulings.ts'
import { createSandbox, createSandboxDriver, type Sandbox, sandboxSettingsOf } from './sandbox/index.ts'
import { keepScanner } from './scanner.ts'
import { createRunSchedules, createSchedules } from './schedules/index.ts'
import type { Durability, Store } from './store/index.ts'
import { createTriggers } from './triggers/index.ts'
import { createVault, type KeyWrapper, type SealKind } from './vault/index.ts'
import { type ApprovalGate, createWorkflow, type Workflow } from './workflow/index.ts'

export type Keyward = Awaited<ReturnType<typeof createKeyward>>

type Needs = {
  store: Store
  clock: Clock
  log: Log
  dataDir: string
  version: string
  /** `kernel` lets reads go when the operating system has their entry, as other vaults do, instead of the disk. */
  auditDurability: Durability
  /** Where git is looked for. */
  searchPath: string
  /** The environment: `KEYWARD_SANDBOX`, `KEYWARD_TEMPORAL_ADDRESS`, where programs of container engines are, and what tells them where their engines are. */
  env: Readonly<Record<string, string | undefined>>
  /** Where else the file devices of the vault's audit may write. */
  auditFolder?: string | undefined
  /** What can open the vault by itself, beside the key file. */
  wrappers?: readonly KeyWrapper[]
  /** What shall seal the vault; whatever seals it now when absent. */
  wantedSeal?: SealKind | undefined
  /** Where agents on other machines come. */
  agentsListen?: Listen | undefined
  /** Where people reach this server, without a slash at its end. */
  publicAddress?: (() => string) | undefined
  /** Ends the process at a step of a run; given by tests alone. */
  onBoundary?: ((name: string) => void) | undefined
  /** What sandboxes hold on this machine, measured by another process; given by tests alone. */
  sandboxFound?: Awaited<ReturnType<Sandbox['probe']>> | undefined
}

/** Puts the domains together. Nothing runs yet: `start` does that, `stop` ends it. */
export async function createKeyward(needs: Needs) {
  const { store, clock, log, dataDir } = needs
  await store.migrate(migrations)
  const keys = createKeys(store)
  const audit = createAudit({
    store,
    clock,
    anchor: createFileAnchor(join(dataDir, 'audit.anchor')),
    signingKey: async () => (vault.status().sealed ? undefined : keys.signing(vault.sealed)),
    readDurability: needs.auditDurability,
    journal:
      store.dialect === 'sqlite'
        ? openFileJournal(join(dataDir, 'audit.journal'), needs.auditDurability)
        : undefined,
  })
  await audit.start()
  const bus = createBus({ store, clock, log })
  const shared = { store, audit, bus, clock, log }
  const policy = createPolicy({ clock })
  const policies = createCustomPolicies({ store, audit, clock, policy })
  await policies.load()
  const identity = createIdentity({
    store,
    audit,
    bus,
    clock,
    log,
    sealed: () => vault.sealed,
  })
  const vault = createVault({
    store,
    audit,
    clock,
    log,
    keyFile: join(dataDir, 'unseal.key'),
    version: needs.version,
    auditFolders: [join(dataDir, 'audit'), ...(needs.auditFolder ? [resolve(needs.auditFolder)] : [])],
    wrappers: needs.wrappers ?? [],
    wantedSeal: needs.wantedSeal,
    ceiling: ceilingOf(policy),
  })
  await vault.load()
  const { scanner, sources } = keepScanner(() => keys.fingerprint(vault.sealed), needs.searchPath)
  const { version, agentsListen: listen } = needs
  const findings = createFindings({ ...shared, dataDir, vault, scanner, sources, version })
  const probesFor = (): readonly Probe[] => [proxyProbe]
  const lend = createLend({
    ...{ ...shared, policy, identity, vault, probesFor },
    placeholderForm: async (like) => (await scanner()).placeholderForm(like),
  })
  const sandbox = createSandbox({
    driver: createSandboxDriver({
      ...sandboxSettingsOf(needs.env),
      env: needs.env,
      clock,
      random: Math.random,
      stateDir: join(dataDir, 'sandbox'),
      nodePath: process.execPath,
    }),
    clock,
    log,
    dataDir,
    found: needs.sandboxFound,
  })
  const images = createImages({ ...shared, identity, sandbox, dataDir })
  const taskOutput = createTaskOutput(clock)
  const artifacts = createArtifacts({
    ...shared,
    sealed: vault.sealed,
    folder: join(dataDir, 'artifacts'),
    isRunOver: async (runId) => (await workflow.read(runId)).finishedAt !== null,
  })
  const egressGate = createEgressGate({ policy, identity, lend, audit, bus, store })
  const proxy = createProxy({
    gate: egressGate,
    logins: createEgressLogins({ lend }),
    log,
    clock,
    dataDir,
  })
  const proxyProbe = createProxyProbe({ proxy })
  const passages = createPassages({ store, audit, bus, clock, log, identity, lend, proxy })
  const remote = createRemote({ store, audit, bus, clock, log, identity, lend, proxy, vault, listen })
  // Workflow asks approvals, and approvals tell workflow: the gate closes the circle.
  const gate: ApprovalGate = {
    request: (tx, question) => approvals.request(tx, question),
    redeem: (tx, claim) => approvals.redeem(tx, claim),
    cancelForRun: (tx, runId, reason) => approvals.cancelForRun(tx, runId, reason),
  }
  const commands = createSandboxedCommands({
    ...shared,
    identity,
    lend,
    proxy,
    sandbox,
    images,
    policy,
    taskOutput,
    artifacts,
    traced: () => observe.traced,
  })
  const assertMayUse = assertMayUseBy(policy, identity)
  const connectors = createConnectors({
    ...shared,
    random: Math.random,
    vault,
    connectors: [...shippedConnectors, ...channelConnectors],
    assertMayLend: assertMayLendBy(policy),
    assertMayUse,
    sandboxed: createConnectorCommands({ store, identity, commands }),
    artifacts,
    traced: () => observe.traced,
  })
  const looking = {
    ...shared,
    ...{ vault, lend, policy, artifacts, scanner, services: connectors.actions },
    runs: (query: Parameters<Workflow['page']>[0]) => workflow.page(query),
    parts: partsBy(connectors, () => health()),
    read: (runId: string) => workflow.read(runId),
    connections: () => connectors.list(),
    factsOf: connectors.action,
    agents: async () => (await identity.agents({ limit: 500 })).items,
    assertMayLend: assertMayLendBy(policy),
  }
  const actions = governed(
    [
      ...connectors.actions,
      ...leakedKeyActions(findings),
      ...ownActions(looking),
      ...commandActions(commands),
    ],
    { allowTask: (...task) => rollout.allowTask(...task) },
  )
  const actionNamed = new Map(actions.map((action) => [action.name, action]))
  const workflow = createWorkflow({
    ...shared,
    actions,
    gate,
    temporal: { env: needs.env, key: () => keys.temporal(vault) },
    planFlow: (request) => flows.planSubrun(request),
    ...(needs.onBoundary ? { onBoundary: needs.onBoundary } : {}),
  })
  const rollout = createRollout({ store, audit, bus, clock, log, identity, policy, workflow })
  const approvals = createApprovals({
    ...shared,
    workflow,
    directory: directoryOf(identity),
    mayApprove: mayApproveBy(policy, identity),
    policyVersion: () => policyVersionOf(policy),
  })
  const flows = createFlows({
    ...shared,
    ...{ policy, findings, workflow, identity, rollout },
    natureOf: (task) => natureOf(actionNamed.get(task.action), task),
    more: ownFlows(looking),
  })
  const model = openModelPlanner(needs.env, { ...looking, flows, kinds: connectors.kinds, assertMayUse })
  const goals = createGoals({ ...shared, policy, flows, workflow, model })
  const schedules = createSchedules({ store, audit, bus, clock, log, policy, findings, flows, vault })
  const runSchedules = createRunSchedules({ ...shared, policy, identity, flows, workflow, vault })
  const events = { ...shared, policy, identity, vault, connectors, flows, goals, workflow }
  const triggers = createTriggers({ ...events, questions: approvals })
  const channels = createChannels({
    ...shared,
    random: Math.random,
    identity,
    vault,
    approvals,
    workflow,
    publicAddress: needs.publicAddress ?? (() => ''),
  })
  const backups = createBackups({
    store,
    audit,
    clock,
    log,
    dataDir,
    version: needs.version,
    isSealed: () => vault.status().sealed,
  })
  const { status, health } = createCondition({
    backups,
    channels,
    ...shared,
    vault,
    findings,
    schedules,
    runSchedules,
    triggers,
    connectors,
    identity,
    lend,
    proxy,
    egress: egressGate,
    remote,
    sandbox,
    workflow,
    version: needs.version,
  })

  const observe = createObserve({
    ...shared,
    env: needs.env,
    version,
    work: workflow.inHand,
    oldestApprovalAt: () => oldestPendingAt(store),
    factors: identity.factors.attempts,
    problems: async () => faultsOf(await health()),
  })
  const stops: Step[] = []

  function every(milliseconds: number, name: string, work: () => Promise<unknown>): void {
    stops.unshift(repeat({ clock, log }, { name, milliseconds, work }))
  }

  async function start(): Promise<void> {
    stops.unshift(observe.start())
    await findings.recover()
    await sandbox.sweep()
    await images.sweep()
    stops.unshift(() => sandbox.stop())
    await lend.expireDue()
    await proxy.start()
    stops.unshift(() => proxy.stop())
    stops.unshift(watchEgressEnds({ bus, proxy }))
    stops.unshift(await passages.start())
    stops.unshift(await remote.start())
    stops.unshift(await flows.watch())
    stops.unshift(rollout.watch())
    stops.unshift(await artifacts.start())
    await approvals.run()
    stops.unshift(() => approvals.stop())
    await workflow.run()
    stops.unshift(() => workflow.stop())
    await channels.start()
    stops.unshift(() => channels.stop())
    stops.unshift(await backups.run())
    await connectors.start()
    stops.unshift(() => connectors.stop())
    await schedules.start()
    stops.unshift(() => schedules.stop())
    for (const starting of [runSchedules, triggers]) {
      starting.start()
      stops.unshift(() => starting.stop())
    }
    every(60_000, 'ignored findings', () => findings.expireIgnores())
    every(2000, 'lease expiry', () => lend.expireDue())
    every(2000, 'expiry of requests for leases', () => lend.asks.expireDue())
    every(60_000, 'artifacts', () => artifacts.expireDue())
    stops.unshift(() => lend.settled())
    every(2000, 'lease receipts', () => lend.proveDue())
    every(5000, 'audit anchor', () => audit.anchor())
    await audit.recordNow({
      type: 'server.started',
      outcome: 'done',
      actor: 'system:server',
      target: 'server:keyward',
      detail: { version: needs.version },
    })
  }

  async function stop(): Promise<void> {
    const stopped = {
      type: 'server.stopped',
      outcome: 'done',
      actor: 'system:server',
      target: 'server:keyward',
    } as const
    await inOrder([
      ...stops.splice(0),
      () => identity.settled(),
      () => lend.settled(),
      () => audit.recordNow(stopped),
      () => audit.anchor(),
      () => audit.close(),
      () => vault.close(),
    ])
  }

  return {
    audit,
    bus,
    policy,
    identity,
    vault,
    findings,
    schedules,
    runSchedules,
    triggers,
    lend,
    passages,
    egressLog: createEgressLog(audit),
    remote,
    sandbox,
    images,
    proxy,
    workflow,
    approvals,
    rollout,
    goals,
    connectors,
    flows,
    taskOutput,
    artifacts,
    backups,
    channels,
    observe,
    store,
    status,
    health,
    start,
    stop,
  }
}
