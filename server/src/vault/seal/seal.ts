import { hash, randomBytes } from 'node:crypto'
import type { Audit } from '../../audit/index.ts'
import { AppError, type Clock, type Secret } from '../../core/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { decrypt, encrypt } from '../barrier/cipher.ts'
import { createKeyRing, keyBytes } from '../barrier/key-ring.ts'
import { keyRingContext, readRing } from '../barrier/stored-ring.ts'
import { putKey, readKey } from '../vault-store.ts'
import type { AutoSealKind, KeyWrapper, SealKind } from './key-wrapper.ts'
import { makeKey, type NewKey, shareLength } from './new-key.ts'
import { createQuorum, isSame } from './quorum.ts'
import {
  type Holders,
  holdersOf,
  parseSealConfig,
  rootContext,
  type SealConfig,
  type SealOptions,
  sealConfigBytes,
} from './seal-config.ts'

export type VaultStatus = {
  readonly initialised: boolean
  readonly sealed: boolean
  /** What seals it, or what will when the migration under way is done. */
  readonly seal: SealKind
  readonly shares: number
  readonly threshold: number
  /** How many shares of the running attempt have come. */
  readonly progress: number
  /** Names the running attempt; empty when there is none. */
  readonly attempt: string
  /** Another seal is configured than the one that the vault was closed with. */
  readonly migration: boolean
  /** Why a vault that opens by itself is not open, or would not open again. */
  readonly problem?: string
}

/**
 * The seal keeps the root key: wrapped by a key that people hold in shares, or that lies in a file, in another vault or in a
 * cloud's service. The root key opens the key ring, and the key ring everything else.
 */
export type Seal = {
  /** Learns from the store whether the vault exists. */
  load(): Promise<void>
  status(): VaultStatus
  /** Makes the keys, outside any transaction because it may make a file or ask another service. */
  prepare(options: SealOptions): Promise<NewSeal>
  /** Stores the new keys and opens the barrier; the caller closes it when the transaction fails. */
  initialise(tx: Tx, fresh: NewSeal): Promise<void>
  /** Adds a share; true when the barrier is open. `migrate` says that the owners want the other seal. */
  unseal(share: Buffer, migrate?: boolean): Promise<boolean>
  /** Without anybody's share, where the seal is of that kind. */
  unsealByItself(): Promise<void>
  /** The other seal that is wanted needs no key of the owners, because they have none. */
  migratesByItself(): boolean
  /** Forgets the shares that have come so far. */
  reset(): void
  seal(): void
  /** How it is sealed now. */
  config(): SealConfig
  /** Whether a key is the one that the owners hold shares of. Open vaults only. */
  isHeld(key: Buffer): Promise<boolean>
  /** A new root key, closed by a new key of the holders of shares where these close it. Runs in a transaction afterwards. */
  prepareRootKey(holders?: { key: Buffer } & Holders): Promise<(tx: Tx) => Promise<void>>
  storeRecoveryKey(tx: Tx, recovery: { key: Buffer } & Holders): Promise<void>
}

type Needs = {
  store: Pick<Store, 'get' | 'all' | 'write'>
  audit: Pick<Audit, 'record'>
  barrier: Pick<Barrier, 'open' | 'shut' | 'isOpen' | 'replaceRootKey'>
  clock: Pick<Clock, 'now'>
  /** Those that can be reached. */
  wrappers: readonly KeyWrapper[]
  /** What shall seal the vault; undefined: whatever seals it now. */
  wanted?: SealKind | undefined
}
export type NewSeal = {
  readonly config: SealConfig
  readonly rootKey: Buffer
  readonly wrapped: Buffer
  readonly shares: readonly Secret[]
  readonly recoveryShares: readonly Secret[]
}

