import type { Audit } from '../../audit/index.ts'
import { AppError, type Clock, type Log, reasonOf, type Secret } from '../../core/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import { shareBytes } from './new-key.ts'
import type { NewSeal, VaultStatus } from './seal.ts'
import type { SealOptions } from './seal-config.ts'
import type { Sealing } from './sealing.ts'

export type Initialised = {
  readonly shares: readonly Secret[]
  readonly recoveryShares: readonly Secret[]
  readonly rootToken: Secret
}

/** Makes a vault, and opens it: by shares, or by itself, however long that takes. */
export type Opening = {
  status(): VaultStatus
  initialise(options: SealOptions & { readonly rootTokenId?: Secret }): Promise<Initialised>
  unseal(share: Secret, migrate?: boolean): Promise<VaultStatus>
  unsealByItself(): Promise<void>
  /** As `unsealByItself`. A service that does not answer is asked again until it does; a vault of key shares is left alone. */
  openAtStart(): Promise<void>
  /** Stops asking. */
  stop(): void
}

type Needs = {
  sealing: Pick<Sealing, 'seal' | 'keepAlive' | 'problem'>
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  clock: Pick<Clock, 'after'>
  log: Pick<Log, 'warn'>
  isActive: () => boolean
  /** The barrier is open: begins to serve. */
  activate: () => Promise<void>
  shut: () => void
  /** What a new vault holds; returns its root token. */
  setUp: (tx: Tx, rootTokenId: Secret | undefined) => Promise<Secret>
}

const firstPauseMilliseconds = 1000
const longestPauseMilliseconds = 60_000

export function createOpening(needs: Needs): Opening {
  const { sealing, store, audit, clock, log, isActive, activate, shut, setUp } = needs
  const { seal } = sealing
  let problem: string | undefined
  let cancel = (): void => undefined

  const status = (): VaultStatus => {
    const now = seal.status()
    const sealed = !isActive()
    const known = sealed ? problem : sealing.problem()
    return { ...now, sealed, ...(known === undefined ? {} : { problem: known }) }
  }
  const entry = (type: 'vault.initialised' | 'vault.unsealed') =>
    ({ type, outcome: 'done', actor: 'system:server', target: 'vault:keyward' }) as const

  async function opened(): Promise<void> {
    if (isActive()) return
    try {
      await activate()
      await audit.recordNow(entry('vault.unsealed'))
    } catch (error) {
      shut()
      throw error
    }
  }

  async function unsealByItself(): Promise<void> {
    await seal.unsealByItself()
    await opened()
  }

  async function made(fresh: NewSeal, rootTokenId: Secret | undefined): Promise<Secret> {
    try {
      return await store.write(async (tx) => {
        await seal.initialise(tx, fresh)
        const token = await setUp(tx, rootTokenId)
        await audit.record(tx, entry('vault.initialised'))
        return token
      })
    } catch (error) {
      if (!isActive()) shut()
      throw error
    }
  }

  /** Begins to serve what was made a moment ago; later, where that fails now. */
  async function served(): Promise<void> {
    try {
      await activate()
      sealing.keepAlive()
    } catch (error) {
      shut()
      problem = reasonOf(error)
      log.warn({ reason: problem }, 'the new vault is made and does not open')
    }
  }

  /** Pauses twice as long after each failure. */
  async function tryAgain(pause: number): Promise<void> {
    cancel()
    try {
      if (!isActive()) await unsealByItself()
    } catch (error) {
      problem = reasonOf(error)
      log.warn(
        { reason: problem, seconds: pause / 1000 },
        'the vault does not open by itself; it is tried again',
      )
      cancel = clock.after(pause, () => void tryAgain(Math.min(2 * pause, longestPauseMilliseconds)))
    }
  }

  return {
    status,
    async initialise(options) {
      const fresh = await seal.prepare(options)
      const rootToken = await made(fresh, options.rootTokenId)
      // Nothing may go wrong from here on, or nobody would ever see the shares.
      if (options.seal === 'shamir') shut()
      else await served()
      return { shares: fresh.shares, recoveryShares: fresh.recoveryShares, rootToken }
    },
    async unseal(share, migrate) {
      const bytes = shareBytes(share.reveal())
      if (!bytes) throw new AppError('vault.share_invalid', "'key' must be a valid hex or base64 string")
      try {
        if (await seal.unseal(bytes, migrate)) await opened()
      } finally {
        bytes.fill(0)
      }
      return status()
    },
    unsealByItself,
    async openAtStart() {
      const { seal: kind } = seal.config()
      sealing.keepAlive()
      if (kind === 'shamir') return
      const { migration } = seal.status()
      if (kind === 'keyfile' && !migration) return unsealByItself()
      if (migration && !seal.migratesByItself()) {
        problem = 'a seal migration is pending: give the keys with the option migrate'
        return
      }
      await tryAgain(firstPauseMilliseconds)
    },
    stop: () => cancel(),
  }
}
