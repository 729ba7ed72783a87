import { randomUUID } from 'node:crypto'
import type { Audit } from '../../audit/index.ts'
import { AppError, type Clock, type Secret } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { makeKey, type NewKey } from './new-key.ts'
import { readRecipients } from './pgp.ts'
import { addShare, type Given, type Step } from './procedure.ts'
import { createQuorum, isSame, type Quorum } from './quorum.ts'
import type { Seal } from './seal.ts'
import { checkHolders, type HolderOptions, holdersOf } from './seal-config.ts'

/** `root`: the root key and, where shares open the vault, these shares. `recovery`: the recovery keys of a vault that opens by itself. */
export type RekeyTarget = 'root' | 'recovery'
export type RekeyOptions = HolderOptions & { readonly backup?: boolean; readonly verification?: boolean }

/**
 * Gives the owners new keys when enough of them agree by giving their shares of the present ones. Everything is in memory until
 * the last step stores all of it in one transaction: until then, whatever happens, the present keys are the valid ones.
 */
export type Rekey = {
  begin(target: RekeyTarget, options: RekeyOptions): Promise<void>
  /** Makes recovery keys where nobody holds any. Whoever may call this needs another proof than a share. */
  firstRecoveryKey(options: RekeyOptions): Promise<Step>
  status(target: RekeyTarget): Readonly<Record<string, unknown>>
  /** Without the nonce it takes ten minutes until anybody may cancel, so that nobody is kept from a rekey; `free` may at once. */
  cancel(target: RekeyTarget, nonce: string, free?: boolean): void
  update(target: RekeyTarget, given: Given): Promise<Step>
  verification(target: RekeyTarget): Readonly<Record<string, unknown>>
  restartVerification(target: RekeyTarget): void
  verify(target: RekeyTarget, given: Given): Promise<Step>
  backup(target: RekeyTarget): Promise<Readonly<Record<string, unknown>>>
  deleteBackup(tx: Tx, target: RekeyTarget): Promise<void>
  /** A new root key without new shares, where the vault opens by itself. */
  changeRootKey(): Promise<(tx: Tx) => Promise<void>>
  /** Ends what is under way. */
  forget(): void
}

type Needs = {
  seal: Pick<Seal, 'status' | 'config' | 'isHeld' | 'prepareRootKey' | 'storeRecoveryKey'>
  barrier: Pick<Barrier, 'get' | 'put' | 'delete' | 'isOpen'>
  audit: Pick<Audit, 'record'>
  clock: Pick<Clock, 'now'>
}
type Operation = {
  readonly nonce: string
  readonly options: RekeyOptions
  readonly fingerprints: readonly string[]
  readonly beganAt: number
  readonly quorum: Quorum
  /** The new key, given out and not yet valid. */
  pending: { readonly made: NewKey; nonce: string; readonly quorum: Quorum } | undefined
  /** Its end is being stored. */
  ending: boolean
}

const protectedMilliseconds = 600_000
const backupPaths = { root: 'sys/unseal-keys-backup', recovery: 'sys/recovery-keys-backup' } as const

