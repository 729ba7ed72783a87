import type { Audit } from '../audit/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  createIds,
  type Log,
  type Principal,
  reasonOf,
  Secret,
} from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import { createPolicies } from './acl/policies.ts'
import { type Act, type Acted, createActing } from './acting.ts'
import { createLockouts } from './auth/lockouts.ts'
import { createBarrier } from './barrier/barrier.ts'
import { createCluster } from './cluster.ts'
import { createDatabaseAccounts, type DatabaseAccounts } from './database-accounts.ts'
import { dialectVersion } from './dialect-version.ts'
import type { Engine, RenewalTerms } from './engine.ts'
import { createEngineMakers } from './engine-makers.ts'
import { createDatabases, type FailingRotation } from './engines/database/databases.ts'
import { createCubbyhole, cubbyholeOf } from './engines/kv1.ts'
import type { answerSshAgent } from './engines/ssh/agent.ts'
import { createServerSystem } from './engines/system/server-system.ts'
import { createSystemEngine } from './engines/system/system.ts'
import { createTokenEngine } from './engines/token.ts'
import { createExpiry } from './expiry.ts'
import { createExplain, type Explain } from './explain/explain.ts'
import { createIdentity } from './identity/identity.ts'
import { createKeywardKv, type VaultKv } from './keyward-kv.ts'
import { createKeywardStorage, type SealedStorage } from './keyward-storage.ts'
import type { LeasePages } from './leases/lease-pages.ts'
import { createLeases, type Leases } from './leases/leases.ts'
import { createMounts, type EngineMakers, type Mount } from './mounts.ts'
import { createOverview, type Overview } from './overview.ts'
import { createPasswordPolicies } from './password-policies.ts'
import { type Ceiling, createRequestHandler } from './request.ts'
import type { VaultRequest, VaultResponse } from './request-context.ts'
import { createRouter } from './router.ts'
import { createKeyFileWrapper } from './seal/key-file-wrapper.ts'
import type { KeyWrapper, SealKind } from './seal/key-wrapper.ts'
import { createOpening, type Opening } from './seal/opening.ts'
import type { VaultStatus } from './seal/seal.ts'
import { createSealing } from './seal/sealing.ts'
import { createSealRequests } from './seal-requests.ts'
import { greatestTtl } from './tokens/lifetime.ts'
import type { TokenRecord } from './tokens/token-record.ts'
import { createTokenRoles } from './tokens/token-roles.ts'
import { createTokens } from './tokens/tokens.ts'
import { createWrapping } from './wrapping.ts'

export type Vault = {
  /** Learns from the store what there is; call it once, before anything else. */
  load(): Promise<void>
  status(): VaultStatus
  /** Makes the keys and the root token. With key shares the vault waits for them afterwards, else it is open. */
  initialise: Opening['initialise']
  /** A share in hexadecimal or base64, as `initialise` or Vault's clients give it. */
  unseal: Opening['unseal']
  unsealByItself: Opening['unsealByItself']
  openAtStart: Opening['openAtStart']
  seal(by: Principal): Promise<void>
  /** Versioned secrets, for Keyward's own domains, which decide and audit for themselves. */
  kv: VaultKv
  /** Keyward's own encrypted storage, which no API shows: undo copies, keys. */
  sealed: SealedStorage
  /** What engines gave out for a time. */
  leases: LeasePages & Pick<Leases, 'idle'>
  /** Passwords of databases that could not be changed when their time had come; they are tried again. */
  failingRotations(): readonly FailingRotation[]
  /** Everything below `/v1/`, decided and audited here. */
  handle(request: VaultRequest): Promise<VaultResponse>
  /** Whether a token is valid now, and may write to `path` if one is named, for who has to know before a request is read. */
  admits(token: Secret | undefined, path?: string): Promise<boolean>
  /** A request in the name of somebody whom Keyward's own policies have allowed it. */
  act(principal: Principal, act: Act): Promise<Acted>
  accounts: DatabaseAccounts
  /** Speaks the protocol of SSH agents with keys that it is given. */
  sshAgent: typeof answerSshAgent
  /** What would happen to a request, and why. Nobody has been asked whether the caller may know. */
  explain: Explain
  /** Names and states for operators, which policy has allowed them. */
  overview: Overview
  /** Who a vault token is, for `/api/v1`; the policy `root` gives the role `owner`. */
  principalOf(token: string): Promise<Principal | undefined>
  /** Ends tokens whose time has come, with their children; returns how many. Runs by itself while the vault is open. */
  expireTokens(): Promise<number>
  /** Wipes the keys from memory and stops; the vault itself stays as it is. */
  close(): void
}

