import { AppError, type Clock } from '../../core/index.ts'
import { defaultLockout, type Lockout } from '../mount-config.ts'

/**
 * Users whose password was guessed wrong too often. Kept in memory: a restart opens all, which costs a guesser more time than
 * it wins. Names that do not exist are counted alike, so that being locked out tells nothing.
 */
export type Lockouts = {
  /** One attempt after another for each user, so that guesses made at once are counted too. */
  attempt<T>(
    user: LockableUser,
    settings: Lockout | undefined,
    check: () => Promise<T | undefined>,
  ): Promise<T | undefined>
  locked(): LockableUser[]
  unlock(user: LockableUser): void
}
export type LockableUser = { readonly mountAccessor: string; readonly name: string }

type Count = { user: LockableUser; failures: number; lastAt: number; lockedUntil: number }

const rememberedUsers = 10_000

export function createLockouts(clock: Pick<Clock, 'now'>): Lockouts {
  const counts = new Map<string, Count>()
  const running = new Map<string, Promise<unknown>>()
  const keyOf = ({ mountAccessor, name }: LockableUser): string => `${mountAccessor}\0${name}`
  const now = (): number => clock.now().getTime()

  function countFailure(user: LockableUser, settings: Lockout): void {
    const key = keyOf(user)
    const known = counts.get(key)
    const fresh = !known || now() - known.lastAt >= settings.resetSeconds * 1000
    const failures = fresh ? 1 : known.failures + 1
    const lockedUntil = failures >= settings.threshold ? now() + settings.durationSeconds * 1000 : 0
    counts.delete(key)
    counts.set(key, { user, failures, lastAt: now(), lockedUntil })
    const [oldest] = counts.keys()
    if (counts.size > rememberedUsers && oldest !== undefined) counts.delete(oldest)
  }

  async function checked<T>(
    user: LockableUser,
    settings: Lockout,
    check: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const known = counts.get(keyOf(user))
    if (known && known.lockedUntil > now()) throw new AppError('policy.denied')
    // The time of a lock has passed: counting starts again.
    if (known && known.lockedUntil > 0) counts.delete(keyOf(user))
    const found = await check()
    if (found === undefined) countFailure(user, settings)
    else counts.delete(keyOf(user))
    return found
  }

  return {
    async attempt(user, settings = defaultLockout, check) {
      if (settings.disabled || settings.threshold === 0) return check()
      const key = keyOf(user)
      const before = running.get(key) ?? Promise.resolve()
      const mine = before.then(() => checked(user, settings, check))
      const settled = mine.catch(() => undefined)
      running.set(key, settled)
      try {
        return await mine
      } finally {
        if (running.get(key) === settled) running.delete(key)
      }
    },
    locked: () =>
      [...counts.values()].filter(({ lockedUntil }) => lockedUntil > now()).map(({ user }) => user),
    unlock: (user) => void counts.delete(keyOf(user)),
  }
}
