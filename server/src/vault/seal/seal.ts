import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { AppError, type Clock, Secret } from '../../core/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import { type Barrier, keyRingContext, readRing } from '../barrier/barrier.ts'
import { decrypt, encrypt } from '../barrier/cipher.ts'
import { createKeyRing, keyBytes } from '../barrier/key-ring.ts'
import { putKey, readKey } from '../vault-store.ts'
import { createKeyFile, readKeyFile } from './key-file.ts'
import { combineShares, splitKey } from './shamir.ts'

export type SealKind = 'keyfile' | 'shamir'
export type VaultStatus = {
  readonly initialised: boolean
  readonly sealed: boolean
  readonly seal: SealKind
  readonly shares: number
  readonly threshold: number
  /** How many shares of the running attempt have come. */
  readonly progress: number
  /** Names the running attempt; empty when there is none. */
  readonly attempt: string
}
export type SealOptions =
  | { readonly seal: 'keyfile' }
  | { readonly seal: 'shamir'; readonly shares: number; readonly threshold: number }

/**
 * The seal keeps the root key: wrapped by a key that people hold in shares, or that a file holds. The root key opens the
 * key ring, and the key ring everything else.
 */
export type Seal = {
  /** Learns from the store whether the vault exists. */
  load(): Promise<void>
  status(): VaultStatus
  /** Makes the seal's key, outside any transaction because it may make a file. */
  prepare(options: SealOptions): Promise<NewSeal>
  /** Stores the new keys and opens the barrier; the caller closes it when the transaction fails. Shares are given once. */
  initialise(tx: Tx, fresh: NewSeal): Promise<Secret[]>
  /** Adds a share; true when the barrier is open. */
  unseal(share: Buffer): Promise<boolean>
  unsealWithKeyFile(): Promise<void>
  /** Forgets the shares that have come so far. */
  reset(): void
  seal(): void
}

type Needs = {
  store: Pick<Store, 'get' | 'all'>
  barrier: Pick<Barrier, 'open' | 'shut' | 'isOpen'>
  clock: Pick<Clock, 'now'>
  keyFile: string
}
export type NewSeal = { readonly config: Config; readonly sealKey: Buffer }
type Config = { seal: SealKind; shares: number; threshold: number }

const rootContext = 'root'
const maxShares = 255

export function createSeal({ store, barrier, clock, keyFile }: Needs): Seal {
  let config: Config | undefined
  let shares: Buffer[] = []
  let attempt = ''

  function reset(): void {
    for (const share of shares) share.fill(0)
    shares = []
    attempt = ''
  }

  async function openWith(sealKey: Buffer): Promise<void> {
    const wrapped = await readKey(store, 'root')
    const rootKey = wrapped && decrypt(sealKey, rootContext, wrapped)
    sealKey.fill(0)
    if (!rootKey)
      throw new AppError(
        'vault.share_invalid',
        'the key does not open this vault: a share is wrong or foreign.',
      )
    barrier.open(await readRing(store, rootKey), rootKey)
  }

  /** Not what Vault counts as one attempt's share: empty, or of the wrong length. */
  function assertShape(share: Buffer, { threshold }: Config): void {
    const expected = threshold === 1 ? keyBytes : keyBytes + 1
    if (share.length !== expected)
      throw new AppError(
        'vault.share_invalid',
        `it has ${share.length} bytes; a share of this vault has ${expected}.`,
      )
  }

  return {
    async load() {
      const stored = await readKey(store, 'seal')
      config = stored ? parseConfig(stored) : undefined
    },
    status: () => ({
      initialised: config !== undefined,
      sealed: !barrier.isOpen(),
      seal: config?.seal ?? 'shamir',
      shares: config?.shares ?? 0,
      threshold: config?.threshold ?? 0,
      progress: shares.length,
      attempt,
    }),
    async prepare(options) {
      const next = configOf(options)
      if (config) throw new AppError('vault.already_initialised')
      const sealKey = next.seal === 'keyfile' ? await createKeyFile(keyFile) : randomBytes(keyBytes)
      return { config: next, sealKey }
    },
    async initialise(tx, { config: next, sealKey }) {
      if (await readKey(tx, 'seal')) throw new AppError('vault.already_initialised')
      const rootKey = randomBytes(keyBytes)
      const ring = createKeyRing(clock.now())
      const bytes = ring.toBytes()
      await putKey(tx, 'seal', Buffer.from(JSON.stringify(next)))
      await putKey(tx, 'root', encrypt(sealKey, 0, rootContext, rootKey))
      await putKey(tx, 'keyring', encrypt(rootKey, 0, keyRingContext, bytes))
      const parts = next.seal === 'shamir' ? await splitKey(sealKey, next.shares, next.threshold) : []
      const given = parts.map((part) => new Secret(part.toString('hex')))
      for (const secret of [bytes, sealKey, ...parts]) secret.fill(0)
      barrier.open(ring, rootKey)
      tx.afterCommit(() => {
        config = next
      })
      return given
    },
    async unseal(share) {
      if (!config) throw new AppError('vault.uninitialised', 'initialise it first: PUT /v1/sys/init')
      if (barrier.isOpen()) return true
      assertShape(share, config)
      if (shares.some((known) => timingSafeEqual(known, share))) return false
      attempt ||= randomUUID()
      shares.push(Buffer.from(share))
      if (shares.length < config.threshold) return false
      const collected = shares
      shares = []
      attempt = ''
      try {
        await openWith((await combineShares(collected, config.threshold)) ?? Buffer.alloc(keyBytes))
      } finally {
        for (const used of collected) used.fill(0)
      }
      return true
    },
    async unsealWithKeyFile() {
      if (!config) throw new AppError('vault.uninitialised')
      if (!barrier.isOpen()) await openWith(await readKeyFile(keyFile))
    },
    reset,
    seal() {
      reset()
      barrier.shut()
    },
  }
}

function configOf(options: SealOptions): Config {
  if (options.seal === 'keyfile') return { seal: 'keyfile', shares: 1, threshold: 1 }
  const { shares, threshold } = options
  const whole = Number.isInteger(shares) && Number.isInteger(threshold)
  if (!whole || shares < 1 || shares > maxShares || threshold < 1 || threshold > shares)
    throw new AppError(
      'request.invalid',
      `invalid seal configuration: 1 to ${maxShares} shares and a threshold between 1 and the number of shares.`,
    )
  if (shares > 1 && threshold === 1)
    throw new AppError(
      'request.invalid',
      'invalid seal configuration: a threshold of 1 needs exactly one share.',
    )
  return { seal: 'shamir', shares, threshold }
}

function parseConfig(stored: Uint8Array): Config {
  return JSON.parse(Buffer.from(stored).toString('utf8')) as Config
}
