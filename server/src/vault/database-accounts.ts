import { AppError, Secret, systemPrincipal } from '../core/index.ts'
import type { Act, Acted } from './acting.ts'
import { isObject } from './fields.ts'
import type { Mounts } from './mounts.ts'

/** An account at a database. `leaseId` and `expiresAt`: of one that was made for this answer and can be ended. */
export type DatabaseAccount = {
  readonly username: string
  readonly password: Secret
  readonly leaseId: string | undefined
  readonly expiresAt: Date | undefined
}

/** Accounts of the database engine, for Keyward's own domains, which decide for themselves: `database/creds/reader`. */
export type DatabaseAccounts = {
  /** Whether the path is below a database engine. */
  has(path: string): boolean
  /** A new account of a role, or the one of a static role. Throws `secret.not_found`, and what the database answers. */
  read(path: string): Promise<DatabaseAccount>
  /** Drops it at the database. One that is gone is gone. */
  end(leaseId: string): Promise<void>
}

type Needs = {
  mounts: Pick<Mounts, 'of'>
  act(principal: ReturnType<typeof systemPrincipal>, act: Act): Promise<Acted>
  now: () => Date
}

const borrower = systemPrincipal('lend')

export function createDatabaseAccounts({ mounts, act, now }: Needs): DatabaseAccounts {
  return {
    has: (path) => mounts.of(path)?.type === 'database',
    async read(path) {
      const answer = await act(borrower, { method: 'GET', path })
      const data = answer?.['data']
      const username = isObject(data) ? data['username'] : undefined
      const password = isObject(data) ? data['password'] : undefined
      if (typeof username !== 'string' || typeof password !== 'string')
        throw new AppError('secret.not_found', `${path} gives no user name and password.`)
      const { lease_id: leaseId, lease_duration: seconds } = answer ?? {}
      const isLeased = typeof leaseId === 'string' && leaseId !== '' && typeof seconds === 'number'
      return {
        username,
        password: new Secret(password),
        leaseId: isLeased ? leaseId : undefined,
        expiresAt: isLeased ? new Date(now().getTime() + seconds * 1000) : undefined,
      }
    },
    async end(leaseId) {
      await act(borrower, {
        method: 'PUT',
        path: 'sys/leases/revoke',
        body: { lease_id: leaseId, sync: true },
      })
    },
  }
}
