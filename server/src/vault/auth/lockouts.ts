import { AppError, type Clock } from '../../core/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { defaultLockout, type Lockout } from '../mount-config.ts'

/**
 * Users whose password, or roles whose secret id, was guessed wrong too often. A lock is on disk before the guess that caused it is answered, so a restart
 * opens nothing; guesses are counted in memory, so only one in `threshold` of them writes. Names that do not exist are counted
 * alike, so that being locked out tells nothing.
 */
export type Lockouts = {
  /** One attempt after another for each user, so that guesses made at once are counted too. */
  attempt<T>(
    user: LockableUser,
    settings: Lockout | undefined,
    check: () => Promise<T | undefined>,
  ): Promise<T | undefined>
  /** The same where the check is in the transaction of the login: one runs at a time anyway. */
  attemptIn<T>(
    tx: Tx,
    user: LockableUser,
    settings: Lockout | undefined,
    check: () => Promise<T | undefined>,
  ): Promise<T | undefined>
  locked(): LockableUser[]
  unlock(tx: Tx, user: LockableUser): Promise<void>
  /** At unsealing: the locks in the storage that hold, and nothing else. */
  load(): Promise<void>
}
export type LockableUser = { readonly mountAccessor: string; readonly name: string }

type Count = { user: LockableUser; failures: number; lastAt: number; lockedUntil: number }

type Needs = {
  clock: Pick<Clock, 'now'>
  store: Pick<Store, 'write'>
  barrier: Pick<Barrier, 'get' | 'put' | 'delete' | 'list'>
  /** Of how many users wrong guesses are remembered. */
  mostUsers?: number
}

const folder = 'sys/lockout/'

export function createLockouts({ clock, store, barrier, mostUsers = 10_000 }: Needs): Lockouts {
  const counts = new Map<string, Count>()
  const running = new Map<string, Promise<unknown>>()
  /** Not remembered any more; their locks go with the next that is stored, so that made-up names do not fill the storage. */
  let forgotten: LockableUser[] = []
  const keyOf = ({ mountAccessor, name }: LockableUser): string => `${mountAccessor}\0${name}`
  const now = (): number => clock.now().getTime()

  /** Counts a failure; returns what to store when it was one too many. */
  function countFailure(user: LockableUser, settings: Lockout): Count | undefined {
    const key = keyOf(user)
    const known = counts.get(key)
    const fresh = !known || now() - known.lastAt >= settings.resetSeconds * 1000
    const failures = fresh ? 1 : known.failures + 1
    const lockedUntil = failures >= settings.threshold ? now() + settings.durationSeconds * 1000 : 0
    counts.delete(key)
    const count = { user, failures, lastAt: now(), lockedUntil }
    counts.set(key, count)
    const [oldest] = counts.values()
    if (counts.size > mostUsers && oldest) {
      counts.delete(keyOf(oldest.user))
      if (oldest.lockedUntil > 0) forgotten.push(oldest.user)
    }
    return lockedUntil > 0 ? count : undefined
  }

  async function storeLock(tx: Tx, locked: Count): Promise<void> {
    const gone = forgotten
    tx.afterCommit(() => {
      forgotten = forgotten.filter((user) => !gone.includes(user))
    })
    for (const user of gone) await barrier.delete(tx, placeOf(user))
    await barrier.put(tx, placeOf(locked.user), JSON.stringify(locked))
  }

  async function stored(): Promise<Count[]> {
    const accessors = await barrier.list(folder)
    const places = await Promise.all(
      accessors.map(async (accessor) =>
        (await barrier.list(folder + accessor)).map((name) => folder + accessor + name),
      ),
    )
    const all = await Promise.all(places.flat().map((place) => barrier.get(place)))
    return all.filter((bytes) => bytes !== undefined).map((bytes) => JSON.parse(bytes.toString('utf8')))
  }

  async function unlock(tx: Tx, user: LockableUser): Promise<void> {
    await barrier.delete(tx, placeOf(user))
    tx.afterCommit(() => counts.delete(keyOf(user)))
  }

  async function checked<T>(
    user: LockableUser,
    settings: Lockout,
    check: () => Promise<T | undefined>,
    write: (work: (tx: Tx) => Promise<unknown>) => Promise<unknown>,
  ): Promise<T | undefined> {
    const known = counts.get(keyOf(user))
    if (known && known.lockedUntil > now()) throw new AppError('policy.denied')
    // The time of a lock has passed: counting starts again.
    if (known && known.lockedUntil > 0) {
      await write((tx) => barrier.delete(tx, placeOf(user)))
      counts.delete(keyOf(user))
    }
    const found = await check()
    if (found !== undefined) counts.delete(keyOf(user))
    const locked = found === undefined ? countFailure(user, settings) : undefined
    if (locked) await write((tx) => storeLock(tx, locked))
    return found
  }

  return {
    async attempt(user, settings = defaultLockout, check) {
      if (isOff(settings)) return check()
      const key = keyOf(user)
      const before = running.get(key) ?? Promise.resolve()
      const mine = before.then(() => checked(user, settings, check, store.write))
      const settled = mine.catch(() => undefined)
      running.set(key, settled)
      try {
        return await mine
      } finally {
        if (running.get(key) === settled) running.delete(key)
      }
    },
    async attemptIn(tx, user, settings = defaultLockout, check) {
      return isOff(settings) ? check() : checked(user, settings, check, (work) => work(tx))
    },
    locked: () =>
      [...counts.values()].filter(({ lockedUntil }) => lockedUntil > now()).map(({ user }) => user),
    unlock,
    async load() {
      counts.clear()
      forgotten = []
      const all = await stored()
      for (const count of all.filter(({ lockedUntil }) => lockedUntil > now()))
        counts.set(keyOf(count.user), count)
      const ended = all.filter(({ lockedUntil }) => lockedUntil <= now())
      if (ended.length === 0) return
      await store.write(async (tx) => {
        for (const { user } of ended) await barrier.delete(tx, placeOf(user))
      })
    },
  }
}

const isOff = ({ disabled, threshold }: Lockout): boolean => disabled || threshold === 0

const placeOf = ({ mountAccessor, name }: LockableUser): string =>
  `${folder}${mountAccessor}/${encodeURIComponent(name)}`
