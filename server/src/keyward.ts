import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { SystemStatus } from '@keyward/contract'
import {
  approvalsMigrations,
  countPendingApprovals,
  createApprovals,
  type MayApprove,
} from './approvals/index.ts'
import { auditMigrations, createAudit, createFileAnchor } from './audit/index.ts'
import { busMigrations, createBus } from './bus/index.ts'
import { type Clock, type Log, type Principal, reasonOf, repeat } from './core/index.ts'
import { createFindings, findingsMigrations } from './findings/index.ts'
import { agentTaskAction, createEgressGate, createFlows, leakedKeyActions } from './flows/index.ts'
import { createIdentity, identityMigrations } from './identity/index.ts'
import { createLend, lendMigrations } from './lend/index.ts'
import { createCustomPolicies, createPolicy, policyMigrations } from './policy/index.ts'
import { createProxy } from './proxy/index.ts'
import { createBubblewrapDriver, createSandbox } from './sandbox/index.ts'
import { createScanner, type Scanner } from './scan/index.ts'
import type { Store } from './store/index.ts'
import { type Ceiling, createVault, type SealedStorage, vaultMigrations } from './vault/index.ts'
import { type ApprovalGate, countRuns, createWorkflow, workflowMigrations } from './workflow/index.ts'

export type Keyward = Awaited<ReturnType<typeof createKeyward>>

type Needs = {
  store: Store
  clock: Clock
  log: Log
  dataDir: string
  version: string
  auditDurability: 'disk' | 'kernel'
  /** Ends the process at a step of a run; given by tests alone. */
  onBoundary?: ((name: string) => void) | undefined
}

const migrations = [
  ...auditMigrations,
  ...busMigrations,
  ...identityMigrations,
  ...policyMigrations,
  ...vaultMigrations,
  ...findingsMigrations,
  ...lendMigrations,
  ...workflowMigrations,
  ...approvalsMigrations,
]

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
  })
  await audit.anchor()
  const bus = createBus({ store, clock, log })
  const policy = createPolicy({ clock })
  const policies = createCustomPolicies({ store, audit, clock, policy })
  await policies.load()
  const identity = createIdentity({ store, audit, bus, clock, log })
  const vault = createVault({
    store,
    audit,
    clock,
    log,
    keyFile: join(dataDir, 'unseal.key'),
    version: needs.version,
    auditDurability: needs.auditDurability,
    ceiling: ceilingOf(policy),
  })
  await vault.load()
  const scanner = keepScanner(() => keys.fingerprint(vault.sealed))
  const findings = createFindings({ store, audit, bus, clock, log, dataDir, vault, scanner })
  const lend = createLend({ store, audit, bus, clock, log, policy, identity, vault })
  const sandbox = createSandbox({
    driver: createBubblewrapDriver({
      clock,
      random: Math.random,
      stateDir: join(dataDir, 'sandbox'),
      nodePath: process.execPath,
    }),
    log,
    dataDir,
  })
  const proxy = createProxy({
    gate: createEgressGate({ policy, identity, lend, audit }),
    log,
    clock,
    dataDir,
  })
  // Workflow asks approvals, and approvals tell workflow: the gate closes the circle.
  const gate: ApprovalGate = {
    request: (tx, question) => approvals.request(tx, question),
    redeem: (tx, claim) => approvals.redeem(tx, claim),
    cancelForRun: (tx, runId, reason) => approvals.cancelForRun(tx, runId, reason),
  }
  const actions = [
    ...leakedKeyActions(findings),
    agentTaskAction({ store, audit, identity, lend, proxy, sandbox }),
  ]
  const workflow = createWorkflow({
    store,
    audit,
    bus,
    clock,
    log,
    actions,
    gate,
    ...(needs.onBoundary ? { onBoundary: needs.onBoundary } : {}),
  })
  const approvals = createApprovals({
    store,
    audit,
    bus,
    clock,
    log,
    workflow,
    mayApprove: mayApproveBy(policy, identity),
  })
  const flows = createFlows({ store, bus, policy, log, findings, workflow })
  const startedAt = clock.now()
  const checkStore = atMostEachSecond(clock, () => store.check())

  async function status(): Promise<SystemStatus> {
    const { state } = await checkStore().then(
      () => ({ state: 'ok' as const }),
      () => ({ state: 'failing' as const }),
    )
    const { initialised, sealed, seal } = vault.status()
    const auditHealth = audit.health()
    const isolation = await sandbox.probe()
    const active = await lend.countActive()
    const counted = await findings.counts()
    return {
      version: needs.version,
      startedAt: startedAt.toISOString(),
      vault: { initialised, sealed, seal },
      store: { dialect: store.dialect, health: state },
      audit: { health: auditHealth.state, seq: auditHealth.seq },
      sandbox: { level: isolation.level, reasons: [...isolation.reasons] },
      proxy: { health: proxy.health().state },
      counts: {
        openFindings: counted.open,
        importedFindings: counted.imported,
        pendingApprovals: await countPendingApprovals(store),
        activeRuns: await countRuns(store, ['Running', 'AwaitingApproval']),
        agents: await identity.countAgents(),
        activeLeases: [...active.values()].reduce((sum, n) => sum + n, 0),
      },
    }
  }

  /** Whether the server can do its work. A sealed vault is a state, not a fault. */
  async function health() {
    const problems: Record<string, string> = {}
    await checkStore().catch((error: unknown) => {
      problems['store'] = reasonOf(error)
    })
    const chain = audit.health()
    if (chain.state !== 'ok') problems['audit'] = chain.reason ?? 'entries cannot be written'
    const egress = proxy.health()
    const state =
      Object.keys(problems).length > 0
        ? ('failing' as const)
        : egress.state === 'failing'
          ? ('degraded' as const)
          : ('ok' as const)
    return { state, problems, vault: vault.status().sealed ? 'sealed' : 'open', proxy: egress.state }
  }

  const stops: (() => void | Promise<void>)[] = []

  async function start(): Promise<void> {
    await findings.recover()
    await sandbox.sweep()
    await lend.expireDue()
    await proxy.start()
    stops.unshift(() => proxy.stop())
    stops.unshift(await flows.watch())
    await approvals.run()
    stops.unshift(() => approvals.stop())
    await workflow.run()
    stops.unshift(() => workflow.stop())
    stops.unshift(
      repeat({ clock, log }, { name: 'lease expiry', milliseconds: 2000, work: () => lend.expireDue() }),
    )
    stops.unshift(
      repeat({ clock, log }, { name: 'audit anchor', milliseconds: 5000, work: () => audit.anchor() }),
    )
    await audit.recordNow({
      type: 'server.started',
      outcome: 'done',
      actor: 'system:server',
      target: 'server:keyward',
      detail: { version: needs.version },
    })
  }

  async function stop(): Promise<void> {
    for (const end of stops.splice(0)) await end()
    await identity.settled()
    await lend.settled()
    await audit.recordNow({
      type: 'server.stopped',
      outcome: 'done',
      actor: 'system:server',
      target: 'server:keyward',
    })
    await audit.anchor()
    vault.close()
  }

  return {
    audit,
    bus,
    policy,
    identity,
    vault,
    findings,
    lend,
    sandbox,
    proxy,
    workflow,
    approvals,
    flows,
    store,
    status,
    health,
    start,
    stop,
  }
}