export function createRekey({ seal, barrier, audit, clock }: Needs): Rekey {
  const operations = new Map<RekeyTarget, Operation>()

  function assertPossible(target: RekeyTarget): void {
    if (!seal.status().initialised) throw new AppError('request.invalid', 'server is not yet initialized')
    if (!barrier.isOpen()) throw new AppError('vault.sealed')
    if (target === 'recovery' && seal.config().seal === 'shamir')
      throw new AppError('request.invalid', 'recovery rekeying not supported')
  }

  function running(target: RekeyTarget): Operation {
    assertPossible(target)
    const operation = operations.get(target)
    const name = target === 'root' ? 'barrier' : 'recovery'
    if (!operation) throw new AppError('request.invalid', `no ${name} rekey in progress`)
    return operation
  }

  function end(target: RekeyTarget): void {
    const operation = operations.get(target)
    operation?.quorum.reset()
    operation?.pending?.quorum.reset()
    operation?.pending?.made.key.fill(0)
    operations.delete(target)
  }

  /** What can be asked for, with what the kind of seal makes of it. */
  function settled(target: RekeyTarget, options: RekeyOptions): RekeyOptions {
    const { seal: kind } = seal.config()
    const pgp = (options.pgpKeys ?? []).length > 0
    const refuse = (why: string): never => {
      throw new AppError('request.invalid', why)
    }
    if (options.backup && !pgp)
      refuse('cannot request a backup of the new keys without providing PGP keys for encryption')
    if (target === 'recovery' || kind === 'shamir') {
      checkHolders(options, 'rekey seal')
      return options
    }
    if (pgp) refuse('PGP key encryption not supported when using stored keys')
    if (options.verification)
      refuse('requiring verification not supported when rekeying the barrier key with recovery keys')
    return { shares: 1, threshold: 1 }
  }

  async function start(target: RekeyTarget, asked: RekeyOptions): Promise<Operation> {
    assertPossible(target)
    if (operations.has(target)) throw new AppError('request.invalid', 'rekey already in progress')
    const options = settled(target, asked)
    const recipients = await readRecipients(options.pgpKeys ?? [])
    if (operations.has(target)) throw new AppError('request.invalid', 'rekey already in progress')
    const operation: Operation = {
      nonce: randomUUID(),
      options,
      fingerprints: recipients.map(({ fingerprint }) => fingerprint),
      beganAt: clock.now().getTime(),
      quorum: createQuorum(),
      pending: undefined,
      ending: false,
    }
    operations.set(target, operation)
    return operation
  }

  function status(target: RekeyTarget): Readonly<Record<string, unknown>> {
    assertPossible(target)
    const operation = operations.get(target)
    const { threshold: required } = holdersOf(seal.config())
    if (!operation) return { ...idle, required }
    const { nonce, options, quorum, pending, fingerprints } = operation
    return {
      nonce,
      started: true,
      t: options.threshold,
      n: options.shares,
      progress: quorum.progress(),
      required,
      pgp_fingerprints: fingerprints.length > 0 ? fingerprints : null,
      backup: options.backup ?? false,
      verification_required: options.verification ?? false,
      ...(pending ? { verification_nonce: pending.nonce } : {}),
    }
  }

  /** The transaction that makes a new key the valid one. */
  async function ending(
    target: RekeyTarget,
    operation: Operation,
    made: NewKey | undefined,
  ): Promise<(tx: Tx) => Promise<void>> {
    const { options, nonce } = operation
    const holders = made && { key: made.key, shares: options.shares, threshold: options.threshold }
    const storeRoot = target === 'root' ? await seal.prepareRootKey(holders) : undefined
    return async (tx) => {
      if (operation.ending || operations.get(target) !== operation)
        throw new AppError(
          'request.conflict',
          'this rekey has ended, or its end could not be stored: cancel it and begin again',
        )
      operation.ending = true
      await storeRoot?.(tx)
      if (!storeRoot && holders) await seal.storeRecoveryKey(tx, holders)
      await audit.record(tx, {
        type: 'vault.rekeyed',
        outcome: 'done',
        actor: 'system:owners',
        target: 'vault:keyward',
        detail: { keys: target, nonce, shares: options.shares, threshold: options.threshold },
      })
      tx.afterCommit(() => end(target))
    }
  }

  async function storeBackup(tx: Tx, target: RekeyTarget, { nonce }: Operation, made: NewKey): Promise<void> {
    const keys: Record<string, string[]> = {}
    made.fingerprints.forEach((fingerprint, i) => {
      keys[fingerprint] = [...(keys[fingerprint] ?? []), made.shares[i]?.reveal() ?? '']
    })
    await barrier.put(tx, backupPaths[target], JSON.stringify({ nonce, keys }))
  }

  /** The owners have agreed: the new keys, at once or after they have shown that they hold them. */
  async function agreed(target: RekeyTarget, operation: Operation): Promise<Step> {
    const { options } = operation
    const withShares = target === 'recovery' || seal.config().seal === 'shamir'
    const made = withShares ? await makeKey(options, 'rekey seal') : undefined
    const verifying = made && options.verification
    const pending = verifying ? { made, nonce: randomUUID(), quorum: createQuorum() } : undefined
    const finish = pending ? undefined : await ending(target, operation, made)
    return {
      async store(tx) {
        if (made && options.backup) await storeBackup(tx, target, operation, made)
        await finish?.(tx)
        tx.afterCommit(() => {
          if (pending) operation.pending = pending
          else made?.key.fill(0)
        })
        return {
          complete: true,
          nonce: operation.nonce,
          ...sharesView(made?.shares ?? []),
          pgp_fingerprints: made && made.fingerprints.length > 0 ? made.fingerprints : null,
          backup: options.backup ?? false,
          verification_required: pending !== undefined,
          ...(pending ? { verification_nonce: pending.nonce } : {}),
        }
      },
    }
  }

  function verifying(target: RekeyTarget): NonNullable<Operation['pending']> {
    const { pending } = running(target)
    if (!pending) throw new AppError('request.invalid', 'no rekey verification in progress')
    return pending
  }

  function verification(target: RekeyTarget): Readonly<Record<string, unknown>> {
    assertPossible(target)
    const operation = operations.get(target)
    if (!operation) throw new AppError('request.invalid', 'no rekey configuration found')
    return {
      nonce: operation.pending?.nonce ?? '',
      started: operation.pending !== undefined,
      t: operation.options.threshold,
      n: operation.options.shares,
      progress: operation.pending?.quorum.progress() ?? 0,
    }
  }

  return {
    async begin(target, options) {
      assertPossible(target)
      if (holdersOf(seal.config()).shares === 0)
        throw new AppError(
          'request.invalid',
          'nobody holds a recovery key of this vault: make recovery keys with a token, at sys/rotate/recovery/init',
        )
      await start(target, options)
    },
    async firstRecoveryKey(options) {
      assertPossible('recovery')
      if (seal.config().recovery) {
        await start('recovery', options)
        return { answer: status('recovery') }
      }
      const operation = await start('recovery', options)
      try {
        return await agreed('recovery', operation)
      } catch (error) {
        end('recovery')
        throw error
      }
    },
    status,
    cancel(target, nonce, free = false) {
      assertPossible(target)
      const operation = operations.get(target)
      if (!operation) return
      const recent = clock.now().getTime() - operation.beganAt < protectedMilliseconds
      if (recent && !free && nonce !== operation.nonce)
        throw new AppError(
          'request.invalid',
          nonce === ''
            ? 'a nonce must be provided to cancel a rekey in its first ten minutes, or a token that may do it'
            : 'incorrect nonce supplied',
        )
      end(target)
    },
    async update(target, given) {
      const operation = running(target)
      if (operation.pending)
        throw new AppError(
          'request.invalid',
          `rekey operation already finished; verification must be performed; nonce for the verification operation is "${operation.pending.nonce}"`,
        )
      const { threshold } = holdersOf(seal.config())
      const { quorum, nonce } = operation
      const key = await addShare(given, { quorum, nonce, threshold, name: 'rekey' })
      if (!key) return { answer: status(target) }
      const held = await seal.isHeld(key)
      key.fill(0)
      if (!held)
        throw new AppError(
          'vault.share_invalid',
          'rekey failed: a share is wrong, of another vault, or from before an earlier rekey. Give all shares again.',
        )
      return agreed(target, operation)
    },
    verification,
    restartVerification(target) {
      const pending = verifying(target)
      pending.quorum.reset()
      pending.nonce = randomUUID()
    },
    async verify(target, given) {
      const operation = running(target)
      const pending = verifying(target)
      const { threshold } = operation.options
      const key = await addShare(given, {
        quorum: pending.quorum,
        nonce: pending.nonce,
        threshold,
        name: 'verify',
      })
      if (!key) return { answer: verification(target) }
      const same = isSame(key, pending.made.key)
      key.fill(0)
      const { nonce } = pending
      if (!same) {
        pending.nonce = randomUUID()
        throw new AppError('vault.share_invalid', 'rekey verification failed; incorrect key shares supplied')
      }
      const finish = await ending(target, operation, pending.made)
      return {
        async store(tx) {
          await finish(tx)
          return { complete: true, nonce }
        },
      }
    },
    async backup(target) {
      const stored = await barrier.get(backupPaths[target])
      if (!stored) throw new AppError('request.invalid', 'no backed-up keys found')
      const { nonce, keys } = JSON.parse(stored.toString('utf8')) as {
        nonce: string
        keys: Record<string, string[]>
      }
      const base64 = Object.entries(keys).map(([name, all]) => [name, all.map(toBase64)])
      return { nonce, keys, keys_base64: Object.fromEntries(base64) }
    },
    async deleteBackup(tx, target) {
      await barrier.delete(tx, backupPaths[target])
    },
    changeRootKey: () => seal.prepareRootKey(),
    forget() {
      for (const target of [...operations.keys()]) end(target)
    },
  }
}

const idle = {
  nonce: '',
  started: false,
  t: 0,
  n: 0,
  progress: 0,
  pgp_fingerprints: null,
  backup: false,
  verification_required: false,
} as const

const toBase64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')

/** As Vault's clients get shares: in hexadecimal and in base64. */
export function sharesView(shares: readonly Secret[]): { keys: string[]; keys_base64: string[] } {
  const keys = shares.map((share) => share.reveal())
  return { keys, keys_base64: keys.map(toBase64) }
}
