import { AppError, type Clock } from '../../core/index.ts'
import type { Reader, Store, Tx } from '../../store/index.ts'
import { type Barrier, mostEncryptionsPerKey } from './barrier.ts'

export type RotationConfig = {
  readonly enabled: boolean
  /** Encryptions with one key. */
  readonly maxOperations: number
  /** 0: however old a key is. */
  readonly intervalSeconds: number
}

/** When the barrier takes a new key by itself. */
export type Rotation = {
  read(reader?: Reader): Promise<RotationConfig>
  write(tx: Tx, change: Partial<RotationConfig>): Promise<void>
  /** Applies what is stored; call it when the barrier opens. */
  load(): Promise<void>
  /** Takes a new key when the present one is too old; returns whether it did. */
  rotateDue(): Promise<boolean>
}

type Needs = {
  store: Pick<Store, 'write'>
  barrier: Pick<Barrier, 'get' | 'put' | 'rotate' | 'terms' | 'limitEncryptions'>
  clock: Pick<Clock, 'now'>
  onRotated: (tx: Tx) => Promise<void>
}

const path = 'sys/rotation'
const fewestOperations = 1_000_000
const shortestIntervalSeconds = 86_400
const byDefault: RotationConfig = { enabled: true, maxOperations: mostEncryptionsPerKey, intervalSeconds: 0 }

export function createRotation({ store, barrier, clock, onRotated }: Needs): Rotation {
  /** One at a time, or two would both find the key too old. */
  let running: Promise<boolean> | undefined

  async function read(reader?: Reader): Promise<RotationConfig> {
    const stored = await barrier.get(path, reader)
    return stored ? (JSON.parse(stored.toString('utf8')) as RotationConfig) : byDefault
  }

  // A key that has reached its last safe encryption is replaced even where rotation is switched off.
  const apply = ({ enabled, maxOperations }: RotationConfig): void =>
    barrier.limitEncryptions(enabled ? maxOperations : mostEncryptionsPerKey)

  return {
    read,
    async write(tx, change) {
      const next = { ...(await read(tx)), ...change }
      if (next.maxOperations < fewestOperations || next.maxOperations > mostEncryptionsPerKey)
        throw new AppError(
          'request.invalid',
          `max_operations must be in the range [${fewestOperations},${mostEncryptionsPerKey}]`,
        )
      if (next.intervalSeconds !== 0 && next.intervalSeconds < shortestIntervalSeconds)
        throw new AppError('request.invalid', 'interval must be greater or equal to 24h0m0s')
      await barrier.put(tx, path, JSON.stringify(next))
      tx.afterCommit(() => apply(next))
    },
    async load() {
      apply(await read())
    },
    rotateDue() {
      running ??= rotateIfDue().finally(() => {
        running = undefined
      })
      return running
    },
  }

  async function rotateIfDue(): Promise<boolean> {
    const { enabled, intervalSeconds } = await read()
    const createdAt = barrier.terms().at(-1)?.createdAt
    if (!enabled || intervalSeconds === 0 || !createdAt) return false
    if (clock.now().getTime() - createdAt.getTime() < intervalSeconds * 1000) return false
    await store.write(async (tx) => {
      await barrier.rotate(tx)
      await onRotated(tx)
    })
    return true
  }
}