export function createSeal({ store, audit, barrier, clock, wrappers, wanted }: Needs): Seal {
  const quorum = createQuorum()
  let config: SealConfig | undefined

  const isMigrating = (): boolean => config !== undefined && wanted !== undefined && wanted !== config.seal

  const migratesByItself = (): boolean =>
    isMigrating() && config?.seal !== 'shamir' && !config?.recovery && wanted !== 'shamir'

  function present(): SealConfig {
    if (!config) throw new AppError('vault.uninitialised', 'initialise it first: PUT /v1/sys/init')
    return config
  }

  function wrapperOf(kind: AutoSealKind): KeyWrapper {
    const wrapper = wrappers.find((known) => known.kind === kind)
    if (!wrapper)
      throw new AppError('request.invalid', `the seal "${kind}" is not configured: start the server with it`)
    return wrapper
  }

  async function storedRoot(): Promise<Uint8Array> {
    const wrapped = await readKey(store, 'root')
    if (!wrapped) throw new AppError('vault.uninitialised')
    return wrapped
  }

  async function openWith(rootKey: Buffer): Promise<void> {
    try {
      barrier.open(await readRing(store, rootKey), rootKey)
    } catch (error) {
      rootKey.fill(0)
      throw error
    }
  }

  /** The root key by a key that the owners put together. */
  async function rootKeyBy(key: Buffer, { seal, recovery }: SealConfig): Promise<Buffer> {
    const wrong = new AppError(
      'vault.share_invalid',
      'the key does not open this vault: a share is wrong, of another vault, or from before a rekey.',
    )
    const wrapped = await storedRoot()
    if (seal !== 'shamir' && recovery) {
      if (!isSame(digestOf(key), Buffer.from(recovery.digest, 'hex'))) throw wrong
      return wrapperOf(seal).unwrap(wrapped)
    }
    const rootKey = decrypt(key, rootContext, wrapped)
    if (!rootKey) throw wrong
    return rootKey
  }

  async function storeMigrated(tx: Tx, from: SealKind, next: SealConfig, wrapped: Buffer): Promise<void> {
    await putKey(tx, 'seal', sealConfigBytes(next))
    await putKey(tx, 'root', wrapped)
    await audit.record(tx, {
      type: 'vault.migrated',
      outcome: 'done',
      actor: 'system:server',
      target: 'vault:keyward',
      detail: { from, to: next.seal },
    })
    tx.afterCommit(() => {
      config = next
    })
  }

  /** Closes the root key with the seal that is wanted now, and opens the vault with it. */
  async function migrate(from: SealConfig, rootKey: Buffer, key: Buffer | undefined): Promise<void> {
    const to = wanted ?? from.seal
    const holders = holdersOf(from)
    const next: SealConfig =
      to === 'shamir'
        ? { seal: to, ...holders }
        : {
            seal: to,
            shares: 1,
            threshold: 1,
            ...(key ? { recovery: { ...holders, digest: digestOf(key).toString('hex') } } : {}),
          }
    try {
      const wrapped =
        to === 'shamir'
          ? encrypt(key ?? Buffer.alloc(0), 0, rootContext, rootKey)
          : await wrapperOf(to).wrap(rootKey)
      await store.write((tx) => storeMigrated(tx, from.seal, next, wrapped))
    } catch (error) {
      rootKey.fill(0)
      throw error
    }
    await openWith(rootKey)
  }

  function checkShare(share: Buffer, { seal, recovery }: SealConfig, threshold: number): void {
    if (seal !== 'shamir' && seal !== 'keyfile' && !recovery)
      throw new AppError(
        'vault.share_invalid',
        'this vault opens by itself and nobody holds a recovery key: restart the server',
      )
    if (share.length !== shareLength(threshold))
      throw new AppError(
        'vault.share_invalid',
        `it has ${share.length} bytes; a share of this vault has ${shareLength(threshold)}.`,
      )
  }

  return {
    async load() {
      const stored = await readKey(store, 'seal')
      config = stored ? parseSealConfig(stored) : undefined
    },
    status: () => ({
      initialised: config !== undefined,
      sealed: !barrier.isOpen(),
      seal: wanted ?? config?.seal ?? 'shamir',
      shares: config ? holdersOf(config).shares : 0,
      threshold: config ? holdersOf(config).threshold : 0,
      progress: quorum.progress(),
      attempt: quorum.nonce(),
      migration: isMigrating(),
    }),
    prepare: (options) => makeSeal(options, wrapperOf, () => config),
    async initialise(tx, { config: next, rootKey, wrapped }) {
      if (await readKey(tx, 'seal')) throw new AppError('vault.already_initialised')
      const ring = createKeyRing(clock.now())
      const bytes = ring.toBytes()
      await putKey(tx, 'seal', sealConfigBytes(next))
      await putKey(tx, 'root', wrapped)
      await putKey(tx, 'keyring', encrypt(rootKey, 0, keyRingContext, bytes))
      bytes.fill(0)
      barrier.open(ring, rootKey)
      tx.afterCommit(() => {
        config = next
      })
    },
    async unseal(share, asMigration = false) {
      const now = present()
      if (barrier.isOpen()) return true
      if (asMigration && !isMigrating())
        throw new AppError('request.invalid', "can't perform a seal migration, no migration seal found")
      if (!asMigration && isMigrating())
        throw new AppError('request.invalid', 'migrate option not provided and seal migration is pending')
      const threshold = holdersOf(now).threshold || 1
      checkShare(share, now, threshold)
      const key = await quorum.add(share, threshold)
      if (typeof key === 'string') return false
      try {
        const rootKey = await rootKeyBy(key, now)
        await (asMigration ? migrate(now, rootKey, key) : openWith(rootKey))
      } finally {
        key.fill(0)
      }
      return true
    },
    async unsealByItself() {
      const now = present()
      if (barrier.isOpen()) return
      if (now.seal === 'shamir')
        throw new AppError(
          'vault.sealed',
          'this vault is opened by key shares: give them to PUT /v1/sys/unseal',
        )
      if (isMigrating() && !migratesByItself())
        throw new AppError(
          'vault.sealed',
          `a migration to the seal "${wanted}" is pending: give ${now.recovery ? 'recovery keys' : 'the key of the key file'} with the option migrate`,
        )
      const rootKey = await wrapperOf(now.seal).unwrap(await storedRoot())
      await (isMigrating() ? migrate(now, rootKey, undefined) : openWith(rootKey))
    },
    migratesByItself,
    reset: quorum.reset,
    seal() {
      quorum.reset()
      barrier.shut()
    },
    config: present,
    async isHeld(key) {
      const { seal, recovery } = present()
      if (recovery) return isSame(digestOf(key), Buffer.from(recovery.digest, 'hex'))
      if (seal !== 'shamir' && seal !== 'keyfile') return false
      const rootKey = decrypt(key, rootContext, await storedRoot())
      rootKey?.fill(0)
      return rootKey !== undefined
    },
    async prepareRootKey(holders) {
      const { seal } = present()
      const rootKey = randomBytes(keyBytes)
      const wrapped =
        seal === 'shamir'
          ? holders && encrypt(holders.key, 0, rootContext, rootKey)
          : await wrapperOf(seal).wrap(rootKey)
      if (!wrapped)
        throw new AppError('request.invalid', 'the root key of this vault is changed with its key shares')
      return async (tx) => {
        await putKey(tx, 'root', wrapped)
        await barrier.replaceRootKey(tx, rootKey)
        if (!holders || seal !== 'shamir') return
        const next: SealConfig = { seal, shares: holders.shares, threshold: holders.threshold }
        await putKey(tx, 'seal', sealConfigBytes(next))
        tx.afterCommit(() => {
          config = next
        })
      }
    },
    async storeRecoveryKey(tx, { key, shares, threshold }) {
      const next: SealConfig = {
        ...present(),
        recovery: { shares, threshold, digest: digestOf(key).toString('hex') },
      }
      await putKey(tx, 'seal', sealConfigBytes(next))
      tx.afterCommit(() => {
        config = next
      })
    },
  }
}