type Needs = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow' | 'recordRead'>
  clock: Clock
  log: Log
  /** Where the key file is, or would be. */
  keyFile: string
  /** What else can open the vault by itself. */
  wrappers?: readonly KeyWrapper[]
  /** What shall seal the vault; whatever seals it now when absent. */
  wantedSeal?: SealKind | undefined
  /** Cedar above the ACL: it can only refuse. */
  ceiling?: Ceiling
  version?: string
  /** Types of secret engines beside those that every vault has. */
  engines?: EngineMakers['secret']
  /** Where the file devices of `sys/audit` may write. */
  auditFolders?: readonly string[]
}

export function createVault(needs: Needs): Vault {
  const { store, audit, clock, log } = needs
  const barrier = createBarrier({ store, now: clock.now })
  const policies = createPolicies(barrier)
  const router = createRouter()
  const identity = createIdentity({ barrier, clock, mounts: () => mounts.all() })
  const tokens = createTokens({
    store,
    barrier,
    policies,
    identity,
    clock,
    async onEnd(tx, { row, record }) {
      await barrier.deleteFolder(tx, cubbyholeOf(record.id))
      await leases.markOfToken(tx, row, record.id)
    },
    isMounted: (mountId) => mounts.engineById(mountId) !== undefined,
  })
  const sealing = createSealing({
    store,
    audit,
    clock,
    barrier,
    wrappers: [createKeyFileWrapper(needs.keyFile), ...(needs.wrappers ?? [])],
    wanted: needs.wantedSeal,
    createRootToken: async (tx, value) => void (await tokens.create(tx, { ...rootToken, value })),
    async hasSudo(token, path) {
      const live = token && (await tokens.authenticate(token))
      // A token with counted uses, or for certain addresses, is for paths where both are checked.
      if (!live || live.record.usesLeft !== null || live.record.boundCidrs) return false
      return live.acl.allows(path, 'sudo', false)
    },
  })
  const { seal } = sealing
  const tokenRoles = createTokenRoles(barrier)
  const lockouts = createLockouts({ clock, store, barrier })
  const wrapping = createWrapping({ tokens, barrier })
  const passwordPolicies = createPasswordPolicies(barrier)
  const databases = createDatabases({ barrier, store, audit, passwords: passwordPolicies, clock, log })
  const makers = createEngineMakers({ barrier, store, clock, tokens, identity, lockouts, databases })
  const mounts = createMounts({
    barrier,
    router,
    fixed: () => fixed,
    makers: { ...makers, secret: { ...makers.secret, ...needs.engines } },
    async onDisable(tx, { id }) {
      for (const row of await tokens.issuedBy(tx, id)) await tokens.revoke(tx, row)
      tx.afterCommit(tokens.forget)
    },
  })
  const leases = createLeases({ store, audit, barrier, clock, log, mounts, isOpen: () => active })
  const cluster = createCluster({ barrier, store })
  const serverSystem = createServerSystem({
    store,
    audit,
    barrier,
    clock,
    log,
    mounts,
    router,
    tokens,
    identity,
    leases,
    cluster,
    version: dialectVersion(needs.version),
    auditFolders: needs.auditFolders ?? [],
    reload,
  })
  const fixed: readonly { mount: Mount; engine: Engine }[] = [
    fixedMount('cubbyhole/', 'cubbyhole', 'per-token private secret storage', createCubbyhole(barrier)),
    fixedMount(
      'sys/',
      'system',
      'the vault itself',
      createSystemEngine({
        barrier,
        policies,
        mounts,
        tokens,
        wrapping,
        lockouts,
        leases,
        passwordPolicies,
        keys: { barrier, ...sealing },
        seal: shut,
        others: serverSystem.paths,
      }),
    ),
    fixedMount('identity/', 'identity', 'identity store', identity.engine),
    fixedMount(
      'auth/token/',
      'token',
      'token based credentials',
      createTokenEngine({
        tokens,
        policies,
        identity,
        accessor: accessorOf('token'),
        config: () => mounts.of('auth/token')?.config ?? {},
        roles: tokenRoles,
        renewalTerms,
      }),
    ),
  ]
  /** Open for requests: keys, mounts and policies are there. */
  let active = false

  /** Who gave a token out is asked again: a role or a user that is gone renews nothing. */
  async function renewalTerms(tx: Tx, record: TokenRecord): Promise<RenewalTerms> {
    const { issuer, role } = record
    if (issuer) {
      const terms = (await mounts.engineById(issuer.mountId)?.renewal?.(tx, record)) ?? {}
      const config = mounts.all().find(({ id }) => id === issuer.mountId)?.config
      return { ...terms, maxTtlSeconds: greatestTtl(terms.maxTtlSeconds ?? 0, config?.maxTtlSeconds) }
    }
    if (role === undefined) return {}
    const found = await tokenRoles.read(role, tx)
    if (!found)
      throw new AppError('request.invalid', `original token role "${role}" could not be found, not renewing`)
    return found.periodSeconds > 0 ? { periodSeconds: found.periodSeconds } : {}
  }

  async function activate(): Promise<void> {
    await mounts.load()
    await lockouts.load()
    await serverSystem.opened()
    await sealing.rotation.load()
    active = true
    leases.start()
    databases.start()
    expiry.start()
  }

  function shut(): void {
    active = false
    leases.stop()
    databases.stop()
    expiry.stop()
    tokens.forget()
    serverSystem.shut()
    sealing.shut()
  }

  /** After the storage was replaced. A vault of key shares waits for them; any other opens by itself. */
  function reload(): void {
    shut()
    seal
      .load()
      .then(opening.openAtStart)
      .catch((error: unknown) =>
        log.error({ reason: reasonOf(error) }, 'the restored vault cannot be opened'),
      )
  }

  const expiry = createExpiry({
    store,
    audit,
    clock,
    log,
    mounts,
    tokens,
    rotateDue: sealing.rotation.rotateDue,
    isOpen: () => active,
  })

  const opening = createOpening({
    sealing,
    store,
    audit,
    clock,
    log,
    isActive: () => active,
    activate,
    shut,
    async setUp(tx, rootTokenId) {
      await policies.setUp(tx)
      await mounts.setUp(tx)
      return (await tokens.create(tx, { ...rootToken, value: rootTokenId })).token
    },
  })
  const { status } = opening

  const handleSealed = createSealRequests({
    clock,
    version: dialectVersion(needs.version),
    status,
    cluster: cluster.current,
    newSeal: () => needs.wantedSeal ?? 'shamir',
    initialise: opening.initialise,
    unseal: opening.unseal,
    reset: seal.reset,
    owners: sealing.owners,
  })
  const handling = {
    store,
    audit,
    tokens,
    router,
    wrapping,
    leases,
    clock,
    ids: createIds(),
    log,
    ceiling: needs.ceiling ?? (() => undefined),
    isOpen: () => active,
  }
  const handleOpen = serverSystem.around(createRequestHandler(handling))
  const explain = createExplain({ ...handling, mounts, policies, identity, now: clock.now })

  const act = createActing(handling)

  return {
    load: seal.load,
    status,
    initialise: opening.initialise,
    unseal: opening.unseal,
    unsealByItself: opening.unsealByItself,
    openAtStart: opening.openAtStart,
    async seal(by) {
      await audit.recordNow({
        type: 'vault.sealed',
        outcome: 'done',
        actor: actorOf(by),
        target: 'vault:keyward',
      })
      shut()
    },
    kv: createKeywardKv({ mounts, barrier, clock, isOpen: () => active }),
    sealed: createKeywardStorage(barrier),
    leases: { ...leases.pages, idle: leases.idle },
    failingRotations: databases.failingRotations,
    handle: (request) => handleSealed(request) ?? handleOpen(request),
    async admits(token, path) {
      const live = active && token !== undefined ? await tokens.authenticate(token) : undefined
      return live !== undefined && (path === undefined || live.acl.allows(path, 'update'))
    },
    act,
    // Loaded with the first request of a sandbox for a key.
    sshAgent: async (...asked) => (await import('./engines/ssh/agent.ts')).answerSshAgent(...asked),
    accounts: createDatabaseAccounts({ mounts, act, now: clock.now }),
    overview: createOverview({ mounts, barrier, policies, tokens, isOpen: () => active }),
    async explain(subject, question, seesAll) {
      if (!active) throw new AppError('vault.sealed')
      return explain(subject, question, seesAll)
    },
    async principalOf(token) {
      if (!active || token === '') return undefined
      const live = await tokens.authenticate(new Secret(token))
      // A token with counted uses, or for certain addresses, is for /v1, where both are checked.
      const free = live?.record.usesLeft === null && !live.record.boundCidrs
      return free ? live.principal : undefined
    },
    expireTokens: expiry.expireTokens,
    close() {
      opening.stop()
      sealing.close()
      shut()
    },
  }
}

const rootToken = {
  policies: ['root'],
  metadata: null,
  displayName: 'root',
  path: 'auth/token/root',
  usesLeft: null,
  renewable: false,
  parent: null,
  endless: true,
} as const

const accessorOf = (type: string): string => `${type}_keyward`

function fixedMount(
  path: string,
  type: Mount['type'],
  description: string,
  engine: Engine,
): { mount: Mount; engine: Engine } {
  return { mount: { path, type, id: type, accessor: accessorOf(type), description, version: null }, engine }
}