/** On /v1 the token's own policies decide; Cedar can only refuse. */
function ceilingOf(policy: ReturnType<typeof createPolicy>): Ceiling {
  const actions = {
    read: 'vault.read',
    list: 'vault.list',
    delete: 'vault.delete',
    create: 'vault.update',
    update: 'vault.update',
    patch: 'vault.update',
  } as const
  return (principal, id, operation, path) => {
    const action = actions[operation]
    if (!policy.hasForbid(action)) return undefined
    return policy.decide({
      principal,
      action,
      resource: { type: 'Secret', id, attributes: { path } },
    })
  }
}

function mayApproveBy(
  policy: ReturnType<typeof createPolicy>,
  identity: ReturnType<typeof createIdentity>,
): MayApprove {
  return async (principal: Principal, approval) => {
    const soloAccount = (await identity.countPeople()) === 1
    const { id, requestedBy, action, risk, unattended } = approval
    const decision = policy.decide({
      principal,
      action: 'approvals.approve',
      resource: { type: 'Approval', id, attributes: { requestedBy, action, risk } },
      context: { soloAccount, unattended, risk },
    })
    const mode = requestedBy === `${principal.kind}:${principal.id}` ? 'self' : 'person'
    return { ...decision, mode }
  }
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

/** The scanner for the key as it is now. Building one takes longer than scanning a file; `fingerprintKey` throws while sealed. */
function keepScanner(fingerprintKey: () => Promise<Buffer>): () => Promise<Scanner> {
  let kept: { key: Buffer; scanner: Scanner } | undefined
  return async () => {
    const key = await fingerprintKey()
    if (!kept?.key.equals(key)) kept = { key, scanner: createScanner({ fingerprintKey: key }) }
    return kept.scanner
  }
}

/** Keyward's own keys: made once, kept in the vault, so that they are there only while it is open. */
function createKeys(store: Store) {
  async function kept(sealed: SealedStorage, path: string, make: () => Buffer): Promise<Buffer> {
    const found = await sealed.get(path)
    if (found) return found
    return store.write(async (tx) => {
      const already = await sealed.get(path, tx)
      if (already) return already
      const made = make()
      await sealed.put(tx, path, made)
      return made
    })
  }
  return {
    fingerprint: (sealed: SealedStorage) => kept(sealed, 'keys/fingerprint', () => randomBytes(32)),
    async signing(sealed: SealedStorage): Promise<KeyObject> {
      const der = await kept(sealed, 'keys/audit-signing', () =>
        generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }),
      )
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    },
  }
}