const digestOf = (key: Buffer): Buffer => hash('sha256', key, 'buffer')

async function makeSeal(
  options: SealOptions,
  wrapperOf: (kind: AutoSealKind) => KeyWrapper,
  present: () => SealConfig | undefined,
): Promise<NewSeal> {
  const holders = options.seal === 'shamir' ? options : options.recovery
  const made: NewKey | undefined =
    holders && (await makeKey(holders, options.seal === 'shamir' ? 'seal' : 'recovery'))
  if (present()) throw new AppError('vault.already_initialised')
  const rootKey = randomBytes(keyBytes)
  try {
    if (options.seal === 'shamir') {
      const { shares, threshold } = options
      const wrapped = encrypt(made?.key ?? Buffer.alloc(0), 0, rootContext, rootKey)
      return {
        config: { seal: 'shamir', shares, threshold },
        rootKey,
        wrapped,
        shares: made?.shares ?? [],
        recoveryShares: [],
      }
    }
    const recovery = made &&
      holders && {
        shares: holders.shares,
        threshold: holders.threshold,
        digest: digestOf(made.key).toString('hex'),
      }
    return {
      config: { seal: options.seal, shares: 1, threshold: 1, ...(recovery ? { recovery } : {}) },
      rootKey,
      wrapped: await wrapperOf(options.seal).wrap(rootKey),
      shares: [],
      recoveryShares: made?.shares ?? [],
    }
  } finally {
    made?.key.fill(0)
  }
}
